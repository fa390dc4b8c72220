"""What a node knows of one request: the columns that it is looked up by, and the rest, which lies sealed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import IntEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from clients.rights.located import Located
from privacy.policy import Name
from privacy.reasons import Finding, Findings
from privacy.rights import (
    ENDED,
    Artefact,
    CaseNumber,
    CaseState,
    Outcome,
    Requester,
    RequestKind,
    Result,
    SharedRow,
    TaskAnswer,
)

KEPT_ROWS: Final = (Artefact.FEATURE, Artefact.SUBJECT)
"""What stays of a subject when a law or a file that cannot be written keeps its row."""
KEPT_RESULTS: Final = frozenset({Result.RESTRICTED_LAW, Result.RESTRICTED_TECHNICAL})
UNKNOWN_DAYS: Final = 365
"""When what is kept until a day that nobody knows yet is looked at again."""


class VerifiedBy(IntEnum):
    """How the subject's identity was made sure of; the numbers are stored."""

    NOBODY = 0
    LOGIN = 1
    BRANCH = 2
    CALLBACK = 3
    CODE = 4
    PARTY = 5
    """Another party of the federation, at whose door the request was filed."""


class OneTimeCode(msgspec.Struct, frozen=True, kw_only=True):
    """digest: of the code with its salt; tries: wrong ones so far; made: codes that this case has had."""

    salt: bytes
    digest: bytes
    until: datetime
    tries: int = 0
    made: int = 1


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """What lets somebody ask for another (PIPL 31, 49).

    document: SHA-256 of the paper, hexadecimal; kind: what it is; checked_by: who looked at it. arranged_otherwise: the
    dead had decided in life that kin are not to have these rights.
    """

    document: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    kind: Name
    checked_by: Name
    arranged_otherwise: bool = False


class Correction(msgspec.Struct, frozen=True):
    """What a field of the table is to hold instead: personal information itself, and gone with the locators."""

    field: str
    value: str


class Duty(msgspec.Struct, frozen=True):
    """What a law keeps of this subject, and until when; None: until a day that is not known yet.

    is_fixed: the holder has named that day for everybody; else it is reckoned from the subject's row.
    """

    law: str
    until: date | None
    is_fixed: bool = False


