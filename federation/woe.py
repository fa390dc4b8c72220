"""Bins with weights of evidence: the pure NumPy kernel, without parties.

`fit_woe` is the plaintext twin of `federation.woe_binning`: on the pooled table it finds the bins, WOE and IV that the
parties find together, to the last bit. Pre-bins are made without labels (`woe_prebins`), then merged on their counts
of goods and bads (`woe_merging`, which has the rules and the source). Label 1 is bad, 0 good; a high WOE is good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np

from federation import records
from federation.binning import Codes
from federation.labels import checked_labels
from federation.woe_merging import Floats, Merging, Rules, merge_cells
from federation.woe_options import FieldOptions, Trend, WoeOptions
from federation.woe_prebins import FieldPreBins, Values, codes_of, fit_pre_bins
from privacy.errors import ConfigInvalid

__all__ = [
    "FieldBins", "FieldOptions", "FoundTrend", "IvRow", "Trend", "WoeBinning", "WoeOptions",
    "field_bins", "fit_woe", "iv_table", "label_counts", "merge_field",
]  # fmt: skip

FoundTrend = Literal["ascending", "descending", "flat", "none"]
"""How the WOE of the ordinary bins runs with the value; flat: one bin; none: up and down."""


class FieldBins(msgspec.Struct, frozen=True, kw_only=True):
    """The final bins of one field.

    edges: between the ordinary bins, increasing. special: the special values, increasing. final: the final bin of a
    missing value, of each ordinary bin in order, of each special value. woe, rows: per final bin.
    goods, bads: per final bin; empty at a feature holder, which is told the WOE alone.
    """

    edges: tuple[float, ...]
    special: tuple[float, ...]
    final: tuple[int, ...]
    woe: tuple[float, ...]
    rows: tuple[int, ...]
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    iv: float

    @property
    def ordinary_woe(self) -> tuple[float, ...]:
        """WOE of the ordinary bins in order."""
        return tuple(self.woe[code] for code in self.final[1 : len(self.edges) + 2])

    @property
    def trend(self) -> FoundTrend:
        """How the WOE runs with the value."""
        steps = np.diff(self.ordinary_woe)
        if not len(steps):
            return "flat"
        return "ascending" if (steps > 0).all() else "descending" if (steps < 0).all() else "none"

    @property
    def monotone(self) -> bool:
        """Whether the share of bads only rises or only falls with the value."""
        return self.trend != "none"


class WoeBinning(msgspec.Struct, frozen=True):
    """The bins of one party's fields. The edges are quantiles of its rows: they stay with that party.

    Codes are final codes: 0..n_codes[field]-1, the ordinary bins in order, then bins of missing and special values
    that stand apart.
    """

    fields: tuple[str, ...]
    bins: tuple[FieldBins, ...]

    @property
    def n_codes(self) -> tuple[int, ...]:
        """How many final codes each field has."""
        return tuple(len(field.woe) for field in self.bins)

    @property
    def edges(self) -> tuple[tuple[float, ...], ...]:
        """Per field, between the ordinary bins."""
        return tuple(field.edges for field in self.bins)

    @property
    def special(self) -> tuple[tuple[float, ...], ...]:
        """Per field, the special values."""
        return tuple(field.special for field in self.bins)

    @property
    def woe(self) -> tuple[tuple[float, ...], ...]:
        """Per field, WOE by final code."""
        return tuple(field.woe for field in self.bins)

    @property
    def iv(self) -> tuple[float, ...]:
        """Per field, the information value."""
        return tuple(field.iv for field in self.bins)

    def transform(self, values: Values) -> Codes:
        """Final codes of a float64 table of shape (n_rows, n_fields). Raises `ConfigInvalid` on another width."""
        if values.ndim != 2 or values.shape[1] != len(self.bins):
            raise ConfigInvalid("binning_width", expected=len(self.bins), found=values.shape[-1])
        codes = np.empty(values.shape, dtype=np.uint8)
        for place, field in enumerate(self.bins):
            final = np.array(field.final, dtype=np.uint8)
            codes[:, place] = final[codes_of(values[:, place], field.edges, field.special)]
        return codes

    def woe_of(self, codes: Codes) -> Floats:
        """The WOE of final codes, (n_rows, n_fields)."""
        woe = np.empty(codes.shape)
        for place, field in enumerate(self.bins):
            woe[:, place] = np.array(field.woe)[codes[:, place]]
        return woe

    def keep(self, fields: Sequence[str]) -> WoeBinning:
        """The same bins for some of the fields, in the order given here."""
        chosen = [place for place, name in enumerate(self.fields) if name in fields]
        return WoeBinning(
            tuple(self.fields[place] for place in chosen), tuple(self.bins[place] for place in chosen)
        )

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> WoeBinning:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


def fit_woe(
    fields: tuple[str, ...], values: Values, labels: np.ndarray[Any, Any], options: WoeOptions
) -> WoeBinning:
    """Bins of every field from the training rows: values (n_rows, n_fields), labels (n_rows,) 1 for bad.

    Raises `ConfigInvalid` when rows, labels and fields do not fit, or there are fewer rows than a bin must have.
    """
    bad = checked_labels(labels)
    if len(bad) != len(values):
        raise ConfigInvalid("training_rows")
    found = []
    for place, pre_bins in enumerate(fit_pre_bins(fields, values, options)):
        cells = pre_bins.cells_of(values[:, place])
        goods, bads = label_counts(cells, bad, pre_bins.n_cells)
        trend = options.of(fields[place]).trend
        merging = merge_field(goods, bads, pre_bins.n_ordered, trend, options)
        rows = np.add(merging.goods, merging.bads).tolist()
        found.append(
            field_bins(
                pre_bins,
                merging.final,
                merging.woe,
                rows=rows,
                goods=merging.goods,
                bads=merging.bads,
                iv=merging.iv,
            )
        )
    return WoeBinning(fields, tuple(found))


def label_counts(
    cells: Codes, bad: np.ndarray[Any, np.dtype[np.bool_]], n_cells: int
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.int64]]]:
    """Goods and bads per cell of one field, (n_cells,) each. cells, bad: (n_rows,)."""
    rows = np.bincount(cells, minlength=n_cells).astype(np.int64)
    bads = np.bincount(cells[bad], minlength=n_cells).astype(np.int64)
    return rows - bads, bads


def merge_field(
    goods: np.ndarray[Any, np.dtype[np.int64]],
    bads: np.ndarray[Any, np.dtype[np.int64]],
    n_ordered: int,
    trend: Trend,
    options: WoeOptions,
) -> Merging:
    """`merge_cells` under the options' rules."""
    smallest = options.smallest_bin(int(goods.sum() + bads.sum()))
    return merge_cells(goods, bads, n_ordered, Rules(smallest, options.max_bins, trend))


