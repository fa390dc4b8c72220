"""Early warning after a loan was made: a firm whose use of electricity falls month after month, seen at the utility.

Parties. The utility holds monthly readings; the bank holds the book.
Rounds. One: the utility sends the first alert of each firm that the matching has found in the bank's book, and whose
    authorisation holds (the gate has left out the others).
What each party learns. The bank: which firms of its book have an alert, the month, and the strength in three steps. The
    utility: nothing, but it knows whom the matching has found. No reading leaves the utility.
Source. A rule on three successive deviations from a deseasonalised base line, a Shewhart chart with runs (Western
    Electric 1956); CUSUM (Page 1954) was not needed: the falls are steep and the rule can be said in one sentence.
Deviations. The season is taken from all firms of the panel (in a job: those that the matching has found), in the same
    month, not from the firm's own past year: two years of a single firm are too short for that, and a drop of everybody
    is the calendar, not anybody's trouble.
Equals. Itself on any longer panel: what a month says does not change with the months that follow (tested).
Cost. A few passes over the panel.

Thresholds are the reference generator's, checked on sample worlds with other seeds than the tests'. No outcome enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

LEVEL_MONTHS: Final = 6
"""A firm's level, for the season alone: its mean over its first months."""
BASE_MONTHS: Final = 6
GAP_MONTHS: Final = 2
"""The base line: the mean of six months, which ends two months before the month that is looked at."""
DROPS: Final = (0.03, 0.12, 0.20)
"""Least fall of the logarithm below the base line, two months ago, one month ago, and in the month itself."""
FEWEST_FIRMS: Final = 50
"""A season taken from fewer firms would follow single ones."""
FEWEST_BASE_MONTHS: Final = 3
"""Readings that a base line needs, of the six."""

_SEVERE: Final = 0.50
_MARKED: Final = 0.30


class Strength(StrEnum):
    """How far below the base line: from 18 %, from 26 %, from 39 % (falls of the logarithm of 0.2, 0.3 and 0.5)."""

    WATCH = "watch"
    MARKED = "marked"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True)
class FirmWarning:
    """The first alert of one firm. row: in the panel; month: column of the panel, 0 the first."""

    row: int
    month: int
    strength: Strength


def deseasonalised(panel: Floats) -> Floats:
    """(n, m) logarithms without the season: in each month the median over all firms is taken off.

    panel: (n, m) positive monthly readings, NaN where there is none. Month t depends on months up to t alone, once the
    `LEVEL_MONTHS` that give each firm's level are over; the months before are NaN. Raises `ConfigInvalid` for a reading
    that is not positive, fewer than `FEWEST_FIRMS` firms, or a panel that is too short to look at any month.
    """
    count, months = panel.shape
    if count < FEWEST_FIRMS:
        raise ConfigInvalid("warning_firms", count=count, minimum=FEWEST_FIRMS)
    if months <= BASE_MONTHS + GAP_MONTHS:
        raise ConfigInvalid("warning_months", count=months, minimum=BASE_MONTHS + GAP_MONTHS + 1)
    not_positive = int((panel <= 0).sum())
    if not_positive:
        raise ConfigInvalid("warning_readings", count=not_positive)
    logs = np.log(panel)
    relative = logs - _mean(logs[:, :LEVEL_MONTHS])[:, None]
    # A firm without a level has no part in the season, and no alert.
    result: Floats = relative - np.array([_median(relative[:, month]) for month in range(months)])
    return result


def first_warnings(panel: Floats, in_book: Mask, since: int = 0) -> tuple[FirmWarning, ...]:
    """One alert for each firm of the book that has any, the earliest, by row. in_book: (n,) whom the bank may hear of.

    since: the first column of the panel whose alerts count, for what is watched month by month.

    The season is taken from all firms of the panel, also those that are not in the book: it stays at the utility.
    Raises `ConfigInvalid` like `deseasonalised`, and when `in_book` is not a mask of the panel's firms.
    """
    if in_book.shape != (len(panel),) or in_book.dtype != np.bool_:
        raise ConfigInvalid("warning_book", rows=len(panel))
    values = deseasonalised(panel)
    found: dict[int, FirmWarning] = {}
    for month in range(max(BASE_MONTHS + GAP_MONTHS, since), panel.shape[1]):
        fall = falls(values, month)
        for row in np.flatnonzero(_is_hit(fall) & in_book).tolist():
            found.setdefault(row, FirmWarning(row, month, _strength(float(fall[row, -1]))))
    return tuple(found[row] for row in sorted(found))


def falls(values: Floats, month: int) -> Floats:
    """(n, 3) How far the deseasonalised `values` lie below the base line, two months ago, one month ago, and now."""
    base = values[:, month - GAP_MONTHS - BASE_MONTHS : month - GAP_MONTHS]
    enough = np.isfinite(base).sum(axis=1) >= FEWEST_BASE_MONTHS
    line = np.where(enough, _mean(base), np.nan)
    result: Floats = line[:, None] - values[:, month - GAP_MONTHS : month + 1]
    return result


def _is_hit(fall: Floats) -> Mask:
    """A month without a reading ends a run: NaN is above no threshold."""
    return np.asarray((fall > np.array(DROPS)).all(axis=1), np.bool_)


def _strength(fall: float) -> Strength:
    if fall >= _SEVERE:
        return Strength.SEVERE
    return Strength.MARKED if fall >= _MARKED else Strength.WATCH


def _mean(values: Floats) -> Floats:
    """(n,) means of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    sums = np.where(known, values, 0.0).sum(axis=1)
    counts = known.sum(axis=1)
    result: Floats = np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)
    return result


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else 0.0
