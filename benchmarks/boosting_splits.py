"""`python -m benchmarks.boosting_splits`: our trees beside scikit-learn's over many splits of the public credit data.

A job's joint trees are the trees of the plaintext twin, node for node (`largest_score_difference` of a report), so the
twin stands for them here, and no protocol runs. Two kinds of trees that are equally good still differ by some
thousandths of AUC on one split of 9,000 held-out rows: only the mean over splits tells whether one is worse. It knows
neither `first_tree_local` nor that bins of fewer than k_min rows are merged, which the twin does as every job must.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.console import Console
from sklearn.model_selection import train_test_split

from benchmarks.shards import EXAMPLE, FILES, Pooled, default_credit
from clients.compare import histogram_boosting
from clients.plans import boosting_options
from federation import metrics
from federation.binning import fit_bins
from federation.boosting_options import BoostingOptions
from federation.jobfile import read_job_file
from federation.trees import fit_trees

SPLITS: Final = 10
TEST_SHARE: Final = 0.3
MAY_DIFFER: Final = 0.002
"""The mean difference of AUC within which the joint trees are as good."""
MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "20 trees of depth 5": {"trees": 20, "depth": 5, "learning_rate": 0.3},
    "50 trees of depth 5": {"trees": 50, "depth": 5, "learning_rate": 0.1},
    "64 trees of depth 6": {"trees": 64, "depth": 6, "learning_rate": 0.3},
}


@dataclass(frozen=True, slots=True)
class Difference:
    """AUC on the held-out rows of every split, of ours and of scikit-learn's: (n_splits,) each."""

    ours: np.ndarray[tuple[int], np.dtype[np.float64]]
    sklearn: np.ndarray[tuple[int], np.dtype[np.float64]]

    @property
    def mean(self) -> float:
        return float(np.mean(self.ours - self.sklearn))

    @property
    def standard_error(self) -> float:
        """Of the mean, as if splits of the same rows were independent: a little too small."""
        return float(np.std(self.ours - self.sklearn, ddof=1) / np.sqrt(len(self.ours)))


def compare(pooled: Pooled, options: BoostingOptions, splits: int = SPLITS) -> Difference:
    """Both kinds of trees on the same bins, training and held-out rows."""
    found = [_auc(pooled, options, seed) for seed in range(splits)]
    return Difference(*(np.array(column) for column in zip(*found, strict=True)))


def _auc(pooled: Pooled, options: BoostingOptions, seed: int) -> tuple[float, float]:
    rows, labels = np.arange(len(pooled.labels)), pooled.labels
    train, test = train_test_split(rows, test_size=TEST_SHARE, random_state=seed, stratify=labels)
    binning = fit_bins(pooled.fields, pooled.values[train], options.bins, k_min=options.k_min)
    codes = binning.transform(pooled.values)
    twin = fit_trees(codes[train], labels[train], options, n_local=pooled.n_local)
    oracle = histogram_boosting(options).fit(codes[train], labels[train])
    scores = twin.predict_proba(codes[test]), oracle.predict_proba(codes[test])[:, 1]
    ours, sklearn = (metrics.auc(labels[test], one) for one in scores)
    return ours, sklearn


def main(
    data: Annotated[Path, typer.Option(help="Folder of the two files of the public credit data.")] = EXAMPLE
    / "data",
    splits: Annotated[int, typer.Option(min=2, help="How many splits.")] = SPLITS,
) -> None:
    """A line per model; exit status 1 where ours are worse on average."""
    console = Console(highlight=False)
    if not all((data / name).exists() for name in FILES):
        console.print(f"No public data in {data}: see {EXAMPLE.name}/README.md.", style="red")
        raise typer.Exit(1)
    pooled, options = default_credit(data), boosting_options(read_job_file(EXAMPLE / "job.toml").job)
    is_worse = False
    for name, changes in MODELS.items():
        found = compare(pooled, replace(options, **changes), splits)
        is_worse |= found.mean < -MAY_DIFFER
        console.print(
            f"{name}: AUC {found.ours.mean():.4f}, scikit-learn {found.sklearn.mean():.4f}, "
            f"difference {found.mean:+.4f} ± {found.standard_error:.4f}, "
            f"from {np.min(found.ours - found.sklearn):+.4f} to {np.max(found.ours - found.sklearn):+.4f}"
        )
    if is_worse:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
