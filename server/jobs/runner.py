"""Runs what has been approved: starts the runs at Flower, follows them to their end, and goes on after a restart."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from federation.pace import Every
from federation.proposals import JobState
from privacy.errors import PeerFailed, SilhouetteError, StateConflict, is_refusal
from server.attempts import Attempt, Flower, close_session
from server.home import CoordinatorHome
from server.invitation import FLOWER_TTL_SECONDS
from server.jobs.claims import Claims
from server.jobs.proposals import Jobs
from server.jobs.rows import texts_of
from server.jobs.views import JobView
from server.records import JobRecord, Outcome

logger = logging.getLogger(__name__)

STEP_SECONDS: Final = 0.5
RENEW_SECONDS: Final = 5.0
"""Often enough that one or two failures do not lose the claim (`server.jobs.claims.LEASE_SECONDS`)."""
EXPIRE_SECONDS: Final = 30.0
MOST_ATTEMPTS: Final = 3
"""A job during which the coordinator ended so often is not started again: it may be the job that ends it."""
RETRY_SECONDS: Final = 5.0
"""After a step that failed, for example because the database was away."""


@dataclass(slots=True)
class _Followed:
    """A run that this process has started."""

    job: JobView
    attempt: Attempt
    began: float
    renewals: Every = field(default_factory=lambda: Every(RENEW_SECONDS))
    copied: int = 0


class Runner:
    """One of a coordinator's process. `step` is everything; `run` repeats it. For one thread at a time."""

    def __init__(
        self,
        home: CoordinatorHome,
        jobs: Jobs,
        claims: Claims,
        flower: Flower,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home, self._jobs, self._claims = home, jobs, claims
        self._flower, self._clock = flower, clock
        self._followed: dict[str, _Followed] = {}
        self._expiring = Every(EXPIRE_SECONDS)

    @classmethod
    def of(cls, home: CoordinatorHome, flower: Flower) -> Runner:
        """A serving coordinator's."""
        owner = home.identity.public.fingerprint.replace(" ", "")[:32]
        claims = Claims(home.database, home.audit, secrets.token_hex(8), owner, lambda: home.roster)
        return cls(home, Jobs(home.database, home, home.audit), claims, flower)

    def run(self, stopped: threading.Event) -> None:
        """Until `stopped`. What cannot be done now is tried again; the error's kind is logged, nothing of a job."""
        while not stopped.is_set():
            wait = STEP_SECONDS
            try:
                self.step()
            except Exception as problem:  # a runner that has died would leave every job waiting
                logger.error("runner: %s", type(problem).__name__)
                wait = RETRY_SECONDS
            stopped.wait(wait)
        self.leave()

    def step(self) -> None:
        """Look after everything once."""
        for followed in list(self._followed.values()):
            self._follow(followed)
        for job in self._claims.left_behind():
            self._go_on(job)
        if self._expiring.is_due():
            self._jobs.expire()
        for job in self._claims.ready():
            begun = self._claims.begin(job.number, JobRecord.new_id(job.job))
            if begun is not None:
                self._start(begun)

    def leave(self) -> None:
        """This process ends, and Flower's runs with it: they stay `running`, for the next one to go on with."""
        for followed in self._followed.values():
            try:
                followed.attempt.interrupt(PeerFailed("job_interrupted"))
                self._claims.let_go(followed.job)
            except Exception as problem:  # whatever can still be left well is
                logger.error("runner: %s", type(problem).__name__)
        self._followed.clear()

    # --- starting

    def _start(self, job: JobView) -> None:
        try:
            attempt = Attempt.start(self._home, job.job, self._flower, job.record)
            self._followed[job.number] = _Followed(job, attempt, self._clock())
            self._claims.note_run(job, attempt.run_id)
        except SilhouetteError as error:
            self._drop(job, error)
        except Exception as problem:  # Flower's client raises many kinds
            self._drop(job, PeerFailed("job_unstartable", job=job.number, problem=type(problem).__name__))

    def _drop(self, job: JobView, error: SilhouetteError) -> None:
        """A job that could not be started."""
        followed = self._followed.pop(job.number, None)
        if followed is not None:
            followed.attempt.interrupt(error)
        if error.key != "run_taken_over":
            self._claims.end(job, JobState.FAILED, error.key, texts_of(error))

    def _go_on(self, job: JobView) -> None:
        """A job that another process left: what it ended as is written down, what it did not end is started again."""
        record = JobRecord(self._home.job_folder(job.record))
        outcome = record.outcome
        if outcome is not None and (outcome.status == JobState.DONE or is_refusal(outcome.code)):
            if self._claims.adopt(job):
                self._copy(job, record, self._claims.copied(job))
                self._end(job, outcome)
            return
        close_session(self._home, record)
        error = self._against(self._claims.look_again(job))
        if error is None:
            begun = self._claims.take_over(job, JobRecord.new_id(job.job))
            if begun is not None:
                self._start(begun)
        elif self._claims.adopt(job):
            state = JobState.STOPPED if job.is_stopping else JobState.FAILED
            self._claims.end(job, state, error.key, texts_of(error))

    def _against(self, job: JobView) -> SilhouetteError | None:
        """Why a job is not started again."""
        if job.is_stopping:
            return StateConflict("job_stopped", job=job.number)
        if job.attempt >= MOST_ATTEMPTS:
            return PeerFailed("coordinator_restarted", job=job.number, count=job.attempt)
        if not job.is_approved:
            return PeerFailed("job_word_void", party=", ".join(job.waiting_for), job=job.number)
        return None

    # --- following

    def _follow(self, followed: _Followed) -> None:
        job, attempt = followed.job, followed.attempt
        try:
            outcome = attempt.look()
            followed.copied = self._copy(job, attempt.record, followed.copied)
            if outcome is not None:
                self._end(job, outcome)
                del self._followed[job.number]
            elif (followed.renewals.is_due() and self._claims.renew(job)) or self._claims.is_stopping(job):
                self._stop(followed, JobState.STOPPED, StateConflict("job_stopped", job=job.number))
            elif self._clock() - followed.began > FLOWER_TTL_SECONDS:
                hours = round(FLOWER_TTL_SECONDS / 3600)
                self._stop(
                    followed, JobState.FAILED, PeerFailed("job_too_long", job=job.number, maximum=hours)
                )
        except StateConflict as conflict:
            # Another process follows the job now: a second run of it must not go on here.
            del self._followed[job.number]
            attempt.interrupt(conflict)

    def _stop(self, followed: _Followed, state: JobState, reason: SilhouetteError) -> None:
        followed.attempt.interrupt(reason)
        self._copy(followed.job, followed.attempt.record, followed.copied)
        self._claims.end(followed.job, state, reason.key, texts_of(reason))
        del self._followed[followed.job.number]

    def _end(self, job: JobView, outcome: Outcome) -> None:
        self._claims.end(job, JobState(outcome.status), outcome.code, outcome.texts)

    def _copy(self, job: JobView, record: JobRecord, copied: int) -> int:
        lines = list(record.events(after=copied))
        return self._claims.copy(job, lines) if lines else copied
