"""Running jobs: at a serving coordinator, or in a rehearsal with everything started on this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from federation.children import program
from federation.jobfile import JobFile, read_job_file
from federation.jobs import Job
from privacy.errors import ConfigInvalid, PeerFailed
from privacy.texts import catalogue, current_language, text
from server.again import job_again
from server.attempts import Attempt
from server.flower import FlowerControl
from server.home import CoordinatorHome
from server.local import LocalFederation
from server.records import Outcome
from server.report import build_report, print_report, write_report

POLL_SECONDS: Final = 0.2

SIZES: Final = {"3k": 3_000, "24k": 24_000, "60k": 60_000}
MINIMUM_PEOPLE: Final = 300
FAILED_IN_LOG: Final = "session failed"
"""How a node's log marks the error that ended a session (`clients.worker`)."""

OnEvent = Callable[[dict[str, Any]], None]


class SubmittedJob:
    """One job that a coordinator runs at once, without asking at the desks."""

    def __init__(self, home: CoordinatorHome, job: Job) -> None:
        self._attempt = Attempt.start(home, job, FlowerControl(home))
        self.record = self._attempt.record

    def follow(self, on_event: OnEvent) -> Outcome:
        """Report events as they come, until the job has ended."""
        seen = 0
        while True:
            for event in self.record.events(after=seen):
                seen += 1
                on_event(event)
            outcome = self._attempt.look()
            if outcome is not None:
                return outcome
            time.sleep(POLL_SECONDS)

    def interrupt(self) -> None:
        """Stop the run, and say so in the record."""
        self._attempt.interrupt(PeerFailed("job_interrupted"))


class Display:
    """Progress bars: one per stage, moved by the slowest party's notes."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> Display:
        self._progress.start()
        self._task = self._progress.add_task(text("server.waiting"), total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Show one event of the job."""
        if self._task is None:
            return
        match event["event"]:
            case "joined":
                self._progress.console.print(text("server.joined", party=event["party"]))
            case "stage_started":
                self._finish()
                name = text(f"server.stage.{event['stage']}")
                self._stage = f"{event['number']}/{event['of']} {name}"
                self._task = self._progress.add_task(self._stage, total=None)
            case "progress" if event["total"]:
                step = catalogue(current_language()).get(f"steps.{event['step']}")
                description = f"{self._stage}: {step}" if step else self._stage
                self._progress.update(
                    self._task, description=description, completed=event["done"], total=event["total"]
                )
            case "stage_finished" | "job_done" | "job_failed":
                self._finish()

    def _finish(self) -> None:
        if self._task is not None:
            task = next(task for task in self._progress.tasks if task.id == self._task)
            self._progress.update(self._task, completed=task.total or 1, total=task.total or 1)
            self._progress.stop_task(self._task)


def run_job(file: Path, home: Path | None, into: Path | None, console: Console) -> int:
    """Run a job file to its report; returns the exit status."""
    job_file = read_job_file(file)
    started = time.monotonic()
    moment = time.strftime("%Y%m%d-%H%M%S")
    folder = into or Path("runs") / job_file.name / moment
    if home is not None:
        outcome, _ = _submit(CoordinatorHome.open(home), job_file.job, console)
        return _conclude(job_file.job, outcome, None, started, folder, console)
    return _rehearse(job_file, file, folder / f"federation-{moment}", folder, started, console)


def run_again(session: str, home: Path, into: Path | None, console: Console) -> int:
    """Train an earlier job's models again, of the rows that everybody still has; returns the exit status."""
    started, coordinator = time.monotonic(), CoordinatorHome.open(home)
    job = job_again(coordinator, session)
    outcome, _ = _submit(coordinator, job, console)
    folder = into or Path("runs") / job.name / time.strftime("%Y%m%d-%H%M%S")
    return _conclude(job, outcome, None, started, folder, console)


def run_demo(size: str, into: Path, console: Console) -> int:
    """The whole product on synthetic customers; returns the exit status."""
    people = SIZES.get(size) or (int(size) if size.isdecimal() else 0)
    if people < MINIMUM_PEOPLE:
        raise ConfigInvalid("size_unknown")
    started = time.monotonic()
    into.mkdir(parents=True, exist_ok=True)
    world, federation = into / "world", into / "federation"
    for leftover in (world, federation):
        shutil.rmtree(leftover, ignore_errors=True)
    with console.status(text("server.making_world")):
        command = (program("silhouette-node"), "sample", "world", str(world), "--people", str(people))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    file = world / "job.toml"
    return _rehearse(read_job_file(file), file, federation, into, started, console)


def _rehearse(
    job_file: JobFile, source: Path, federation: Path, folder: Path, started: float, console: Console
) -> int:
    """Run a job on this machine, with a coordinator and nodes of its own."""
    local = LocalFederation(federation, job_file, source)
    with console.status(text("server.starting", count=len(job_file.party))):
        local.start()
    try:
        outcome, session = _submit(local.coordinator, job_file.job, console)
        compare = None
        if outcome.status == "done":
            with console.status(text("server.comparing")):
                compare = local.compare(session)
        else:
            _print_failures(local, job_file, console)
    finally:
        local.stop()
    return _conclude(job_file.job, outcome, compare, started, folder, console)


def _print_failures(local: LocalFederation, job_file: JobFile, console: Console) -> None:
    """What each party's own log says: in a rehearsal its reader is the one who asks."""
    for entry in job_file.party:
        failures = [line for line in local.log_of(entry.name).splitlines() if FAILED_IN_LOG in line]
        if failures:
            console.print(text("server.party_log", party=entry.name))
            console.print(escape("\n".join(failures)), soft_wrap=True)


def _submit(home: CoordinatorHome, job: Job, console: Console) -> tuple[Outcome, str]:
    submitted = SubmittedJob(home, job)
    session = ""

    def show(event: dict[str, Any]) -> None:
        nonlocal session
        session = event.get("session", session)
        display.show(event)

    with Display(console) as display:
        try:
            outcome = submitted.follow(show)
        except KeyboardInterrupt:
            submitted.interrupt()
            raise
    return outcome, session


def _conclude(
    job: Job, outcome: Outcome, compare: dict[str, Any] | None, started: float, folder: Path, console: Console
) -> int:
    """Write and print the report of a job that is done, or say why it failed."""
    if outcome.status != "done":
        console.print(
            f"[red]{text('server.failed')}[/red] {escape(outcome.texts[current_language()])}", soft_wrap=True
        )
        return 1
    seconds = {"total": round(time.monotonic() - started, 1)}
    report = build_report(job, outcome.result, compare, seconds)
    folder.mkdir(parents=True, exist_ok=True)
    _, page = write_report(report, folder)
    print_report(report, console)
    console.print(text("server.report_written", page=page))
    return 0
