"""Two years of monthly electricity of the synthetic firms: season, growth, and the decline before a default."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Integers = np.ndarray[Any, np.dtype[np.int64]]

MONTHS: Final = 24
NEVER: Final = -1

_SUMMER: Final = 0.06
_SPRING_FESTIVAL: Final = 0.18
_SPRING_FESTIVAL_MONTH: Final = 1
_NOISE: Final = 0.06
_GROWTH_SHARE: Final = 0.5
"""How much of a firm's growth in orders shows in its use of electricity."""

DECLINING_SHARE: Final = 0.75
"""Of the firms that default, how many decline first."""
_LEAD_MONTHS: Final = (4, 8)
"""Months from the beginning of the decline to the default, upper bound excluded."""
_DECLINE: Final = 0.16

FALSE_DIP_SHARE: Final = 0.05
"""Of the firms that do not default, how many have a dip that passes."""
_DIP, _DIP_DEEPEST, _DIP_MONTHS = 0.10, 3, 5
_FIRST_DIP: Final = 6
_LAST_DIP: Final = 4


def draw_electricity(
    growth: Floats, default_month: Integers, rng: np.random.Generator
) -> tuple[Floats, Integers]:
    """(n, 24) monthly index, and (n,) the month in which a decline or a false dip begins, or `NEVER`.

    growth: of orders in a year; default_month: (n,) or `NEVER`. Decline and dip multiply the index by exp(-0.16) and
    exp(-0.10) for each month since they began; a dip is gone after five months. A decline shows a month after it began.
    """
    count, month = len(growth), np.arange(MONTHS)
    season = (
        1
        + _SUMMER * np.sin(2 * np.pi * month / 12)
        - _SPRING_FESTIVAL * (month % 12 == _SPRING_FESTIVAL_MONTH)
    )
    trend = np.exp(growth[:, None] / 12 * _GROWTH_SHARE * month)
    panel = season * np.exp(rng.normal(0.0, _NOISE, (count, MONTHS))) * trend

    defaults = default_month != NEVER
    lead = rng.integers(*_LEAD_MONTHS, count)
    declines = defaults & (rng.random(count) < DECLINING_SHARE)
    dips = ~defaults & (rng.random(count) < FALSE_DIP_SHARE)
    begin = np.where(declines, default_month - lead, NEVER)
    dip_begin = rng.integers(_FIRST_DIP, MONTHS - _LAST_DIP, count)
    since = np.maximum(0, month - begin[:, None])
    panel *= np.where(declines[:, None], np.exp(-_DECLINE * since), 1.0)
    since = np.clip(month - dip_begin[:, None], 0, _DIP_DEEPEST)
    during = dips[:, None] & (month < dip_begin[:, None] + _DIP_MONTHS)
    panel *= np.where(during, np.exp(-_DIP * since), 1.0)
    return panel, np.where(dips, dip_begin, begin).astype(np.int64)
