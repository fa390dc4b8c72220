"""A job as it is answered: in a list, and whole."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import msgspec

from federation.jobs import Job
from federation.proposals import MAX_JOB_BYTES, DecidedBy, JobState, Standing
from privacy.access import Role
from server.jobs.proposals import DAYS, MOST_DAYS
from server.jobs.views import JobView, WordView


class WordRecord(msgspec.Struct, frozen=True):
    """One party's word. reasons: codes, of a no."""

    party: str
    standing: Standing
    by: DecidedBy | None
    made: datetime.datetime | None
    until: datetime.datetime | None
    reasons: tuple[str, ...]


class JobSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list. waiting_for: parties that have not answered; attempt: how often it was started; code: of the
    error or the reason that ended it."""

    number: str
    name: str
    purpose: str
    digest: str
    label_holder: str
    parties: tuple[str, ...]
    state: JobState
    proposer: str
    proposer_role: Role
    proposed: datetime.datetime
    expires: datetime.datetime
    waiting_for: tuple[str, ...]
    attempt: int
    stopping: bool
    started: datetime.datetime | None
    ended: datetime.datetime | None
    code: str


class JobRecord(JobSummary, frozen=True, kw_only=True):
    """A job. job: exactly what was proposed; message: how it ended, in the caller's language; events: how many."""

    session: str
    message: str
    events: int
    words: tuple[WordRecord, ...]
    job: Job


class Proposed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job file (TOML, fields only: no tables), and for how many days its proposal waits."""

    job: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_JOB_BYTES)]
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = DAYS


class Previewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A job file, and for how many shared customers sizes are told."""

    job: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_JOB_BYTES)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = 100_000


class LeavesRecord(msgspec.Struct, frozen=True):
    """One thing that others learn. to: who; per_row: once for each row; text: in the caller's language."""

    protocol: str
    what: str
    to: tuple[str, ...]
    per_row: bool
    text: str


class StageRecord(msgspec.Struct, frozen=True):
    """What leaves in one stage, and from which fields it is computed."""

    stage: str
    fields: tuple[str, ...]
    leaves: tuple[LeavesRecord, ...]


class PartyPreview(msgspec.Struct, frozen=True):
    """What leaves one party. sizes: its plan of the encrypted sums, where it computes any."""

    party: str
    role: str
    stages: tuple[StageRecord, ...]
    sizes: dict[str, Any] | None


class Preview(msgspec.Struct, frozen=True):
    """Before a job is proposed: its digest, and for every party exactly what will leave it."""

    digest: str
    parties: tuple[PartyPreview, ...]


EXAMPLE = """\
name = "spring"
purpose = "credit_risk"

[segments]
n_clusters = 4

[[party]]
name = "bank"
role = "label_holder"
segment_fields = ["income"]

[[party]]
name = "shop"
role = "feature_holder"
segment_fields = ["spend"]
"""
"""A job file as it is proposed."""


def word_record(word: WordView) -> WordRecord:
    """One party's word."""
    return WordRecord(word.party, word.standing, word.by, word.made, word.until, word.reasons)


def summary_of(view: JobView) -> JobSummary:
    """A job in a list."""
    return JobSummary(**_summary(view))


def record_of(view: JobView, language: str) -> JobRecord:
    """A job, whole."""
    return JobRecord(
        **_summary(view),
        session=view.session,
        message=view.texts.get(language, ""),
        events=view.events,
        words=tuple(map(word_record, view.words)),
        job=view.job,
    )


def _summary(view: JobView) -> dict[str, Any]:
    return {
        "number": view.number,
        "name": view.name,
        "purpose": view.purpose,
        "digest": view.digest,
        "label_holder": view.label_holder,
        "parties": view.parties,
        "state": view.state,
        "proposer": view.proposer,
        "proposer_role": view.proposer_role,
        "proposed": view.proposed,
        "expires": view.expires,
        "waiting_for": view.waiting_for,
        "attempt": view.attempt,
        "stopping": view.is_stopping,
        "started": view.started,
        "ended": view.ended,
        "code": view.code,
    }
