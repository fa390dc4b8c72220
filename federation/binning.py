"""Quantile bins: every numeric feature becomes a small integer code, once, at the party that holds it.

Code 0 is "missing" (NaN or infinite); codes 1..n are the value bins in increasing order, and a value that
equals an edge belongs to the bin below it. The edges depend on one column alone, so the codes of the
pooled table are just the parties' codes side by side: this is what makes a federated tree comparable with a
pooled one. Same placement of edges as scikit-learn's `HistGradientBoosting*` (midpoints of distinct values
when there are few, else midpoint percentiles).

A feature may hold levels instead of amounts (a city, an occupation): numbers that name something. Its codes 1..n
stand for the levels with `k_min` training rows or more, in the order of their numbers, the next code for all others
together, also for those that turn up later. A split sets one level apart from the rest: an order by mean gradient, as
LightGBM has it, would have to be made where gradients are seen, and any other order would mean nothing.

Also here: which splits a party may offer at a tree node (`candidates_of`), the small-cell rule of boosting.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from federation import records
from privacy.errors import ConfigInvalid

MAXIMUM_BINS: Final = 254
"""Value bins per feature: with the missing bin, codes fit in a uint8 and 255 stays free."""

_BYTE_CODES: Final = 256

MISSING: Final = 0
"""The code of a missing value."""

Codes = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]
"""(n_rows, n_features) codes: uint8, in a model that was merged of several (`shards_merge`) perhaps uint16."""

Integers = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Binning(msgspec.Struct, frozen=True):
    """The bin edges of one party's features. They are quantiles of its rows: they stay with that party.

    levels: by place, the numbers that have a code of their own, increasing, of a feature that holds levels.
    """

    fields: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    levels: dict[int, tuple[float, ...]] = {}

    @property
    def n_codes(self) -> tuple[int, ...]:
        """How many codes each feature has, the missing code included."""
        return tuple(len(self.levels.get(place, edges)) + 2 for place, edges in enumerate(self.edges))

    @property
    def level_features(self) -> frozenset[int]:
        """The places of features that hold levels."""
        return frozenset(self.levels)

    def transform(self, values: np.ndarray[Any, np.dtype[np.float64]]) -> Codes:
        """Codes of a float64 table of shape (n_rows, n_features). Raises `ConfigInvalid` on another width."""
        if values.ndim != 2 or values.shape[1] != len(self.edges):
            raise ConfigInvalid("binning_width", expected=len(self.edges), found=values.shape[-1])
        wide = max(self.n_codes, default=0) > _BYTE_CODES
        codes: Codes = np.empty(values.shape, dtype=np.uint16 if wide else np.uint8)
        for column, edges in enumerate(self.edges):
            found = np.searchsorted(np.asarray(edges), values[:, column], side="left") + 1
            if column in self.levels:
                found = _codes_of_levels(np.asarray(self.levels[column]), values[:, column])
            codes[:, column] = np.where(np.isfinite(values[:, column]), found, MISSING)
        return codes

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Binning:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


def fit_bins(
    fields: tuple[str, ...],
    values: np.ndarray[Any, np.dtype[np.float64]],
    bins: int,
    *,
    categorical: Collection[str] = (),
    k_min: int = 1,
) -> Binning:
    """Edges of at most `bins` value bins per feature, from the training rows `values` (n_rows, n_features).

    categorical: the fields that hold levels; k_min: fewest training rows of a level with a code of its own. Of more
    than `bins` levels the most frequent have one.
    Raises `ConfigInvalid` when `bins` is outside 2..`MAXIMUM_BINS` or the table does not fit `fields`.
    """
    if not 2 <= bins <= MAXIMUM_BINS:
        raise ConfigInvalid("binning_bins", bins=bins, maximum=MAXIMUM_BINS)
    if values.ndim != 2 or values.shape[1] != len(fields):
        raise ConfigInvalid("binning_width", expected=len(fields), found=values.shape[-1])
    levels = {
        column: _levels(values[:, column], bins, k_min)
        for column, field in enumerate(fields)
        if field in categorical
    }
    edges = (() if column in levels else _edges(values[:, column], bins) for column in range(values.shape[1]))
    return Binning(fields, tuple(edges), levels)


def _edges(column: np.ndarray[Any, np.dtype[np.float64]], bins: int) -> tuple[float, ...]:
    present = column[np.isfinite(column)]
    distinct = np.unique(present)
    if len(distinct) <= bins:
        edges = distinct[:-1] + np.diff(distinct) / 2
    else:
        shares = np.linspace(0, 100, num=bins + 1)[1:-1]
        edges = np.unique(np.percentile(present, shares, method="midpoint"))
    return tuple(edges.tolist())


def _levels(column: np.ndarray[Any, np.dtype[np.float64]], bins: int, k_min: int) -> tuple[float, ...]:
    """The levels with a code of their own, increasing: one code is left for all others."""
    found, rows = np.unique(column[np.isfinite(column)], return_counts=True)
    by_rows = np.argsort(-rows, kind="stable")[: bins - 1]
    return tuple(sorted(found[by_rows[rows[by_rows] >= k_min]].tolist()))


def _codes_of_levels(
    levels: np.ndarray[Any, np.dtype[np.float64]], column: np.ndarray[Any, np.dtype[np.float64]]
) -> Integers:
    places = np.searchsorted(levels, column)
    known = np.zeros(len(column), dtype=np.bool_)
    inside = places < len(levels)
    known[inside] = levels[places[inside]] == column[inside]
    return np.where(known, places, len(levels)) + 1


class Split(msgspec.Struct, frozen=True):
    """A threshold on one feature: left are the codes 1..`cut`, and the missing ones if `missing_left`.

    is_level: left is the code `cut` alone, in a merged model with the codes `also`.
    """

    feature: int
    cut: int
    missing_left: bool
    is_level: bool = False
    also: tuple[int, ...] = ()

    def goes_left(self, codes: Codes) -> Bools:
        """Which rows of `codes` (n_rows, n_features) go left: (n_rows,) bool."""
        column = codes[:, self.feature]
        present = np.isin(column, (self.cut, *self.also)) if self.is_level else column <= self.cut
        return np.where(column == MISSING, self.missing_left, present)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The splits one party may offer at one node, in canonical order: three arrays of equal length.

    levels: the features of which a split sets one code apart.
    """

    feature: Integers
    cut: Integers
    missing_left: Bools
    levels: frozenset[int] = frozenset()

    @property
    def is_level(self) -> Bools:
        """Of every split, whether it sets one code apart."""
        return np.isin(self.feature, sorted(self.levels))

    def __len__(self) -> int:
        return len(self.feature)

    def __getitem__(self, index: int) -> Split:
        feature = int(self.feature[index])
        return Split(feature, int(self.cut[index]), bool(self.missing_left[index]), feature in self.levels)


