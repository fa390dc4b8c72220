"""What of each party leaves it in a job, before anything has run: the protocols' declarations, by stage and recipient.

For whoever proposes a job, and for a party that is asked about one. It follows from the job alone, so that both see
the same. A declaration says what a role learns in a stage, not from whom: what is listed for a party is the most that
can come from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from federation.disclosed import protocols_of
from federation.group_explain import plan_job, to_plain
from federation.jobs import Job, PartyPlan, PartyRole, Stage
from federation.messages import COORDINATOR
from federation.roles import Disclosure, Disclosures
from privacy.texts import text

ROWS: Final = 100_000
"""For how many rows sizes are told where nobody has said another number."""
_SEGMENT_STAGES: Final = frozenset({Stage.SEGMENTS})
_ENTERPRISE_STAGES: Final = frozenset({Stage.ENTERPRISE})
_WITHOUT_FIELDS: Final = frozenset({Stage.MATCH, Stage.RECALL, Stage.WITNESS})


@dataclass(frozen=True, slots=True)
class Leaving:
    """One thing that others learn. what: key into the texts, `disclosures.<protocol>.<what>`; per_row: once a row."""

    protocol: str
    what: str
    to: tuple[str, ...]
    per_row: bool

    def render(self, language: str | None = None) -> str:
        """In words."""
        return text(f"disclosures.{self.protocol}.{self.what}", language=language)


@dataclass(frozen=True, slots=True)
class StageLeaving:
    """What leaves one party in one stage, and from which of its fields it is computed."""

    stage: Stage
    fields: tuple[str, ...]
    items: tuple[Leaving, ...]


@dataclass(frozen=True, slots=True)
class PartyLeaving:
    """What leaves one party in a whole job.

    sizes: its plan of the encrypted sums as `federation.group_explain.to_plain` has it, None when it computes none.
    """

    party: str
    role: PartyRole
    stages: tuple[StageLeaving, ...]
    sizes: dict[str, Any] | None


def leaving(job: Job, rows: int = ROWS) -> tuple[PartyLeaving, ...]:
    """For every party what leaves it. rows: for how many rows sizes are told."""
    sizes = _sizes(job, rows)
    return tuple(
        PartyLeaving(
            plan.name,
            plan.role,
            tuple(_of_stage(job, plan, stage) for stage in job.stages),
            sizes.get(plan.name),
        )
        for plan in job.parties
    )


def leaving_of(job: Job, party: str, rows: int = ROWS) -> PartyLeaving:
    """What leaves one party. Raises `ConfigInvalid` when it takes no part."""
    wanted = job.plan_of(party)
    return next(found for found in leaving(job, rows) if found.party == wanted.name)


def to_records(found: PartyLeaving, language: str | None = None) -> dict[str, Any]:
    """The same as plain values, in words of one language."""
    return {
        "party": found.party,
        "role": found.role.value,
        "stages": [
            {
                "stage": stage.stage.value,
                "fields": list(stage.fields),
                "leaves": [
                    {
                        "protocol": item.protocol,
                        "what": item.what,
                        "to": list(item.to),
                        "per_row": item.per_row,
                        "text": item.render(language),
                    }
                    for item in stage.items
                ],
            }
            for stage in found.stages
        ],
        "sizes": found.sizes,
    }


def _of_stage(job: Job, plan: PartyPlan, stage: Stage) -> StageLeaving:
    items = [
        item
        for protocol in protocols_of(stage, job.match, job.risk)
        for item in _of(protocol, job, plan.name)
    ]
    return StageLeaving(stage, _fields(plan, stage), tuple(items))


def _of(protocol: Disclosures, job: Job, party: str) -> list[Leaving]:
    """What the others learn, each thing once with all who learn it."""
    partners = tuple(name for name in job.roles.feature_holders if name != party)
    holder = tuple(name for name in (job.roles.label_holder,) if name != party)
    learns: dict[str, tuple[Disclosure, tuple[str, ...]]] = {}
    for names, found in (
        (holder, protocol.label_holder),
        (partners, protocol.feature_holder),
        ((COORDINATOR,), protocol.coordinator),
    ):
        for item in found if names else ():
            _, known = learns.get(item.what, (item, ()))
            learns[item.what] = (item, (*known, *names))
    return [Leaving(protocol.protocol, what, to, item.per_row) for what, (item, to) in learns.items()]


def _fields(plan: PartyPlan, stage: Stage) -> tuple[str, ...]:
    if stage in _WITHOUT_FIELDS:
        return ()
    if stage in _SEGMENT_STAGES:
        return plan.segment_fields
    return plan.enterprise_fields if stage in _ENTERPRISE_STAGES else plan.risk_fields


def _sizes(job: Job, rows: int) -> dict[str, dict[str, Any]]:
    if job.risk is None or not any(job.plan_of(name).risk_fields for name in job.roles.feature_holders):
        return {}
    return {tree.party: to_plain(tree) for tree in plan_job(job, rows)}
