"""A job that the command line proposes and follows: like every job, it runs when all parties have said yes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from federation.access.noting import TERMINAL
from federation.jobs import Job
from federation.proposals import OPEN_STATES, JobState
from privacy.access import Caller, Means, Role
from privacy.errors import ConfigInvalid, StateConflict
from server.attempts import check_startable
from server.home import CoordinatorHome
from server.jobs.proposals import Jobs
from server.jobs.states import WAITING_STATES
from server.jobs.views import JobView
from server.records import Outcome

POLL_SECONDS: Final = 0.2
LOST_SECONDS: Final = 60.0
"""For how long the coordinator may be away: one that is started again within it goes on with the job."""
LEAVE_SECONDS: Final = 5.0
"""How long the runner may take to stop what somebody interrupts; it stops it later if it has to."""
WAITING_EVENT: Final = "waiting"
"""Of ours, among a job's own events: who has not answered. Nobody is left when the job waits for its turn."""
OPERATOR: Final = Caller(TERMINAL, frozenset({Role.OPERATOR}), Means.LOGIN)
"""Whoever may write in the coordinator's home."""

OnEvent = Callable[[dict[str, Any]], None]


class SubmittedJob:
    """One job, proposed at once. number: under which the parties see it.

    Raises `ConfigInvalid` when the coordinator does not serve, `PeerDropped` for a party that it does not know, and
    `StateConflict` when the same job is under way.
    """

    def __init__(self, home: CoordinatorHome, job: Job) -> None:
        check_startable(home, job)
        self._home = home
        self._jobs = Jobs(home.database, home, home.audit)
        self.number = self._jobs.propose(OPERATOR, job).number

    @property
    def session(self) -> str:
        """In which the job runs, or has run last; empty before."""
        return self._jobs.get(self.number).session

    def follow(self, on_event: OnEvent) -> Outcome:
        """Report events as they come, until the job has ended. Raises `ConfigInvalid` when the coordinator is gone."""
        seen, waiting, served = 0, None, time.monotonic()
        while True:
            job = self._jobs.get(self.number)  # before its events: of a job that has ended none is missed
            if job.state in WAITING_STATES and job.waiting_for != waiting:
                waiting = job.waiting_for
                on_event({"event": WAITING_EVENT, "number": self.number, "parties": list(waiting)})
            while events := self._jobs.events(self.number, after=seen):
                for event in events:
                    seen = event.number
                    on_event({"event": event.kind, **event.data})
            if job.state not in OPEN_STATES:
                return self._outcome(job)
            if self._home.running is not None:
                served = time.monotonic()
            elif time.monotonic() - served > LOST_SECONDS:
                self.interrupt()
                raise ConfigInvalid("not_serving", folder=self._home.folder)
            time.sleep(POLL_SECONDS)

    def interrupt(self) -> None:
        """Take the proposal back, or have the run stopped."""
        with contextlib.suppress(StateConflict):  # it has ended meanwhile
            self._jobs.stop(OPERATOR, self.number)
        give_up = time.monotonic() + LEAVE_SECONDS
        while (
            self._jobs.get(self.number).state in OPEN_STATES
            and self._home.running is not None
            and time.monotonic() < give_up
        ):
            time.sleep(POLL_SECONDS)

    def _outcome(self, job: JobView) -> Outcome:
        found = self._jobs.outcome(job) if job.state is JobState.DONE else None
        return found or Outcome("failed", job.code, job.texts)
