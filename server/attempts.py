"""One attempt at a job: its record in the home, and its run at Flower."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

import httpx

from federation.jobs import Job
from federation.pace import Every
from privacy.errors import ConfigInvalid, PeerDropped, PeerFailed, SilhouetteError
from server.flower import FINISHED, build_bundle
from server.home import CoordinatorHome
from server.invitation import RelayAdmin
from server.records import JobRecord, Outcome

START_SECONDS: Final = 120.0
"""Flower starts the ServerApp within a few seconds, on a busy machine in a minute; after this long it never will."""
FLOWER_SECONDS: Final = 2.0
"""How often Flower itself is asked about the run; all else comes from the record."""


class Flower(Protocol):
    """What an attempt needs of Flower's Control API (`server.flower.FlowerControl`)."""

    def start(self, bundle: bytes, job_id: str) -> int: ...

    def status(self, run_id: int) -> tuple[str, str, str]: ...

    def stop(self, run_id: int) -> None: ...


class Attempt:
    """One run that has been started."""

    def __init__(
        self,
        home: CoordinatorHome,
        record: JobRecord,
        flower: Flower,
        run_id: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.record, self.run_id = record, run_id
        self._home, self._flower, self._clock = home, flower, clock
        self._began, self._looks = clock(), Every(FLOWER_SECONDS)
        self._looks.is_due()  # what has just been started need not be asked for
        self._is_there = False

    @classmethod
    def start(cls, home: CoordinatorHome, job: Job, flower: Flower, job_id: str = "") -> Attempt:
        """Write the job down and start it. Raises `ConfigInvalid`, `PeerDropped` when it cannot begin."""
        check_startable(home, job)
        record = JobRecord.create(home, job, job_id)
        return cls(home, record, flower, flower.start(build_bundle(), record.job_id))

    def look(self) -> Outcome | None:
        """How it has ended, or None while it runs. A run that Flower ended or never began gets its outcome here."""
        if self.record.outcome is None:
            self._is_there = self._is_there or any(True for _ in self.record.events())
            if not self._is_there and self._clock() - self._began > START_SECONDS:
                self.interrupt(PeerFailed("run_not_started", seconds=START_SECONDS))
            elif self._looks.is_due():
                self._check_run()
        return self.record.outcome

    def _check_run(self) -> None:
        """The ServerApp writes the outcome; if Flower ended it without one, that is the outcome."""
        status, _, details = self._flower.status(self.run_id)
        if status == FINISHED and self.record.outcome is None:
            self.record.fail(PeerFailed("run_ended_early", details=details or "-"))

    def interrupt(self, reason: SilhouetteError) -> None:
        """Stop the run, and say so in the record."""
        close_session(self._home, self.record)
        self._flower.stop(self.run_id)
        if self.record.outcome is None:
            self.record.fail(reason)


def check_startable(home: CoordinatorHome, job: Job) -> None:
    """Raises `ConfigInvalid` when the coordinator does not serve, and `PeerDropped` for a party it does not know."""
    if home.running is None:
        raise ConfigInvalid("not_serving", folder=home.folder)
    strangers = set(job.roles.all) - {party.name for party in home.roster.parties}
    if strangers:
        raise PeerDropped("party_not_enrolled", party=", ".join(sorted(strangers)))


def close_session(home: CoordinatorHome, record: JobRecord) -> None:
    """The ServerApp is ended before it can close its session; waiting nodes must learn of it."""
    for event in record.events():
        if event["event"] == "inviting":
            relay = RelayAdmin(home.roster, home.relay_secret, event["session"])
            try:
                relay.close()
            except httpx.HTTPError:  # the public port has gone, and every session with it
                continue
