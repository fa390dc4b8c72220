"""Values as a trainer may see them: coarser than the table has them, before anything is computed (PIPL 6).

Whatever the model, nothing can leak what was never given to it. Every function keeps NaN, and the order of the values
that it leaves different.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from privacy.catalog import Treatment

Floats = np.ndarray[Any, np.dtype[np.float64]]
NO_CHANGE: Final = "none"

_FIRST_MONTH: Final = 100_000
_FIRST_DAY: Final = 10_000_000
"""From these on, a number that stands for a date is YYYYMM or YYYYMMDD."""
_LAST_YEAR: Final = 9_999


@dataclass(frozen=True, slots=True)
class Minimised:
    """The coarser values, (n,) float64; what was done; and into how many different values."""

    values: Floats = field(repr=False)
    kind: str
    buckets: int = 0


def minimise(values: Floats, treatment: Treatment, smallest: int) -> Minimised:
    """The values by the treatment. smallest: rows that every bucket of quantiles has at least (k_min).

    Few rows (under `smallest`) become one bucket: their mean. Doing it twice changes nothing.
    """
    match treatment.minimise:
        case "quantiles":
            return quantile_buckets(values, treatment.number, smallest)
        case "age_band":
            half = treatment.number / 2
            return _rounded(np.floor(values / treatment.number) * treatment.number + half, "age_band")
        case "year":
            return _rounded(_years(values, max(treatment.number, 1)), "year")
        case "first_digit":
            scale = 10.0 ** np.floor(np.log10(np.maximum(np.abs(values), 1.0)))
            return _rounded(np.trunc(values / scale), "first_digit")
    return Minimised(values, NO_CHANGE)


def _rounded(values: Floats, kind: str) -> Minimised:
    return Minimised(values, kind, len(np.unique(values[np.isfinite(values)])))


def _years(values: Floats, band: int) -> Floats:
    """The middle year of the band of calendar years: of years, months (YYYYMM) or days (YYYYMMDD), NaN for others."""
    years = np.select(
        [values < 1, values < _FIRST_MONTH, values < _FIRST_DAY, values < 10 * _FIRST_DAY],
        [np.nan, np.floor(values), np.floor(values / 100), np.floor(values / 10_000)],
        np.nan,
    )
    years[years > _LAST_YEAR] = np.nan
    result: Floats = np.floor(years / band) * band + (band - 1) / 2
    return result


def quantile_buckets(values: Floats, buckets: int, smallest: int) -> Minimised:
    """Every value becomes the mean of its bucket; edges at the quantiles, equal values in one bucket.

    At most `buckets` of them, each of at least `smallest` rows, so no extreme of a few people stays visible. Sums over
    whole buckets are kept.
    """
    present = np.isfinite(values)
    known = values[present]
    if not len(known):
        return Minimised(values.copy(), "quantiles")
    places = np.arange(1, buckets) * len(known) // buckets
    ordered = np.partition(known, np.unique(np.append(places, 0)))
    edges = np.unique(ordered[places])
    codes = np.searchsorted(edges, known, side="right")
    joined = _joined(np.bincount(codes, minlength=len(edges) + 1), smallest)
    _, firsts = np.unique(joined, return_index=True)
    # Means are taken from each bucket's lower edge: equal values then have exactly themselves as their mean.
    anchors = np.append(ordered[0], edges)[firsts]
    codes = joined[codes]
    sizes = np.bincount(codes, minlength=len(firsts))
    above = np.bincount(codes, weights=known - anchors[codes], minlength=len(firsts))
    means = anchors + above / np.maximum(sizes, 1)
    result = values.copy()
    result[present] = means[codes]
    return Minimised(result, "quantiles", int((sizes > 0).sum()))


def _joined(counts: np.ndarray[Any, Any], smallest: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The bucket of each code when those of too few rows are joined to the next one, the last to the one before."""
    found = np.zeros(len(counts), dtype=np.int64)
    number, rows = 0, 0
    for code, count in enumerate(counts.tolist()):
        found[code] = number
        rows += count
        if rows >= smallest:
            number, rows = number + 1, 0
    if 0 < rows < smallest and number:
        found[found == number] = number - 1
    return found
