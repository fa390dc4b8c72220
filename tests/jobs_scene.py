"""A coordinator's home with three parties, a database, a clock that tests move, and a Flower that only counts."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from federation.proposals import DecidedBy, JobState, Word, sign_word
from federation.roster import Enrolment
from privacy.access import Caller, Means, Role
from privacy.sealing import Identity
from server.db.engine import open_database
from server.db.migrating import bring_up_to_date
from server.home import CoordinatorHome, Running
from server.jobs.claims import Claims
from server.jobs.proposals import Jobs
from server.jobs.runner import Runner
from server.jobs.views import JobView
from server.records import JobRecord

PARTIES = ("bank", "shop", "telecom")
NOON = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
MODELLER = Caller("ada", frozenset({Role.MODELLER}), Means.LOGIN)
FILE = """
name = "{name}"
purpose = "credit_risk"
[segments]
[[party]]
name = "{holder}"
role = "label_holder"
segment_fields = ["income"]
[[party]]
name = "{partner}"
role = "feature_holder"
segment_fields = ["spend"]
"""


def job_file(name: str = "lending", holder: str = "bank", partner: str = "shop") -> str:
    return FILE.format(name=name, holder=holder, partner=partner)


@dataclass
class Clock:
    """The present, which tests move."""

    moment: datetime.datetime = NOON

    def __call__(self) -> datetime.datetime:
        return self.moment

    def forward(self, **amount: float) -> None:
        self.moment += datetime.timedelta(**amount)


@dataclass
class FakeFlower:
    """SuperLink's Control API without anything behind it. `lose` forgets all runs, as the end of its process does."""

    started: list[str] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    failing: bool = False

    def start(self, _bundle: bytes, job_id: str) -> int:
        if self.failing:
            raise ConnectionError(job_id)
        self.started.append(job_id)
        return len(self.started)

    def status(self, run_id: int) -> tuple[str, str, str]:
        return ("finished" if run_id in self.stopped else "running", "", "")

    def stop(self, run_id: int) -> None:
        self.stopped.append(run_id)


@dataclass
class Scene:
    """What the tests of jobs work on."""

    home: CoordinatorHome
    engine: Engine
    identities: dict[str, Identity]
    clock: Clock
    flower: FakeFlower = field(default_factory=FakeFlower)

    @classmethod
    def create(cls, folder: Path, url: str = "") -> Scene:
        home = CoordinatorHome.create(folder / "coordinator", "127.0.0.1", 0, "127.0.0.1")
        identities = {party: Identity.generate() for party in PARTIES}
        for party, identity in identities.items():
            home.enrol(Enrolment(party, identity.public.to_text(), f"flower key of {party}"))
        home.write_running(Running(os.getpid(), {party: number for number, party in enumerate(PARTIES)}))
        engine = open_database(url or f"sqlite:///{folder / 'jobs.sqlite'}")
        bring_up_to_date(engine)
        return cls(home, engine, identities, Clock())

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.engine, self.home, self.home.audit, self.clock)

    def claims(self, name: str = "first", owner: str = "home") -> Claims:
        return Claims(self.engine, self.home.audit, name, owner, lambda: self.home.roster, self.clock)

    def runner(self, name: str = "first", owner: str = "home") -> Runner:
        return Runner(self.home, self.jobs, self.claims(name, owner), self.flower)

    def word(self, job: JobView, party: str, *, approved: bool = True, **changes: object) -> Word:
        values: dict[str, object] = {
            "number": job.number,
            "digest": job.digest,
            "party": party,
            "approved": approved,
            "revision": 1,
            "made": self.clock(),
            "until": self.clock() + datetime.timedelta(days=30),
            "policy": "a" * 64,
            "code": "c" * 64,
            "by": DecidedBy.PERSON,
            "reasons": () if approved else ("R-PURPOSE-MISMATCH",),
        }
        return msgspec.convert({**values, **changes}, Word)

    def signed(self, word: Word, signer: str = "") -> bytes:
        return sign_word(word, self.identities[signer or word.party], self.home.roster.coordinator)

    def say(self, job: JobView, party: str, *, approved: bool = True, **changes: object) -> JobView:
        return self.jobs.word(self.signed(self.word(job, party, approved=approved, **changes)), party)

    def approved(self, name: str = "lending", holder: str = "bank", partner: str = "shop") -> JobView:
        """A job that is ready to run."""
        job = self.jobs.propose(MODELLER, job_file(name, holder, partner))
        self.clock.forward(seconds=1)
        self.say(job, holder)
        ready = self.say(job, partner)
        assert ready.state is JobState.APPROVED
        return ready

    def record(self, number: str) -> JobRecord:
        return JobRecord(self.home.job_folder(self.jobs.get(number).record))

    def kinds(self) -> list[str]:
        """What the log tells of jobs."""
        return [event.type.value for event in self.home.audit.events() if event.type.startswith("job.")]
