"""A lender's decision policy: grades of a score, what each grade leads to, and the terms of a loan by rule.

A `DecisionPolicy` is one TOML file of the lender (`examples/lending` has one for people and one for enterprises).
`read_plan` checks it (`clients.lending.plan_checks`): the grades cover every score once, no term depends on habits or
persona, and nobody is declined without a person who can be asked (PIPL 24).
Days are calendar days in the lender's time zone; `effective_until` is the last one.
"""

from __future__ import annotations

import hashlib
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from privacy.policy import Id, Name, Titles

Floats = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Bound = Annotated[float, Meta(ge=-1e9, le=1e9)]
Words = Annotated[str, Meta(min_length=1, max_length=4000)]
GRADES: Final = "ABCDE"
"""Best first; a policy may use fewer, from A on."""
GRADE_FIELD: Final = "grade"
ENTERPRISE_FIELDS: Final = ("enterprise_type", "risk_level", "health_score")
"""What rules may ask about a firm beside its grade and the lender's own columns (`clients.enterprise`)."""


class Scale(StrEnum):
    """What grades are bands of. points: scorecard points, more is better; pd: probability of default."""

    POINTS = "points"
    PD = "pd"


class Subject(StrEnum):
    """Whom a policy is for: article 24 speaks of persons, good practice of both."""

    PERSON = "person"
    ENTERPRISE = "enterprise"


class Lane(StrEnum):
    """What happens next, from the mildest to the gravest. DECLINE is a proposal: a person can be asked."""

    FAST = "fast_lane"
    MANUAL = "manual"
    DECLINE = "decline"


class Repayment(StrEnum):
    """How a loan is paid back."""

    EQUAL_INSTALMENTS = "equal_instalments"
    INTEREST_FIRST = "interest_first"
    SEASONAL = "seasonal"
    REVOLVING = "revolving"


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class HumanRoute(_Closed, frozen=True):
    """Who reviews a decision, and how to ask (PIPL 24 (3)). days: within which the answer is given."""

    reviewer: Words
    ask: Titles
    days: Annotated[int, Meta(ge=1, le=60)] = 15


class Grade(_Closed, frozen=True):
    """One band of the score, low <= score < high; without a bound it is open on that side."""

    name: Literal["A", "B", "C", "D", "E"]
    lane: Lane
    low: Bound | None = None
    high: Bound | None = None
    human_route: HumanRoute | None = None


class Condition(_Closed, frozen=True):
    """What a rule asks of one field: one of these words, or a number from `at_least` on and `below`.

    field: "grade", one of `ENTERPRISE_FIELDS`, or a column of the lender's own; kind: the column's class in the field
    catalogue where its name does not tell. A missing value meets no condition.
    """

    field: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: str = ""
    one_of: tuple[str, ...] = ()
    at_least: Bound | None = None
    below: Bound | None = None

    def holds(self, values: np.ndarray[Any, Any]) -> Mask:
        """(n,): for which of these (n,) values it holds; words for `one_of`, else numbers."""
        if self.one_of:
            named: Mask = np.isin(values.astype(str), self.one_of)
            return named
        numbers = values.astype(np.float64)
        found: Mask = ~np.isnan(numbers)
        if self.at_least is not None:
            found &= numbers >= self.at_least
        if self.below is not None:
            found &= numbers < self.below
        return found


class Rule(_Closed, frozen=True, rename={"conditions": "when"}):
    """The terms of a loan for whom all conditions hold; the first such rule of a policy decides.

    limit_multiple: of the limit that the lender's ordinary product has. spread_bp: added to its rate, in hundredths of
    a per cent. human_approval: a person approves even in the fast lane. set_by, approved_by: two people of the lender.
    """

    id: Id
    reason: Titles
    set_by: Name
    approved_by: Name
    limit_multiple: Annotated[float, Meta(ge=0, le=10)]
    term_months: Annotated[int, Meta(ge=1, le=360)]
    repayment: Repayment
    spread_bp: Annotated[int, Meta(ge=-500, le=2400)] = 0
    human_approval: bool = False
    conditions: tuple[Condition, ...] = ()


class DecisionPolicy(_Closed, frozen=True, rename={"grades": "grade", "rules": "rule"}):
    """The whole file. purpose: as the node's policy registers it; set_by, approved_by: of the grades."""

    name: Name
    subject: Subject
    purpose: Name
    scale: Scale
    set_by: Name
    approved_by: Name
    effective_from: date
    effective_until: date
    grades: tuple[Grade, ...]
    rules: tuple[Rule, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical encoding, in hexadecimal: the version that decisions name."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that some rule asks about beside the grade, each once."""
        asked = (item.field for rule in self.rules for item in rule.conditions)
        return tuple(dict.fromkeys(name for name in asked if name != GRADE_FIELD))

    def is_in_force(self, today: date) -> bool:
        """Whether decisions of that day may rest on it."""
        return self.effective_from <= today <= self.effective_until

    def places(self, scores: Floats) -> Numbers:
        """(n,): the place of each score's grade in `grades`, for (n,) finite scores of the policy's scale."""
        if self.scale is Scale.PD:
            bounds = np.array([item.high for item in self.grades[:-1]], dtype=np.float64)
            return np.searchsorted(bounds, scores, side="right")
        bounds = np.array([item.low for item in self.grades[-2::-1]], dtype=np.float64)
        return len(bounds) - np.searchsorted(bounds, scores, side="right")

    def grade(self, name: str) -> Grade | None:
        """The grade of that name, or None."""
        return next((item for item in self.grades if item.name == name), None)

    def rule(self, number: str) -> Rule | None:
        """The rule of that id, or None."""
        return next((item for item in self.rules if item.id == number), None)
