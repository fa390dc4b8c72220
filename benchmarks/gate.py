"""`make bench-gate`: what the gate costs a data holder, part by part, beside the job that it lets through.

A million rows of 50 columns and three million words of consent lie in Parquet files. The gate is the product's own
(`clients.gate.gate.Gate`): it decides by the policy, imports consents, leaves rows out, looks at every column, makes
values coarser, takes a snapshot and logs. Each phase runs in a fresh process on one core; CPU time and peak memory are
counted. The job beside it is the keyed matching and one joint tree on the values that the gate has let through, all
roles in one process. What a real job does besides (sealing, the network, more trees) makes the gate's share smaller.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any, Final
from unittest.mock import patch

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.gate_scene import LABEL_HOLDER, OWN, job_of, make_node, table_of, write_files
from benchmarks.gate_training import train
from benchmarks.results import machine_facts, rounded, write_json
from benchmarks.settings import size_name

RESULTS: Final = Path(__file__).parent / "results" / "gate.json"
SESSION: Final = "bench"
TREES: Final = 20
"""The default of a job file."""
GIGABYTE: Final = 10**9

DECISION: Final = "policy decision"
PARTS: Final = (
    DECISION,
    "check of the file",
    "consent file, unchanged",
    "tokens of the subjects",
    "words of the subjects",
    "other rules for rows",
    "scan of the values",
    "minimisation",
    "commitments",
    "snapshot tree",
    "audit events",
)


@dataclass(slots=True)
class Stopwatch:
    """CPU seconds of parts that may lie in one another: each counts what is not another's."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _running: list[str] = field(default_factory=list)
    _since: float = 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._turn()
        self._running.append(name)
        try:
            yield
        finally:
            self._turn()
            self._running.pop()

    def _turn(self) -> None:
        now = time.process_time()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return call(*arguments, **named)

        return timed


@contextmanager
def watched(watch: Stopwatch) -> Iterator[None]:
    """The parts of the gate, each timed where it is called."""
    from clients.consents.store import ConsentStore
    from clients.gate import gate
    from clients.gate.table import TableRules
    from federation.audit_log import AuditLog
    from privacy.snapshots import Snapshot

    calls: list[tuple[Any, str, str]] = [
        (gate, "check_file", "check of the file"),
        (gate, "bring_in", "consent file, unchanged"),
        (ConsentStore, "tokens", "tokens of the subjects"),
        (ConsentStore, "answers", "words of the subjects"),
        (ConsentStore, "restricted", "words of the subjects"),
        (TableRules, "exclude", "other rules for rows"),
        (TableRules, "inspect", "scan of the values"),
        (TableRules, "minimise", "minimisation"),
        (ConsentStore, "commitments", "commitments"),
        (Snapshot, "of", "snapshot tree"),
        (AuditLog, "append", "audit events"),
    ]
    with ExitStack() as patches:
        for owner, name, part in calls:
            patches.enter_context(patch.object(owner, name, watch.wrapped(part, getattr(owner, name))))
        yield


