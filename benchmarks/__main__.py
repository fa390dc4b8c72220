"""`python -m benchmarks`, which is what `make bench` runs: all benchmarks, one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from benchmarks import group_by, matching, paillier, tree
from benchmarks.cases import Case
from benchmarks.results import TABLE_WIDTH, Results, Row, cells_of
from benchmarks.settings import FULL, QUICK, Settings, parse_sizes

GROUPS: Final = ("paillier", "group_by", "matching", "tree")
RESULTS: Final = Path(__file__).parent / "results"
EXIT_INTERRUPTED: Final = 130


def main(
    quick: Annotated[bool, typer.Option(help="Smaller tasks: done within 3 minutes.")] = False,
    only: Annotated[str, typer.Option(help=f"Some groups: {', '.join(GROUPS)}.")] = "",
    sizes: Annotated[str, typer.Option(help="Identifiers per list, such as 10k,1M.")] = "",
    full_peers: Annotated[bool, typer.Option(help="Run openmined-psi at every size.")] = False,
    into: Annotated[Path, typer.Option(help="Where the JSON goes.")] = RESULTS,
) -> None:
    """Time Silhouette against phe, openmined-psi and SecretFlow's HEU, and write a table and JSON."""
    settings = QUICK if quick else FULL
    try:
        if sizes:
            settings = replace(settings, match_sizes=parse_sizes(sizes))
    except ValueError as problem:
        raise typer.BadParameter(str(problem), param_hint="--sizes") from None
    if full_peers:
        settings = replace(settings, peer_match_limit=max(settings.match_sizes))
    wanted = [name.strip() for name in only.split(",") if name.strip()] or list(GROUPS)
    if unknown := sorted(set(wanted) - set(GROUPS)):
        raise typer.BadParameter(f"not a group: {', '.join(unknown)}", param_hint="--only")
    cases = [case for case in all_cases(settings) if case.group in wanted]
    console, results = console_of(), Results(into)
    interrupted = run(cases, settings, results, console)
    console.print(results.table(title_of(settings)))
    if interrupted:
        console.print("Interrupted: the rows above are written, the rest was not measured.", style="yellow")
    elif is_complete(settings) and not only:
        results.write_version()
    console.print(f"Written to {results.folder}: latest.json, machine.json")
    for row in results.broken():
        console.print(f"Below what must be reached: {row.name} against {row.peer_name}", style="red")
    if interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)


def is_complete(settings: Settings) -> bool:
    """Whether a run of all groups is one to keep: everything at full size, or more."""
    as_usual = replace(settings, match_sizes=FULL.match_sizes, peer_match_limit=FULL.peer_match_limit)
    return as_usual == FULL and set(settings.match_sizes) >= set(FULL.match_sizes)


def console_of() -> Console:
    """The terminal, or what a log can hold."""
    console = Console()
    return console if console.is_terminal else Console(width=TABLE_WIDTH)


def all_cases(settings: Settings) -> tuple[Case, ...]:
    """In the order of `GROUPS`."""
    return (*paillier.CASES, *group_by.CASES, *matching.cases(settings), *tree.CASES)


def title_of(settings: Settings) -> str:
    """What all numbers of the table have in common."""
    return (
        f"CPU time of this process in microseconds (us), minimum of {settings.repetitions} turns (long tasks: 1), "
        f"ours and peers in turn, no parallel work, {settings.key_bits} bit; a ratio above 1 means ours is faster"
    )


def run(cases: Sequence[Case], settings: Settings, results: Results, console: Console) -> bool:
    """Run all cases, writing the rows of each; returns whether Ctrl-C came first."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("", total=len(cases))
        try:
            for case in cases:
                progress.update(task, description=case.name)
                rows = case.run(settings)
                results.add(rows)
                for row in rows:
                    progress.console.print(summary(row), highlight=False, markup=False)
                progress.advance(task)
        except KeyboardInterrupt:
            return True
    return False


def summary(row: Row) -> str:
    """One row as soon as it is known."""
    name, unit, ours, peer, peer_name, ratio, _, _ = cells_of(row, [])
    beside = f", {peer_name} {peer} {ratio}" if peer_name else ""
    return f"{name}: {ours} {unit}{beside}"


if __name__ == "__main__":
    typer.run(main)
