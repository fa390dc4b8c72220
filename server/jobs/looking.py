"""What the database knows of jobs: for pages, for the API, for the nodes' desks."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine, String, and_, cast, func, or_, select

from federation.database import reading
from federation.pace import utc_now
from federation.proposals import MAX_PROPOSALS, JobState
from privacy.errors import NotFound
from server.db.tables import EventRow, JobRow
from server.home import CoordinatorHome
from server.jobs.rows import open_jobs, views_of
from server.jobs.views import JobEvent, JobView, event_of
from server.records import JobRecord, Outcome

_JOB: Final = tuple(JobRow.__table__.columns)
"""Rows of columns, not objects that a session follows: looking changes nothing, and a list is read in half the time."""


class KnownJobs:
    """Any thread and any process may use it."""

    def __init__(
        self, engine: Engine, home: CoordinatorHome, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._engine, self._home, self._now = engine, home, now

    def get(self, number: str) -> JobView:
        """One job. Raises `NotFound`."""
        with reading(self._engine) as session:
            row = session.execute(select(*_JOB).where(JobRow.number == number)).one_or_none()
            if row is None:
                raise NotFound("job_unknown", job=number)
            return views_of(session, [row], self._now())[0]

    def page(
        self,
        *,
        states: Sequence[JobState] = tuple(JobState),
        party: str = "",
        after: str = "",
        limit: int = 50,
    ) -> list[JobView]:
        """Jobs, the newest first. party: only those it takes part in; after: the number before the page."""
        query = select(*_JOB).where(JobRow.state.in_([state.value for state in states]))
        if party:
            query = query.where(cast(JobRow.parties, String).contains(f'"{party}"', autoescape=True))
        with reading(self._engine) as session:
            if after:
                place = select(JobRow.proposed, JobRow.number).where(JobRow.number == after)
                last = session.execute(place).one_or_none()
                if last is None:
                    raise NotFound("job_unknown", job=after)
                query = query.where(
                    or_(
                        JobRow.proposed < last.proposed,
                        and_(JobRow.proposed == last.proposed, JobRow.number < last.number),
                    )
                )
            order = query.order_by(JobRow.proposed.desc(), JobRow.number.desc()).limit(limit)
            return views_of(session, session.execute(order).all(), self._now())

    def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        with reading(self._engine) as session:
            found = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state)).all()
        return {JobState(state): count for state, count in found}

    def events(self, number: str, after: int = 0, limit: int = 1000) -> list[JobEvent]:
        """A job's events behind this number, in order."""
        query = (
            select(EventRow.number, EventRow.kind, EventRow.moment, EventRow.data)
            .where(EventRow.job == number, EventRow.number > after)
            .order_by(EventRow.number)
            .limit(limit)
        )
        with reading(self._engine) as session:
            return [event_of(row) for row in session.execute(query)]

    def outcome(self, job: JobView) -> Outcome | None:
        """How its last attempt ended, with what it released; None before that, or where it never ran."""
        return JobRecord(self._home.job_folder(job.record)).outcome if job.record else None

    def proposals_for(self, party: str) -> list[JobView]:
        """The open jobs that this party takes part in, the oldest first."""
        with reading(self._engine) as session:
            rows = [row for row in session.scalars(open_jobs()) if party in row.parties]
            return views_of(session, rows[:MAX_PROPOSALS], self._now())
