"""Rounding of every figure of the record, once: the page may show it shorter, and nothing knows it longer."""

from __future__ import annotations

import math
from typing import Final

DECIMALS: Final = 4


def rounded(value: float, decimals: int = DECIMALS) -> float:
    """Without a negative zero. Raises `ValueError` for NaN and infinity: they cannot be shown."""
    if not math.isfinite(value):
        raise ValueError("not finite")
    return round(float(value), decimals) + 0.0


def maybe(value: float | None) -> float | None:
    """Rounded, unless there is none."""
    return None if value is None else rounded(value)
