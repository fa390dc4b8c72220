"""What is shown of a case, to officers and to the holder's systems: never an identifier.

It is the same whether or not there is a suspicious-transaction report about the subject (反洗钱法, confidentiality):
nothing here, and nothing that it is made from, has a place for one.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from clients.rights.cases import Case
from clients.rights.store import Line
from privacy.clocks import Refusal
from privacy.reasons import Findings
from privacy.rights import CaseState, Outcome, Requester, RequestKind


class PartnerView(msgspec.Struct, frozen=True):
    """What another party has said. state: "sent" before its first answer, "left" when it is no member any more."""

    state: str
    outcomes: tuple[Outcome, ...]


class CaseView(msgspec.Struct, frozen=True, kw_only=True):
    """One case. reasons: codes of a refusal, and letter: what the subject is told; problem: why it does not go on."""

    number: str
    kind: RequestKind
    state: CaseState
    requester: Requester
    received: datetime
    due: date
    updated: datetime
    origin: str
    purpose: str
    verified_by: str
    reached: dict[CaseState, datetime]
    outcomes: tuple[Outcome, ...]
    partners: dict[str, PartnerView]
    reasons: tuple[str, ...]
    letter: str
    problem: str


def view(case: Case, language: str | None = None) -> CaseView:
    """A case as it is shown."""
    record = case.record
    refusal = refusal_of(case)
    partners = {}
    for party, one in sorted(record.partners.items()):
        said = "sent" if one.answer is None else one.answer.state.value
        partners[party] = PartnerView("left" if one.left else said, one.outcomes)
    return CaseView(
        number=case.number,
        kind=case.kind,
        state=case.state,
        requester=case.requester,
        received=case.received,
        due=case.due,
        updated=case.updated,
        origin=case.origin,
        purpose=record.purpose,
        verified_by=record.verified_by.name.lower(),
        reached=record.reached,
        outcomes=record.outcomes,
        partners=partners,
        reasons=Findings.of(record.findings).codes,
        letter="" if refusal is None else refusal.letter(language),
        problem=record.problem,
    )


def refusal_of(case: Case) -> Refusal | None:
    """The refusal of a case that was rejected."""
    found = Findings.of(case.record.findings)
    return Refusal(case.number, found) if case.state is CaseState.REJECTED and found else None


class LineView(msgspec.Struct, frozen=True):
    """One case in a list."""

    number: str
    kind: RequestKind
    state: CaseState
    received: datetime
    due: date
    origin: str


def line_view(line: Line) -> LineView:
    return LineView(line.number, line.kind, line.state, line.received, line.due, line.origin)
