"""Jobs from their proposal to the last party's word. Each use case is one transaction and one event of the log."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from federation.audit_log import AuditLog
from federation.database import reading, writing
from federation.jobfile import job_file_of
from federation.jobs import Job, decode_job, encode_job
from federation.leaving import ROWS, PartyLeaving, leaving
from federation.messages import COORDINATOR
from federation.pace import utc_now
from federation.proposals import MAX_JOB_BYTES, MAX_PARTIES, JobState, Word, open_word
from privacy.access import Caller
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, StateConflict
from server.db.engine import exclusively
from server.db.tables import JobRow, WordRow
from server.home import CoordinatorHome
from server.jobs.checks import check_answerable, check_room, new_number, role_of, row_of
from server.jobs.looking import KnownJobs
from server.jobs.refusals import refusal_texts
from server.jobs.renewed_keys import end_words_of_old_keys
from server.jobs.rows import (
    JOBS_LOCK,
    STATE_EVENT,
    WORD_EVENT,
    add_event,
    job_row,
    move,
    open_jobs,
    texts_of,
    views_of,
    words_of,
)
from server.jobs.states import WAITING_STATES, check_move
from server.jobs.views import JobView, holds, view_of

DAYS: Final = 14
"""For how long a proposal waits for the parties' words and its turn, when nobody says otherwise."""
MOST_DAYS: Final = 90
SOURCE: Final = "job.toml"
"""How a job file without a name of its own is called in messages."""


