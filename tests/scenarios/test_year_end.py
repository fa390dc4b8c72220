"""Scenario 30: a period that runs into a year whose days off nobody has announced."""

from datetime import date, timedelta

import pytest

from privacy.clocks import ANSWER_WORKING_DAYS, Refusal, answer_due, due, is_working_day, overdue
from privacy.errors import ConfigInvalid
from privacy.reasons import Finding, Findings, Reason

RECEIVED = date(2026, 12, 20)


def fifteenth(off=(), made_up=()):
    """The true 15th working day after the request, given what 2027 turns out to be."""
    day, left = RECEIVED, ANSWER_WORKING_DAYS
    while left:
        day += timedelta(days=1)
        known = is_working_day(day) if day.year == 2026 else day.weekday() < 5 and day not in off
        left -= known or day in made_up
    return day


NEW_YEAR = [date(2027, 1, day) for day in (1, 2, 3)]


@pytest.mark.scenario(30)
@pytest.mark.parametrize(
    ("off", "made_up"),
    [
        ((), ()),
        (NEW_YEAR, ()),
        (NEW_YEAR, [date(2027, 1, 9)]),
        ((), [date(2027, 1, 2), date(2027, 1, 3)]),
        ([date(2027, 1, day) for day in range(1, 11)], ()),
    ],
)
def test_the_due_date_is_never_later_than_the_true_one(off, made_up):
    """Clock across year end: computed without data about 2027, and early enough whatever it brings."""
    assert answer_due(RECEIVED) == due(RECEIVED, ANSWER_WORKING_DAYS) == date(2027, 1, 6)
    assert answer_due(RECEIVED) <= fifteenth(off, made_up)


@pytest.mark.scenario(30)
def test_a_case_that_is_late_raises_an_alarm():
    """Clock across year end: nothing is said on the last day, and an alarm is raised on the next."""
    last = answer_due(RECEIVED)
    assert overdue({"case-7": RECEIVED}, last) == []
    (alarm,) = overdue({"case-7": RECEIVED}, last + timedelta(days=1))
    assert (alarm.case, alarm.due, alarm.days) == ("case-7", last, 1)
    assert "case-7" in alarm.render("en")


@pytest.mark.scenario(30)
def test_no_refusal_without_a_reason_code():
    """Clock across year end: a letter without a reason code cannot be made (article 50)."""
    with pytest.raises(ConfigInvalid):
        Refusal("case-7", Findings())
    letter = Refusal("case-7", Findings.of([Finding(Reason.RESTRICTED_STATE)])).letter("zh-CN")
    assert "R-RESTRICTED-STATE" in letter
    assert "PIPL 44, 47" in letter
    assert "人民法院" in letter
