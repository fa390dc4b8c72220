"""Points: a scorecard's log-odds on the scale that credit officers read.

score = base - factor (ln(odds of the event) + ln(base_odds)),   factor = pdo / ln 2:
`base` points stand for `base_odds` goods to one bad, and every `pdo` points double the odds (Siddiqi, "Credit Risk
Scorecards", 2006, chapter 6). A table of points per bin is rounded to `TABLE_DECIMALS`; a party's points of a row are
the sum of its table's entries, rounded to whole points (or to the job's coarser `step`) before they leave it. A score
is the sum of the parties' rounded points, so it can be recomputed from the tables by hand.
"""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec
import numpy as np

from federation.binning import Codes

Floats = np.ndarray[Any, np.dtype[np.float64]]
Points = np.ndarray[Any, np.dtype[np.int32]]

TABLE_DECIMALS: Final = 1
"""Whole points per bin would cost two dozen fields some 0.003 of AUC."""


class PointScale(msgspec.Struct, frozen=True):
    """base: points at `odds` goods to one bad; pdo: points that double the odds; step: a party's points are rounded to
    multiples of it."""

    base: float = 600.0
    pdo: float = 20.0
    odds: float = 50.0
    step: int = 1

    @property
    def factor(self) -> float:
        """Points per unit of log-odds."""
        return self.pdo / math.log(2)

    def constant(self, intercept: float) -> float:
        """The points that every row has: of the scale and of the model's intercept (log-odds of the event)."""
        return round(self.base - self.factor * (intercept + math.log(self.odds)), TABLE_DECIMALS)

    def table(self, weights: tuple[float, ...], woe: tuple[tuple[float, ...], ...]) -> PointTable:
        """Points per field and code, from the weights of the log-odds of the event."""
        return tuple(
            tuple(round(-self.factor * weight * value, TABLE_DECIMALS) for value in of_field)
            for weight, of_field in zip(weights, woe, strict=True)
        )

    def rounded(self, points: Floats) -> Points:
        """Sums of table entries as they leave a party: multiples of `step`, halves to even."""
        return (np.rint(np.round(points, TABLE_DECIMALS) / self.step) * self.step).astype(np.int32)

    def log_odds(self, scores: np.ndarray[Any, Any]) -> Floats:
        """The log-odds of the event that a score stands for."""
        found: Floats = (self.base - np.asarray(scores, dtype=np.float64)) / self.factor - math.log(self.odds)
        return found


PointTable = tuple[tuple[float, ...], ...]
"""Points per field and code."""


def sum_of(table: PointTable, codes: Codes) -> Floats:
    """A row's points: (n_rows,)."""
    total = np.zeros(len(codes))
    for place, of_field in enumerate(table):
        total = total + np.asarray(of_field)[codes[:, place]]
    return total


def deductions(table: PointTable, codes: Codes) -> Floats:
    """How many points each row lies below the best bin of each field: (n_rows, n_fields), not negative.

    The usual measure of what kept a score down (Siddiqi 2006, chapter 6: adverse codes).
    """
    lost = [max(of_field) - np.asarray(of_field)[codes[:, place]] for place, of_field in enumerate(table)]
    return np.stack(lost, axis=1) if lost else np.zeros((len(codes), 0))


def most_deducted(lost: Floats, count: int) -> np.ndarray[Any, np.dtype[np.int8]]:
    """The places of the `count` fields that deducted the most, per row, in turn; -1 where fewer deducted anything."""
    found = np.full((len(lost), count), -1, dtype=np.int8)
    if lost.shape[1]:
        order = np.argsort(-lost, axis=1, kind="stable")[:, :count]
        amounts = np.take_along_axis(lost, order, axis=1)
        found[:, : order.shape[1]] = np.where(amounts > 0, order, -1)
    return found
