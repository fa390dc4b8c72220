"""Health, risk levels and early warnings of shared firms: each holder judges its own columns, the bank adds up.

Parties. Label holder L (the bank: its own columns, and the probability of default from a model of the same job),
    feature holders F (theirs). Rows are aligned.
Rounds. One: each F sends, for every aligned row, whole points of each topic that it scores, one bit for each rule whose
    column it holds, the firm's type where it can tell, and the month and the strength of the first early warning. L
    adds the points, grades the risk, and knows whom to send.
What each party learns. L: just that, row by row; no value, no column's name. F: nothing. Coordinator: sizes.
    Not prevented: points of a topic with one column tell that column up to the topic's weight, for firms between the
    topic's bounds, and a bit tells on which side of a published threshold a value lies. A firm of which F holds nothing
    gets half the points and no bit, like any firm with missing values. The weights are the job's: an L that runs jobs
    with other weights learns more; `allowed` lets F leave rows unanswered which it has answered too often.
Source. `health`, `levels`, `kinds`, `early_warning`: each names its own.
Deviations. Rows that a partner has left unanswered have no score, no level and no type, and neither have rows without a
    probability a level: an unknown backstop must not read as a good one.
Equals. The same functions on pooled columns, exactly.
Cost. No cryptography; about ten bytes per firm and partner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from federation.enterprise.exchange_messages import DISCLOSES, MESSAGES, Answer
from federation.enterprise.health import Health, combine
from federation.enterprise.holdings import STRENGTHS, ExchangeOptions, Floats, Holdings, Mask
from federation.enterprise.kinds import KINDS, UNKNOWN
from federation.enterprise.levels import RULES, Levels, assign
from federation.messages import Message, Outgoing
from federation.roles import Parties, Progress, expect
from privacy.errors import ConfigInvalid, MessageInvalid

__all__ = [
    "DISCLOSES", "MESSAGES", "Answer", "Assessment", "ExchangeOptions", "FeatureHolder", "Holdings", "LabelHolder",
]  # fmt: skip

Codes = np.ndarray[Any, np.dtype[np.int64]]

NO_LEVEL: Final = -1
_MOST_MONTHS: Final = 120


@dataclass(frozen=True, slots=True)
class Assessment:
    """What L has found, (n,) each.

    answered: rows that every partner has answered; health: of others it means nothing. level: of `Level`, `NO_LEVEL`
    without one; levels: of `graded` rows, in their order. kinds: places in `KINDS`, -1 for unknown. month: of the first
    warning, from 1, 0 for none; strength: places in `STRENGTHS` plus 1. holders: who answered for a topic or a reason,
    and for "warning" and "kind".
    """

    answered: Mask = field(repr=False)
    health: Health = field(repr=False)
    graded: Codes = field(repr=False)
    levels: Levels = field(repr=False)
    kinds: Codes = field(repr=False)
    month: Codes = field(repr=False)
    strength: Codes = field(repr=False)
    holders: Mapping[str, str]

    @property
    def level(self) -> Codes:
        """(n,) of `Level`, `NO_LEVEL` where a probability or an answer is missing."""
        found = np.full(len(self.answered), NO_LEVEL, np.int64)
        found[self.graded] = self.levels.level
        return found

    def reasons_of(self, row: int) -> tuple[str, ...]:
        """Why this row's level is worse than its probability says."""
        place = int(np.searchsorted(self.graded, row))
        is_graded = place < len(self.graded) and self.graded[place] == row
        return self.levels.reasons_of(place) if is_graded else ()


