"""K-means kernels on one party's own columns: plain NumPy, no parties, no messages.

The squared distance to a centroid is a sum over columns, so it splits over parties. A party never needs its
value, only how much farther centroid j is than centroid 0 (`partial_differences`): a shift per row changes no
argmin. It hides little else: whoever sees exact differences and knows which rows make up each centroid can
reconstruct the columns up to a rotation (`federation.kmeans`, "What is not hidden").

Sources. Lloyd 1982; k-means++ starts: Arthur and Vassilvitskii 2007; k by stability: Lange, Roth,
Braun, Buhmann 2004 (two models, each fitted on one half of the rows, label both halves), with the adjusted
Rand index of Hubert and Arabie 1985 as the agreement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from privacy import fixed_point
from privacy.errors import ConfigInvalid, MessageInvalid, PackingOverflow, SchemaMismatch

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

MAX_CLUSTERS: Final = 255
DISTANCE_INTEGER_BITS: Final = 16
"""Differences of distances and mean inertias stay below 2^16 in size at every party."""

_START_STREAM: Final = 1
_SPLIT_STREAM: Final = 2


@dataclass(frozen=True, slots=True)
class KMeansOptions:
    """How to cluster; every party must hold the same options.

    n_clusters: k, or "auto" to choose among `candidates` by split-half stability.
    n_init: runs of the final fit from different starts; the one with the least inertia wins.
    max_iter: Lloyd iterations of a run of the final fit. seed: of splits and starts.
    start: "k-means++" on the label holder's own columns, or "random" rows.
    n_splits, split_rows, split_max_iter: how often the rows are halved to choose k, rows per half at most,
    and
        Lloyd iterations there (a model need not be exact to be compared).
    tolerance: the largest k whose mean stability is this close to the best is chosen.
    """

    n_clusters: int | Literal["auto"] = "auto"
    candidates: tuple[int, ...] = (2, 3, 4, 5, 6)
    n_init: int = 2
    max_iter: int = 300
    seed: int = 0
    start: Literal["k-means++", "random"] = "k-means++"
    n_splits: int = 3
    split_rows: int = 300
    split_max_iter: int = 20
    tolerance: float = 0.02

    @property
    def choices(self) -> tuple[int, ...]:
        """The k that may come out."""
        return self.candidates if self.n_clusters == "auto" else (self.n_clusters,)

    def check(self, n_rows: int) -> None:
        """Raises `ConfigInvalid` when the options contradict each other or the number of rows."""
        rows = min(self.split_rows, n_rows // 2) if self.n_clusters == "auto" else n_rows
        if not self.choices or min(self.choices) < 2 or max(self.choices) > MAX_CLUSTERS:
            raise ConfigInvalid("kmeans_clusters_range", most=MAX_CLUSTERS)
        if len(set(self.choices)) < len(self.choices) or max(self.choices) > rows:
            raise ConfigInvalid("kmeans_clusters_rows", rows=rows)
        if min(self.n_init, self.max_iter, self.n_splits, self.split_max_iter) < 1 or self.seed < 0:
            raise ConfigInvalid("kmeans_options_range")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One Lloyd run, as all parties derive it from the options.

    rows: (n,) aligned rows it is fitted on; predict: (p,) further rows to assign to the finished model.
    """

    rows: Integers
    predict: Integers
    n_clusters: int
    max_iter: int