def field_bins(
    pre_bins: FieldPreBins,
    final: Sequence[int],
    woe: Sequence[float],
    *,
    rows: Sequence[int],
    goods: Sequence[int] = (),
    bads: Sequence[int] = (),
    iv: float,
) -> FieldBins:
    """The record of a field whose cells were merged. final: the final bin of every cell, the bins of ordinary cells
    first and in order; the others: per final bin."""
    edges = tuple(
        edge for place, edge in enumerate(pre_bins.edges) if final[place] != final[place + 1]
    )  # ordinary cell i is the ordinary bin i when there is more than one
    of_codes = [final[cell] for cell in pre_bins.cells]
    ordinary = of_codes[1 : len(pre_bins.edges) + 2]
    steps = [code for place, code in enumerate(ordinary) if place == 0 or code != ordinary[place - 1]]
    return FieldBins(
        edges=edges,
        special=pre_bins.special,
        final=(of_codes[0], *steps, *of_codes[len(pre_bins.edges) + 2 :]),
        woe=tuple(woe),
        rows=tuple(rows),
        goods=tuple(goods),
        bads=tuple(bads),
        iv=iv,
    )


@dataclass(frozen=True, slots=True)
class IvRow:
    """One field in the IV table. n_bins: final bins, those of missing and special values included."""

    field: str
    iv: float
    n_bins: int
    trend: FoundTrend
    monotone: bool


def iv_table(binning: WoeBinning) -> tuple[IvRow, ...]:
    """The fields with their IV, the highest first."""
    rows = [
        IvRow(name, field.iv, len(field.woe), field.trend, field.monotone)
        for name, field in zip(binning.fields, binning.bins, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: -row.iv))
