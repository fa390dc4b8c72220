"""Policies where one operator holds every party's home: the coordinator's keys are new, and nobody else is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from clients.gate.draft import draft_policy
from clients.gate.policy import activate, read_policy
from clients.home import NodeHome
from federation.jobfile import read_job_file
from federation.messages import COORDINATOR
from federation.pace import today
from privacy.policy import Policy, Relation


def activate_for_rehearsal(home: NodeHome, job_file: Path, coordinator: str, file: Path | None) -> Policy:
    """Put the party's policy file in force, or a draft for the job where there is none.

    coordinator: fingerprint of the keys that the rehearsal has just made, which no agreement can name yet.
    """
    if file is None:
        settings = home.settings
        policy = draft_policy(
            settings.name, settings.table, read_job_file(job_file).job, coordinator, today()
        )
    else:
        policy = with_coordinator(read_policy(file), coordinator)
    return activate(home, policy, is_rehearsal=True)


def with_coordinator(policy: Policy, fingerprint: str) -> Policy:
    """The policy whose agreements with the coordinator name these keys, where they name none."""
    agreements = tuple(
        msgspec.structs.replace(item, coordinator_fingerprints=(fingerprint,))
        if item.relation is Relation.ENTRUSTED
        and COORDINATOR in item.parties
        and not item.coordinator_fingerprints
        else item
        for item in policy.agreements
    )
    return msgspec.structs.replace(policy, agreements=agreements)
