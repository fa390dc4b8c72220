"""Policies for tests: what a party needs in force so that the gate lets a job through."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from clients.gate.draft import draft_policy
from clients.gate.gate import Gate
from clients.gate.policy import activate
from clients.home import NodeHome
from federation.jobs import Job
from federation.messages import COORDINATOR
from privacy.policy import Policy


def today():
    return datetime.now(UTC).astimezone().date()


def policy_for(home: NodeHome, job: Job, **changes) -> Policy:
    """A draft for one job, with changes to its purpose."""
    fingerprint = home.roster.identities(home.settings.name)[COORDINATOR].fingerprint
    policy = draft_policy(home.settings.name, home.settings.table, job, fingerprint, today())
    purpose = msgspec.structs.replace(policy.purposes[0], **changes)
    return msgspec.structs.replace(policy, purposes=(purpose,))


def admit(home: NodeHome, job: Job, **changes) -> Policy:
    """Put such a policy in force."""
    return activate(home, policy_for(home, job, **changes), is_rehearsal=True)


def loaded(home: NodeHome, job: Job, *, with_label: bool = False):
    """The table as the gate gives it to a job."""
    plan = job.plan_of(home.settings.name)
    fields = tuple(dict.fromkeys((*plan.segment_fields, *plan.risk_fields)))
    return Gate(home, job, "look", is_preview=True).load(fields, with_label=with_label)
