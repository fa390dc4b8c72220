"""Which process follows a running job: one at a time, by what the database says, whatever happens to a process.

A job is claimed for one attempt, by a compare-and-set of its row, which is held meanwhile. The claim ends by itself
after `LEASE_SECONDS` without being renewed; then another process takes the job over, which is another attempt.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from federation.audit_log import AuditLog
from federation.database import reading, writing
from federation.pace import utc_now
from federation.proposals import JobState
from federation.roster import Roster
from privacy.audit import EventType
from privacy.errors import StateConflict
from server.db.engine import exclusively
from server.db.tables import JobRow
from server.jobs.renewed_keys import end_words_of_old_keys
from server.jobs.rows import JOBS_LOCK, STATE_EVENT, add_event, job_row, move, open_jobs, views_of
from server.jobs.views import JobView

LEASE_SECONDS: Final = 30.0
_ACTOR: Final = "runner"


class Claims:
    """One process's. runner: names the process; owner: all processes of one home, of which one serves at a time.

    roster: the one in force.
    """

    def __init__(
        self,
        engine: Engine,
        log: AuditLog,
        runner: str,
        owner: str,
        roster: Callable[[], Roster],
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self._engine, self._log, self._roster, self._now = engine, log, roster, now
        self.runner, self._owner = f"{owner}:{runner}", owner

    def ready(self) -> list[JobView]:
        """Jobs that everybody has approved, the oldest first."""
        with reading(self._engine) as session:
            rows = session.scalars(open_jobs([JobState.APPROVED])).all()
            return views_of(session, rows, self._now())

    def left_behind(self) -> list[JobView]:
        """Running jobs that nobody follows any more: an earlier process of this home did, or the claim has ended."""
        now = self._now()
        with reading(self._engine) as session:
            rows = [
                row
                for row in session.scalars(open_jobs([JobState.RUNNING]))
                if row.runner != self.runner
                and (
                    row.runner.split(":")[0] == self._owner or row.held_until is None or row.held_until <= now
                )
            ]
            return views_of(session, rows, now)

    def begin(self, number: str, record: str) -> JobView | None:
        """Make an approved job ours, for its next attempt; None when it is not to begin now.

        That is: another process has it, it is not approved any more, or one of its parties is in a job that runs, or
        that has waited longer. A job of which a yes has ended, or whose party has other keys since, is proposed again.
        record: folder of the attempt.
        """
        now = self._now()
        with writing(self._engine) as session:
            exclusively(session, JOBS_LOCK)
            row = job_row(session, number)
            if row.state != JobState.APPROVED or row.expires <= now or _is_blocked(session, row):
                return None
            end_words_of_old_keys(session, row, self._roster(), now)
            if not views_of(session, [row], now)[0].is_approved:
                move(session, row, JobState.PROPOSED, now)
                return None
            move(session, row, JobState.RUNNING, now, data={"attempt": row.attempt + 1})
            row.started = now
            return self._claim(session, row, record, now)

    def look_again(self, job: JobView) -> JobView:
        """A job that was left behind, as its words stand with everybody's keys of today."""
        now = self._now()
        with writing(self._engine) as session:
            row = job_row(session, job.number)
            end_words_of_old_keys(session, row, self._roster(), now)
            return views_of(session, [row], now)[0]

    def take_over(self, job: JobView, record: str) -> JobView | None:
        """Make a job ours that was left behind, for its next attempt; None when another process has been faster."""
        now = self._now()
        with writing(self._engine) as session:
            row = job_row(session, job.number)
            if (row.state, row.attempt) != (JobState.RUNNING, job.attempt):
                return None
            data = {"state": JobState.RUNNING.value, "attempt": row.attempt + 1}
            add_event(session, row, STATE_EVENT, now, data)
            return self._claim(session, row, record, now)

    def adopt(self, job: JobView) -> bool:
        """Make a job ours that was left behind, only to write down how it has ended; False: another was faster."""
        with writing(self._engine) as session:
            row = job_row(session, job.number)
            if (row.state, row.attempt) != (JobState.RUNNING, job.attempt):
                return False
            row.runner, row.held_until = self.runner, self._until(self._now())
            return True

    def _claim(self, session: Session, row: JobRow, record: str, now: datetime.datetime) -> JobView:
        """The next attempt of a job whose row is held, and has been compared."""
        row.attempt += 1
        row.runner, row.held_until = self.runner, self._until(now)
        row.record, row.session, row.run, row.copied = record, "", "", 0
        session.flush()
        self._note(EventType.JOB_STARTED, row)
        return views_of(session, [row], now)[0]

    def renew(self, job: JobView) -> bool:
        """Hold on to it. Returns whether somebody has asked to stop it. Raises `StateConflict` when it is not ours."""
        with writing(self._engine) as session:
            row = self._ours(session, job)
            row.held_until = self._until(self._now())
            return bool(row.stopper)

    def is_stopping(self, job: JobView) -> bool:
        """Whether somebody has asked to stop it."""
        with reading(self._engine) as session:
            row = session.get(JobRow, job.number)
            return row is not None and bool(row.stopper)

    def note_run(self, job: JobView, run: int) -> None:
        """Which of Flower's runs it is. Raises `StateConflict` when the job is not ours."""
        with writing(self._engine) as session:
            self._ours(session, job).run = str(run)

    def copied(self, job: JobView) -> int:
        """How many lines of the attempt's record are among the events."""
        with reading(self._engine) as session:
            row = session.get(JobRow, job.number)
            return 0 if row is None else row.copied

    def copy(self, job: JobView, lines: Sequence[Mapping[str, Any]]) -> int:
        """The next lines of the attempt's record become events; returns how many have. Raises as `renew`."""
        with writing(self._engine) as session:
            row = self._ours(session, job)
            for line in lines:
                row.copied += 1
                data = {name: item for name, item in line.items() if name not in {"time", "event"}}
                moment = datetime.datetime.fromtimestamp(line["time"], datetime.UTC)
                add_event(session, row, line["event"], moment, data, line=row.copied)
                row.session = line.get("session", row.session)
            row.held_until = self._until(self._now())
            return row.copied

    def end(
        self, job: JobView, state: JobState, code: str = "", texts: Mapping[str, str] | None = None
    ) -> None:
        """How it has ended. Raises `StateConflict` when it is not ours."""
        with writing(self._engine) as session:
            row = self._ours(session, job)
            move(session, row, state, self._now(), code=code, texts=texts)
            row.runner = ""
            session.flush()
            self._note(EventType.JOB_ENDED, row, stage=state.value)

    def let_go(self, job: JobView) -> None:
        """This process ends: the next one need not wait."""
        with writing(self._engine) as session:
            self._ours(session, job).held_until = None

    def _ours(self, session: Session, job: JobView) -> JobRow:
        row = job_row(session, job.number)
        if (row.runner, row.attempt, row.state) != (self.runner, job.attempt, JobState.RUNNING):
            raise StateConflict("run_taken_over", job=job.number)
        return row

    def _until(self, now: datetime.datetime) -> datetime.datetime:
        return now + datetime.timedelta(seconds=LEASE_SECONDS)

    def _note(self, event: EventType, row: JobRow, stage: str = "") -> None:
        self._log.append(
            event,
            actor=_ACTOR,
            job=row.digest,
            session=row.session,
            artefact=row.number,
            stage=stage,
            numbers={"attempt": row.attempt},
        )


def _is_blocked(session: Session, row: JobRow) -> bool:
    """Whether a party of the job is busy, or another job that has waited longer wants it: a node runs one at a time."""
    wanted = set(row.parties)
    for other in session.scalars(open_jobs([JobState.APPROVED, JobState.RUNNING])):
        is_before = other.state == JobState.RUNNING or (other.proposed, other.number) < (
            row.proposed,
            row.number,
        )
        if other.number != row.number and is_before and wanted & set(other.parties):
            return True
    return False
