"""Scoring rows with a finished scorecard: each party adds up its own points, and shows the rounded sum.

Parties. Label holder L (its points, and the total), feature holders F (theirs).
Rounds. L asks every F for rows, in batches; F answers whole points per row (or coarser: `PointScale.step`), and where
    the job asks for reasons the numbers of its fields that deducted the most, in a list of published names that it
    sends along, in an order of its own.
What each party learns. L: per row every partner's rounded points, and which of its published reasons weigh most. F:
    which rows are scored. Coordinator: sizes.
    Not prevented: over many rows L sees how a partner's points are distributed; who knows a partner's table can narrow
    down a row's bins (`tests/attacks`; docs/attacks.md has numbers). The table stays with the partner for that reason.
Source. Siddiqi 2006, chapter 6, for points and adverse codes; Rassouli, Varasteh and Gündüz, arXiv 2207.11788, for what
    scores give away.
Deviations. Points are rounded, every row is answered once per run, and `allowed` lets F leave rows unanswered, those it
    has answered too often (docs/limitations.md).
Equals. The points of the pooled scorecard, each party's part rounded.
Cost. No cryptography; two bytes per row and partner.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from msgspec import Meta

from federation.binning import Bools, Integers
from federation.messages import Array, Message, Outgoing
from federation.point_scale import Points, deductions, most_deducted, sum_of
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard, PublishedName
from federation.roles import Disclosure, Disclosures, Parties, Progress, View, expect
from federation.scoring import MODEL_ID_BYTES, increasing_below
from privacy.errors import ConfigInvalid, MessageInvalid

__all__ = ["DISCLOSES", "MESSAGES", "FeatureHolder", "LabelHolder", "PointScores"]

BATCH_ROWS: Final = 50_000
"""Rows per question: some hundred kilobytes back."""
MOST_REASONS: Final = 4
"""Reasons that a partner names per row: more help nobody (Regulation B, official interpretation 9(b)(2)-1)."""
LONGEST_NAME: Final = 120
MOST_FIELDS: Final = 127
"""A field's number in an answer is a signed byte."""
LARGEST_POINTS: Final = 30_000

Reasons = np.ndarray[Any, np.dtype[np.int8]]


class Ask(Message, frozen=True, tag="points.ask/1"):
    """L to F: rows (i4, increasing): whose points; reasons: how many fields to name per row, 0 to `MOST_REASONS`."""

    model: bytes
    rows: Array
    reasons: int


class Answer(Message, frozen=True, tag="points.answer/1"):
    """F to L: points (i2) per row; answered: one flag per row; reasons (i1): per row and place a number in `names`, -1
    for none; names: (zh, en) of the fields, in an order of F's own, empty where no reasons are asked for.
    """

    points: Array
    answered: Array
    reasons: Array
    names: tuple[
        tuple[Annotated[str, Meta(max_length=LONGEST_NAME)], Annotated[str, Meta(max_length=LONGEST_NAME)]],
        ...,
    ] = ()


class Done(Message, frozen=True, tag="points.done/1"):
    """L to F: nothing more is asked."""


MESSAGES: Final[tuple[type[Message], ...]] = (Ask, Answer, Done)

DISCLOSES: Final = Disclosures(
    protocol="points",
    label_holder=(Disclosure("partial_points", ("points.answer/1",), per_row=True),),
    feature_holder=(
        Disclosure("scored_rows", ("points.ask/1",), per_row=True),
        Disclosure("end", ("points.done/1",)),
    ),
    coordinator=(Disclosure("sizes", ("points.ask/1", "points.answer/1", "points.done/1")),),
)


class PartnerPoints(msgspec.Struct):
    """What one partner answered: points (n,), answered (n,), reasons (n, k) into names."""

    points: Points
    answered: Bools
    reasons: Reasons
    names: tuple[PublishedName, ...]


class PointScores(msgspec.Struct):
    """Scores of the asked rows, in their order.

    own: L's part with the constant, rounded; total: with every partner's, (n,) int32; answered: (n,) bool, rows that
    every partner has answered: the total of the others means nothing. own_reasons: (n, k) places in L's fields.
    """

    own: Points
    total: Points
    answered: Bools
    own_reasons: Reasons
    partners: dict[str, PartnerPoints]


