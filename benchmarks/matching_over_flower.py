"""`make bench-match ROWS=1000000 MODE=keyed`: a job that only matches, two parties, over real Flower.

Two Parquet tables of phone numbers that begin with 12 and so belong to nobody. Half of each is in the other; a few
are spelled in other ways, broken or repeated, as real ones are. The overlap that the job reports must be exact.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console

from benchmarks.cases import SEED
from benchmarks.matching import Integers, draw_phones
from benchmarks.over_flower import run_job, show
from benchmarks.settings import size_name

PREFIX: Final = "12"
PARTIES: Final = (("bank", "label_holder"), ("shop", "feature_holder"))
SPELLED_OTHERWISE: Final = 0.03
BROKEN: Final = 0.002
REPEATED: Final = 0.001
STEP_SECONDS: Final = 4 * 3600.0
"""Nothing is stuck before: ten million identifiers on one core take long in one step."""

_WIDE: Final = str.maketrans("0123456789", "０１２３４５６７８９")
SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda phone: f"+86{phone}",
    lambda phone: f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}",
    lambda phone: f"{phone[:3]}-{phone[3:7]}-{phone[7:]}",
    lambda phone: phone.translate(_WIDE),
)


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Rows per party.")] = 1_000_000,
    mode: Annotated[str, typer.Option(help="keyed, ecdh or oprf.")] = "keyed",
    folder: Annotated[Path, typer.Option(help="For tables and report.")] = Path("runs/bench-match"),
) -> None:
    """Match two large tables over real Flower; show seconds, bytes and peak memory per party."""
    console = Console()
    place = folder / f"{mode}-{size_name(rows)}"
    with console.status("Writing the tables"):
        expected = write_tables(rows, place)
    report = run_job(job_of(mode), place)
    show(f"Matching {mode}, {size_name(rows)} x {size_name(rows)}", report, console)
    matched = report["match"]["matched"]
    console.print(f"Matched {matched:,} of {expected:,} that both parties have.", highlight=False)
    if matched != expected:
        raise typer.Exit(1)


def write_tables(rows: int, folder: Path) -> int:
    """One Parquet file per party; returns how many usable identifiers they share."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    usable = []
    for (party, _), numbers in zip(PARTIES, draw_phones(rows), strict=True):
        broken = rng.random(rows) < BROKEN
        pq.write_table(pa.table({"phone": dirty(numbers, broken, rng)}), folder / f"{party}.parquet")
        usable.append(numbers[~broken])
    own, other = usable
    return len(np.intersect1d(own, other, assume_unique=True))


def dirty(numbers: Integers, broken: np.ndarray[Any, Any], rng: np.random.Generator) -> list[str]:
    """The numbers as a table holds them, in order; some rows come twice."""
    texts: list[str] = numbers.astype("U11").tolist()
    for place in np.flatnonzero(rng.random(len(texts)) < SPELLED_OTHERWISE).tolist():
        texts[place] = SPELLINGS[place % len(SPELLINGS)](texts[place])
    for place in np.flatnonzero(broken).tolist():
        texts[place] = texts[place][:-1]
    repeated = rng.choice(len(texts), int(len(texts) * REPEATED), replace=False).tolist()
    return texts + [texts[place] for place in repeated]


def job_of(mode: str) -> dict[str, Any]:
    """The job file's content."""
    return {
        "name": "bench-match",
        "purpose": "credit_benchmark",
        "match": {"mode": mode},
        "deadlines": {"step": STEP_SECONDS},
        "party": [
            {
                "name": name,
                "role": role,
                "table": {
                    "path": f"{name}.parquet",
                    "id_column": "phone",
                    "id_kind": "phone",
                    "extra_prefixes": [PREFIX],
                },
            }
            for name, role in PARTIES
        ],
    }


if __name__ == "__main__":
    typer.run(main)
