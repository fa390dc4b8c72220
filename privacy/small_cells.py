"""Disclosure control: which cells of a count table, and which group means, may be shown when margins are known.

Primary suppression hides every cell under `k_min`. Complementary suppression then hides more, until neither a
row nor a column gives a hidden cell away. Sources: Willenborg and de Waal 2001, "Elements of Statistical
Disclosure Control", chapter 7; Hundepool et al. 2012, "Statistical Disclosure Control", chapter 4, also for
the dominance rule of means; residual graphs: Ahuja, Magnanti, Orlin 1993, "Network Flows", section 3.5.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Values = np.ndarray[Any, np.dtype[np.float64]]

DOMINANCE_SHARE: Final = 0.2
"""The largest share of a group's sum of absolute values that one member may hold when its mean is shown."""


def hidden_cells(counts: Counts, k_min: int, hidden_rows: Mask | None = None) -> Mask:
    """Which cells of a table with known row and column totals to hide: a mask of the table's shape.

    counts: (r, c), not negative. hidden_rows: (r,), rows to hide whole because their total is hidden.
    Empty cells are hidden like small ones: "nobody here" says something about everybody there.

    A line (row or column) is safe when nothing or all of it is hidden, or when at least two of its cells are
    and hold `k_min` people together (their sum can be computed from the total). After that no small cell may
    follow from all totals taken together, either (`pinned_cells`). The smallest visible cell of an unsafe
    line is hidden next, first where two cross. Totals that say it all themselves (an empty column, a table of
    one line) cannot be helped here: hide those totals.
    """
    known = np.ones(len(counts), dtype=np.bool_) if hidden_rows is None else ~hidden_rows
    return _suppress(counts, (counts < k_min) | ~known[:, None], known, k_min)


def hidden_totals(totals: Counts, k_min: int) -> Mask:
    """The same for a list of totals (r,) whose sum is known: the small ones, and never one alone."""
    counts = totals[:, None]
    return _suppress(counts, counts < k_min, np.zeros(len(totals), dtype=np.bool_), k_min)[:, 0]


def hidden_means(values: Values, groups: Counts, k_min: int, hidden_groups: Mask) -> Mask:
    """Which groups' means of a field to hide: (n_groups,).

    values, groups: (n,), rows with a value only, groups in 0..n_groups-1. hidden_groups: (n_groups,), groups
    whose means are hidden anyway.

    A mean is hidden when fewer than `k_min` rows differ from the group's most frequent value
    (mean * count then is a statement about those few), or when one row holds more than `DOMINANCE_SHARE` of the
    sum of absolute values (the (1, 20 %) dominance rule, Hundepool et al. 2012, chapter 4). Where the field
    knows two values, a mean is a count: it is hidden with the cells that the table of the two hides.
    """
    hidden = hidden_groups.copy()
    for group in np.flatnonzero(~hidden):
        own = values[groups == group]
        _, frequencies = np.unique(own, return_counts=True)
        magnitudes = np.abs(own)
        hidden[group] = (
            not len(own)
            or len(own) - frequencies.max() < k_min
            or magnitudes.max() > DOMINANCE_SHARE * magnitudes.sum()
        )
    levels, level = np.unique(values, return_inverse=True)
    if len(levels) == 2:
        cells = np.bincount(groups * 2 + level, minlength=2 * len(hidden)).reshape(-1, 2)
        hidden |= hidden_cells(cells, k_min, hidden_groups).any(axis=1)
    return hidden


def _suppress(counts: Counts, primary: Mask, known_rows: Mask, k_min: int) -> Mask:
    """Complementary suppression; the totals of all columns and of `known_rows` are known."""
    hidden = primary.copy()
    known = (known_rows, np.ones(counts.shape[1], dtype=np.bool_))
    helpless = pinned_cells(counts, np.ones_like(hidden), known_rows)
    small = (counts < k_min) & ~helpless
    while not hidden.all():
        # The transpose is a view: hiding a cell of a column's line hides it in the table.
        lines = [(counts, hidden, known[0]), (counts.T, hidden.T, known[1])]
        by_axis = [_unsafe_lines(*line, k_min) for line in lines]
        unsafe = [(axis, place) for axis, places in enumerate(by_axis) for place in places]
        if not unsafe:
            pinned = np.argwhere(pinned_cells(counts, hidden, known_rows) & small)
            if not len(pinned):
                return hidden
            pairs = [(axis, int(place)) for cell in pinned for axis, place in enumerate(cell)]
            pairs += [(0, place) for place in range(len(counts))]
            unsafe = [(axis, place) for axis, place in pairs if not lines[axis][1][place].all()]
        axis, place = unsafe[0]
        line_counts, line_hidden = lines[axis][0][place], lines[axis][1][place]
        visible = np.flatnonzero(~line_hidden)
        # A cell where an unsafe line crosses mends two lines at once.
        crossing = np.isin(visible, by_axis[1 - axis])
        line_hidden[visible[np.lexsort((line_counts[visible], ~crossing))[0]]] = True
    return hidden


def _unsafe_lines(counts: Counts, hidden: Mask, known: Mask, k_min: int) -> list[int]:
    """Rows with a known total that give something away on their own."""
    n_hidden = hidden.sum(axis=1)
    together = (counts * hidden).sum(axis=1)
    partly = (n_hidden > 0) & (n_hidden < counts.shape[1])
    return np.flatnonzero(known & partly & ((n_hidden == 1) | (together < k_min))).tolist()


def pinned_cells(counts: Counts, hidden: Mask, known_rows: Mask) -> Mask:
    """Hidden cells with one possible value, given the shown cells and the totals of columns and `known_rows`.

    The possible tables form a transportation polytope. A cell can change exactly when it lies on a cycle of
    the
    residual graph of that flow: from its row to its column a cell grows, which it always may; back it
    shrinks, which an empty cell may not; rows with an unknown total exchange people through one extra node.
    """
    n_rows, n_columns = counts.shape
    outside = n_rows + n_columns
    edges = np.zeros((outside + 1, outside + 1), dtype=np.bool_)
    edges[:n_rows, n_rows:outside] = hidden
    edges[n_rows:outside, :n_rows] = (hidden & (counts > 0)).T
    edges[:n_rows, outside] = edges[outside, :n_rows] = ~known_rows
    pinned = np.zeros_like(hidden)
    for row, column in np.argwhere(hidden):
        target = n_rows + column
        others = edges.copy()
        others[row, target] = others[target, row] = False
        grows = _reaches(others, target, row)
        shrinks = counts[row, column] > 0 and _reaches(others, row, target)
        pinned[row, column] = not (grows or shrinks)
    return pinned


def _reaches(edges: Mask, start: int, end: int) -> bool:
    """Whether a path leads from one node to another."""
    reached = np.zeros(len(edges), dtype=np.bool_)
    reached[start] = True
    while not reached[end]:
        wider = reached | edges[reached].any(axis=0)
        if np.array_equal(wider, reached):
            return False
        reached = wider
    return True
