"""What is known of a job, as the API, the console and the runner read it. Nothing here is of a row."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Row

from federation.jobs import Job, decode_job
from federation.proposals import DecidedBy, JobState, Proposal, Standing
from privacy.access import Role
from server.db.tables import EventRow, JobRow, WordRow

# A row of a query that names its columns has the same names and is read in less time; its type does not know them.
JobFacts: TypeAlias = JobRow | Row[*tuple[Any, ...]]
"""A job's columns."""
WordFacts: TypeAlias = WordRow | Row[*tuple[Any, ...]]
"""Those of a word that are shown."""
EventFacts: TypeAlias = EventRow | Row[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class WordView:
    """One party's word. standing: a yes that has ended counts as none."""

    party: str
    standing: Standing
    by: DecidedBy | None = None
    made: datetime.datetime | None = None
    until: datetime.datetime | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """A job. words: one for each party, in the job's order; record: folder of the present attempt's record."""

    number: str
    data: bytes
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
    words: tuple[WordView, ...]
    attempt: int
    record: str
    session: str
    is_stopping: bool
    started: datetime.datetime | None
    ended: datetime.datetime | None
    code: str
    texts: dict[str, str]
    events: int

    @property
    def job(self) -> Job:
        """What was proposed."""
        return decode_job(self.data)

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """Parties that have not answered."""
        return tuple(word.party for word in self.words if word.standing is Standing.WAITING)

    @property
    def is_approved(self) -> bool:
        """Whether everybody says yes now."""
        return all(word.standing is Standing.APPROVED for word in self.words)

    @property
    def proposal(self) -> Proposal:
        """As the parties get to see it."""
        return Proposal(
            number=self.number,
            job=self.data,
            proposer=self.proposer_role,
            proposed=self.proposed,
            expires=self.expires,
            state=self.state,
            words={word.party: word.standing for word in self.words},
        )


@dataclass(frozen=True, slots=True)
class JobEvent:
    """What happened to a job, numbered from 1 without gaps."""

    number: int
    kind: str
    moment: datetime.datetime
    data: dict[str, Any]


def view_of(row: JobFacts, words: Iterable[WordFacts], now: datetime.datetime) -> JobView:
    """What the tables say of a job at this moment."""
    by_party = {word.party: word for word in words}
    return JobView(
        number=row.number,
        data=row.data,
        name=row.name,
        purpose=row.purpose,
        digest=row.digest,
        label_holder=row.label_holder,
        parties=tuple(row.parties),
        state=JobState(row.state),
        proposer=row.proposer,
        proposer_role=Role(row.proposer_role),
        proposed=row.proposed,
        expires=row.expires,
        words=tuple(_word_of(party, by_party.get(party), now) for party in row.parties),
        attempt=row.attempt,
        record=row.record,
        session=row.session,
        is_stopping=bool(row.stopper) and row.state == JobState.RUNNING,
        started=row.started,
        ended=row.ended,
        code=row.code,
        texts=dict(row.texts),
        events=row.events,
    )


def event_of(row: EventFacts) -> JobEvent:
    """One event."""
    return JobEvent(row.number, row.kind, row.moment, dict(row.data))


def holds(word: WordFacts, now: datetime.datetime) -> bool:
    """Whether it is a yes that has not ended."""
    return word.approved and now < word.until


def _word_of(party: str, word: WordFacts | None, now: datetime.datetime) -> WordView:
    if word is None:
        return WordView(party, Standing.WAITING)
    standing = Standing.APPROVED if word.approved else Standing.REFUSED
    if word.approved and not holds(word, now):
        standing = Standing.WAITING
    return WordView(party, standing, DecidedBy(word.by), word.made, word.until, tuple(word.reasons))
