"""Decisions for a batch of scored customers: grade, lane, terms, reasons, and who needs a person (PIPL 24).

A decision is a function of the rounded score, of the fields that rules ask about, and of the subject's word on
automated decisions; of nothing else, so two applicants of one grade who differ in anything else get the same terms.
Who has refused automated decisions gets none: no grade, no terms, no reasons, a person decides. Nobody is declined by
the program alone: `Lane.DECLINE` is a proposal that a person confirms or changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.lending.plan import GRADE_FIELD, DecisionPolicy, Floats, Lane, Numbers, Rule, Scale
from clients.lending.reasons import MOST_REASONS, Direction, RiskReason, format_reasons, told
from privacy.errors import ConfigInvalid
from privacy.reasons import Reason
from privacy.texts import current_language

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Column = np.ndarray[Any, Any]
SCORE_DECIMALS: Final = {Scale.POINTS: 0, Scale.PD: 3}
"""As exact as a score may be where decisions are seen: an exact one tells of single contributions of a partner."""
NO_RULE: Final = -1


class Why(StrEnum):
    """Why a person has to look at a case; "" for nobody."""

    NOBODY = ""
    REFUSED = Reason.ADM_REFUSED_BY_SUBJECT.value
    NO_SCORE = "no_score"
    DECLINED = "declined"
    GRADE = "grade"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Applicants:
    """Who is decided about. scores: (n,) on the policy's scale, NaN for none; refused: (n,), whether the subject has
    refused automated decisions; fields: (n,) each, what rules ask about; reasons: of each score, weightiest first;
    kinds: declared classes of the lender's columns, by which reasons are put into words.
    """

    scores: Floats
    refused: Mask
    fields: Mapping[str, Column]
    reasons: Sequence[tuple[RiskReason, ...]] = ()
    kinds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decisions:
    """One decision per applicant, in their order.

    scores: (n,) rounded, NaN where nothing was decided; grades: (n,) places in the policy's grades, rules: (n,) places
    in its rules, NO_RULE for none; lanes, whys: (n,) of `Lane` and `Why`.
    """

    plan: DecisionPolicy
    scores: Floats
    grades: Numbers
    rules: Numbers
    lanes: tuple[Lane, ...]
    whys: tuple[Why, ...]
    reasons: Sequence[tuple[RiskReason, ...]]
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs_human(self) -> Mask:
        """(n,): whether a person decides, or confirms what is proposed."""
        return np.array([why is not Why.NOBODY for why in self.whys], dtype=np.bool_)

    def rule_of(self, row: int) -> Rule | None:
        """The rule that gave an applicant's terms, or None."""
        return None if self.rules[row] == NO_RULE else self.plan.rules[self.rules[row]]

    def counts(self) -> dict[str, int]:
        """How many applicants each lane has."""
        return {lane.value: self.lanes.count(lane) for lane in Lane}

    def table(self, language: str | None = None) -> pd.DataFrame:
        """For the lender's own people, one row per applicant: nothing of a partner but the rounded score."""
        language = language or current_language()
        rules = [self.rule_of(row) for row in range(len(self.lanes))]
        terms = {
            "rule": ["" if rule is None else rule.id for rule in rules],
            "limit_multiple": [np.nan if rule is None else rule.limit_multiple for rule in rules],
            "term_months": _whole(None if rule is None else rule.term_months for rule in rules),
            "repayment": ["" if rule is None else rule.repayment.value for rule in rules],
            "spread_bp": _whole(None if rule is None else rule.spread_bp for rule in rules),
            "rule_reason": ["" if rule is None else rule.reason.in_language(language) for rule in rules],
        }
        names = [grade.name for grade in self.plan.grades]
        is_whole = SCORE_DECIMALS[self.plan.scale] == 0
        return pd.DataFrame(
            {
                "score": pd.Series(self.scores, dtype="Int64" if is_whole else "float64"),
                "grade": ["" if place < 0 else names[place] for place in self.grades.tolist()],
                "lane": [lane.value for lane in self.lanes],
                **terms,
                "reasons": [format_reasons(found) for found in self.reasons],
                "explanation": [" ".join(self._explained(row, language)) for row in range(len(rules))],
                "needs_human": self.needs_human,
                "why": [why.value for why in self.whys],
                "policy": self.plan.digest,
            }
        )

    def _explained(self, row: int, language: str) -> tuple[str, ...]:
        is_fast = self.lanes[row] is Lane.FAST
        direction = Direction.LOWERS if is_fast else Direction.RAISES
        return told(self.reasons[row], direction, language, self.kinds)


