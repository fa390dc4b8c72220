"""The coordinator's own roles: which protocol steps it computes itself. Everything else it only relays."""

from __future__ import annotations

from federation import align, kmeans
from federation.jobs import Job, MatchMode, Stage
from federation.roles import Role, Store


def coordinator_role(stage: Stage, job: Job, store: Store) -> Role | None:
    """The coordinator's role in a stage, or None when parties talk among themselves.

    store: what an earlier attempt at the same job left.
    """
    if stage is Stage.MATCH and job.match.mode is not MatchMode.OPRF:
        joining = align.KeyedCoordinator if job.match.mode is MatchMode.KEYED else align.CircleCoordinator
        return joining(
            job.roles,
            k_min=job.security.k_min,
            members=job.members,
            size_only=job.match.size_only,
            store=store,
        )
    if stage is Stage.SEGMENTS:
        return kmeans.Coordinator(job.roles, profile=job.security)
    return None
