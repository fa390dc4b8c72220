"""Risk levels A to E of firms: from the probability of default, and from rules that can only make a level worse.

The model decides the base level by fixed bounds. Default history, lawsuits and the press are in the model too; the
rules are a validator's backstop for what a model smooths over (a firm with three lawsuits and excellent statements), as
the overrides of a rating system are (Basel framework, chapter CRE36: said beforehand, recorded with reasons, watched).

Each rule is evaluated by whoever holds its column; what leaves the holder is one bit per firm and rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int64]]


class Level(IntEnum):
    """Risk, lowest first."""

    A = 0
    B = 1
    C = 2
    D = 3
    E = 4


PD_BOUNDS: Final = (0.02, 0.05, 0.10, 0.20)
"""Default within 12 months: A below 2 %, B below 5 %, C below 10 %, D below 20 %, E from 20 % on."""
MOST_NOTCHES: Final = 2
"""All rules together: what they know overlaps, and the model has counted part of it already."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One level worse for a firm whose `column` is at least `least`. reason: `enterprise.reason.<reason>`."""

    reason: str
    column: str
    least: float

    def hits(self, values: Floats) -> Mask:
        """(n,) At the holder of the column: whom the rule concerns. A missing value is no reason."""
        return np.asarray(values >= self.least, np.bool_)


RULES: Final = (
    Rule("default_history", "firm_past_defaults_36m", 2),
    Rule("litigation", "firm_lawsuits_24m", 2),
    Rule("negative_news", "firm_negative_news_12m", 3),
)


@dataclass(frozen=True, slots=True)
class Levels:
    """level, base: (n,) of `Level`, with and without the rules. hits: by reason, (n,) whom the rule concerns."""

    level: Codes = field(repr=False)
    base: Codes = field(repr=False)
    hits: Mapping[str, Mask] = field(repr=False)

    def reasons_of(self, row: int) -> tuple[str, ...]:
        """Why this firm's level is worse than its probability says, in the order of the rules; () where it is not."""
        if self.level[row] == self.base[row]:
            return ()
        return tuple(reason for reason, who in self.hits.items() if who[row])


def base_levels(probability: Floats, bounds: Sequence[float] = PD_BOUNDS) -> Codes:
    """(n,) levels by the probability of default alone; a bound belongs to the worse level.

    Raises `ConfigInvalid` for a probability outside [0, 1] or missing, and for bounds that do not rise.
    """
    edges = np.asarray(bounds, np.float64)
    if len(edges) != len(Level) - 1 or (np.diff(edges) <= 0).any() or edges[0] <= 0 or edges[-1] >= 1:
        raise ConfigInvalid("level_bounds", expected=len(Level) - 1)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ConfigInvalid("level_probability", rows=int((~((probability >= 0) & (probability <= 1))).sum()))
    return np.searchsorted(edges, probability, side="right").astype(np.int64)


def assign(
    probability: Floats,
    hits: Mapping[str, Mask],
    bounds: Sequence[float] = PD_BOUNDS,
    most: int = MOST_NOTCHES,
) -> Levels:
    """Levels of firms. hits: by reason, (n,) from each rule's holder; a rule without an entry concerns nobody.

    Raises `ConfigInvalid` like `base_levels`, for an unknown reason, and for masks of another length.
    """
    base = base_levels(probability, bounds)
    names = [rule.reason for rule in RULES]
    unknown = sorted(set(hits) - set(names))
    if unknown:
        raise ConfigInvalid("level_reason_unknown", name=", ".join(unknown), known=", ".join(names))
    for name, who in hits.items():
        if who.shape != base.shape or who.dtype != np.bool_:
            raise ConfigInvalid("level_hits", name=name, rows=len(base))
    ordered = {name: hits[name] for name in names if name in hits}
    notches = np.minimum(most, sum((who.astype(np.int64) for who in ordered.values()), np.zeros_like(base)))
    return Levels(np.minimum(base + notches, int(Level.E)), base, ordered)


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One line of the table for a validator."""

    level: Level
    firms: int
    defaults: int

    @property
    def rate(self) -> float | None:
        """Share of firms in default; None without firms."""
        return self.defaults / self.firms if self.firms else None


def level_table(level: Codes, defaults: np.ndarray[Any, Any]) -> tuple[LevelRow, ...]:
    """Firms and defaults of each level, A first. defaults: (n,) of 0 and 1, or of bool."""
    bad = np.asarray(defaults, np.bool_)
    return tuple(LevelRow(one, int((level == one).sum()), int(bad[level == one].sum())) for one in Level)


def rises(table: Sequence[LevelRow]) -> bool:
    """Whether the default rate strictly rises over the levels that have firms."""
    rates = [row.rate for row in table if row.rate is not None]
    return all(worse > better for better, worse in pairwise(rates))
