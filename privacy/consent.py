"""What a subject has to have agreed to, and what follows from the latest word (PIPL 13 to 15, 23, 29, 31, 39).

A consent is one subject's word on (purpose, kind, scope, recipient), given to one notice. What a purpose needs is a
list of `Need`s; a row may be processed when the latest word on every need is a yes that holds today.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from privacy.errors import ConfigInvalid
from privacy.reasons import Reason

PROVIDE: Final = "provide"
CROSSBORDER: Final = "crossborder"
SENSITIVE: Final = "sensitive:"
"""The scopes of separate consents; `sensitive:` is followed by a category of the field catalogue."""


class ConsentKind(StrEnum):
    """general: article 13 (1); separate: for one scope (23, 29, 39); written: where another law asks for it;
    guardian: a parent's or guardian's, for a child under 14 (31)."""

    GENERAL = "general"
    SEPARATE = "separate"
    WRITTEN = "written"
    GUARDIAN = "guardian"


class Need(NamedTuple):
    """One consent that a purpose asks of every subject. recipient: a party's name, for provision alone."""

    purpose: str
    kind: ConsentKind = ConsentKind.GENERAL
    scope: str = ""
    recipient: str = ""


class Answer(IntEnum):
    """The latest word of a subject on one need, as it holds at a moment."""

    YES = 0
    NEVER = 1
    WITHDRAWN = 2
    EXPIRED = 3
    STALE = 4
    """Given to a notice that is no longer the purpose's."""


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One word of one subject, whoever the subject is. notice: the id of what was shown; until: None for open-ended."""

    purpose: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}\Z")]
    granted: bool
    kind: ConsentKind = ConsentKind.GENERAL
    scope: Annotated[str, Meta(pattern=r"^[a-z_]{0,32}(:[a-z_]{1,32})?\Z")] = ""
    recipient: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,31})?\Z")] = ""
    notice: Annotated[str, Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,63})?\Z")] = ""
    until: datetime | None = None

    @property
    def need(self) -> Need:
        return Need(self.purpose, self.kind, self.scope, self.recipient)


def check_scope(statement: Statement) -> None:
    """A separate or written consent says for what; only provision names a recipient. Raises `ConfigInvalid`."""
    kind, scope = statement.kind, statement.scope
    good = {
        ConsentKind.GENERAL: not scope,
        ConsentKind.GUARDIAN: not scope,
        ConsentKind.WRITTEN: scope.startswith(SENSITIVE),
        ConsentKind.SEPARATE: scope in {PROVIDE, CROSSBORDER} or scope.startswith(SENSITIVE),
    }[kind]
    if not good or bool(statement.recipient) != (scope in {PROVIDE, CROSSBORDER}):
        raise ConfigInvalid("consent_scope", kind=kind.value, scope=scope or "-")


_LATER: Final = {
    Answer.WITHDRAWN: Reason.CONSENT_WITHDRAWN,
    Answer.EXPIRED: Reason.CONSENT_EXPIRED,
    Answer.STALE: Reason.NOTICE_VERSION_STALE,
}
_NEVER: Final = {
    ConsentKind.GENERAL: Reason.CONSENT_MISSING,
    ConsentKind.WRITTEN: Reason.WRITTEN_CONSENT_MISSING,
    ConsentKind.GUARDIAN: Reason.GUARDIAN_CONSENT_MISSING,
}
_NEVER_SEPARATE: Final = {
    PROVIDE: Reason.SEPARATE_CONSENT_PROVIDE,
    CROSSBORDER: Reason.SEPARATE_CONSENT_CROSSBORDER,
}


def reason_of(need: Need, answer: Answer) -> Reason:
    """Why a row is excluded whose answer to a need is not yes."""
    if answer in _LATER:
        return _LATER[answer]
    if need.kind in _NEVER:
        return _NEVER[need.kind]
    return _NEVER_SEPARATE.get(need.scope, Reason.SEPARATE_CONSENT_SENSITIVE)


def funnel_step(need: Need, answer: Answer) -> str:
    """The name of the exclusion in a table's funnel (`tables.funnel.<name>`)."""
    about = {
        Reason.CONSENT_MISSING: "consent",
        Reason.WRITTEN_CONSENT_MISSING: "written_consent",
        Reason.GUARDIAN_CONSENT_MISSING: "guardian_consent",
        Reason.SEPARATE_CONSENT_PROVIDE: "provision_consent",
        Reason.SEPARATE_CONSENT_CROSSBORDER: "crossborder_consent",
        Reason.SEPARATE_CONSENT_SENSITIVE: "sensitive_consent",
    }[reason_of(need, Answer.NEVER)]
    return f"no_{about}" if answer is Answer.NEVER else f"{about}_{answer.name.lower()}"


_NEEDS: Final = (
    Need(""),
    Need("", ConsentKind.WRITTEN, SENSITIVE),
    Need("", ConsentKind.GUARDIAN),
    Need("", ConsentKind.SEPARATE, PROVIDE),
    Need("", ConsentKind.SEPARATE, CROSSBORDER),
    Need("", ConsentKind.SEPARATE, SENSITIVE),
)
"""One need of every sort."""
NOT_CONSENT: Final[Mapping[str, Reason]] = {
    "under_age": Reason.GUARDIAN_CONSENT_MISSING,
    "minor": Reason.FIELD_PROHIBITED,
    "age_unknown": Reason.AGE_UNKNOWN,
    "restricted": Reason.RESTRICTED_STATE,
    "retention_expired": Reason.RETENTION_EXPIRED,
}
"""The reason behind each step of a table's funnel that is no consent's."""
STEP_REASONS: Final[Mapping[str, Reason]] = {
    **NOT_CONSENT,
    **{
        funnel_step(need, answer): reason_of(need, answer)
        for need in _NEEDS
        for answer in Answer
        if answer is not Answer.YES
    },
}
"""The reason behind every step of a table's funnel at the gate; other steps concern the quality of the file."""
