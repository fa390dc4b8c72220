"""What the desk is asked: closed JSON records, whose unknown keys are refused.

Withdrawing asks for less than granting does: the identifiers are enough (PIPL article 15). A yes says that the subject
acted for it (`affirmative_action`, articles 5 and 14): a box that was ticked beforehand, or one yes to several
purposes, is none.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta

from clients.consents.tables import Restriction
from privacy.consent import ConsentKind, Statement

MAX_SUBJECTS: Final = 1_000
MAX_STATEMENTS: Final = 100

Subjects = Annotated[
    tuple[Annotated[str, Meta(max_length=200)], ...], Meta(min_length=1, max_length=MAX_SUBJECTS)
]
"""Identifiers as the node's table has them."""

_Record = TypeVar("_Record")


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Said(_Closed, frozen=True):
    """One word of some subjects. `granted` has no default, and one record has one purpose.

    capture: SHA-256 of what the subject saw and did, in hexadecimal, for the audit log.
    """

    identifiers: Subjects
    purpose: str
    granted: bool
    kind: ConsentKind = ConsentKind.GENERAL
    scope: str = ""
    recipient: str = ""
    notice: str = ""
    until: datetime | None = None
    affirmative_action: bool = False
    capture: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?\Z")] = ""

    @property
    def statement(self) -> Statement:
        """Raises `msgspec.ValidationError` for a name that is none."""
        fields = {name: getattr(self, name) for name in Statement.__struct_fields__}
        return msgspec.convert(fields, Statement)


class Told(_Closed, frozen=True):
    """Several words in one call."""

    statements: Annotated[tuple[Said, ...], Meta(min_length=1, max_length=MAX_STATEMENTS)]


class Withdrawal(_Closed, frozen=True):
    """What is taken back: everything, or what fits the parts that are named."""

    identifiers: Subjects
    purpose: str | None = None
    kind: ConsentKind | None = None
    scope: str | None = None
    recipient: str | None = None


class Question(_Closed, frozen=True):
    """Whose words and restrictions are asked for."""

    identifiers: Subjects


class Prompting(_Closed, frozen=True):
    """Whether subjects may be asked for consent to a purpose."""

    identifiers: Subjects
    purpose: Annotated[str, Meta(max_length=32)]


class Restraint(_Closed, frozen=True):
    """A restriction, or with `lift` the end of one (without a reason: of what the subject asked for)."""

    identifiers: Subjects
    reason: Restriction | None = None
    law: Annotated[str, Meta(max_length=200)] = ""
    review: date | None = None
    lift: bool = False


def read(body: bytes, kind: type[_Record]) -> _Record:
    """A checked request. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return msgspec.json.decode(body, type=kind)
