"""Receipts: what a data subject keeps of a request, and can show to anybody, offline (PIPL 44 to 50, 69).

A file is one canonical JSON object (RFC 8785) of named sections. The party signs the SHA-256 of every section, so that
a change is named by the section it was made in. Beside what was done it holds the subject's own key (the opening),
with which its entries in the log can be told from all others', and the proofs that these are in a signed and cosigned
checkpoint. The party destroys its copy of that key: then the subject alone can open what is left.
Checked by `federation.standalone.verify`, which needs nothing but the file.
What it does not promise. A receipt proves what a party has said and logged, not that no copy was kept in secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
import rfc8785
from msgspec import Meta

from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.policy import Contact
from privacy.rights import CaseNumber, CaseState, Outcome, Requester, RequestKind, TaskAnswer
from privacy.sealing import SIGNATURE_BYTES, Identity
from privacy.snapshots import Absence

RECEIPT_FORMAT: Final = "silhouette receipt 1"
RECEIPT_DOMAIN: Final = "silhouette receipt v1"
HOTLINE: Final = "12377"
"""The Cyberspace Administration's line for reports and complaints (PIPL 65)."""
CONFIDENTIAL: Final = "R-CONFIDENTIAL-BY-LAW"
_UNMENTIONABLE: Final = ("可疑", "suspicious", "str-report")
"""That a suspicious transaction was or was not reported may be told to nobody (反洗钱法 article 54)."""


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class CaseSection(_Closed, frozen=True):
    """What was asked, by whom, when, and how it ended. reasons: codes of `privacy.reasons`, of a refusal.

    purpose: of a withdrawal or a refusal, empty for everything. due: the last day for the answer.
    """

    number: CaseNumber
    party: str
    kind: RequestKind
    requester: Requester
    state: CaseState
    received: datetime
    due: date
    restricted: datetime | None = None
    completed: datetime | None = None
    purpose: str = ""
    reasons: tuple[str, ...] = ()


class PartyAnswer(_Closed, frozen=True):
    """A party that was told, with what it says that it has done. answer: None where it has not answered.

    signature: over the answer's canonical JSON, by the party (`privacy.rights.ANSWER_DOMAIN`).
    """

    party: str
    answer: TaskAnswer | None = None
    signature: Annotated[bytes, Meta(max_length=SIGNATURE_BYTES)] = b""


class AffectedModel(_Closed, frozen=True):
    """A model that learnt from the subject's data, and what becomes of it. plan: a key of `receipts.plan` in the texts;
    until: the last day for that."""

    model: str
    kind: str
    plan: str
    until: date | None = None


class Reference(_Closed, frozen=True):
    """Within which project and year the log calls the subject by one name (`clients.consents.subjects.sref`)."""

    project: str
    epoch: int


class Opening(_Closed, frozen=True):
    """key: the subject's own, 16 bytes in hexadecimal; "" for a subject that the node did not know."""

    key: Annotated[str, Meta(pattern=r"^([0-9a-f]{32})?\Z")] = ""
    references: tuple[Reference, ...] = ()


class ProvedEvent(_Closed, frozen=True):
    """An event as it is in the log, and its inclusion proof (RFC 9162) to the receipt's checkpoint, in hexadecimal."""

    event: str
    proof: tuple[str, ...]


class CheckpointSection(_Closed, frozen=True):
    """The log's state, signed by its owner, and what witnesses have signed under it."""

    checkpoint: Checkpoint
    cosignatures: tuple[Cosignature, ...] = ()


class ProvedAbsence(_Closed, frozen=True):
    """That the subject is not among those whose data a session used last. context: what was committed to."""

    session: str
    context: str
    root: str
    proof: Absence


class Complaint(_Closed, frozen=True):
    """Where to go with a complaint: the party's own contact, the authority (65), a court (50)."""

    handler: Contact
    authority: str = HOTLINE
    court: str = "PIPL 50"


class Receipt(_Closed, frozen=True):
    """All sections. outcomes: at this party, by kind of artefact. keys: of everybody who has signed something in it, by
    name, in base64. Raises `ConfigInvalid` when it would tell what the law keeps confidential.
    """

    case: CaseSection
    outcomes: tuple[Outcome, ...]
    answers: tuple[PartyAnswer, ...]
    models: tuple[AffectedModel, ...]
    opening: Opening
    events: tuple[ProvedEvent, ...]
    checkpoint: CheckpointSection
    absences: tuple[ProvedAbsence, ...]
    complaint: Complaint
    keys: dict[str, str]

    def __post_init__(self) -> None:
        outcomes = [
            *self.outcomes,
            *(item for told in self.answers if told.answer for item in told.answer.outcomes),
        ]
        said = " ".join(f"{item.law} {item.reason}" for item in outcomes).lower()
        if any(word in said for word in _UNMENTIONABLE) or any(
            item.reason == CONFIDENTIAL for item in outcomes
        ):
            raise ConfigInvalid("receipt_confidential", case=self.case.number)


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    origin: str
    key: str
    digests: dict[str, str]
    sections: Receipt
    signature: str


def sign(receipt: Receipt, identity: Identity) -> bytes:
    """The file of a receipt, signed by the party that made it."""
    sections: dict[str, Any] = msgspec.to_builtins(receipt)
    head = _head(
        {name: hashlib.sha256(rfc8785.dumps(value)).hexdigest() for name, value in sections.items()},
        receipt.case.party,
        identity.public.fingerprint,
    )
    signature = identity.sign_statement(RECEIPT_DOMAIN, rfc8785.dumps(head)).hex()
    return rfc8785.dumps({**head, "sections": sections, "signature": signature})


def _head(digests: Mapping[str, str], origin: str, key: str) -> dict[str, Any]:
    """What is signed."""
    return {"format": RECEIPT_FORMAT, "origin": origin, "key": key, "digests": dict(digests)}


def read(data: bytes) -> Receipt:
    """The receipt in a file, for showing it; nothing of it has been checked. Raises `MessageInvalid`."""
    try:
        return msgspec.json.decode(data, type=_File).sections
    except (msgspec.MsgspecError, UnicodeDecodeError, ConfigInvalid):
        raise MessageInvalid("receipt_unreadable") from None


def digest(data: bytes) -> str:
    """What the log calls a receipt: SHA-256 of the file, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def tellable(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """The outcomes without those of which the law allows no word (PIPL 18; 反洗钱法 article 54)."""
    return tuple(item for item in outcomes if item.reason != CONFIDENTIAL)
