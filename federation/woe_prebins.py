"""Pre-bins: what a party can make of a field without knowing any label, and may show the count of.

Quantile bins as in `federation.binning`, joined from the lowest value up until each holds `k_min` rows. Missing
values and every special value stand apart ("loose") when they have `k_min` rows themselves. What has fewer joins the
ordinary bin with the most rows (the first of several): nothing can be learnt about so few, and a missing value then
counts as a common one. Where hardly any value is ordinary, it joins the loose cell with the most rows. Codes say
what a value is, cells what is counted together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.binning import MISSING, Codes, Integers, fit_bins
from federation.woe_options import WoeOptions
from privacy.errors import ConfigInvalid

Values = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class FieldPreBins:
    """One field's pre-bins.

    edges: between the ordinary bins, increasing. special: increasing. cells: the cell of each code (`codes_of`); cells
    0..n_ordered-1 are ordinary bins in order, those up to n_cells-1 are loose. n_ordered is 0 where hardly any value
    is ordinary.
    """

    edges: tuple[float, ...]
    special: tuple[float, ...]
    cells: tuple[int, ...]
    n_ordered: int

    @property
    def n_cells(self) -> int:
        """How many cells there are."""
        return max(self.cells) + 1

    def cells_of(self, column: Values) -> Codes:
        """The cell of every value of a column, (n_rows,) uint8."""
        return np.array(self.cells, dtype=np.uint8)[codes_of(column, self.edges, self.special)]


def codes_of(column: Values, edges: Sequence[float], special: Sequence[float]) -> Codes:
    """What each value of a column (n_rows,) is, as uint8: 0 missing (NaN or infinite), 1..len(edges)+1 the ordinary
    bins in order (a value that equals an edge belongs below it), then the special values in order."""
    codes = np.searchsorted(np.asarray(edges, dtype=np.float64), column, side="left") + 1
    for place, value in enumerate(special):
        codes[column == value] = len(edges) + 2 + place
    codes[~np.isfinite(column)] = MISSING
    return codes.astype(np.uint8)


def fit_pre_bins(fields: tuple[str, ...], values: Values, options: WoeOptions) -> tuple[FieldPreBins, ...]:
    """Pre-bins of every field, from the training rows `values` (n_rows, n_fields).

    Raises `ConfigInvalid` when there are fewer than `k_min` rows or the table does not fit `fields`.
    """
    if len(values) < options.k_min:
        raise ConfigInvalid("woe_too_few_rows", rows=len(values), k_min=options.k_min)
    if values.ndim != 2 or values.shape[1] != len(fields):
        raise ConfigInvalid("binning_width", expected=len(fields), found=values.shape[-1])
    return tuple(_fit_field(values[:, place], name, options) for place, name in enumerate(fields))


def _fit_field(column: Values, name: str, options: WoeOptions) -> FieldPreBins:
    special = tuple(sorted(options.of(name).special))
    ordinary = np.where(np.isin(column, special), np.nan, column)
    edges = fit_bins((name,), ordinary[:, None], options.pre_bins).edges[0]
    counts = np.bincount(codes_of(column, edges, special), minlength=len(edges) + 2 + len(special))
    kept = _kept_edges(counts[1 : len(edges) + 2], options.k_min)
    edges = tuple(edges[place] for place in kept)
    counts = np.bincount(codes_of(column, edges, special), minlength=len(edges) + 2 + len(special))
    cells, n_ordered = _cells(counts, len(edges) + 1, options.k_min)
    return FieldPreBins(edges, special, cells, n_ordered)


def _kept_edges(rows: Integers, k_min: int) -> list[int]:
    """Which edges to keep so that every bin has `k_min` rows; none when not even all rows are so many.

    rows: per ordinary bin, (len(edges) + 1,).
    """
    kept: list[int] = []
    gathered, left = 0, int(rows.sum())
    for place, count in enumerate(rows[:-1].tolist()):
        gathered, left = gathered + count, left - count
        if gathered >= k_min and left >= k_min:
            kept.append(place)
            gathered = 0
    return kept


def _cells(rows: Integers, n_ordinary: int, k_min: int) -> tuple[tuple[int, ...], int]:
    """The cell of every code and how many cells are ordinary bins. rows: per code."""
    ordinary = list(range(1, n_ordinary + 1))
    loose = [MISSING, *range(n_ordinary + 1, len(rows))]
    in_order = [*ordinary, *loose]
    own = [code for code in in_order if rows[code] >= k_min]
    to_join = [code for code in own if code in ordinary] or own or in_order
    largest = max(to_join, key=lambda code: rows[code])  # the first of several
    own = own or [largest]
    cell_of = {code: own.index(code if code in own else largest) for code in in_order}
    return tuple(cell_of[code] for code in range(len(rows))), sum(code in ordinary for code in own)
