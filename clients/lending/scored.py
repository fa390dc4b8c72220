"""Scorecard points as a decision needs them: whole points, and the reasons that kept a score down.

Reasons are each party's largest deductions (`federation.points`). How much a partner's fields deducted stays with the
partner, so reasons of different parties cannot be compared: they take turns, the label holder first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import pandas as pd

from clients.lending.reasons import Direction, RiskReason, format_reasons, published
from federation.points import PointScores

POINTS, REASONS = "points", "reasons"
_NONE = -1


def columns_of(scores: PointScores, own_fields: Sequence[str]) -> pd.DataFrame:
    """Columns `points` and `reasons` of customers.csv, one row per scored one; no points where a partner was silent.

    own_fields: of the label holder's model, in its order.
    """
    points = pd.Series(scores.total, dtype="Int64").where(pd.Series(scores.answered))
    reasons = [
        format_reasons(RiskReason(name, Direction.RAISES) for name in _names(scores, own_fields, row))
        if answered
        else ""
        for row, answered in enumerate(scores.answered.tolist())
    ]
    return pd.DataFrame({POINTS: points, REASONS: reasons})


def _names(scores: PointScores, own_fields: Sequence[str], row: int) -> Iterator[str]:
    """The names of a row's reasons, in turns, each once."""
    of_parties = [[own_fields[place] for place in scores.own_reasons[row].tolist() if place != _NONE]]
    for _, partner in sorted(scores.partners.items()):
        names = [published(name.zh, name.en) for name in partner.names]
        of_parties.append([names[place] for place in partner.reasons[row].tolist() if place != _NONE])
    turns = (name for turn in zip_longest(*of_parties) for name in turn if name is not None)
    yield from dict.fromkeys(turns)