def main(
    rows: Annotated[
        int, typer.Option(min=1000, help="Rows, and subjects with three words each.")
    ] = 1_000_000,
    fields: Annotated[int, typer.Option(min=1, help="Numeric columns.")] = 50,
    train_rows: Annotated[
        int, typer.Option(min=1000, help="Rows of the job beside it, at most.")
    ] = 1_000_000,
    folder: Annotated[Path, typer.Option(help="For tables and the node's home.")] = Path("runs/bench-gate"),
    into: Annotated[Path, typer.Option("--json", help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Measure the gate beside the job that it lets through; show every part, and the gate's share."""
    console = Console()
    place = folder / f"{size_name(rows)}x{fields}"
    rmtree(place, ignore_errors=True)
    with console.status("Writing the tables") as shown:
        alone(write_files, place, rows, fields)
        alone(make_home, place, fields)
        found: dict[str, Any] = {"rows": rows, "fields": fields}
        for name, phase in (("import", import_words), ("load", load_plainly), ("gate", pass_gate)):
            shown.update(f"Measuring: {name}")
            found[name] = alone(phase, place, fields)
        shown.update("Measuring: job")
        found["job"] = alone(train, place / "minimised.npy", min(rows, train_rows))
    report(found, console)
    write_json(into, found | {"machine": machine_facts()})
    console.print(f"Written to {into}")


def alone(phase: Callable[..., Any], *arguments: Any) -> Any:
    """The phase's result, from a fresh process on one core, with its peak memory."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _take_one_core) as process:
        return process.submit(_with_peak, phase, *arguments).result()


def _take_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _with_peak(phase: Callable[..., Any], *arguments: Any) -> Any:
    started = time.perf_counter()
    found = phase(*arguments)
    if isinstance(found, dict):
        found["elapsed_seconds"] = round(time.perf_counter() - started, 3)
        found["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return found


def make_home(folder: Path, fields: int) -> None:
    make_node(folder, fields)


def import_words(folder: Path, fields: int) -> dict[str, Any]:
    """The consent file into the store, which happens once per file."""
    from clients.consents.node import bring_in
    from clients.home import NodeHome

    home = NodeHome.open(folder / OWN)
    watch = Stopwatch()
    with watch.part("import"):
        words = bring_in(home).words
    return {"seconds": watch.seconds["import"], "words": words}


def load_plainly(folder: Path, fields: int) -> dict[str, Any]:
    """The same table without any rules, as `silhouette-node validate` would look at it."""
    from clients.tables.files import read_columns
    from clients.tables.loading import load

    spec, watch = table_of(folder, fields), Stopwatch()
    read_columns(spec.path, None, limit=1)  # what is imported on the way is nobody's cost
    with watch.part("load"):
        table = load(spec, "any", [item.name for item in spec.fields], with_label=False)
    return {"seconds": watch.seconds["load"], "rows": len(table)}


def pass_gate(folder: Path, fields: int) -> dict[str, Any]:
    """A job's way through the gate; then a look before a message, and one withdrawal while the job runs."""
    from clients.consents.node import changes_of
    from clients.consents.tables import Source
    from clients.gate.gate import Gate
    from clients.home import NodeHome
    from clients.tables.files import read_columns

    home, job = NodeHome.open(folder / OWN), job_of(fields)
    read_columns(home.settings.table.path, None, limit=1)
    watch, whole = Stopwatch(), time.process_time()
    with watched(watch):
        with watch.part(DECISION):
            gate = Gate(home, job, SESSION)
        table = gate.load(job.plan_of(OWN).risk_fields, with_label=False)
    total = time.process_time() - whole
    np.save(folder / "minimised.npy", table.values)
    looks, looking = 100, Stopwatch()
    with looking.part("look"):
        for _ in range(looks):
            gate.check()
            gate.look()
    changes = changes_of(home, Source.CLI)
    phone = table.own_identifiers[0].decode()
    changes.withdraw(changes.identifiers([phone]))
    with looking.part("withdrawal"):
        if not gate.look():
            raise RuntimeError("the withdrawal was not noticed")
    return {
        "parts": {name: watch.seconds[name] for name in PARTS},
        "seconds": sum(watch.seconds.values()),
        "with_loading_seconds": total,
        "eligible": len(table),
        "look_seconds": looking.seconds["look"] / looks,
        "withdrawal_seconds": looking.seconds["withdrawal"],
    }


def report(found: dict[str, Any], console: Console) -> None:
    """The table, then the gate's share of a whole job."""
    rows, gate, job = found["rows"], found["gate"], found["job"]
    table = Table(title=f"{size_name(rows)} rows x {found['fields']} columns, one core, CPU time")
    table.add_column("part")
    for column in ("seconds", "us per row", "peak GB"):
        table.add_column(column, justify="right")

    def line(name: str, seconds: float, per: int = rows, peak: int | None = None, style: str = "") -> None:
        memory = "" if peak is None else f"{peak / GIGABYTE:.2f}"
        table.add_row(name, f"{seconds:.3f}", f"{seconds / per * 1e6:.3f}", memory, style=style)

    for name in PARTS:
        line(name, gate["parts"][name])
    line("gate in all", gate["seconds"], peak=gate["peak_bytes"], style="bold")
    table.add_section()
    line("loading the table without rules", found["load"]["seconds"], peak=found["load"]["peak_bytes"])
    line("loading it through the gate", gate["with_loading_seconds"])
    line("consent file, once per file", found["import"]["seconds"], peak=found["import"]["peak_bytes"])
    line("one withdrawal while the job runs", gate["withdrawal_seconds"])
    table.add_section()
    line(f"keyed matching, {LABEL_HOLDER} and {OWN}", job["matching_seconds"], job["rows"])
    line("one joint tree of depth 3", job["tree_seconds"], job["rows"], job["peak_bytes"])
    console.print(table)
    console.print(f"A look before a message: {gate['look_seconds'] * 1000:.2f} ms", highlight=False)
    scale = gate["eligible"] / job["rows"]
    if scale > 1:
        console.print(
            f"The job was run on {job['rows']:,} rows; its seconds are taken times {scale:.2f} below."
        )
    found["shares"] = {}
    for trees in (1, TREES):
        training = scale * (job["matching_seconds"] + trees * job["tree_seconds"])
        share, first = (
            cost / (cost + training)
            for cost in (gate["seconds"], gate["seconds"] + found["import"]["seconds"])
        )
        found["shares"][str(trees)] = {"gate": rounded(share), "gate_and_import": rounded(first)}
        how = "measured" if trees == 1 and scale == 1 else "extrapolated"
        text = f"gate / (gate + job of {trees} trees, {how}): {share:.2%}"
        console.print(f"{text}; with the consent file read for the first time: {first:.2%}", highlight=False)


if __name__ == "__main__":
    typer.run(main)
