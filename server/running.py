"""Running jobs from the command line: at a serving coordinator, or in a rehearsal that is started on this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from federation.children import program
from federation.jobfile import JobFile, read_job_file
from federation.jobs import Job
from privacy.errors import ConfigInvalid
from privacy.texts import current_language, text
from server.again import job_again
from server.display import Display
from server.home import CoordinatorHome
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation
from server.records import Outcome
from server.report import build_report, print_report, write_report

SIZES: Final = {"3k": 3_000, "24k": 24_000, "60k": 60_000}
MINIMUM_PEOPLE: Final = 300
FAILED_IN_LOG: Final = "session failed"
"""How a node's log marks the error that ended a session (`clients.worker`)."""

Stay = Callable[[LocalFederation, Console], None]
"""What is done with a rehearsal whose job is done, before everything of it ends."""


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


def run_demo(size: str, into: Path, console: Console, stay: Stay | None = None) -> int:
    """The whole product on synthetic customers; returns the exit status. stay: afterwards, if the job is done."""
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
    return _rehearse(read_job_file(file), file, federation, into, started, console, stay)


def _rehearse(
    job_file: JobFile,
    source: Path,
    federation: Path,
    folder: Path,
    started: float,
    console: Console,
    stay: Stay | None = None,
) -> int:
    """Run a job on this machine, with a coordinator and nodes of its own."""
    is_shown = stay is not None
    local = LocalFederation(federation, job_file, source, with_desks=is_shown, with_console=is_shown)
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
        status = _conclude(job_file.job, outcome, compare, started, folder, console)
        if stay is not None and status == 0:
            stay(local, console)
    finally:
        local.stop()
    return status


def _print_failures(local: LocalFederation, job_file: JobFile, console: Console) -> None:
    """What each party's own log says: in a rehearsal its reader is the one who asks."""
    for entry in job_file.party:
        failures = [line for line in local.log_of(entry.name).splitlines() if FAILED_IN_LOG in line]
        if failures:
            console.print(text("server.party_log", party=entry.name))
            console.print(escape("\n".join(failures)), soft_wrap=True)


def _submit(home: CoordinatorHome, job: Job, console: Console) -> tuple[Outcome, str]:
    """Propose a job and follow it to its end; Ctrl-C takes it back. Returns how it ended, and in which session."""
    submitted = SubmittedJob(home, job)
    try:
        console.print(text("submitting.proposed", number=submitted.number), soft_wrap=True)
        with Display(console) as display:
            outcome = submitted.follow(display.show)
    except KeyboardInterrupt:
        console.print(text("submitting.stopping", number=submitted.number))
        submitted.interrupt()
        raise
    return outcome, submitted.session


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
