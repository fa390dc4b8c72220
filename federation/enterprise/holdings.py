"""What one party says of the firms of a job, from its own columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from federation.enterprise.early_warning import Strength, first_warnings
from federation.enterprise.exchange_messages import Answer
from federation.enterprise.health import TOPICS, Topic, topic_points
from federation.enterprise.kinds import COLUMNS as KIND_COLUMNS
from federation.enterprise.kinds import UNKNOWN, kinds
from federation.enterprise.levels import PD_BOUNDS, RULES

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

STRENGTHS: Final = tuple(Strength)
"""1 in a message is the first of them."""


@dataclass(frozen=True, slots=True)
class ExchangeOptions:
    """What the job says, the same at every party.

    topics: with the job's weights. since, until: months of the panel, counted from 1; warnings before `since` do not
    count, readings after `until` are not looked at; 0: all.
    """

    topics: tuple[Topic, ...] = TOPICS
    bounds: tuple[float, ...] = PD_BOUNDS
    since: int = 0
    until: int = 0


@dataclass(frozen=True, slots=True)
class Holdings:
    """One party's columns of the aligned rows, in their own units, (n,) each; NaN: missing.

    rules: the columns that are exact enough for a rule; panel: (n, months), oldest first, None without one.
    """

    rows: int
    columns: Mapping[str, Floats] = field(repr=False)
    rules: Mapping[str, Floats] = field(repr=False)
    panel: Floats | None = field(default=None, repr=False)

    def answer(self, options: ExchangeOptions, answered: Mask) -> Answer:
        """What this party says of its rows. Raises `ConfigInvalid` like `early_warning.first_warnings`."""
        topics = [
            topic
            for topic in options.topics
            if topic.weight and all(name in self.columns for name in topic.columns)
        ]
        rules = [rule for rule in RULES if rule.column in self.rules]
        points = [topic_points(topic, self.columns)[0] for topic in topics]
        hits = [rule.hits(self.rules[rule.column]) for rule in rules]
        types = np.empty(0, np.int8)
        if all(name in self.columns for name in KIND_COLUMNS):
            types = np.where(answered, kinds(self.columns), UNKNOWN).astype(np.int8)
        months, month, strength = self._warnings(options, answered)
        return Answer(
            answered=answered,
            topics=tuple(topic.name for topic in topics),
            points=np.where(answered[:, None], _columns(points, self.rows), 0).astype("|u1"),
            rules=tuple(rule.reason for rule in rules),
            hits=answered[:, None] & _columns(hits, self.rows).astype(np.bool_),
            kinds=types,
            months=months,
            month=month,
            strength=strength,
        )

    def _warnings(
        self, options: ExchangeOptions, answered: Mask
    ) -> tuple[int, np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        if self.panel is None:
            return 0, np.empty(0, "|u1"), np.empty(0, "|u1")
        panel = self.panel[:, : options.until or None]
        month, strength = np.zeros(self.rows, "|u1"), np.zeros(self.rows, "|u1")
        for found in first_warnings(panel, answered, max(0, options.since - 1)):
            month[found.row] = found.month + 1
            strength[found.row] = STRENGTHS.index(found.strength) + 1
        return panel.shape[1], month, strength


def _columns(parts: Sequence[np.ndarray[Any, Any]], rows: int) -> np.ndarray[Any, Any]:
    """(rows, parts), also where there are none."""
    return np.column_stack(parts) if parts else np.empty((rows, 0), np.int64)