def _whole(values: Iterable[int | None]) -> pd.Series[Any]:
    return pd.Series(list(values), dtype="Int64")


def decide(plan: DecisionPolicy, applicants: Applicants, today: date) -> Decisions:
    """Decisions by a checked policy.

    Raises `ConfigInvalid` for a policy that is not in force, scores that are none of its scale, and fields that are
    missing or of another length.
    """
    if not plan.is_in_force(today):
        raise ConfigInvalid("lending_not_in_force", name=plan.name)
    rounded = _rounded(plan, applicants)
    open_to_decision = ~applicants.refused & ~np.isnan(rounded)
    scores = np.where(open_to_decision, rounded, np.nan)
    grades = np.full(len(scores), -1, dtype=np.int64)
    grades[open_to_decision] = plan.places(scores[open_to_decision])
    declined = np.array([grade.lane is Lane.DECLINE for grade in plan.grades])
    with_terms = open_to_decision.copy()
    with_terms[open_to_decision] = ~declined[grades[open_to_decision]]
    rules = _rules(plan, applicants, grades, with_terms)
    outcomes = [
        _outcome(plan, bool(refused), place, rule)
        for refused, place, rule in zip(applicants.refused, grades.tolist(), rules.tolist(), strict=True)
    ]
    given = applicants.reasons or [()] * len(scores)
    return Decisions(
        plan=plan,
        scores=scores,
        grades=grades,
        rules=rules,
        lanes=tuple(lane for lane, _ in outcomes),
        whys=tuple(why for _, why in outcomes),
        reasons=[
            found[:MOST_REASONS] if is_open else ()
            for found, is_open in zip(given, open_to_decision, strict=True)
        ],
        kinds=applicants.kinds,
    )


def _rounded(plan: DecisionPolicy, applicants: Applicants) -> Floats:
    """(n,): the scores as decisions use and show them."""
    scores = np.asarray(applicants.scores, dtype=np.float64)
    lengths = {
        len(applicants.refused),
        len(applicants.reasons or scores),
        *map(len, applicants.fields.values()),
    }
    if lengths != {len(scores)} or scores.ndim != 1:
        raise ConfigInvalid("lending_lengths", expected=len(scores), received=max(lengths - {len(scores)}))
    bad = np.isinf(scores)
    if plan.scale is Scale.PD:
        bad |= (scores < 0) | (scores > 1)
    if bad.any():
        raise ConfigInvalid("lending_scores", count=int(bad.sum()))
    rounded: Floats = np.round(scores, SCORE_DECIMALS[plan.scale])
    return rounded


def _rules(plan: DecisionPolicy, applicants: Applicants, grades: Numbers, with_terms: Mask) -> Numbers:
    """(n,): the first rule whose conditions all hold, for those who get terms."""
    names = np.array([*(grade.name for grade in plan.grades), ""])
    found = np.full(len(grades), NO_RULE, dtype=np.int64)
    remaining = with_terms.copy()
    for place, rule in enumerate(plan.rules):
        holds = remaining.copy()
        for item in rule.conditions:
            values = names[grades] if item.field == GRADE_FIELD else _column(applicants, item.field)
            try:
                holds &= item.holds(values)
            except (TypeError, ValueError):
                raise ConfigInvalid("lending_column_numbers", column=item.field) from None
        found[holds] = place
        remaining &= ~holds
    return found


def _column(applicants: Applicants, field: str) -> Column:
    if field not in applicants.fields:
        raise ConfigInvalid("lending_column_missing", column=field)
    return np.asarray(applicants.fields[field])


def _outcome(plan: DecisionPolicy, refused: bool, grade: int, rule: int) -> tuple[Lane, Why]:
    if refused:
        return Lane.MANUAL, Why.REFUSED
    if grade < 0:
        return Lane.MANUAL, Why.NO_SCORE
    lane = plan.grades[grade].lane
    if lane is Lane.DECLINE:
        return lane, Why.DECLINED
    if lane is Lane.MANUAL:
        return lane, Why.GRADE
    if plan.rules[rule].human_approval:
        return Lane.MANUAL, Why.RULE
    return lane, Why.NOBODY
