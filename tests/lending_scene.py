"""Decision policies for tests: a small sound one, and changes to it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from clients.lending.plan import (
    Condition,
    DecisionPolicy,
    Grade,
    HumanRoute,
    Lane,
    Repayment,
    Rule,
    Scale,
    Subject,
)
from privacy.policy import Titles

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "lending"
TODAY = date(2026, 6, 1)
WORDS = Titles(zh="理由", en="Reason")
ROUTE = HumanRoute(reviewer="review desk", ask=Titles(zh="请致电。", en="Call."), days=10)
POINTS = (
    Grade(name="A", lane=Lane.FAST, low=640),
    Grade(name="B", lane=Lane.FAST, low=600, high=640),
    Grade(name="C", lane=Lane.MANUAL, low=560, high=600),
    Grade(name="D", lane=Lane.DECLINE, high=560, human_route=ROUTE),
)
CHANCES = (
    Grade(name="A", lane=Lane.FAST, high=0.02),
    Grade(name="B", lane=Lane.FAST, low=0.02, high=0.05),
    Grade(name="C", lane=Lane.MANUAL, low=0.05, high=0.1),
    Grade(name="D", lane=Lane.DECLINE, low=0.1, human_route=ROUTE),
)


def rule(number="ordinary", *conditions, **changes):
    given = {
        "id": number,
        "reason": WORDS,
        "set_by": "author",
        "approved_by": "committee",
        "limit_multiple": 1.0,
        "term_months": 12,
        "repayment": Repayment.EQUAL_INSTALMENTS,
        "conditions": conditions,
        **changes,
    }
    return Rule(**given)


def condition(field, **changes):
    return Condition(field=field, **(changes or {"at_least": 1.0}))


def plan(*rules, **changes):
    """A sound policy for people on points; its last rule takes everybody."""
    given = {
        "name": "loans",
        "subject": Subject.PERSON,
        "purpose": "credit_risk",
        "scale": Scale.POINTS,
        "set_by": "author",
        "approved_by": "committee",
        "effective_from": date(2026, 1, 1),
        "effective_until": date(2026, 12, 31),
        "grades": POINTS,
        "rules": (*rules, rule()),
        **changes,
    }
    return DecisionPolicy(**given)


def with_grade(place, **changes):
    """The grades on points with one of them changed."""
    changed = msgspec.structs.replace(POINTS[place], **changes)
    return (*POINTS[:place], changed, *POINTS[place + 1 :])
