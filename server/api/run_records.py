"""A job's attempts, put together from its events as they come: each event is read once."""

from __future__ import annotations

import datetime
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

import msgspec

from federation.proposals import OPEN_STATES, JobState
from server.jobs.looking import KnownJobs
from server.jobs.rows import STATE_EVENT
from server.jobs.views import JobEvent, JobView

_MOST_JOBS: Final = 64
_AT_ONCE: Final = 1_000


class Progress(msgspec.Struct, frozen=True):
    """How far a party is in the present stage. step: what it does; done of total."""

    party: str
    step: str
    done: int
    total: int


class RunRecord(msgspec.Struct, frozen=True):
    """One attempt. state: "running", how it ended, or "left" when the coordinator ended and another attempt followed.

    session: under which the parties' logs know it; stage: the present or last one, number `place` of `stages`;
    bytes_sent: by party, of the stages that it has finished.
    """

    attempt: int
    state: str
    started: datetime.datetime
    ended: datetime.datetime | None
    session: str
    joined: tuple[str, ...]
    stage: str
    place: int
    stages: int
    progress: tuple[Progress, ...]
    bytes_sent: dict[str, int]


@dataclass(slots=True)
class _Run:
    attempt: int
    started: datetime.datetime
    state: str = JobState.RUNNING.value
    ended: datetime.datetime | None = None
    session: str = ""
    joined: list[str] = field(default_factory=list)
    stage: str = ""
    place: int = 0
    stages: int = 0
    progress: dict[str, Progress] = field(default_factory=dict)
    bytes_sent: dict[str, int] = field(default_factory=dict)

    def take(self, event: JobEvent) -> None:
        data = event.data
        match event.kind:
            case "inviting":
                self.session = data["session"]
            case "joined":
                self.joined.append(data["party"])
            case "stage_started":
                self.stage, self.place, self.stages = data["stage"], data["number"], data["of"]
                self.progress.clear()
            case "progress":
                self.progress[data["party"]] = Progress(
                    data["party"], data["step"], data["done"], data["total"]
                )
            case "party_finished":
                party = data["party"]
                self.bytes_sent[party] = self.bytes_sent.get(party, 0) + data["bytes_sent"]

    @property
    def record(self) -> RunRecord:
        return RunRecord(
            self.attempt, self.state, self.started, self.ended, self.session, tuple(self.joined), self.stage,
            self.place, self.stages, tuple(self.progress.values()), dict(self.bytes_sent),
        )  # fmt: skip


@dataclass(slots=True)
class _Job:
    seen: int = 0
    runs: list[_Run] = field(default_factory=list)

    def take(self, event: JobEvent) -> None:
        self.seen = event.number
        if event.kind != STATE_EVENT:
            if self.runs:
                self.runs[-1].take(event)
            return
        state = event.data["state"]
        if self.runs and self.runs[-1].ended is None:
            self.runs[-1].ended = event.moment
            self.runs[-1].state = "left" if state in OPEN_STATES else state
        if state == JobState.RUNNING:
            self.runs.append(_Run(event.data["attempt"], event.moment))


class Runs:
    """Any thread may use it."""

    def __init__(self, jobs: KnownJobs) -> None:
        self._jobs = jobs
        self._known: OrderedDict[str, _Job] = OrderedDict()
        self._mutex = threading.Lock()

    def of(self, job: JobView) -> list[RunRecord]:
        """The attempts of a job, the first one first."""
        with self._mutex:
            known = self._known.setdefault(job.number, _Job())
            self._known.move_to_end(job.number)
            while len(self._known) > _MOST_JOBS:
                self._known.popitem(last=False)
            while known.seen < job.events:
                events = self._jobs.events(job.number, known.seen, _AT_ONCE)
                for event in events:
                    known.take(event)
                if not events:
                    break
            return [run.record for run in known.runs]