def plan_selection(options: KMeansOptions, n_rows: int) -> tuple[RunPlan, ...]:
    """Runs that compare the candidates: for every split and candidate, one on each half, assigning the other
    half."""
    plans = []
    for split in range(options.n_splits):
        # Raw words of a bit generator: NumPy keeps those the same in all versions, and the parties must
        # agree.
        words = np.random.PCG64([options.seed, _SPLIT_STREAM, split]).random_raw(n_rows)
        order = np.argsort(words, kind="stable")
        half = min(options.split_rows, n_rows // 2)
        left, right = order[:half], order[half : 2 * half]
        for n_clusters in options.candidates:
            plans += [
                RunPlan(rows, predict, n_clusters, options.split_max_iter)
                for rows, predict in ((left, right), (right, left))
            ]
    return tuple(plans)


def plan_fit(options: KMeansOptions, n_rows: int, n_clusters: int) -> tuple[RunPlan, ...]:
    """The `n_init` runs of the final fit on all rows."""
    run = RunPlan(np.arange(n_rows), np.arange(0), n_clusters, options.max_iter)
    return (run,) * options.n_init


def standardize(values: Floats) -> tuple[Floats, tuple[Floats, Floats]]:
    """Own columns (n, f), missing values filled with the column's median, then z-scored.

    Returns the values and (mean, scale), (f,) each, of the filled columns; a constant column has scale 1, as
    in scikit-learn's `StandardScaler`. Raises `SchemaMismatch`, with the column's place, for an infinite
    value or a column without any value.
    """
    filled = np.array(values, dtype=np.float64)
    for place, column in enumerate(filled.T):
        missing = np.isnan(column)
        if missing.all() or np.isinf(column).any():
            raise SchemaMismatch("kmeans_column_unusable", column=place + 1)
        if missing.any():
            column[missing] = np.median(column[~missing])
    mean = filled.mean(axis=0)
    scale = filled.std(axis=0)
    # A constant column's computed deviation may be rounding noise; dividing by that would blow it up.
    scale[scale <= np.finfo(np.float64).eps * np.abs(mean) * 10] = 1.0
    return (filled - mean) / scale, (mean, scale)


def partial_differences(values: Floats, centroids: Floats) -> Floats:
    """(n, k - 1): own part of |x - c_j|^2 - |x - c_0|^2, j = 1..k-1.

    values: (n, f); centroids: (k, f). Written as (c_0 - c_j).(2x - c_0 - c_j): nothing cancels but what must.
    """
    first, others = centroids[0], centroids[1:]
    gaps = first - others
    offsets = (gaps * (first + others)).sum(axis=1)
    return np.asarray(2.0 * values @ gaps.T - offsets)


def assign(totals: np.ndarray[Any, Any]) -> Integers:
    """(n,) nearest centroid from the summed differences (n, k - 1); a tie goes to the lowest number."""
    with_first = np.concatenate([np.zeros((len(totals), 1), totals.dtype), totals], axis=1)
    return np.asarray(with_first.argmin(axis=1), dtype=np.int64)


def update_centroids(values: Floats, labels: Integers, centroids: Floats) -> Floats:
    """(k, f) means of own columns per cluster.

    An empty cluster keeps its centroid: every party can follow that rule alone. (scikit-learn moves it to the
    row farthest from its centroid instead; the two differ only when a cluster empties.)
    """
    n_clusters = len(centroids)
    counts = np.bincount(labels, minlength=n_clusters)
    sums = np.empty_like(centroids)
    for column in range(values.shape[1]):
        sums[:, column] = np.bincount(labels, weights=values[:, column], minlength=n_clusters)
    filled = counts > 0
    updated = centroids.copy()
    updated[filled] = sums[filled] / counts[filled, None]
    return updated


def mean_inertia(values: Floats, labels: Integers, centroids: Floats) -> float:
    """Own part of the mean squared distance of a row to its centroid."""
    return float(((values - centroids[labels]) ** 2).sum() / len(values))


class LocalRun:
    """One party's side of a run: its own columns of the run's rows and its own part of the centroids."""

    def __init__(self, plan: RunPlan, values: Floats, starts: Integers) -> None:
        self.plan = plan
        self.starts = starts
        self.centroids: Floats = values[starts].astype(np.float64)
        self.labels: Integers = np.full(len(plan.rows), -1, dtype=np.int64)
        self.iterations = 0
        self.converged = False
        self.stopped = False
        self._all_values = values
        self._values: Floats = values[plan.rows]

    def differences(self) -> Floats:
        """(n, k - 1) for the run's own rows."""
        return partial_differences(self._values, self.centroids)

    def prediction(self) -> Floats:
        """(p, k - 1) for the rows to predict."""
        return partial_differences(self._all_values[self.plan.predict], self.centroids)

    def ends_with(self, labels: Integers) -> bool:
        """Whether new labels are the run's last: no row moves, or the centroids have moved `max_iter` times.

        In the second case the rows have been assigned once more after the last move, as in scikit-learn.
        """
        return np.array_equal(labels, self.labels) or self.iterations >= self.plan.max_iter

    def take(self, labels: Integers, *, stop: bool) -> None:
        """New labels; unless the run stops with them, the centroids become their means."""
        self.iterations = min(self.iterations + 1, self.plan.max_iter)
        self.converged = np.array_equal(labels, self.labels)
        self.labels = labels
        self.stopped = stop
        if not stop:
            self.centroids = update_centroids(self._values, labels, self.centroids)

    def mean_inertia(self) -> float:
        """Own part of the run's mean inertia."""
        return mean_inertia(self._values, self.labels, self.centroids)


def choose_starts(plan: RunPlan, values: Floats, options: KMeansOptions, number: int) -> Integers:
    """(k,) distinct aligned rows whose values become the first centroids of run `number`.

    values: (n_rows, f), the label holder's own standardised columns. Random rows stand in for k-means++ when
    those columns hold fewer than k different rows.
    """
    from sklearn.cluster import kmeans_plusplus

    generator = np.random.default_rng([options.seed, _START_STREAM, number])
    if options.start == "k-means++" and values.shape[1]:
        _, places = kmeans_plusplus(
            values[plan.rows], plan.n_clusters, random_state=int(generator.integers(2**31))
        )
        if len(np.unique(places)) == plan.n_clusters:
            return np.asarray(plan.rows[places], dtype=np.int64)
    return np.asarray(generator.choice(plan.rows, plan.n_clusters, replace=False), dtype=np.int64)


def are_starts(starts: Integers, options: KMeansOptions, n_rows: int) -> bool:
    """Whether these aligned rows can begin the one run that the options ask for: k different rows."""
    is_one_run = options.n_init == 1 and len(starts) == options.n_clusters
    return is_one_run and len(np.unique(starts)) == len(starts) and 0 <= starts.min() <= starts.max() < n_rows


def agreement(left: Integers, right: Integers) -> float:
    """Adjusted Rand index of two labellings of the same rows: 1 when equal up to names, about 0 by chance."""
    from sklearn.metrics import adjusted_rand_score

    return float(adjusted_rand_score(left, right))


def choose_n_clusters(stability: Mapping[int, float], tolerance: float) -> int:
    """The largest k whose stability is within `tolerance` of the best.

    The largest, because merging true groups is often as stable as keeping them apart. The elbow of the
    inertia is not used, nor the silhouette, which favours few, coarse clusters.
    """
    best = max(stability.values())
    return max(k for k, value in stability.items() if value >= best - tolerance)


@dataclass(slots=True)
class Stage:
    """The runs of one stage at one party, and the exchange it is at (numbered from 1)."""

    number: int
    runs: list[LocalRun]
    iteration: int = 1
    active: list[LocalRun] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.active = list(self.runs)

    def shapes(self) -> list[tuple[int, int]]:
        """(rows, k - 1) of the blocks of differences of this exchange."""
        if self.active:
            return [(len(run.plan.rows), run.plan.n_clusters - 1) for run in self.active]
        return [(len(run.plan.predict), run.plan.n_clusters - 1) for run in self.runs]

    def n_values(self) -> int:
        """How many numbers this exchange holds."""
        inertias = 0 if self.active else len(self.runs)
        return sum(rows * width for rows, width in self.shapes()) + inertias

    def own_codes(self, scale_bits: int) -> Integers:
        """This party's values of the exchange in fixed point. Raises `PackingOverflow` beyond 2^16."""
        if self.active:
            parts = [run.differences().ravel() for run in self.active]
        else:
            parts = [run.prediction().ravel() for run in self.runs]
            parts.append(np.array([run.mean_inertia() for run in self.runs]))
        values = np.concatenate(parts)
        limit = 2.0**DISTANCE_INTEGER_BITS - 1
        if not (np.abs(values) <= limit).all():
            raise PackingOverflow("kmeans_distance_range", limit=int(limit))
        return fixed_point.encode(values, scale_bits)

    def blocks(self, codes: Integers) -> list[Integers]:
        """The exchange's values cut into its (rows, k - 1) blocks; inertias are left over at the end."""
        ends = np.cumsum([rows * width for rows, width in self.shapes()])
        parts = np.split(codes, ends)[: len(ends)]
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes(), strict=True)]

    def take(self, labels: list[Integers], stopped: list[bool]) -> None:
        """Apply assignments to the active runs and move on to the next exchange."""
        for run, own, stop in zip(self.active, labels, stopped, strict=True):
            run.take(own, stop=stop)
        self.active = [run for run in self.active if not run.stopped]
        self.iteration += 1


