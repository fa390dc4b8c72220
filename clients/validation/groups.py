"""Which people may be counted together: one grid of score groups under every table of the report.

Two tables with different cuts over the same people give away those between the cuts. So all tables about a score use
cuts of one grid, and every group of the grid has at least `k_min` good and `k_min` bad people in every sample that is
shown: then whatever is computed from the tables is about as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from clients.validation.measures import Counts, Floats, Labels, Mask
from privacy.small_cells import hidden_cells, hidden_totals

GRID_GROUPS: Final = 20
"""At most so many groups, of about five per cent of the training rows each."""
BAND_GROUPS: Final = 10
"""At most so many score bands and groups of a calibration plot."""
_EDGE_DECIMALS: Final = 4
"""An edge is a person's score: rounded, it is a range's."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Groups of rows from the best score to the worst.

    edges: (g - 1,), increasing; group i holds edges[i-1] < risk <= edges[i]. outer: for each of the wanted bands in
    order, how many groups up to its end; () without wanted bands.
    """

    edges: Floats
    outer: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.edges) + 1

    def groups(self, risk: Floats) -> Counts:
        """The group of every row: (n,)."""
        return np.searchsorted(self.edges, risk, side="left").astype(np.int64)

    def counts(self, risk: Floats, labels: Labels) -> Counts:
        """Goods and bads per group: (g, 2)."""
        return _class_counts(self.groups(risk), labels, len(self))

    def is_edge(self, edge: float) -> bool:
        return bool(np.isclose(self.edges, edge, rtol=0, atol=1e-12).any())


def make_grid(
    risk: Floats, labels: Labels, train: Mask, k_min: int, wanted: Sequence[float] = ()
) -> Grid | None:
    """A grid over training and held-out rows, or None when not even all of them make one safe group.

    risk, labels, train: (n,). wanted: edges that have to be edges of the grid wherever both sides stay safe, such as
    those of a policy's grades; bands that are not are joined with the next one.
    """
    samples = [part for part in (train, ~train) if part.any()]

    def counted(edges: Floats) -> Counts:
        found = np.searchsorted(edges, risk, side="left")
        return np.hstack([_class_counts(found[part], labels[part], len(edges) + 1) for part in samples])

    kept: Floats = np.unique(np.round(np.asarray(wanted, dtype=np.float64), _EDGE_DECIMALS))
    outer_ends = safe_ends(counted(kept), k_min)
    if outer_ends is None:
        return None
    outer: Floats = kept[[end - 1 for end in outer_ends[:-1]]]
    steps = np.linspace(0, 1, GRID_GROUPS + 1)[1:-1]
    quantiles = np.quantile(risk[train] if train.any() else risk, steps, method="inverted_cdf")
    fine: Floats = np.unique(np.concatenate([np.round(quantiles, _EDGE_DECIMALS), outer]))
    counts = counted(fine)
    ends: list[int] = []
    reached = [0]
    limits = [*np.searchsorted(fine, outer).tolist(), len(fine)]
    start = 0
    for limit in limits:
        inner = safe_ends(counts[start : limit + 1], k_min) or [limit + 1 - start]
        ends += [start + end for end in inner]
        reached.append(len(ends))
        start = limit + 1
    edges = fine[[end - 1 for end in ends[:-1]]]
    return Grid(edges, tuple(reached[1:]) if len(kept) else ())


def safe_ends(counts: Counts, k_min: int) -> list[int] | None:
    """Ends of joined neighbours whose every count is at least k_min, from the first on; the rest joins the last."""
    ends: list[int] = []
    sums = np.zeros(counts.shape[1], dtype=np.int64)
    for place, row in enumerate(counts, 1):
        sums = sums + row
        if (sums >= k_min).all():
            ends.append(place)
            sums = np.zeros_like(sums)
    if not ends:
        return None
    ends[-1] = len(counts)
    return ends


def coarser(rows: Counts, at_most: int) -> list[int]:
    """Ends of at most so many joined neighbours of about equal size. rows: (g,), people per group."""
    middle = (np.cumsum(rows) - rows / 2) / rows.sum()
    part = np.minimum((middle * at_most).astype(np.int64), at_most - 1)
    return [*(np.flatnonzero(np.diff(part)) + 1).tolist(), len(rows)]


def joined(counts: Counts, ends: Sequence[int]) -> Counts:
    """Sums of the rows up to each end: (len(ends), ...)."""
    return np.add.reduceat(counts, [0, *ends[:-1]], axis=0)


def cut_near(rows: Counts, approval: float) -> int:
    """How many of the best groups to approve so that the share of people is nearest to `approval`; never all or none.

    rows: (g,), g at least 2.
    """
    shares = np.cumsum(rows)[:-1] / rows.sum()
    return int(np.argmin(np.abs(shares - approval))) + 1


def hidden_bins(counts: Counts, k_min: int) -> Mask:
    """Which bins of a field to hide whole: (b,). counts: (b, 2) of goods and bads; all bins' sums are known.

    A bin with a hidden cell loses its number of people too, so that neither cell follows from it, and of that there
    are never so few that the sums give them away.
    """
    rows = hidden_totals(counts.sum(axis=1), k_min)
    while True:
        wider = np.asarray(hidden_cells(counts, k_min, rows).any(axis=1))
        if np.array_equal(wider, rows):
            return rows
        rows = wider


@dataclass(frozen=True, slots=True)
class Swap:
    """Who is approved by one model and who by the other, at the same share of approvals.

    rows: (2, 2): people, [declined, approved by joint][declined, approved by alone]; cells: (2, 2, 2): the same by
    outcome, [..., good, bad]. None where one of its numbers is too small, or differs too little from one that is shown.
    """

    joint: Counts
    alone: Counts
    rows: Counts | None
    cells: Counts | None


def swap_sets(labels: Labels, pairs: Sequence[tuple[Mask, Mask]], k_min: int) -> list[Swap]:
    """The swap sets of several cuts. pairs: per cut, who is approved by (joint, alone).

    joint, alone of a `Swap`: (2,) goods and bads among the approved. In a two by two table with known margins one
    hidden cell hides all of them, so a table is shown whole or not at all.
    """
    found: list[Swap] = []
    shown_rows: list[Counts] = []
    shown_cells: list[Counts] = []
    for joint, alone in pairs:
        place = (joint.astype(np.int64) * 2 + alone) * 2 + labels
        cells = np.bincount(place, minlength=8).reshape(2, 2, 2)
        rows = cells.sum(axis=2)
        found.append(
            Swap(
                cells[1].sum(axis=0),
                cells[:, 1].sum(axis=0),
                rows if _is_apart(rows, shown_rows, k_min) else None,
                cells if _is_apart(cells, shown_cells, k_min) else None,
            )
        )
    return found


def _is_apart(cells: Counts, shown: list[Counts], k_min: int) -> bool:
    """Whether a table may be shown beside those that are; if so, it joins them.

    Who is approved, or declined, by both models changes from cut to cut: the difference is a group of people as well.
    """
    steps = [np.abs(cells[side, side] - other[side, side]) for other in shown for side in (0, 1)]
    safe = bool((cells >= k_min).all() and all((step >= k_min).all() for step in steps))
    if safe:
        shown.append(cells)
    return safe


def _class_counts(groups: Counts, labels: Labels, n_groups: int) -> Counts:
    counts = np.bincount(groups * 2 + labels, minlength=2 * n_groups)
    return counts.reshape(n_groups, 2).astype(np.int64)