class LabelHolder:
    """L's part. Result: `Assessment` of all aligned rows."""

    def __init__(
        self, parties: Parties, holdings: Holdings, probability: Floats, options: ExchangeOptions
    ) -> None:
        """probability: (n,) of default, NaN where there is none. Raises `ConfigInvalid` for one of another length."""
        if probability.shape != (holdings.rows,):
            raise ConfigInvalid("level_probability", rows=len(probability))
        self._own, self._rows = parties.label_holder, holdings.rows
        self._probability, self._options = probability, options
        own = holdings.answer(options, np.ones(holdings.rows, np.bool_))
        self._answers: dict[str, Answer | None] = {parties.label_holder: own}
        self._answers |= dict.fromkeys(parties.feature_holders)
        self.progress = Progress(total=len(parties.feature_holders), step="enterprise.answers")
        self.result: Assessment | None = None

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if self._answers.get(sender, ...) is not None or not isinstance(message, Answer):
            expect(False, "enterprise.LabelHolder", message, sender)
            return []
        self._check(sender, message)
        self._answers[sender] = message
        self.progress.done += 1
        answers = {name: answer for name, answer in self._answers.items() if answer is not None}
        if len(answers) == len(self._answers):
            self._finish(answers)
        return []

    def _check(self, sender: str, message: Answer) -> None:
        """Raises `MessageInvalid` for what no honest partner can have said."""
        weights = {topic.name: topic.weight for topic in self._options.topics if topic.weight}
        reasons = {rule.reason for rule in RULES}
        if not set(message.topics) <= set(weights) or not set(message.rules) <= reasons:
            raise MessageInvalid("enterprise_names", sender=sender)
        taken = {
            name for answer in self._answers.values() if answer for name in (*answer.topics, *answer.rules)
        }
        said = [*message.topics, *message.rules]
        if taken & set(said) or len(set(said)) < len(said):
            raise MessageInvalid("enterprise_two_holders", sender=sender)
        for what in ("kinds", "month"):
            others = [getattr(answer, what).size for answer in self._answers.values() if answer]
            if getattr(message, what).size and any(others):
                raise MessageInvalid("enterprise_two_holders", sender=sender)
        limits = np.array([weights[name] for name in message.topics], np.int64)
        if not _fits(message, self._rows, self._options) or (message.points > limits).any():
            raise MessageInvalid("enterprise_answer", sender=sender)

    def _finish(self, answers: Mapping[str, Answer]) -> None:
        points: dict[str, Any] = {}
        hits: dict[str, Mask] = {}
        holders: dict[str, str] = {}
        types = np.full(self._rows, UNKNOWN, np.int64)
        month, strength = np.zeros(self._rows, np.int64), np.zeros(self._rows, np.int64)
        for name, answer in answers.items():
            points |= dict(zip(answer.topics, answer.points.T.astype(np.int64), strict=True))
            hits |= dict(zip(answer.rules, answer.hits.T, strict=True))
            said = (*answer.topics, *answer.rules)
            if answer.kinds.size:
                types, said = answer.kinds.astype(np.int64), (*said, "kind")
            if answer.month.size:
                month, strength = answer.month.astype(np.int64), answer.strength.astype(np.int64)
                said = (*said, "warning")
            holders |= dict.fromkeys(said, name)
        answered = np.logical_and.reduce([answer.answered for answer in answers.values()])
        graded = np.flatnonzero(answered & np.isfinite(self._probability))
        self.result = Assessment(
            answered=answered,
            health=combine(points, self._rows, self._options.topics),
            graded=graded,
            levels=assign(
                self._probability[graded],
                {name: who[graded] for name, who in hits.items()},
                self._options.bounds,
            ),
            kinds=np.where(answered, types, UNKNOWN),
            month=month,
            strength=strength,
            holders=holders,
        )


class FeatureHolder:
    """F's part. Result: the rows that it has answered, (n,) bool."""

    def __init__(
        self, parties: Parties, holdings: Holdings, options: ExchangeOptions, allowed: Mask | None = None
    ) -> None:
        """allowed: (n,) which rows may be answered (default: all). Raises `ConfigInvalid` like `Holdings.answer`."""
        self._label_holder = parties.label_holder
        self._allowed = np.ones(holdings.rows, np.bool_) if allowed is None else allowed
        self._answer = holdings.answer(options, self._allowed)
        self.progress = Progress(total=1, step="enterprise.answers")
        self.result: Mask | None = None

    def start(self) -> list[Outgoing]:
        self.progress.done, self.result = 1, self._allowed
        return [Outgoing(self._label_holder, self._answer)]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        expect(False, "enterprise.FeatureHolder", message, sender)
        return []


def _fits(message: Answer, rows: int, options: ExchangeOptions) -> bool:
    """Shapes, types and ranges, but for the topics' weights."""
    shapes = {
        "answered": ("|b1", (rows,)),
        "points": ("|u1", (rows, len(message.topics))),
        "hits": ("|b1", (rows, len(message.rules))),
        "kinds": ("|i1", (rows if message.kinds.size else 0,)),
        "month": ("|u1", (rows if message.months else 0,)),
        "strength": ("|u1", (rows if message.months else 0,)),
    }
    arrays = {name: getattr(message, name) for name in shapes}
    if any((arrays[name].dtype.str, arrays[name].shape) != shape for name, shape in shapes.items()):
        return False
    most = min(message.months, options.until or _MOST_MONTHS)
    warned = message.month > 0
    silent = ~message.answered
    unsaid = [message.points[silent].any(), message.hits[silent].any()]
    unsaid += [message.month[silent].any()] if message.months else []
    unsaid += [(message.kinds[silent] != UNKNOWN).any()] if message.kinds.size else []
    return bool(
        (message.month <= most).all()
        and (message.month[warned] >= options.since).all()
        and (message.strength <= len(STRENGTHS)).all()
        and ((message.strength > 0) == warned).all()
        and (message.kinds >= UNKNOWN).all()
        and (message.kinds < len(KINDS)).all()
        and not any(unsaid)
    )