def split_starts(rows: np.ndarray[Any, Any], plans: tuple[RunPlan, ...], n_rows: int) -> list[Integers]:
    """The start rows per run. Raises `MessageInvalid` unless they are distinct rows of their run."""
    sizes = [plan.n_clusters for plan in plans]
    if rows.dtype != np.int64 or rows.shape != (sum(sizes),):
        raise MessageInvalid("kmeans_starts_shape")
    if rows.min() < 0 or rows.max() >= n_rows:
        raise MessageInvalid("kmeans_starts_range")
    parts = np.split(rows, np.cumsum(sizes)[:-1])
    for plan, own in zip(plans, parts, strict=True):
        if len(np.unique(own)) < len(own) or not np.isin(own, plan.rows).all():
            raise MessageInvalid("kmeans_starts_range")
    return parts


def stability_of(runs: list[LocalRun], predicted: list[Integers]) -> dict[int, float]:
    """Mean agreement per k over the splits. Runs come in pairs: left half, right half, each predicting the
    other."""
    found: dict[int, list[float]] = {}
    for place in range(0, len(runs), 2):
        left, right = runs[place], runs[place + 1]
        by_left = np.concatenate([left.labels, predicted[place]])
        by_right = np.concatenate([predicted[place + 1], right.labels])
        found.setdefault(left.plan.n_clusters, []).append(agreement(by_left, by_right))
    return {k: float(np.mean(values)) for k, values in sorted(found.items())}