class Jobs(KnownJobs):
    """Any thread and any process may use it. All that only looks is in `KnownJobs`."""

    def __init__(
        self,
        engine: Engine,
        home: CoordinatorHome,
        log: AuditLog,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        super().__init__(engine, home, now)
        self._log = log

    # --- proposing

    def read(self, source: str | bytes) -> Job:
        """A job file as somebody sends it, checked against the roster.

        Raises `ConfigInvalid` for what is no job, is too large, has a table in it, or names who is not enrolled.
        """
        data = source.encode() if isinstance(source, str) else source
        if len(data) > MAX_JOB_BYTES:
            raise ConfigInvalid("job_too_large", maximum=MAX_JOB_BYTES)
        try:
            parsed = job_file_of(data.decode("utf-8"), SOURCE)
        except UnicodeDecodeError as problem:
            raise ConfigInvalid("job_not_toml", problem=problem.reason) from None
        for entry in parsed.party:
            if entry.table is not None or entry.policy is not None:
                raise ConfigInvalid("job_holds_tables", party=entry.name)
        self._check_parties(parsed.job)
        return parsed.job

    def preview(self, job: Job, rows: int = ROWS) -> tuple[PartyLeaving, ...]:
        """For every party exactly what will leave it. rows: for how many shared customers sizes are told."""
        return leaving(job, rows)

    def propose(self, caller: Caller, source: str | bytes | Job, days: int = DAYS) -> JobView:
        """Ask all parties of a job. Raises `ConfigInvalid`, and `StateConflict` when the same job is under way."""
        job = source if isinstance(source, Job) else self.read(source)
        self._check_parties(job)
        if not 1 <= days <= MOST_DAYS:
            raise ConfigInvalid("job_days", maximum=MOST_DAYS)
        now, data = self._now(), encode_job(job)
        if len(data) > MAX_JOB_BYTES:
            raise ConfigInvalid("job_too_large", maximum=MAX_JOB_BYTES)
        with writing(self._engine) as session:
            exclusively(session, JOBS_LOCK)
            check_room(session, job)
            row = JobRow(
                number=new_number(session),
                name=job.name,
                purpose=job.purpose,
                digest=job.digest,
                data=data,
                label_holder=job.roles.label_holder,
                parties=list(job.roles.all),
                state=JobState.PROPOSED.value,
                proposer=caller.name,
                proposer_role=role_of(caller).value,
                proposed=now,
                expires=now + datetime.timedelta(days=days),
                texts={},
                events=0,
                stopper="",
            )
            session.add(row)
            session.flush()  # the job before its first event
            add_event(session, row, STATE_EVENT, now, {"state": JobState.PROPOSED.value})
            session.flush()
            self._note(EventType.JOB_PROPOSED, caller.name, row)
            return view_of(row, (), now)

    def _check_parties(self, job: Job) -> None:
        if len(job.parties) > MAX_PARTIES:
            raise ConfigInvalid("job_parties_too_many", maximum=MAX_PARTIES)
        strangers = set(job.roles.all) - {party.name for party in self._home.roster.parties}
        if strangers:
            raise ConfigInvalid("party_not_enrolled", party=", ".join(sorted(strangers)))

    # --- answering

    def word(self, signed: bytes, party: str) -> JobView:
        """Take a party's word; the same bytes again change nothing. The last yes makes the job ready to run.

        Raises `SignatureInvalid`, `MessageInvalid` and `UnexpectedMessage` for what this party has not said to this
        coordinator, `InputError` for a word about another job, and `StateConflict` for one that comes too late or
        while an earlier one stands. A party may take back its yes until the job runs.
        """
        roster, now = self._home.roster, self._now()
        identity = roster.identities(without=COORDINATOR).get(party)
        if identity is None:
            raise ConfigInvalid("party_not_enrolled", party=party)
        word = open_word(signed, party, identity, roster.coordinator)
        with writing(self._engine) as session:
            row = job_row(session, word.number)
            if party not in row.parties:
                raise ConfigInvalid("job_word_stranger", party=party, job=row.number)
            if word.digest != row.digest:
                raise ConfigInvalid("job_word_other", party=party, job=row.number)
            known = session.get(WordRow, (row.number, party))
            if known is not None and known.signed == signed:
                return views_of(session, [row], now)[0]
            end_words_of_old_keys(session, row, roster, now)
            check_answerable(row, word, known, now)
            session.merge(row_of(word, signed, now))
            add_event(session, row, WORD_EVENT, now, {"party": party, "approved": word.approved})
            session.flush()
            kind = EventType.JOB_APPROVED if word.approved else EventType.JOB_REFUSED
            self._settle(session, row, word, now)
            session.flush()
            self._note(kind, "party", row, stage=party)
            return views_of(session, [row], now)[0]

    def _settle(self, session: Session, row: JobRow, word: Word, now: datetime.datetime) -> None:
        """What this word makes of the job."""
        if not word.approved:
            code = word.reasons[0] if word.reasons else ""
            texts, data = refusal_texts(decode_job(row.data), word), {"party": word.party}
            move(session, row, JobState.REFUSED, now, code=code, texts=texts, data=data)
        elif row.state == JobState.PROPOSED:
            words = words_of(session, [row.number])[row.number]
            if {item.party for item in words if holds(item, now)} == set(row.parties):
                move(session, row, JobState.APPROVED, now)

    # --- ending

    def stop(self, caller: Caller, number: str) -> JobView:
        """Stop a job: at once when it does not run yet, else its runner does. Again changes nothing.

        Raises `NotFound`, and `StateConflict` when it has ended.
        """
        now = self._now()
        with writing(self._engine) as session:
            row = job_row(session, number)
            check_move(number, JobState(row.state), JobState.STOPPED)
            if not row.stopper:
                row.stopper = caller.name
                if row.state in WAITING_STATES:
                    texts = texts_of(StateConflict("job_stopped", job=number))
                    move(session, row, JobState.STOPPED, now, code="job_stopped", texts=texts)
                session.flush()
                self._note(EventType.JOB_STOPPED, caller.name, row)
            return views_of(session, [row], now)[0]

    def expire(self) -> list[str]:
        """End what has waited too long; returns the numbers."""
        now = self._now()
        with reading(self._engine) as session:
            due = session.scalars(open_jobs(WAITING_STATES).where(JobRow.expires <= now)).all()
            numbers = [row.number for row in due]
        return [number for number in numbers if self._expire(number, now)]

    def _expire(self, number: str, now: datetime.datetime) -> bool:
        with writing(self._engine) as session:
            row = job_row(session, number)
            if row.state not in WAITING_STATES:
                return False  # it has begun, or ended, since it was looked for
            waiting = ", ".join(views_of(session, [row], now)[0].waiting_for) or "-"
            expired = StateConflict("job_expired", job=number, party=waiting)
            move(session, row, JobState.EXPIRED, now, code=expired.key, texts=texts_of(expired))
            session.flush()
            self._note(EventType.JOB_EXPIRED, "coordinator", row)
            return True

    def _note(self, event: EventType, actor: str, row: JobRow, stage: str = "") -> None:
        """The last step of a transaction: what is not logged has not happened."""
        self._log.append(event, actor=actor, job=row.digest, artefact=row.number, stage=stage)
