"""Operating-health score of firms, 0 to 100: each holder scores its own columns, and only points are added.

Parties. Every holder of columns of a topic (`TOPICS`) is a scorer; the bank adds.
Rounds. One: each scorer sends, for each matched firm and each of its topics, whole points. The bank adds them.
What each party learns. The bank: the points of each topic, whole numbers from 0 to the topic's weight, and the total.
    The scorers learn nothing. With a masked sum in place of the addition the bank learns the total alone; points are
    integers so that such a sum is exact.
Source. A composite indicator as the OECD/JRC Handbook on Constructing Composite Indicators (2008) describes it: linear
    scaling between two bounds (min-max), fixed weights, additive aggregation.
Deviations. Bounds and weights are constants set by judgement and looked at on sample worlds with other seeds than the
    tests', never fitted to outcomes. The climate of an industry has no holder here; it would be one more topic.
Equals. `scores` of all columns at one place, exactly: rounding is per topic, and each topic has one holder.
Cost. One byte per firm and topic, before framing.

A missing value counts as the middle of its range, a topic without a holder as half of its weight; `Health.known` says
for how much of the weight there was a holder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid, SchemaMismatch

Floats = np.ndarray[Any, np.dtype[np.float64]]
Points = np.ndarray[Any, np.dtype[np.int64]]

FULL_SCORE: Final = 100
_UNKNOWN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Component:
    """One column's part. At `worst` it has no points, at `best` all of `weight`, in between in proportion.

    `worst` may be above `best`: then less is better.
    """

    column: str
    worst: float
    best: float
    weight: float

    def points(self, values: Floats) -> Floats:
        """(n,) points, not rounded; half the weight where the value is missing."""
        share = np.clip((values - self.worst) / (self.best - self.worst), 0.0, 1.0)
        result: Floats = self.weight * np.where(np.isnan(share), _UNKNOWN, share)
        return result


@dataclass(frozen=True, slots=True)
class Topic:
    """A sub-score: what is known about one side of a firm at one holder."""

    name: str
    components: tuple[Component, ...]

    @property
    def weight(self) -> int:
        """Its points at most."""
        return round(sum(component.weight for component in self.components))

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(component.column for component in self.components)


TOPICS: Final = (
    Topic(
        "cash_flow",
        (
            Component("operating_margin", -0.10, 0.15, 10),
            Component("current_ratio", 0.8, 2.0, 5),
            Component("leverage", 0.85, 0.35, 5),
        ),
    ),
    Topic(
        "orders",
        (
            Component("order_stability", 0.30, 0.95, 30),
            Component("customer_concentration", 0.80, 0.20, 8),
            Component("trade_disputes_12m", 2.0, 0.0, 7),
        ),
    ),
    Topic("growth", (Component("order_growth", -0.20, 0.50, 15),)),
    Topic(
        "payments",
        (
            Component("firm_payment_delays_12m", 3.0, 0.0, 10),
            Component("lines_per_employee", 0.6, 1.5, 10),
        ),
    ),
)
"""Cash flow is the bank's, orders and growth the platform's, payments the utility's. Weights add up to 100."""


def with_weights(weights: Mapping[str, int], topics: Sequence[Topic] = TOPICS) -> tuple[Topic, ...]:
    """The topics with other weights, by name; within a topic its columns keep their proportions.

    Raises `ConfigInvalid` for an unknown topic, or when the weights do not add up to 100.
    """
    known = [topic.name for topic in topics]
    unknown = sorted(set(weights) - set(known))
    if unknown:
        raise ConfigInvalid("health_topic_unknown", name=", ".join(unknown), known=", ".join(known))
    found = tuple(
        Topic(
            topic.name,
            tuple(
                replace(item, weight=item.weight * weights.get(topic.name, topic.weight) / topic.weight)
                for item in topic.components
            ),
        )
        for topic in topics
    )
    total = sum(topic.weight for topic in found)
    if total != FULL_SCORE or any(topic.weight < 0 for topic in found):
        raise ConfigInvalid("health_weights", total=total)
    return found


@dataclass(frozen=True, slots=True)
class Health:
    """total: (n,) 0 to 100. points: by topic, (n,): what each sub-score contributes; they add up to the total.

    known: share of the weight of the topics that a holder has scored, 0 to 1.
    """

    total: Points = field(repr=False)
    points: Mapping[str, Points] = field(repr=False)
    known: float


def topic_points(topic: Topic, columns: Mapping[str, Floats]) -> tuple[Points, Mapping[str, Floats]]:
    """At a holder: (n,) whole points of one topic, and by column the points before rounding, which stay here.

    Raises `SchemaMismatch` when a column of the topic is missing.
    """
    missing = [name for name in topic.columns if name not in columns]
    if missing:
        raise SchemaMismatch("health_columns_missing", columns=", ".join(missing))
    parts = {item.column: item.points(columns[item.column]) for item in topic.components}
    total = sum(parts.values(), np.zeros(len(next(iter(parts.values())))))
    return np.rint(total).astype(np.int64), parts


def combine(points: Mapping[str, Points], rows: int, topics: Sequence[Topic] = TOPICS) -> Health:
    """At the bank: the sub-scores of all holders as one score of `rows` firms. A topic that nobody sent counts half.

    Raises `ConfigInvalid` when the weights do not add up to 100, a topic is unknown, or points are not (rows,) whole
    numbers between 0 and the topic's weight.
    """
    weights = {topic.name: topic.weight for topic in topics}
    if sum(weights.values()) != FULL_SCORE:
        raise ConfigInvalid("health_weights", total=sum(weights.values()))
    unknown = sorted(set(points) - set(weights))
    if unknown:
        raise ConfigInvalid("health_topic_unknown", name=", ".join(unknown), known=", ".join(weights))
    for name, given in points.items():
        is_whole = given.shape == (rows,) and given.dtype.kind == "i"
        if not is_whole or (rows and not (given.min() >= 0 and given.max() <= weights[name])):
            raise ConfigInvalid("health_points", name=name, rows=rows, high=weights[name])
    # Rounded down, so that the score stays whole.
    parts = {
        name: points.get(name, np.full(rows, int(weight * _UNKNOWN), np.int64))
        for name, weight in weights.items()
    }
    known = sum(weights[name] for name in points) / FULL_SCORE
    return Health(sum(parts.values(), np.zeros(rows, np.int64)), parts, known)


def scores(columns: Mapping[str, Floats], rows: int, topics: Sequence[Topic] = TOPICS) -> Health:
    """The twin in one place: all columns together. Topics of which a column is missing count half."""
    own = [topic for topic in topics if all(name in columns for name in topic.columns)]
    return combine({topic.name: topic_points(topic, columns)[0] for topic in own}, rows, topics)