class Partner(msgspec.Struct, frozen=True, kw_only=True):
    """One party that shares a row with this one. left: it is no member of the federation any more."""

    sent: datetime | None = None
    answer: TaskAnswer | None = None
    signature: bytes = b""
    left: bool = False
    outcomes: tuple[Outcome, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be expected of it: it has done everything, or it has left."""
        if self.left:
            return True
        answer = self.answer
        done = answer is not None and answer.state is CaseState.COMPLETED
        return done and not any(one.is_open for one in self.outcomes)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a case for `store.KEPT_DAYS`: nothing of it is an identifier.

    identified: whether identity and authority are proven; policy: digest of the policy in force when the case was
    scoped; purposes, artefacts: what the kind of request comes to under that policy; reached: when which state was
    first reached; corrected: the wrong cell has been replaced; task: digest of the task that another party sent;
    called: the number in that task, where the case has another one here; problem: code of the error that an attempt
    came to, retries: how many came to one; sref: what the log calls the subject; reopened: when what it had kept was
    looked at again, the last time.
    """

    purpose: str = ""
    identified: bool = False
    verified_by: VerifiedBy = VerifiedBy.NOBODY
    code: OneTimeCode | None = None
    authority: Authority | None = None
    policy: str = ""
    purposes: tuple[str, ...] = ()
    artefacts: tuple[Artefact, ...] = ()
    duty: Duty | None = None
    reached: dict[CaseState, datetime] = {}
    outcomes: tuple[Outcome, ...] = ()
    corrected: bool = False
    partners: dict[str, Partner] = {}
    findings: tuple[Finding, ...] = ()
    task: str = ""
    called: str = ""
    answered: TaskAnswer | None = None
    signature: bytes = b""
    problem: str = ""
    retries: int = 0
    sref: str = ""
    reopened: datetime | None = None


class Locators(msgspec.Struct, frozen=True, kw_only=True):
    """Where the subject is: sealed, and destroyed when the case has ended; its token alone stays while its row is kept.

    identifiers: canonical, until the case is scoped; shared: of a task, what its sender calls the subject; located:
    from then on; partners: what each other party calls the subject.
    """

    identifiers: tuple[bytes, ...] = ()
    shared: tuple[SharedRow, ...] = ()
    located: tuple[Located, ...] = ()
    partners: dict[str, tuple[SharedRow, ...]] = {}
    correction: Correction | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One request. origin: the party at whose door it was filed, "" for this one; updated: when its state was reached;
    due: the last day for an answer; wake: when it goes on, at the earliest; revision: grows with every change."""

    number: CaseNumber
    kind: RequestKind
    state: CaseState
    requester: Requester
    received: datetime
    due: date
    updated: datetime
    wake: datetime
    origin: str = ""
    revision: int = 0
    record: Record = Record()
    locators: Locators | None = None

    @property
    def is_ended(self) -> bool:
        return self.state in ENDED

    @property
    def number_there(self) -> str:
        """What the party calls it at whose door it was filed."""
        return self.record.called or self.number

    @property
    def subjects(self) -> tuple[Located, ...]:
        """Where the subject is; nothing before the case is scoped, where it was not found, or when it has ended (its
        token while a row of it is kept)."""
        return () if self.locators is None else self.locators.located

    @property
    def kept_until(self) -> date | None:
        """From which day on somebody has to look again at a row that was kept; None where none was.

        The day after the law's last one, or the day of review.
        """
        days = []
        for one in self.record.outcomes:
            if one.artefact in KEPT_ROWS and one.result in KEPT_RESULTS:
                unknown = self.updated.astimezone().date() + timedelta(days=UNKNOWN_DAYS)
                after = unknown if one.until is None else one.until + timedelta(days=1)
                days.append(one.review or after)
        return min(days, default=None)

    @property
    def open_partners(self) -> tuple[str, ...]:
        """Who has not done everything yet."""
        return tuple(name for name, partner in self.record.partners.items() if not partner.is_done)


def rejected(case: Case, findings: Findings, now: datetime) -> Case:
    """The case, refused: it comes by once more for its receipt, and where the subject is, is known no more."""
    reached = {**case.record.reached}
    reached.setdefault(CaseState.REJECTED, now)
    record = msgspec.structs.replace(case.record, findings=tuple(findings), code=None, reached=reached)
    return msgspec.structs.replace(
        case, state=CaseState.REJECTED, updated=now, wake=now, record=record, locators=None
    )


_BAD: Final = (
    Result.NOT_FOUND,
    Result.ERASED,
    Result.ANONYMISED,
    Result.CRYPTO_SHREDDED,
    Result.RESTRICTED_TECHNICAL,
    Result.RESTRICTED_LAW,
    Result.UNSUPPORTED,
    Result.FAILED,
)
"""From what asks for the least attention to what asks for the most."""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """What is said of several outcomes of one artefact. Raises `ValueError` for none."""
    return max(outcomes, key=lambda one: _BAD.index(one.result))


def merged(before: Iterable[Outcome], new: Iterable[Outcome]) -> tuple[Outcome, ...]:
    """Outcomes by artefact in the order of deletion; a new one replaces the old, but nothing is found twice over.

    What was deleted by an attempt that was cut off is not found by the next: it stays deleted.
    """
    found = {one.artefact: one for one in before}
    for one in new:
        old = found.get(one.artefact)
        if one.result is Result.NOT_FOUND and old is not None and not old.is_open:
            continue
        found[one.artefact] = one
    order = list(Artefact)
    return tuple(sorted(found.values(), key=lambda one: order.index(one.artefact)))
