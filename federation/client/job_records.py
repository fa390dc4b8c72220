"""A job as the coordinator's API answers it. What a newer coordinator says besides is passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

OPEN_STATES: Final = frozenset({"proposed", "approved", "running"})
DONE: Final = "done"


class Word(msgspec.Struct, frozen=True):
    """One party's word. standing: waiting, approved or refused; by: person or policy; reasons: codes, of a no."""

    party: str
    standing: str
    by: str | None = None
    made: datetime | None = None
    until: datetime | None = None
    reasons: tuple[str, ...] = ()


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list. attempt: how often it was started; code: of the error or the reason that ended it."""

    number: str
    name: str
    purpose: str
    digest: str
    label_holder: str
    parties: tuple[str, ...]
    state: str
    proposer: str
    proposer_role: str
    proposed: datetime
    expires: datetime
    waiting_for: tuple[str, ...] = ()
    attempt: int = 0
    stopping: bool = False
    started: datetime | None = None
    ended: datetime | None = None
    code: str = ""


class JobRecord(JobSummary, frozen=True, kw_only=True):
    """A job, whole. job: what was proposed; message: how it ended, in the caller's language."""

    session: str = ""
    message: str = ""
    events: int = 0
    words: tuple[Word, ...] = ()
    job: dict[str, Any] = {}


class JobEvent(msgspec.Struct, frozen=True):
    """What happened to a job, numbered from 1 without gaps. data: names, counts and states."""

    number: int
    kind: str
    moment: datetime
    data: dict[str, Any] = {}


class Leaves(msgspec.Struct, frozen=True):
    """One thing that others learn of a party. per_row: once for each row; text: in words."""

    protocol: str
    what: str
    to: tuple[str, ...]
    per_row: bool
    text: str


class StagePreview(msgspec.Struct, frozen=True):
    """What leaves in one stage, and from which fields it is computed."""

    stage: str
    fields: tuple[str, ...]
    leaves: tuple[Leaves, ...]


class PartyPreview(msgspec.Struct, frozen=True):
    """What leaves one party. sizes: its plan of the encrypted sums, where it computes any."""

    party: str
    role: str
    stages: tuple[StagePreview, ...]
    sizes: dict[str, Any] | None = None


class Preview(msgspec.Struct, frozen=True):
    """For every party exactly what a job would let leave it."""

    digest: str
    parties: tuple[PartyPreview, ...]
