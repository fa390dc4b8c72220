"""Policies for tests: what a party needs in force so that the gate lets a job through."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from clients.gate.draft import draft_policy
from clients.gate.gate import Gate
from clients.gate.policy import activate
from clients.home import NodeHome, NodeSettings
from clients.tables import TableSpec
from federation.jobs import Job, PartyPlan, PartyRole
from federation.messages import COORDINATOR
from federation.roster import Enrolment, Roster, from_json
from privacy.policy import Policy
from privacy.sealing import Identity


def today():
    return datetime.now(UTC).astimezone().date()


def home_of(
    folder: Path, spec: TableSpec, name: str = "bank", others: tuple[str, ...] = ("shop",)
) -> NodeHome:
    """A home with a table, in a federation whose other members are keys alone."""
    home = NodeHome.create(folder, NodeSettings(name=name, table=spec, allow_testing_profile=True))
    own = from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment.json")
    parties = (own, *(Enrolment(other, Identity.generate().public.to_text(), "PEM") for other in others))
    coordinator = Identity.generate().public.to_text()
    home.join(Roster("https://coordinator.example", "PEM", coordinator, parties))
    return home


def job_for(
    name: str, fields: tuple[str, ...], purpose: str = "credit_risk", others=("shop",), **changes
) -> Job:
    """A job that uses these fields of one party, which is its label holder."""
    own = PartyPlan(name=name, role=PartyRole.LABEL_HOLDER, segment_fields=fields)
    parties = (own, *(PartyPlan(name=other, role=PartyRole.FEATURE_HOLDER) for other in others))
    return Job(
        **{"name": "look", "purpose": purpose, "parties": parties, "profile": "TESTING_ONLY"} | changes
    )


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
