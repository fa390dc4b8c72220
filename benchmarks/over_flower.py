"""Running a job file as a user would, with `silhouette run`: real processes and real Flower on this machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import tomli_w
import typer
from rich.console import Console
from rich.table import Table

from federation.children import program

MEGABYTE = 10**6


def run_job(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a job whose tables are in `folder` (which gets the job file and the report); returns its report.json."""
    folder.mkdir(parents=True, exist_ok=True)
    file, into = folder / "job.toml", folder / "report"
    file.write_text(tomli_w.dumps(job), "utf-8")
    done = subprocess.run((program("silhouette"), "run", str(file), "--into", str(into)), check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
    report: dict[str, Any] = json.loads((into / "report.json").read_text("utf-8"))
    return report


def show(title: str, report: dict[str, Any], console: Console) -> None:
    """Seconds per stage, then what each party sent, received and held in memory."""
    console.print(title, style="bold", highlight=False)
    stages = Table()
    stages.add_column("stage")
    stages.add_column("seconds", justify="right")
    for stage, seconds in report["seconds"].items():
        stages.add_row(stage, f"{seconds:,.1f}")
    console.print(stages)
    parties = Table()
    parties.add_column("party")
    for column in ("seconds", "sent MB", "received MB", "peak memory MB"):
        parties.add_column(column, justify="right")
    peaks = report.get("peak_memory_bytes") or {}
    for party, sent in report["bytes"]["sent"].items():
        seconds = [stage.get(party) or 0 for stage in report["seconds_by_party"].values()]
        parties.add_row(
            party,
            f"{sum(seconds):,.1f}",
            f"{sent / MEGABYTE:,.1f}",
            f"{report['bytes']['received'][party] / MEGABYTE:,.1f}",
            f"{peaks[party] / MEGABYTE:,.0f}" if peaks.get(party) else "-",
        )
    console.print(parties)
