"""How jobs are looked up and changed in the database: within the caller's transaction, with the job's row held."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from federation.proposals import OPEN_STATES, JobState
from privacy.errors import NotFound, SilhouetteError
from privacy.texts import LANGUAGES
from server.db.tables import EventRow, JobRow, WordRow
from server.jobs.states import check_move
from server.jobs.views import JobFacts, JobView, WordFacts, view_of

JOBS_LOCK: Final = 0x4A4F4253
"""Of `server.db.engine.exclusively`: for what looks at several jobs and then changes one."""
STATE_EVENT: Final = "state"
WORD_EVENT: Final = "word"


def job_row(session: Session, number: str) -> JobRow:
    """A job's row, held until the transaction ends. Raises `NotFound`."""
    row = session.get(JobRow, number, with_for_update=True)
    if row is None:
        raise NotFound("job_unknown", job=number)
    return row


def words_of(session: Session, numbers: Iterable[str]) -> Mapping[str, list[WordRow]]:
    """The words on these jobs."""
    found: defaultdict[str, list[WordRow]] = defaultdict(list)
    for word in session.scalars(select(WordRow).where(WordRow.job.in_(list(numbers)))):
        found[word.job].append(word)
    return found


def views_of(session: Session, rows: Sequence[JobFacts], now: datetime.datetime) -> list[JobView]:
    """What is known of these jobs."""
    words: defaultdict[str, list[WordFacts]] = defaultdict(list)
    query = select(
        WordRow.job, WordRow.party, WordRow.approved, WordRow.by, WordRow.made, WordRow.until, WordRow.reasons
    )  # not what was signed: lists would read it for nothing
    for word in session.execute(query.where(WordRow.job.in_([row.number for row in rows]))):
        words[word.job].append(word)
    return [view_of(row, words[row.number], now) for row in rows]


def open_jobs(states: Iterable[JobState] = OPEN_STATES) -> Select[JobRow]:
    """Jobs in these states, the oldest first."""
    return (
        select(JobRow)
        .where(JobRow.state.in_([state.value for state in states]))
        .order_by(JobRow.proposed, JobRow.number)
    )


def add_event(
    session: Session,
    row: JobRow,
    kind: str,
    moment: datetime.datetime,
    data: Mapping[str, Any],
    line: int | None = None,
) -> None:
    """The next event of a job whose row is held. line: of the present attempt's record, where it comes from there."""
    row.events += 1
    attempt = None if line is None else row.attempt
    session.add(
        EventRow(
            job=row.number,
            number=row.events,
            kind=kind,
            moment=moment,
            data=dict(data),
            attempt=attempt,
            line=line,
        )
    )


def move(
    session: Session,
    row: JobRow,
    after: JobState,
    now: datetime.datetime,
    *,
    code: str = "",
    texts: Mapping[str, str] | None = None,
    data: Mapping[str, Any] | None = None,
) -> None:
    """The job's next state, with its event. Raises `StateConflict` for one that it cannot go to."""
    check_move(row.number, JobState(row.state), after)
    row.state = after.value
    if after not in OPEN_STATES:
        row.ended, row.code, row.texts = now, code, dict(texts or {})
        row.held_until = None
    add_event(session, row, STATE_EVENT, now, {"state": after.value, "code": code, **(data or {})})


def texts_of(error: SilhouetteError) -> dict[str, str]:
    """What an error says, by language."""
    return {language: error.render(language) for language in LANGUAGES}
