"""What a new version of a decision policy changes: all of it, by name."""

from __future__ import annotations

import pytest
from lending_scene import condition, plan, rule, with_grade

from clients.lending.plan import Lane
from clients.lending.plan_changes import Change, changes_between
from privacy.texts import LANGUAGES

RICH, YOUNG = rule("rich", condition("income")), rule("young", condition("tenure_months", below=12.0))
OLD = plan(RICH, YOUNG)


def test_one_version_has_no_changes():
    assert changes_between(OLD, plan(RICH, YOUNG)) == ()


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (plan(RICH), [Change("removed", "young")]),
        (plan(RICH, YOUNG, rule("x", condition("income"))), [Change("added", "x")]),
        (plan(YOUNG, RICH), [Change("moved", "rich"), Change("moved", "young")]),
        (
            plan(rule("rich", condition("income"), limit_multiple=2.0, term_months=24), YOUNG),
            [Change("changed", "rich", ("limit_multiple", "term_months"))],
        ),
        (plan(RICH, YOUNG, grades=with_grade(1, lane=Lane.MANUAL)), [Change("changed", "B", ("lane",))]),
        (plan(RICH, YOUNG, approved_by="board"), [Change("changed", "policy", ("approved_by",))]),
    ],
)
def test_every_change_is_named(new, expected):
    found = changes_between(OLD, new)
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    assert OLD.digest != new.digest
    for language in LANGUAGES:
        assert all(change.about in change.render(language) for change in found)
