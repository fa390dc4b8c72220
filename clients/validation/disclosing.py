"""What a job's parties learnt, with what its label holder has counted: messages, bytes, ciphertexts opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from clients.validation.evidence import learnt_by
from clients.validation.record import Learnt, StageTraffic, Traffic
from federation import session
from federation.disclosed import protocols_of
from federation.jobs import Job, PartyRole, Stage
from federation.messages import COORDINATOR
from federation.roles import Disclosures

_CONTROL: Final = frozenset(
    str(message.__struct_config__.tag) for message in (session.StartStage, session.EndSession)
)
"""How the coordinator drives a session: these tell nothing about anybody."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What this party has counted in the whole session. received: messages by tag; stages: in the order they began."""

    received: Mapping[str, int]
    bytes_sent: int
    bytes_received: int
    ciphertexts_opened: int
    seconds: float
    stages: tuple[StageTraffic, ...] = ()

    def traffic(self, party: str) -> Traffic:
        """The same as a line of the report."""
        return Traffic(
            party=party,
            messages_received=sum(self.received.values()),
            bytes_sent=self.bytes_sent,
            bytes_received=self.bytes_received,
            ciphertexts_opened=self.ciphertexts_opened,
            seconds=round(self.seconds, 2),
        )


def add_stage(stages: tuple[StageTraffic, ...], more: StageTraffic) -> tuple[StageTraffic, ...]:
    """The stages with one more run of a stage, whose numbers are added where it has run before."""
    before = next((item for item in stages if item.stage == more.stage), None)
    if before is None:
        return (*stages, more)
    both = StageTraffic(
        stage=more.stage,
        messages_received=before.messages_received + more.messages_received,
        bytes_sent=before.bytes_sent + more.bytes_sent,
        bytes_received=before.bytes_received + more.bytes_received,
        seconds=round(before.seconds + more.seconds, 2),
    )
    return tuple(both if item is before else item for item in stages)


def learnt_in(job: Job, received: Mapping[str, int]) -> tuple[Learnt, ...]:
    """What every party learnt, by the declarations of the job's stages. received: at the label holder."""
    protocols, label_holder = _protocols(job), job.roles.label_holder
    found = list(learnt_by(label_holder, PartyRole.LABEL_HOLDER, protocols, received))
    for partner in job.roles.feature_holders:
        found += learnt_by(partner, PartyRole.FEATURE_HOLDER, protocols, None)
    return (*found, *learnt_by(COORDINATOR, COORDINATOR, protocols, None))


def undeclared_in(job: Job, received: Mapping[str, int]) -> int:
    """How many messages reached the label holder that no protocol of the job declares for it."""
    declared = {tag for item in _protocols(job) for what in item.label_holder for tag in what.messages}
    return sum(count for tag, count in received.items() if tag not in declared | _CONTROL)


def _protocols(job: Job) -> tuple[Disclosures, ...]:
    stages: tuple[Stage, ...] = job.stages
    return tuple(protocol for stage in stages for protocol in protocols_of(stage, job.match, job.risk))
