"""Scores as a decision needs them: whole points of a scorecard, and the reasons of points and of boosted scores.

A scorecard's are each party's largest deductions (`federation.points`). How much a partner's fields deducted stays with
the partner, so reasons of different parties cannot be compared: they take turns, the label holder first. Those of trees
are the largest contributions to the risk (`federation.path_attributions`), a partner's as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import pandas as pd

from clients.lending.reasons import (
    MOST_REASONS,
    Direction,
    RiskReason,
    format_reasons,
    has_words,
    information_from,
    published,
)
from clients.tables import FieldSpec
from federation.path_attributions import Contributions, largest
from federation.points import PointScores

POINTS, REASONS = "points", "reasons"
_NONE = -1


def columns_of(
    scores: PointScores, own_fields: Sequence[str], specs: Sequence[FieldSpec] = ()
) -> pd.DataFrame:
    """Columns `points` and `reasons` of customers.csv, one row per scored one; no points where a partner was silent.

    own_fields: of the label holder's model, in its order; specs: as they are registered. A field for which the
    catalogue has no words gets the name published for it.
    """
    own_names = tuple(_plain(own_fields, specs))
    points = pd.Series(scores.total, dtype="Int64").where(pd.Series(scores.answered))
    reasons = [
        format_reasons(RiskReason(name, Direction.RAISES) for name in _names(scores, own_names, row))
        if answered
        else ""
        for row, answered in enumerate(scores.answered.tolist())
    ]
    return pd.DataFrame({POINTS: points, REASONS: reasons})


def contribution_reasons(found: Contributions, specs: Sequence[FieldSpec]) -> list[str]:
    """What raises the risk most, per row: cells for the column `reasons` of customers.csv.

    specs: of the label holder's fields. A field for which the catalogue has no words gets the name published for it.
    """
    names = [*_plain(found.fields, specs), *map(information_from, found.partners)]
    return [
        format_reasons(RiskReason(names[column], Direction.RAISES) for column in row if column != _NONE)
        for row in largest(found.values, MOST_REASONS).tolist()
    ]


def _plain(fields: Sequence[str], specs: Sequence[FieldSpec]) -> Iterator[str]:
    titles = {item.name: item.published for item in specs}
    for name in fields:
        title = titles.get(name)
        yield name if title is None or has_words(name) else published(title.zh, title.en)


def _names(scores: PointScores, own_names: Sequence[str], row: int) -> Iterator[str]:
    """The names of a row's reasons, in turns, each once."""
    of_parties = [[own_names[place] for place in scores.own_reasons[row].tolist() if place != _NONE]]
    for _, partner in sorted(scores.partners.items()):
        names = [published(name.zh, name.en) for name in partner.names]
        of_parties.append([names[place] for place in partner.reasons[row].tolist() if place != _NONE])
    turns = (name for turn in zip_longest(*of_parties) for name in turn if name is not None)
    yield from dict.fromkeys(turns)
