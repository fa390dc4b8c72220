"""Jobs: proposing one, watching it, waiting for its end, reading what it released."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from federation.client.calls import Calls
from federation.client.job_records import DONE, OPEN_STATES, JobEvent, JobRecord, JobSummary, Preview
from federation.client.reports import Report
from privacy.errors import ConfigInvalid, DeadlinePassed, StateConflict

DAYS: Final = 14
"""For how long a proposal waits for the parties' words, when nobody says otherwise."""
LOOK_SECONDS: Final = 1.0
"""Between two looks at a job that is watched: a tenth of what the coordinator lets one caller ask."""
ROWS: Final = 100_000
_CHANGES: Final = frozenset({"state", "word"})
"""Events after which the job's own record is another one."""


class Jobs:
    """All jobs of a coordinator."""

    def __init__(self, calls: Calls, sleep: Callable[[float], None] = time.sleep) -> None:
        self._calls, self._sleep = calls, sleep

    def list(self, *, state: str | Sequence[str] = (), party: str = "") -> Iterator[JobSummary]:
        """The newest first. state: only those in one of these; party: only those that it takes part in."""
        states = [state] if isinstance(state, str) else list(state)
        return self._calls.pages("/jobs", JobSummary, {"state": states, "party": party})

    def __iter__(self) -> Iterator[JobSummary]:
        return self.list()

    def get(self, number: str) -> Job:
        """One job, by its number."""
        return Job(self._calls, self._calls.get(f"/jobs/{number}", JobRecord), self._sleep)

    def preview(self, job: str | Path, rows: int = ROWS) -> Preview:
        """For every party exactly what would leave it; nothing is proposed. rows: of so many shared customers."""
        return self._calls.ask("/jobs/preview", Preview, {"job": _text_of(job), "rows": rows})

    def propose(self, job: str | Path, *, days: int = DAYS) -> Job:
        """Ask all parties of a job. job: the path of a job file, or its content (`draft` writes one)."""
        record = self._calls.post("/jobs", JobRecord, {"job": _text_of(job), "days": days})
        return Job(self._calls, record, self._sleep)


class Job:
    """One job. `record` is as it was seen last; `refresh` looks again."""

    def __init__(self, calls: Calls, record: JobRecord, sleep: Callable[[float], None] = time.sleep) -> None:
        self._calls, self._sleep = calls, sleep
        self.record = record

    @property
    def number(self) -> str:
        """What it is called at the coordinator and at every party."""
        return self.record.number

    @property
    def state(self) -> str:
        """As it was seen last."""
        return self.record.state

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet, as it was seen last."""
        return self.state in OPEN_STATES

    def refresh(self) -> Job:
        """Look again."""
        self.record = self._calls.get(f"/jobs/{self.number}", JobRecord)
        return self

    def stop(self) -> Job:
        """Stop it: at once while it waits, else within seconds."""
        self.record = self._calls.post(f"/jobs/{self.number}/stop", JobRecord)
        return self

    def events(self) -> Iterator[JobEvent]:
        """What has happened so far, in order."""
        return self._calls.pages(f"/jobs/{self.number}/events", JobEvent)

    def watch(self, timeout: float | None = None) -> Iterator[JobEvent]:
        """What has happened, and what happens, until it has ended.

        timeout: seconds after which nothing more is waited for. Raises `DeadlinePassed`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        last, cursor = 0, ""
        while True:
            page = self._calls.page(f"/jobs/{self.number}/events", JobEvent, {"cursor": cursor})
            for event in page.items:
                if event.number <= last:
                    continue  # seen when the page was shorter
                last = event.number
                if event.kind in _CHANGES:
                    self.refresh()
                yield event
            if page.next:
                cursor = page.next
            elif not self.is_open and last >= self.record.events:
                return
            elif until is not None and time.monotonic() >= until:
                raise DeadlinePassed("client_wait", job=self.number, seconds=f"{timeout:g}")
            else:
                self._sleep(LOOK_SECONDS)

    def wait(self, *, progress: bool = False, timeout: float | None = None) -> Job:
        """Wait until it is done. progress: show how far every party is.

        Raises `StateConflict` when it has ended otherwise, and `DeadlinePassed`. It goes on if one stops waiting.
        """
        if progress:
            from federation.client.watching import shown

            shown(self, timeout)
        else:
            for _ in self.watch(timeout):
                pass
        self.refresh()
        if self.state != DONE:
            details = self.record.message or self.record.code
            raise StateConflict("client_job_ended", job=self.number, status=self.state, details=details)
        return self

    def report(self) -> Report:
        """What it released. Raises `NotFound` before it is done."""
        return Report(self._calls, self.number)

    def __repr__(self) -> str:
        return f"Job({self.number!r}, {self.record.name!r}, {self.state})"


def _text_of(job: str | Path) -> str:
    """A job file's content. A string of one line with this ending is a path: no job file has so few lines."""
    if isinstance(job, str) and ("\n" in job or not job.endswith(".toml")):
        return job
    file = Path(job)
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigInvalid("file_missing", file=file) from None
    except UnicodeDecodeError as problem:
        raise ConfigInvalid("file_invalid", file=file, problem=problem.reason) from None
