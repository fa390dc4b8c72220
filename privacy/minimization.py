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


@dataclass(frozen=True, slots=True)
class Minimised:
    """The coarser values, (n,) float64; what was done; and into how many different values."""

    values: Floats = field(repr=False)
    kind: str
    buckets: int = 0


def minimise(values: Floats, treatment: Treatment, smallest: int) -> Minimised:
    """The values by the treatment. smallest: rows that every bucket of quantiles has at least (k_min).

    Few rows (under `smallest`) become one bucket: their mean.
    """
    match treatment.minimise:
        case "quantiles":
            return quantile_buckets(values, treatment.number, smallest)
        case "age_band":
            half = treatment.number / 2
            return _rounded(np.floor(values / treatment.number) * treatment.number + half, "age_band")
        case "year":
            return _rounded(np.floor(values), "year")
        case "first_digit":
            scale = 10.0 ** np.floor(np.log10(np.maximum(np.abs(values), 1.0)))
            return _rounded(np.trunc(values / scale), "first_digit")
    return Minimised(values, NO_CHANGE)


def _rounded(values: Floats, kind: str) -> Minimised:
    return Minimised(values, kind, len(np.unique(values[np.isfinite(values)])))


def quantile_buckets(values: Floats, buckets: int, smallest: int) -> Minimised:
    """Every value becomes the mean of its bucket; edges at the quantiles, equal values in one bucket.

    At most `buckets` of them, each of at least `smallest` rows, so no extreme of a few people stays visible. Sums over
    whole buckets are kept.
    """
    present = np.isfinite(values)
    known = values[present]
    if not len(known):
        return Minimised(values.copy(), "quantiles")
    shares = np.arange(1, buckets) / buckets
    places = np.minimum((shares * len(known)).astype(np.int64), len(known) - 1)
    edges = np.unique(np.partition(known, np.unique(places))[places]) if len(places) else known[:0]
    codes = np.searchsorted(edges, known, side="right")
    counts = np.bincount(codes, minlength=len(edges) + 1)
    codes = _joined(counts, smallest)[codes]
    sizes = np.bincount(codes)
    means = np.bincount(codes, weights=known) / np.maximum(sizes, 1)
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
