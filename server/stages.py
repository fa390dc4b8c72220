"""The coordinator's own roles: which protocol steps it computes itself. Everything else it only relays."""

from __future__ import annotations

from federation import align, kmeans
from federation.jobs import Job, Stage
from federation.roles import Role


def coordinator_role(stage: Stage, job: Job) -> Role | None:
    """The coordinator's role in a stage, or None when parties talk among themselves."""
    if stage is Stage.MATCH:
        return align.Coordinator(job.roles, k_min=job.security.k_min)
    if stage is Stage.SEGMENTS:
        return kmeans.Coordinator(job.roles, profile=job.security)
    return None
