"""Enterprise risk, rule by rule: points, notches, alerts, tasks, and what each of them refuses."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.enterprise import alerts, early_warning, health, levels, wording
from federation.enterprise.alerts import CHAIN, Evidence, Outcome, State
from federation.enterprise.early_warning import Strength
from federation.enterprise.levels import PD_BOUNDS, RULES, Level
from privacy.errors import ConfigInvalid, SchemaMismatch
from privacy.texts import LANGUAGES

DAY = date(2026, 3, 2)


def refused(key, call, *args, **kwargs):
    with pytest.raises(ConfigInvalid) as problem:
        call(*args, **kwargs)
    assert problem.value.key == key
    for language in LANGUAGES:
        assert problem.value.render(language)


# --- health


def test_weights_add_up_to_a_hundred_and_each_column_counts_once():
    assert sum(topic.weight for topic in health.TOPICS) == 100
    columns = [name for topic in health.TOPICS for name in topic.columns]
    assert len(set(columns)) == len(columns)


def test_points_between_worst_and_best_whichever_is_larger():
    less_is_better = health.Component("delays", 3.0, 0.0, 10)
    assert less_is_better.points(np.array([0, 3, 9, 1.5, np.nan])).tolist() == [10, 0, 0, 5, 5]
    more_is_better = health.Component("margin", -0.1, 0.15, 10)
    assert more_is_better.points(np.array([0.15, -0.1, 2.0])).tolist() == [10, 0, 10]


def test_a_topic_without_a_holder_counts_half_and_is_said_to_be_unknown():
    found = health.combine({"orders": np.array([45, 0])}, 2)
    assert found.total.tolist() == [45 + 10 + 7 + 10, 10 + 7 + 10]
    assert found.known == 0.45
    assert found.points["growth"].tolist() == [7, 7]


@pytest.mark.parametrize(
    "points",
    [np.array([46, 0]), np.array([-1, 0]), np.array([1, 2, 3]), np.array([1.0, 2.0]), np.array([[1], [2]])],
)
def test_points_that_no_scorer_can_have_sent_are_refused(points):
    refused("health_points", health.combine, {"orders": points}, 2)


def test_unknown_topics_wrong_weights_and_missing_columns_are_refused():
    refused("health_topic_unknown", health.combine, {"weather": np.array([1])}, 1)
    refused("health_weights", health.combine, {}, 1, health.TOPICS[:2])
    with pytest.raises(SchemaMismatch) as problem:
        health.topic_points(health.TOPICS[0], {"leverage": np.zeros(1)})
    assert problem.value.values["columns"] == "operating_margin, current_ratio"


# --- levels


def test_a_bound_belongs_to_the_worse_level():
    chances = np.array([0.0, 0.0199, *PD_BOUNDS, 1.0])
    assert levels.base_levels(chances).tolist() == [0, 0, 1, 2, 3, 4, 4]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40)
)
def test_rules_can_only_make_a_level_worse_and_each_change_has_its_reasons(rows):
    chances = np.array([row[0] for row in rows])
    hits = {rule.reason: np.array([row[1 + place] for row in rows]) for place, rule in enumerate(RULES)}
    found = levels.assign(chances, hits)
    plain = [sum(chance >= bound for bound in PD_BOUNDS) for chance in chances]
    assert found.base.tolist() == plain
    for row, (_, *hit) in enumerate(rows):
        assert found.level[row] == min(Level.E, plain[row] + min(2, sum(hit)))
        named = tuple(rule.reason for rule, is_hit in zip(RULES, hit, strict=True) if is_hit)
        assert found.reasons_of(row) == (named if found.level[row] > plain[row] else ())


def test_a_missing_value_is_no_reason():
    rule = RULES[0]
    assert rule.hits(np.array([np.nan, 0, 1, 2, 7])).tolist() == [False, False, False, True, True]


def test_the_table_of_levels_counts_firms_and_defaults():
    table = levels.level_table(np.array([0, 0, 2, 4]), np.array([0, 0, 1, 1]))
    assert [(row.firms, row.defaults, row.rate) for row in table] == [
        (2, 0, 0.0), (0, 0, None), (1, 1, 1.0), (0, 0, None), (1, 1, 1.0),
    ]  # fmt: skip
    assert not levels.rises(table), "two levels of one rate"
    assert levels.rises(table[:4])


def test_probabilities_bounds_and_masks_that_cannot_be_are_refused():
    for wrong in (-0.1, 1.1, np.nan):
        refused("level_probability", levels.base_levels, np.array([0.5, wrong]))
    for bounds in ((0.1, 0.2, 0.3), (0.1, 0.1, 0.2, 0.3), (0.0, 0.1, 0.2, 0.3), (0.1, 0.2, 0.3, 1.0)):
        refused("level_bounds", levels.base_levels, np.array([0.5]), bounds)
    refused("level_reason_unknown", levels.assign, np.array([0.5]), {"weather": np.array([True])})
    refused("level_hits", levels.assign, np.array([0.5]), {"litigation": np.array([True, False])})
    refused("level_hits", levels.assign, np.array([0.5]), {"litigation": np.array([1])})


# --- early warning

FLAT = 60


def steady(months=14):
    """(60, months) readings of firms with a season and nothing else."""
    season = 1 + 0.3 * np.sin(np.arange(months))
    return np.tile(season, (FLAT, 1)) * np.arange(1, FLAT + 1)[:, None]


def warned(panel, in_book=None):
    return early_warning.first_warnings(panel, np.ones(len(panel), np.bool_) if in_book is None else in_book)


def test_a_season_and_a_fall_of_everybody_are_nobodys_trouble():
    panel = steady()
    assert warned(panel) == ()
    panel[:, 10:] *= 0.3
    assert warned(panel) == ()


def test_three_falling_months_are_an_alert_and_two_are_none():
    panel = steady()
    panel[7, 9:] *= np.exp([-0.05, -0.15, -0.25, -0.35, -0.6])
    panel[8, 10:] *= np.exp([-0.15, -0.25, 0.0, 0.0])
    assert warned(panel) == (early_warning.FirmWarning(7, 11, Strength.WATCH),)


@pytest.mark.parametrize(
    ("fall", "strength"), [(0.29, Strength.WATCH), (0.31, Strength.MARKED), (0.51, Strength.SEVERE)]
)
def test_strength_is_in_three_steps(fall, strength):
    panel = steady()
    panel[3, 9:12] *= np.exp([-0.1, -0.15, -fall])
    assert [found.strength for found in warned(panel)] == [strength]


def test_a_month_without_a_reading_ends_a_run_and_a_firm_without_a_base_line_has_no_alert():
    panel = steady()
    panel[7, 9:12] *= np.exp([-0.05, -0.15, -0.25])
    with_gap = panel.copy()
    with_gap[7, 10] = np.nan
    assert warned(with_gap) == ()
    with_gap = panel.copy()
    with_gap[7, 3:8] = np.nan
    assert warned(with_gap) == ()
    assert [found.row for found in warned(panel)] == [7]
    nothing = panel.copy()
    nothing[5] = np.nan
    assert [found.row for found in warned(nothing)] == [7]


def test_panels_that_tell_nothing_are_refused():
    for wrong in (0.0, -1.0):
        panel = steady()
        panel[2, 3] = wrong
        refused("warning_readings", warned, panel)
    refused("warning_firms", warned, steady()[:49])
    refused("warning_months", warned, steady(8))
    refused("warning_book", warned, steady(), np.ones(FLAT - 1, np.bool_))
    refused("warning_book", warned, steady(), np.ones(FLAT))


# --- tasks

EVIDENCE = (Evidence(wording.FALLING_ELECTRICITY, "utility", 3),)


def task(strength=Strength.WATCH, **changes):
    given = {"number": "T-1", "firm": "loan-17", "strength": strength, "evidence": EVIDENCE, "today": DAY}
    return alerts.open_task(**given | changes)


def after(days):
    return DAY + timedelta(days=days)


def test_a_task_is_acknowledged_then_concluded_and_says_by_whom():
    done = alerts.conclude(alerts.acknowledge(task(), "li", after(2)), Outcome.CONFIRMED, "li", after(6))
    assert (done.state, done.outcome) == (State.CONCLUDED, Outcome.CONFIRMED)
    assert [(event.what, event.by, event.day) for event in done.history] == [
        ("opened", "relationship_manager", DAY), ("acknowledged", "li", after(2)), ("concluded", "li", after(6)),
    ]  # fmt: skip
    assert done.evidence == EVIDENCE


def test_nobody_answers_and_it_goes_up_a_step_for_each_period():
    fresh = task()
    assert alerts.escalate(fresh, after(5)) is fresh, "the fifth day is still in time"
    once = alerts.escalate(fresh, after(6))
    assert (once.role, once.due, once.state) == ("risk_officer", after(11), State.OPEN)
    assert alerts.escalate(once, after(6)) is once
    end = alerts.escalate(fresh, after(60))
    assert end.role == CHAIN[-1]
    assert [event.by for event in end.history] == list(CHAIN)
    assert alerts.escalate(once, after(60)) == end, "however often one looks"
    assert not alerts.is_overdue(once, after(60))
    assert alerts.is_overdue(end, after(60))
    assert alerts.acknowledge(end, "wang", after(61)).state is State.ACKNOWLEDGED


def test_the_holder_may_have_any_name_that_a_job_allows():
    evidence = (Evidence(wording.FALLING_ELECTRICITY, "city-power", 3),)
    assert task(evidence=evidence).evidence == evidence


def test_a_severe_alert_waits_half_as_long():
    assert task(Strength.SEVERE).due == after(2)
    assert task(Strength.MARKED).due == after(5)
    assert task(Strength.SEVERE, days=1).due == after(1)


def test_an_acknowledged_task_does_not_escalate():
    taken = alerts.acknowledge(task(), "li", after(1))
    assert alerts.escalate(taken, after(60)) is taken


def test_steps_out_of_order_are_refused():
    taken = alerts.acknowledge(task(), "li", after(1))
    done = alerts.conclude(taken, Outcome.EXPLAINED, "li", after(2))
    refused("alert_state", alerts.conclude, task(), Outcome.CONFIRMED, "li", after(1))
    refused("alert_state", alerts.acknowledge, taken, "li", after(1))
    refused("alert_state", alerts.conclude, done, Outcome.CONFIRMED, "li", after(3))
    refused("alert_earlier", alerts.conclude, taken, Outcome.CONFIRMED, "li", DAY)
    refused("alert_nobody", alerts.acknowledge, task(), " ", after(1))


def test_tasks_that_say_nothing_or_too_much_are_refused():
    refused("alert_evidence", task, evidence=())
    refused("alert_days", task, days=0)
    for wrong in (
        {"firm": "星禾 科技"},
        {"number": ""},
        {"evidence": (Evidence("Fell by 31.4 %", "utility", 3),)},
    ):
        refused("alert_invalid", task, **wrong)


def test_outcomes_become_labels_and_unclear_ones_do_not():
    def concluded(number, firm, outcome, day):
        return alerts.conclude(
            alerts.acknowledge(task(number=number, firm=firm), "li", day), outcome, "li", day
        )

    tasks = [
        concluded("T-4", "a", Outcome.EXPLAINED, after(9)),
        concluded("T-1", "a", Outcome.CONFIRMED, after(1)),
        concluded("T-2", "b", Outcome.CONFIRMED, after(1)),
        concluded("T-5", "b", Outcome.UNCLEAR, after(9)),
        concluded("T-3", "c", Outcome.UNCLEAR, after(1)),
        task(number="T-6", firm="d"),
    ]
    assert alerts.labels(tasks) == {"a": False, "b": True}


# --- words


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_its_name_in_both_languages(language):
    said = [wording.level_text(level, language) for level in Level]
    said += [wording.topic_text(topic.name, language) for topic in health.TOPICS]
    reasons = [*(rule.reason for rule in RULES), wording.FALLING_ELECTRICITY]
    said += [wording.reason_text(reason, language) for reason in reasons]
    said += [wording.strength_text(strength, language) for strength in Strength]
    said += [wording.state_text(state, language) for state in State]
    said += [wording.outcome_text(outcome, language) for outcome in Outcome]
    said += [wording.role_text(role, language) for role in CHAIN]
    assert len(set(said)) == len(said)
