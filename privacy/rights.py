"""Requests of data subjects: what can be asked, how a case moves, what becomes of each artefact (PIPL 44 to 50).

    received -> acknowledged -> identified -> scoped -> restricted -> executing -> checked -> completed | partial
    A case that is not completed may be rejected, with reasons; a partial one goes on executing. A completed one of
    which a row was kept is restricted again when it is reopened (`clients.rights.kept`).

"scoped": the policy in force is pinned, and where the subject is has been written down before anything is deleted.
"checked": looked for again, and not found. No case is completed while any outcome of it is open.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

CaseNumber = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
"""Random; the same at every party that works on the case."""
REF_BYTES: Final = 16


class RequestKind(StrEnum):
    """What a subject asks for."""

    ACCESS = "access"
    COPY = "copy"
    PORTABILITY = "portability"
    CORRECT = "correct"
    DELETE = "delete"
    WITHDRAW = "withdraw"
    RESTRICT = "restrict"
    EXPLAIN = "explain"
    REFUSE_AUTOMATION = "refuse-automation"
    OPT_OUT = "opt-out"


ARTICLES_OF_KIND: Final = {
    RequestKind.ACCESS: "PIPL 45",
    RequestKind.COPY: "PIPL 45",
    RequestKind.PORTABILITY: "PIPL 45",
    RequestKind.CORRECT: "PIPL 46",
    RequestKind.DELETE: "PIPL 47",
    RequestKind.WITHDRAW: "PIPL 15",
    RequestKind.RESTRICT: "PIPL 44",
    RequestKind.EXPLAIN: "PIPL 24, 48",
    RequestKind.REFUSE_AUTOMATION: "PIPL 24",
    RequestKind.OPT_OUT: "PIPL 24",
}


class CaseState(StrEnum):
    """How far a case is."""

    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    IDENTIFIED = "identified"
    SCOPED = "scoped"
    RESTRICTED = "restricted"
    EXECUTING = "executing"
    CHECKED = "checked"
    PARTIAL = "partial"
    COMPLETED = "completed"
    REJECTED = "rejected"


ENDED: Final = frozenset({CaseState.COMPLETED, CaseState.REJECTED})
NEXT_STATES: Final = {
    CaseState.RECEIVED: (CaseState.ACKNOWLEDGED, CaseState.REJECTED),
    CaseState.ACKNOWLEDGED: (CaseState.IDENTIFIED, CaseState.REJECTED),
    CaseState.IDENTIFIED: (CaseState.SCOPED, CaseState.REJECTED),
    CaseState.SCOPED: (CaseState.RESTRICTED, CaseState.REJECTED),
    CaseState.RESTRICTED: (CaseState.EXECUTING,),
    CaseState.EXECUTING: (CaseState.CHECKED, CaseState.PARTIAL),
    CaseState.CHECKED: (CaseState.COMPLETED, CaseState.PARTIAL),
    CaseState.PARTIAL: (CaseState.EXECUTING,),
    CaseState.COMPLETED: (CaseState.RESTRICTED,),
    CaseState.REJECTED: (),
}


class Requester(StrEnum):
    """Who asks. For another than the subject an authority is needed (articles 31, 49)."""

    SUBJECT = "subject"
    GUARDIAN = "guardian"
    AGENT = "agent"
    KIN = "kin"


class Artefact(StrEnum):
    """What a node may hold of a subject, in the order in which it is deleted: the way to find the rest goes last."""

    AUDIENCE = "audience"
    SEGMENT = "segment"
    SCORE = "score"
    DECISION = "decision"
    COPY = "copy"
    FEATURE = "feature"
    UNFINISHED = "unfinished"
    MODEL = "model"
    MATCH = "match"
    BACKUP = "backup"
    CONSENT = "consent"
    SUBJECT = "subject"


class Result(StrEnum):
    """What became of an artefact. restricted by law or by technique: it is still there, and nobody may use it."""

    ERASED = "erased"
    ANONYMISED = "anonymised"
    CRYPTO_SHREDDED = "crypto_shredded"
    RESTRICTED_LAW = "restricted_law"
    RESTRICTED_TECHNICAL = "restricted_technical"
    NOT_FOUND = "not_found"
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


OPEN_RESULTS: Final = frozenset({Result.UNSUPPORTED, Result.FAILED})
"""As long as there is one of these, a case is not completed."""


class Outcome(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What became of one kind of artefact at one party. law, until: of what a law keeps; review: of what is technically
    hard to delete, at the latest in 90 days; reason: a code of `privacy.reasons`, or a key of the texts.
    """

    artefact: Artefact
    result: Result
    law: Annotated[str, Meta(max_length=200)] = ""
    until: date | None = None
    review: date | None = None
    reason: Annotated[str, Meta(max_length=64)] = ""

    @property
    def is_open(self) -> bool:
        """Whether work on it is not at an end."""
        return self.result in OPEN_RESULTS


class SharedRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What two parties of a finished matching call the same subject: the blinded token of requests between them.

    session: of the job, 32 hexadecimal digits; ref: the project's reference (`federation.align_rows`), 16 bytes, which
    both have and nobody else. Where nothing was matched, nothing is named, and no other party hears of a subject.
    """

    session: CaseNumber
    ref: Annotated[bytes, Meta(min_length=REF_BYTES, max_length=REF_BYTES)]


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What another party is asked to do for a case: the same kind of request, for the subject that both have matched.

    purpose: of a withdrawal or a refusal, empty for all; due: as the first party has to answer.
    """

    case: CaseNumber
    kind: RequestKind
    received: datetime
    due: date
    rows: Annotated[tuple[SharedRow, ...], Meta(min_length=1, max_length=1000)]
    purpose: Annotated[str, Meta(max_length=32)] = ""


class TaskAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a party has done for a task. It is signed (`Identity.sign_statement`, domain `ANSWER_DOMAIN`)."""

    case: CaseNumber
    party: Annotated[str, Meta(max_length=32)]
    at: datetime
    state: CaseState
    outcomes: Annotated[tuple[Outcome, ...], Meta(max_length=100)]


ANSWER_DOMAIN: Final = "rights answer"
