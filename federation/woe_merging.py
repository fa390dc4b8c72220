"""Merging the pre-bins of one field on their counts of goods and bads alone: no value, name or direction is needed.

WOE = ln((goods / all goods) / (bads / all bads)), IV = sum of (share of goods - share of bads) WOE over the bins
(Siddiqi, "Credit Risk Scorecards", 2006, chapter 6).

Ordinary bins: of all ways to join neighbours that keep the rules, the one with the highest IV, found by dynamic
programming (the same optimum that an integer program finds: Navas-Palencia, "Optimal binning", arXiv 2001.08025, with
the IV as the objective). The rules: at most `max_bins` bins, each with the smallest number of rows and at least one
good and one bad, so that no count has to be smoothed, and a strictly monotone share of bads unless the trend is
"none". "auto" takes the direction with the higher IV. Of equal IVs fewer bins win, then the earlier cut.

Loose cells (missing, special values): one that keeps the rules is a bin of its own. Otherwise it joins the bin with
the nearest WOE, of two equally near ones the worse (lower WOE), the smallest first. That keeps a monotone
order: the joined bin moves at most half the way to its neighbour. An ordinary part that is too small as a whole
joins likewise.

All this is done on the direction of the ordinary cells in which their counts come first in dictionary order. So the
result does not depend on the direction in which they are given (`symmetric` tells when they look alike in both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from federation.binning import Integers
from federation.woe_options import Trend

OPPOSITE: Final[dict[Trend, Trend]] = {
    "auto": "auto", "none": "none", "ascending": "descending", "descending": "ascending",
}  # fmt: skip

Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a final bin must keep to. smallest: rows; most: ordinary bins."""

    smallest: int
    most: int
    trend: Trend


@dataclass(frozen=True, slots=True)
class Merging:
    """final: the final bin of every cell; bins of ordinary cells come first, in order. goods, bads: per final bin.

    symmetric: the ordinary cells had the same counts in both directions, and no trend was asked for.
    """

    final: tuple[int, ...]
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    symmetric: bool

    @property
    def woe(self) -> tuple[float, ...]:
        """WOE per final bin."""
        return woe_of(self.goods, self.bads)

    @property
    def iv(self) -> float:
        """The field's information value."""
        return iv_of(self.goods, self.bads)


def woe_of(goods: Sequence[int], bads: Sequence[int]) -> tuple[float, ...]:
    """WOE of bins that together hold all rows; every count is positive."""
    all_goods, all_bads = sum(goods), sum(bads)
    return tuple(math.log((g / all_goods) / (b / all_bads)) for g, b in zip(goods, bads, strict=True))


def iv_of(goods: Sequence[int], bads: Sequence[int]) -> float:
    """IV of the same bins; the same float in whatever order they come."""
    all_goods, all_bads = sum(goods), sum(bads)
    counts = zip(goods, bads, woe_of(goods, bads), strict=True)
    return math.fsum((g / all_goods - b / all_bads) * woe for g, b, woe in counts)


def merge_cells(goods: Integers, bads: Integers, n_ordered: int, rules: Rules) -> Merging:
    """Merge one field's cells, (n_cells,) each: ordinary ones in order, then loose ones.

    All cells together must keep the rules.
    """
    ordered = list(zip(goods[:n_ordered].tolist(), bads[:n_ordered].tolist(), strict=True))
    same = ordered == ordered[::-1]
    flip = rules.trend == "descending" if same else ordered[::-1] < ordered
    totals = int(goods.sum()), int(bads.sum())
    # Blocks hold cells. Ordinary ones are in the direction that is worked on.
    line = list(range(n_ordered))[:: -1 if flip else 1]
    trend = OPPOSITE[rules.trend] if flip else rules.trend
    cuts = _cuts(goods[line], bads[line], totals, Rules(rules.smallest, rules.most, trend))
    blocks = [line[start:end] for start, end in zip([0, *cuts], [*cuts, n_ordered], strict=True) if line]
    blocks += [[cell] for cell in range(n_ordered, len(goods))]
    blocks = _joined(blocks, goods, bads, rules.smallest, n_ordered)
    final = np.empty(len(goods), dtype=np.int64)
    for number, block in enumerate(sorted(blocks, key=min)):
        final[block] = number
    counts = [np.bincount(final, weights=of_cells).astype(np.int64).tolist() for of_cells in (goods, bads)]
    return Merging(
        tuple(final.tolist()),
        tuple(counts[0]),
        tuple(counts[1]),
        symmetric=same and rules.trend in {"auto", "none"},
    )


