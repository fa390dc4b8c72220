"""`make bench-risk`: scorecard and boosting on the public credit data over real Flower, beside pooled models.

Every model trains on 70 % of the clients and is judged on the other 30 %. The pooled scorecard is scikit-learn's
logistic regression on the weights of evidence of the same bins, the pooled trees are its `HistGradientBoosting` on the
same bins; whether joint trees are as good as those, many splits tell (`benchmarks.boosting_splits`), so here they must
be the trees of the plaintext twin. Writes `benchmarks/results/risk.json`. The data is not part of the repository: see
examples/default_credit/README.md and examples/uci_credit_card/README.md.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.over_flower import MEGABYTE, run_job
from benchmarks.results import write_json

EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"
CREDIT, NAMED = EXAMPLES / "default_credit", EXAMPLES / "uci_credit_card"
RESULTS: Final = Path(__file__).parent / "results" / "risk.json"

Plans = Mapping[str, Mapping[str, Any]]

MODELS: Final[Mapping[str, tuple[Path, Plans]]] = {
    "scorecard": (CREDIT / "scorecard.toml", {"scorecard": {}}),
    "boosting_20x5": (CREDIT / "job.toml", {"risk": {"trees": 20, "depth": 5, "learning_rate": 0.3}}),
    "boosting_50x5": (CREDIT / "job.toml", {"risk": {"trees": 50, "depth": 5, "learning_rate": 0.1}}),
    "boosting_64x6": (CREDIT / "job.toml", {"risk": {"trees": 64, "depth": 6, "learning_rate": 0.3}}),
    "uci_by_name": (NAMED / "job.toml", {"scorecard": {}, "risk": {}}),
}
AUC_MAY_DIFFER, KS_MAY_DIFFER = 0.002, 0.005
"""A joint scorecard is as good as a pooled one within these."""


def main(
    data: Annotated[
        Path | None, typer.Option(help="Folder of all CSV files, where they are not in the examples'.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="For job files and reports.")] = Path("runs/bench-risk"),
    only: Annotated[str, typer.Option(help="Some of the models, separated by commas.")] = "",
) -> None:
    """Train every model over real Flower; show and write what it is worth, what it took and what crossed."""
    console = Console()
    chosen = only.split(",") if only else list(MODELS)
    unknown = sorted(set(chosen) - set(MODELS))
    if unknown:
        console.print(f"No such model: {', '.join(unknown)}. There are {', '.join(MODELS)}.", style="red")
        raise typer.Exit(1)
    before: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if only and RESULTS.exists() else {}
    found: dict[str, Any] = {}
    for name in chosen:
        job = job_of(*MODELS[name], data)
        missing = [
            entry["table"]["path"] for entry in job["party"] if not Path(entry["table"]["path"]).exists()
        ]
        if missing:
            console.print(f"No such file: {', '.join(missing)}. See the README.md in examples.", style="red")
            raise typer.Exit(1)
        report = run_job(job, folder / name)
        kinds = [kind for kind in ("scorecard", "risk") if report[kind]]
        for kind in kinds:
            found[name if len(kinds) == 1 else f"{name}_{kind}"] = figures(report, kind)
        write_json(RESULTS, before | found)
    show(found, console)
    if not all(holds(name, row) for name, row in found.items()):
        raise typer.Exit(1)


def job_of(example: Path, plans: Plans, data: Path | None = None) -> dict[str, Any]:
    """An example's job file with changed plans, its tables in `data` (default: where the example has them)."""
    job = tomllib.loads(example.read_text("utf-8"))
    for name, changes in plans.items():
        job[name] = job[name] | changes
    for entry in job["party"]:
        path = example.parent / entry["table"]["path"]
        entry["table"]["path"] = str(path if data is None else data.resolve() / path.name)
        entry["policy"] = str(example.parent / entry["policy"])
    return job


def figures(report: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """One model's row of the result."""
    model = report[kind]
    return {
        "auc": model["auc"]["joint"],
        "ks": model["ks"]["joint"],
        "twin_auc": model["auc"]["pooled"],
        "pooled_auc": model["auc"]["pooled_sklearn"],
        "pooled_ks": model["ks"]["pooled_sklearn"],
        "alone_auc": model["auc"]["bank_only"],
        "alone_ks": model["ks"]["bank_only"],
        "seconds": report["seconds"]["total"],
        "stages": report["seconds"],
        "bytes": sum(report["bytes"]["sent"].values()),
        "peak_memory_bytes": report["peak_memory_bytes"],
    }


def holds(name: str, row: Mapping[str, Any]) -> bool:
    """Whether a scorecard is as good as the pooled one, and trees are those of the plaintext twin."""
    if "scorecard" not in name:
        return bool(row["auc"] == row["twin_auc"])
    is_near = row["auc"] >= row["pooled_auc"] - AUC_MAY_DIFFER
    return bool(is_near and row["ks"] >= row["pooled_ks"] - KS_MAY_DIFFER)


def show(found: Mapping[str, Mapping[str, Any]], console: Console) -> None:
    """A line per model; quality as joint, pooled and the label holder's alone."""
    table = Table()
    table.add_column("model", no_wrap=True)
    for column in ("AUC", "KS", "s", "MB", "peak MB", "as good"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in found.items():
        table.add_row(
            name,
            *(
                " ".join(f"{row[f'{kind}{measure}']:.4f}" for kind in ("", "pooled_", "alone_"))
                for measure in ("auc", "ks")
            ),
            f"{row['seconds']:.0f}",
            f"{row['bytes'] / MEGABYTE:.0f}",
            f"{max(row['peak_memory_bytes'].values(), default=0) / MEGABYTE:.0f}",
            "yes" if holds(name, row) else "NO",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
