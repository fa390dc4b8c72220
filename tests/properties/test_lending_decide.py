"""Decisions: one grade for every score, the first rule that fits, and nothing else that makes a difference."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lending_scene import CHANCES, POINTS, TODAY, condition, plan, rule

from clients.lending.decide import NO_RULE, Applicants, Why, decide
from clients.lending.plan import Lane, Scale, Subject
from clients.lending.reasons import Direction, RiskReason
from privacy.errors import ConfigInvalid

RICH = rule("rich", condition("income", at_least=10_000.0), limit_multiple=1.5)
YOUNG = rule("new", condition("tenure_months", below=12.0), limit_multiple=0.5, human_approval=True)
PLAN = plan(RICH, YOUNG)
POINT_SCORES = st.lists(st.floats(300, 900) | st.just(float("nan")), min_size=1, max_size=40)


def people(scores, income=None, tenure=None, refused=None, reasons=()):
    n = len(scores)
    return Applicants(
        np.array(scores, dtype=float),
        np.zeros(n, np.bool_) if refused is None else np.array(refused, np.bool_),
        {
            "income": np.full(n, np.nan) if income is None else np.array(income, float),
            "tenure_months": np.full(n, np.nan) if tenure is None else np.array(tenure, float),
        },
        reasons,
    )


def plain_grade(grades, score):
    """The bands read one by one."""
    fitting = [
        item.name
        for item in grades
        if (item.low is None or score >= item.low) and (item.high is None or score < item.high)
    ]
    assert len(fitting) == 1
    return fitting[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6) | st.sampled_from([560.0, 600.0, 640.0]), min_size=1, max_size=40))
def test_every_number_of_points_has_exactly_one_grade(scores):
    found = decide(plan(), people(scores), TODAY)
    expected = [plain_grade(POINTS, round(score)) for score in scores]
    assert [POINTS[place].name for place in found.grades] == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1) | st.sampled_from([0.02, 0.05, 0.1]), min_size=1, max_size=40))
def test_every_probability_has_exactly_one_grade(scores):
    found = decide(plan(scale=Scale.PD, grades=CHANCES), people(scores), TODAY)
    expected = [plain_grade(CHANCES, float(np.round(score, 3))) for score in scores]
    assert [CHANCES[place].name for place in found.grades] == expected


ROWS = st.lists(
    st.tuples(
        st.floats(500, 700) | st.just(float("nan")),
        st.sampled_from([float("nan"), 0.0, 9_999.0, 10_000.0, 20_000.0]),
        st.sampled_from([float("nan"), 0.0, 11.0, 12.0, 40.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_decisions_equal_a_reading_of_the_policy_row_by_row(rows):
    scores, income, tenure, refused = map(list, zip(*rows, strict=True))
    found = decide(PLAN, people(scores, income, tenure, refused), TODAY)
    for row, (score, earned, held, said_no) in enumerate(rows):
        expected_rule = None
        if said_no:
            lane, why = Lane.MANUAL, Why.REFUSED
        elif np.isnan(score):
            lane, why = Lane.MANUAL, Why.NO_SCORE
        else:
            grade = plain_grade(POINTS, round(score))
            if grade == "D":
                lane, why = Lane.DECLINE, Why.DECLINED
            else:
                expected_rule = "rich" if earned >= 10_000 else "new" if held < 12 else "ordinary"
                lane, why = (Lane.MANUAL, Why.GRADE) if grade == "C" else (Lane.FAST, Why.NOBODY)
                if why is Why.NOBODY and expected_rule == "new":
                    lane, why = Lane.MANUAL, Why.RULE
        given_rule = found.rule_of(row)
        assert (found.lanes[row], found.whys[row]) == (lane, why)
        assert (given_rule and given_rule.id) == expected_rule
        assert found.needs_human[row] == (lane is not Lane.FAST)


@settings(max_examples=100, deadline=None)
@given(POINT_SCORES, st.data())
def test_who_refused_automation_gets_no_automated_decision(scores, data):
    refused = data.draw(st.lists(st.booleans(), min_size=len(scores), max_size=len(scores)))
    reasons = [(RiskReason("income", Direction.RAISES),)] * len(scores)
    table = decide(PLAN, people(scores, refused=refused, reasons=reasons), TODAY).table("en")
    theirs = table[np.array(refused)]
    assert (theirs["lane"] == "manual").all()
    assert theirs["needs_human"].all()
    assert (theirs["why"] == "R-ADM-REFUSED-BY-SUBJECT").all()
    assert (theirs["grade"] == "").all()
    assert (theirs["reasons"] == "").all()
    assert (theirs["explanation"] == "").all()
    for column in ("rule", "rule_reason", "repayment"):
        assert (theirs[column] == "").all()
    for column in ("score", "limit_multiple", "term_months", "spread_bp"):
        assert theirs[column].isna().all()


@settings(max_examples=50, deadline=None)
@given(POINT_SCORES)
def test_a_word_of_one_subject_changes_nothing_for_others(scores):
    """Nor does what else is known of them: a column that no rule asks about makes no difference to terms."""
    alone = decide(PLAN, people(scores), TODAY).table("en")
    refused = [row == 0 for row in range(len(scores))]
    others = decide(PLAN, people(scores, refused=refused), TODAY).table("en")
    pd.testing.assert_frame_equal(alone.iloc[1:], others.iloc[1:])
    given_more = people(scores)
    more = Applicants(
        given_more.scores,
        given_more.refused,
        {**given_more.fields, "persona": np.arange(len(scores)), "gender": np.ones(len(scores))},
    )
    pd.testing.assert_frame_equal(alone, decide(PLAN, more, TODAY).table("en"))


@settings(max_examples=50, deadline=None)
@given(POINT_SCORES)
def test_decisions_rest_on_what_is_shown(scores):
    """The rounded score decides, so that the table tells nothing that it does not show."""
    exact = decide(PLAN, people(scores), TODAY).table("en")
    rounded = decide(PLAN, people(np.round(scores)), TODAY).table("en")
    pd.testing.assert_frame_equal(exact, rounded)
    assert exact["score"].dtype == "Int64"


@settings(max_examples=50, deadline=None)
@given(POINT_SCORES)
def test_a_proposal_to_decline_always_has_a_person(scores):
    found = decide(PLAN, people(scores), TODAY)
    declined = np.array([lane is Lane.DECLINE for lane in found.lanes])
    assert found.needs_human[declined].all()
    assert (found.rules[declined] == NO_RULE).all()
    assert sum(found.counts().values()) == len(scores)


def test_terms_of_firms_follow_type_level_and_health():
    """A technology firm of poor margin but good health gets at least the baseline's limit (mission 144)."""
    types = rule(
        "technology",
        condition("enterprise_type", one_of=("growing_technology",)),
        condition("health_score", at_least=60.0),
        limit_multiple=1.5,
    )
    made = plan(types, subject=Subject.ENTERPRISE, scale=Scale.PD, grades=CHANCES)
    fields = {
        "enterprise_type": np.array(
            ["growing_technology", "growing_technology", "factory", ""], dtype=object
        ),
        "health_score": np.array([80.0, 40.0, 80.0, np.nan]),
        "operating_margin": np.array([-0.2, 0.3, 0.3, 0.3]),
    }
    found = decide(made, Applicants(np.full(4, 0.03), np.zeros(4, np.bool_), fields), TODAY)
    assert found.table("en")["limit_multiple"].tolist() == [1.5, 1.0, 1.0, 1.0]
    assert found.table("zh-CN")["rule_reason"].tolist() == ["理由"] * 4


