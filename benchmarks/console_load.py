"""`make bench-console`: the coordinator's console under a hundred users, on SQLite and on PostgreSQL.

A real `silhouette console` over a home of 200 jobs; a hundred users read the interface for programs and the first page,
ten more watch a running job, on loopback. Each user has an address of its own (127.0.1.x, which Linux takes without
asking), so that all limits stay as they are: an answer that says "too many" is an error. Must reach: no error, and 95
of 100 reads within 150 ms, with a second between a user's reads; then as fast as they can: the largest rate.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import psutil  # type: ignore[import-untyped]
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.console_crowd import ROUTES, USERS, WATCHERS, Seen, crowd
from benchmarks.console_databases import DATABASES, opened
from benchmarks.console_home import Filled, fill
from federation.children import free_port, is_open, program
from server.db.engine import URL_VARIABLE

MUST_REACH_MILLISECONDS: Final = 150.0
THINK_SECONDS: Final = 1.0
HASTE_SECONDS: Final = 20.0
"""How long without thinking: so short that nobody meets the limit per caller."""
START_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Stage:
    """How a stage went. cores: of the server, busy on average; megabytes: its memory; ours: the readers' own cores."""

    seconds: float
    cores: float
    ours: float
    megabytes: float


def main(
    seconds: Annotated[float, typer.Option(min=2, help="With a second between a user's reads.")] = 60,
    only: Annotated[str, typer.Option(help="One of the databases.")] = "",
) -> None:
    """Show errors, times by route, rate, processor and memory; exit with 1 when the goal is missed."""
    console, holds = Console(), True
    console.print(f"load before: {', '.join(f'{value:.1f}' for value in os.getloadavg())}", highlight=False)
    for name in (only,) if only else DATABASES:
        with tempfile.TemporaryDirectory() as folder, opened(name) as url:
            if url:
                os.environ[URL_VARIABLE] = url
            holds &= bench(name, Path(folder), seconds, console)
            os.environ.pop(URL_VARIABLE, None)
    if not holds:
        raise typer.Exit(1)


def bench(name: str, folder: Path, seconds: float, console: Console) -> bool:
    """One database: whether it reaches the goal."""
    filled = fill(folder / "coordinator", USERS + WATCHERS)
    console.print(
        f"{name}: {len(filled.done) + 1} jobs run, {filled.events:,} events, {len(filled.users)} users",
        style="bold",
        highlight=False,
    )
    with serving(folder / "coordinator") as (server, url):
        calm, calm_stage = stage(filled, server, url, seconds, THINK_SECONDS)
        haste, haste_stage = stage(filled, server, url, min(seconds, HASTE_SECONDS), 0.0)
    show("a second between reads", calm, calm_stage, console)
    show("without a pause", haste, haste_stage, console)
    slow = percentile(all_of(calm), 95)
    holds = not calm.errors and not haste.errors and slow < MUST_REACH_MILLISECONDS
    console.print(
        f"no error, and 95 of 100 reads under {MUST_REACH_MILLISECONDS:.0f} ms: {'yes' if holds else 'NO'}",
        style="green" if holds else "red",
        highlight=False,
    )
    return holds


@contextlib.contextmanager
def serving(home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """The console's process, and its address."""
    port = free_port()
    command = (program("silhouette"), "console", "--home", str(home), "--port", str(port))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        give_up = time.monotonic() + START_SECONDS
        while not is_open(port):
            if process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError("the console does not start")
            time.sleep(0.1)
        yield psutil.Process(process.pid), f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def stage(
    filled: Filled, server: psutil.Process, url: str, seconds: float, think: float
) -> tuple[Seen, Stage]:
    """Let everybody read for so long. think: seconds between a user's reads."""
    seen, own = Seen(), psutil.Process()
    before, own_before, started = busy(server), busy(own), time.monotonic()
    asyncio.run(crowd(filled, url, seconds, think, seen))
    lasted = time.monotonic() - started
    cores, ours = (busy(server) - before) / lasted, (busy(own) - own_before) / lasted
    return seen, Stage(lasted, cores, ours, server.memory_info().rss / 1e6)


def busy(process: psutil.Process) -> float:
    """CPU seconds of a process so far, all its threads together."""
    times = process.cpu_times()
    return float(times.user + times.system)


def all_of(seen: Seen) -> list[float]:
    """The times of all routes."""
    return [one for times in seen.times.values() for one in times]


def percentile(times: list[float], share: int) -> float:
    """Milliseconds."""
    return float(np.percentile(times, share)) * 1000 if times else float("inf")


def show(title: str, seen: Seen, how: Stage, console: Console) -> None:
    """One stage."""
    table = Table(title, "reads", "p50, ms", "p95, ms", "p99, ms")
    rows = {**{route: seen.times[route] for route in ROUTES}, "all reads": all_of(seen)}
    for name, times in {**rows, "an event to a watcher": seen.lags}.items():
        table.add_row(name, f"{len(times):,}", *(f"{percentile(times, share):.0f}" for share in (50, 95, 99)))
    console.print(table)
    rate = len(all_of(seen)) / how.seconds
    console.print(
        f"{rate:.0f} reads a second; the console took {how.cores:.2f} cores and {how.megabytes:.0f} MB, "
        f"the readers {how.ours:.2f} cores; errors: {dict(seen.errors) or 'none'}",
        highlight=False,
    )


if __name__ == "__main__":
    typer.run(main)
