"""Periods in working days, alarms about late answers, and refusals that give their reasons."""

from datetime import date, timedelta

import pytest

from privacy.clocks import ANSWER_WORKING_DAYS, Overdue, Refusal, answer_due, due, is_working_day, overdue
from privacy.errors import ConfigInvalid
from privacy.reasons import Finding, Findings, Reason

YEAR = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]


def test_the_year_with_a_table():
    weekdays_off = [day for day in YEAR if day.weekday() < 5 and not is_working_day(day)]
    weekends_worked = [day for day in YEAR if day.weekday() >= 5 and is_working_day(day)]
    # 元旦 2, 春节 6, 清明 1, 劳动节 3, 端午 1, 中秋 1, 国庆 5, of which six are made up for on weekend days.
    assert (len(weekdays_off), len(weekends_worked)) == (19, 6)
    assert sum(map(is_working_day, YEAR)) == 248


@pytest.mark.parametrize(
    ("received", "days", "last"),
    [
        ("2026-03-02", 1, "2026-03-03"),
        ("2026-03-06", 1, "2026-03-09"),
        ("2026-02-13", 1, "2026-02-14"),  # a Saturday that is worked
        ("2026-02-14", 1, "2026-02-24"),
        ("2026-02-14", 5, "2026-02-28"),
        ("2026-09-18", 1, "2026-09-20"),
        ("2026-09-30", 1, "2026-10-08"),
        ("2026-09-30", 3, "2026-10-10"),
        ("2026-04-30", 1, "2026-05-06"),
        ("2026-06-01", 15, "2026-06-23"),
        ("2026-12-10", 15, "2026-12-31"),
    ],
)
def test_a_period_within_the_known_year_is_exact(received, days, last):
    assert due(date.fromisoformat(received), days) == date.fromisoformat(last)


@pytest.mark.parametrize(
    ("received", "days", "last"),
    [
        ("2026-12-11", 15, "2027-01-01"),  # the first day of which nobody knows
        ("2026-12-20", 15, "2027-01-06"),
        ("2027-03-01", 15, "2027-03-18"),
        ("2027-03-01", 2, "2027-03-02"),
        ("2025-12-30", 1, "2025-12-31"),
    ],
)
def test_a_period_that_reaches_an_unknown_year_ends_earlier(received, days, last):
    assert due(date.fromisoformat(received), days) == date.fromisoformat(last)


def test_a_period_of_no_day():
    with pytest.raises(ValueError, match="0"):
        due(date(2026, 3, 2), 0)


def test_an_answer_is_due_within_thirty_days_as_well():
    assert answer_due(date(2026, 3, 2)) == due(date(2026, 3, 2), ANSWER_WORKING_DAYS) == date(2026, 3, 23)
    assert all(answer_due(day) <= day + timedelta(days=30) for day in YEAR)


def test_who_is_late():
    received = {"case-1": date(2026, 3, 2), "case-2": date(2026, 3, 3), "case-3": date(2026, 2, 2)}
    assert overdue(received, date(2026, 2, 20)) == []
    assert overdue(received, answer_due(received["case-1"])) == [Overdue("case-3", date(2026, 2, 28), 23)]
    late = overdue(received, date(2026, 4, 1))
    assert [alarm.case for alarm in late] == ["case-3", "case-1", "case-2"]
    assert late[1].render("en") == "Case case-1 should have been answered by 2026-03-23: it is 9 days late."
    assert "9" in late[1].render("zh-CN")


def test_a_refusal_gives_its_reasons():
    with pytest.raises(ConfigInvalid) as caught:
        Refusal("case-1", Findings())
    assert caught.value.key == "refusal_without_reason"
    found = Findings.of([Finding(Reason.RESTRICTED_STATE), Finding(Reason.FIELD_PROHIBITED, "cvn2")])
    for language, court in (("en", "court"), ("zh-CN", "人民法院")):
        letter = Refusal("case-1", found).letter(language)
        assert court in letter
        for finding in found:
            assert finding.render(language) in letter
        assert "PIPL 44, 47" in letter