def test_reasons_are_told_against_who_is_declined_and_for_who_is_not():
    reasons = [
        (RiskReason("income", Direction.RAISES), RiskReason("tenure_months", Direction.LOWERS)),
        (RiskReason("income", Direction.RAISES), RiskReason("tenure_months", Direction.LOWERS)),
    ]
    table = decide(PLAN, people([500.0, 650.0], reasons=reasons), TODAY).table("en")
    assert table["explanation"].tolist() == [
        "Your income is low for the loan applied for.",
        "You have held your account for a long time.",
    ]
    assert table["reasons"].tolist() == ["income:raises;tenure_months:lowers"] * 2


FAULTS = {
    "lending_not_in_force": lambda: decide(plan(), people([600.0]), TODAY.replace(year=2027)),
    "lending_scores": lambda: decide(plan(scale=Scale.PD, grades=CHANCES), people([1.2, 0.5]), TODAY),
    "lending_lengths": lambda: decide(
        PLAN, Applicants(np.zeros(2), np.zeros(3, np.bool_), {"income": np.zeros(2)}), TODAY
    ),
    "lending_column_missing": lambda: decide(
        PLAN, Applicants(np.array([600.0]), np.zeros(1, np.bool_), {}), TODAY
    ),
    "lending_column_numbers": lambda: decide(
        PLAN,
        Applicants(np.array([600.0]), np.zeros(1, np.bool_), {"income": np.array(["much"], object)}),
        TODAY,
    ),
}


@pytest.mark.parametrize("key", FAULTS)
def test_what_does_not_fit_is_refused(key):
    with pytest.raises(ConfigInvalid) as problem:
        FAULTS[key]()
    assert problem.value.key == key


def test_an_infinite_score_is_none():
    with pytest.raises(ConfigInvalid) as problem:
        decide(PLAN, people([float("inf")]), TODAY)
    assert problem.value.key == "lending_scores"