def _cuts(goods: Integers, bads: Integers, totals: tuple[int, int], rules: Rules) -> tuple[int, ...]:
    """Where to cut the ordinary cells; nowhere when they cannot keep the rules."""
    directions: tuple[Trend, ...] = ("ascending", "descending") if rules.trend == "auto" else (rules.trend,)
    found = [_best_cuts(goods, bads, totals, rules, direction) for direction in directions]
    return max(found, key=lambda item: item[0])[1]  # the first of equals


def _best_cuts(
    goods: Integers, bads: Integers, totals: tuple[int, int], rules: Rules, trend: Trend
) -> tuple[float, tuple[int, ...]]:
    """The highest IV in one direction, and the cuts that give it.

    best[i, j]: the highest IV of the cells before j in `bins` bins, the last one holding the cells i..j-1.
    """
    n = len(goods)
    # Counts of the bin i..j-1 at [i, j].
    g, b = (np.subtract.outer(prefix, prefix).T for prefix in map(_prefix, (goods, bads)))
    iv = _iv_of_bins(g, b, totals, rules.smallest)
    best = np.full_like(iv, -np.inf)
    best[0] = iv[0]
    top, ends, before = float(best[0, n]), [0], []
    for bins in range(2, min(rules.most, n) + 1):
        longer, previous = np.full_like(iv, -np.inf), np.zeros(iv.shape, dtype=np.int64)
        for cut in range(1, n):
            upper, lower = np.outer(b[:cut, cut], g[cut]), np.outer(g[:cut, cut], b[cut])
            fits = {"ascending": upper > lower, "descending": upper < lower}.get(trend, upper != lower)
            scores = np.where(fits, best[:cut, cut, None], -np.inf)
            previous[cut] = scores.argmax(axis=0)
            longer[cut] = scores.max(axis=0) + iv[cut]
        best = longer
        before.append(previous)
        if best[:, n].max() > top:
            top, ends = float(best[:, n].max()), [int(best[:, n].argmax())]
            for place in range(bins - 2, 0, -1):
                after = ends[1] if len(ends) > 1 else n
                ends.insert(0, int(before[place][ends[0], after]))
    return top, tuple(cut for cut in ends if cut)


def _prefix(counts: Integers) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)])


def _iv_of_bins(goods: Integers, bads: Integers, totals: tuple[int, int], smallest: int) -> Floats:
    """What a bin adds to the IV; -inf for one that may not be."""
    allowed = (goods > 0) & (bads > 0) & (goods + bads >= smallest)
    share_goods = np.where(allowed, goods, 1) / totals[0]
    share_bads = np.where(allowed, bads, 1) / totals[1]
    return np.where(allowed, (share_goods - share_bads) * np.log(share_goods / share_bads), -np.inf)


def _joined(
    blocks: list[list[int]], goods: Integers, bads: Integers, smallest: int, n_ordered: int
) -> list[list[int]]:
    """Join the blocks that are too small, or have no good or no bad, with others."""

    def counts(block: list[int]) -> tuple[int, int]:
        return int(goods[block].sum()), int(bads[block].sum())

    def log_odds(block: list[int]) -> float:
        good, bad = counts(block)
        return math.inf if not bad else -math.inf if not good else math.log(good / bad)

    def distance(one: list[int], other: list[int]) -> float:
        first, second = log_odds(one), log_odds(other)
        if math.isinf(first):  # as far from everything: the best, or the worst, is nearest
            return -second if first > 0 else second
        return abs(first - second)

    def place(block: list[int]) -> tuple[int, int, bool]:
        """What tells blocks apart whatever the order in which loose cells are given."""
        good, bad = counts(block)
        return good + bad, bad, min(block) >= n_ordered

    while True:
        unfit = [block for block in blocks if sum(counts(block)) < smallest or not all(counts(block))]
        if not unfit or len(blocks) == 1:
            return blocks
        joins = min(unfit, key=place)
        others = [block for block in blocks if block is not joins]
        nearest = min(others, key=lambda block: (distance(joins, block), log_odds(block), place(block)))
        blocks = [block for block in others if block is not nearest] + [nearest + joins]