class LabelHolder:
    """L's part. Result: `PointScores` of `rows`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        model: LabelHolderScorecard,
        rows: Integers | None = None,
        reasons: int = 0,
    ) -> None:
        """view: L's fields of the model for all aligned rows; rows: which to score, increasing (default: all).

        Raises `ConfigInvalid` when the model was made by other parties or for other fields, or rows repeat.
        """
        if model.owners != parties.all or model.binning.fields != view.fields:
            raise ConfigInvalid("scoring_model_mismatch")
        self._rows = np.arange(len(view)) if rows is None else np.asarray(rows, dtype=np.int64)
        if not increasing_below(self._rows, len(view)):
            raise ConfigInvalid("scoring_rows")
        self._model, self._reasons = model, min(max(reasons, 0), MOST_REASONS)
        codes = model.binning.transform(view.values[self._rows])
        self._own = model.scale.rounded(model.constant + sum_of(model.table, codes))
        self._own_reasons = most_deducted(deductions(model.table, codes), MOST_REASONS)
        self._starts = list(range(0, max(len(self._rows), 1), BATCH_ROWS))
        self.progress = Progress(
            total=len(self._starts) * len(parties.feature_holders), step="points.batches"
        )
        self.result: PointScores | None = None
        self._answers: dict[str, list[Answer]] = {name: [] for name in parties.feature_holders}

    def start(self) -> list[Outgoing]:
        return [self._question(name) for name in self._answers]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        answers = self._answers.get(sender)
        if answers is None or len(answers) == len(self._starts) or not isinstance(message, Answer):
            expect(False, "points.LabelHolder", message, sender)
            return []
        self._check(sender, message, len(self._batch(len(answers))))
        answers.append(message)
        self.progress.done += 1
        if len(answers) < len(self._starts):
            return [self._question(sender)]
        if all(len(of_partner) == len(self._starts) for of_partner in self._answers.values()):
            self._finish()
        return [Outgoing(sender, Done())]

    def _batch(self, number: int) -> Integers:
        start = self._starts[number]
        return self._rows[start : start + BATCH_ROWS]

    def _question(self, name: str) -> Outgoing:
        rows = self._batch(len(self._answers[name])).astype("<i4")
        return Outgoing(name, Ask(model=self._model.model_id, rows=rows, reasons=self._reasons))

    def _check(self, sender: str, message: Answer, n_rows: int) -> None:
        points, answered, reasons = message.points, message.answered, message.reasons
        fits = points.dtype.str == "<i2" and points.shape == (n_rows,) and answered.dtype == np.bool_
        fits = fits and answered.shape == (n_rows,) and reasons.dtype == np.int8
        fits = fits and reasons.shape == (n_rows, self._reasons) and len(message.names) <= MOST_FIELDS
        before = self._answers[sender]
        if not fits or (before and before[0].names != message.names):
            raise MessageInvalid("points_answer", sender=sender)
        if reasons.size and (int(reasons.min()) < -1 or int(reasons.max()) >= len(message.names)):
            raise MessageInvalid("points_answer", sender=sender)

    def _finish(self) -> None:
        partners = {}
        total, answered = self._own.copy(), np.ones(len(self._rows), dtype=np.bool_)
        for name, answers in self._answers.items():
            found = PartnerPoints(
                np.concatenate([answer.points for answer in answers]).astype(np.int32),
                np.concatenate([answer.answered for answer in answers]),
                np.concatenate([answer.reasons for answer in answers]),
                tuple(PublishedName(zh, en) for zh, en in answers[0].names),
            )
            total, answered = total + found.points, answered & found.answered
            partners[name] = found
        self.result = PointScores(self._own, total, answered, self._own_reasons, partners)


class FeatureHolder:
    """F's part. Result: the rows that it has answered, (n_rows,) bool over all aligned rows."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        model: FeatureHolderScorecard,
        *,
        allowed: Bools | None = None,
        names: dict[str, PublishedName] | None = None,
        most_reasons: int = MOST_REASONS,
    ) -> None:
        """view: F's fields of the model, all aligned rows. allowed: which rows may be answered (default: all).

        names: what fields may be called towards others; those without a name are never given as a reason.
        most_reasons: how many F names per row whatever is asked for.
        Raises `ConfigInvalid` when the model is for other fields.
        """
        if model.binning.fields != view.fields:
            raise ConfigInvalid("scoring_model_mismatch")
        self.progress = Progress(step="points.batches")
        self.result: Bools | None = None
        self._label_holder, self._model = parties.label_holder, model
        self._codes = model.binning.transform(view.values)
        self._allowed = np.ones(len(view), dtype=np.bool_) if allowed is None else allowed
        self._most_reasons = most_reasons
        named = [
            (place, name) for place, field in enumerate(view.fields) if (name := (names or {}).get(field))
        ]
        secrets.SystemRandom().shuffle(named)
        self._places = [place for place, _ in named[:MOST_FIELDS]]
        self._names = tuple((name.zh, name.en) for _, name in named[:MOST_FIELDS])
        self._asked = np.zeros(len(view), dtype=np.bool_)

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        expect(sender == self._label_holder and self.result is None, "points.FeatureHolder", message, sender)
        match message:
            case Ask():
                return [Outgoing(sender, self._answer(sender, message))]
            case Done():
                self.result = self._asked & self._allowed
            case _:
                expect(False, "points.FeatureHolder", message, sender)
        return []

    def _answer(self, sender: str, message: Ask) -> Answer:
        rows = message.rows
        if len(message.model) != MODEL_ID_BYTES or message.model != self._model.model_id:
            raise MessageInvalid("scoring_other_model", sender=sender)
        fits = rows.dtype.str == "<i4" and rows.ndim == 1 and increasing_below(rows, len(self._codes))
        if not fits or len(rows) > BATCH_ROWS or self._asked[rows].any():
            raise MessageInvalid("scoring_rows_invalid", sender=sender)
        if not 0 <= message.reasons <= MOST_REASONS:
            raise MessageInvalid("points_reasons", sender=sender, most=MOST_REASONS)
        self._asked[rows] = True
        self.progress.done += 1
        answered, codes, table = self._allowed[rows], self._codes[rows], self._model.table
        points = self._model.scale.rounded(sum_of(table, codes))
        if len(points) and int(np.abs(points).max()) > LARGEST_POINTS:
            raise ConfigInvalid("points_large", limit=LARGEST_POINTS)
        reasons = np.full((len(rows), message.reasons), -1, dtype=np.int8)
        if message.reasons:
            lost = deductions(table, codes)[:, self._places]
            given = min(message.reasons, self._most_reasons)
            reasons[:, :given] = most_deducted(lost, given)
            reasons[~answered] = -1
        return Answer(
            points=np.where(answered, points, 0).astype("<i2"),
            answered=answered,
            reasons=reasons,
            names=self._names if message.reasons else (),
        )