def candidates_of(
    counts: Integers, k_min: int, min_child_rows: int, levels: frozenset[int] = frozenset()
) -> Candidates:
    """The candidates of one node from its row counts per (feature, code), shape (n_features, n_codes).

    Walking up the codes, a cut is offered each time at least `k_min` rows have gathered since the last cut
    and at least `k_min` remain. Missing rows are tried on both sides when there are `k_min` of them; fewer
    join the lowest bin; when there are none, those that turn up later follow the larger side. Both sides of
    every candidate keep `min_child_rows` rows.
    Of the features in `levels`, every code with that many rows is offered against the rest, "missing" among them,
    unless what is offered by no code would be fewer than `k_min` rows: then the smallest code joins it.
    """
    total = counts.sum(axis=1)
    missing = counts[:, MISSING]
    apart = missing >= max(k_min, 1)
    gathered = np.where(apart, 0, missing)
    below = gathered.copy()  # rows left of the cut, without missing rows that stand apart
    above = total - missing
    found: list[tuple[Integers, Integers, Bools]] = []

    def offer(cut: int, allowed: Bools, left_rows: Integers, missing_left: Bools) -> None:
        fits = ordered & (left_rows >= min_child_rows) & (total - left_rows >= min_child_rows)
        features = np.flatnonzero(allowed & fits)
        found.append((features, np.full(len(features), cut), missing_left[features]))

    everywhere = np.ones(len(counts), dtype=np.bool_)
    ordered = ~np.isin(np.arange(len(counts)), sorted(levels))
    for place in sorted(levels):
        codes = _codes_apart(counts[place], k_min, min_child_rows)
        found.append((np.full(len(codes), place), codes, codes == MISSING))

    offer(MISSING, apart, missing, everywhere)
    for code in range(1, counts.shape[1]):
        gathered = gathered + counts[:, code]
        below = below + counts[:, code]
        above = above - counts[:, code]
        cut_here = (gathered >= max(k_min, 1)) & (above >= max(k_min, 1))
        gathered = np.where(cut_here, 0, gathered)
        joined = (missing > 0) | (below > total - below)
        offer(code, cut_here & ~apart, below, joined)
        offer(code, cut_here & apart, below + missing, everywhere)
        offer(code, cut_here & apart, below, ~everywhere)
    feature, cut, missing_left = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((~missing_left, cut, feature))
    return Candidates(feature[order], cut[order], missing_left[order], levels)


def _codes_apart(counts: Integers, k_min: int, min_child_rows: int) -> Integers:
    """The codes of one feature's levels that may be set apart at a node, increasing. counts: rows per code."""
    total, fewest = int(counts.sum()), max(k_min, min_child_rows, 1)
    codes = np.flatnonzero((counts >= fewest) & (total - counts >= min_child_rows))
    if len(codes) and 0 < total - int(counts[codes].sum()) < k_min:
        codes = np.delete(codes, counts[codes].argmin())
    return codes


def counts_of(codes: Codes, n_codes: int) -> Integers:
    """Rows per (feature, code), shape (n_features, n_codes)."""
    table = np.empty((codes.shape[1], n_codes), dtype=np.int64)
    for feature in range(codes.shape[1]):
        table[feature] = np.bincount(codes[:, feature], minlength=n_codes)
    return table
