"""A due date is never later than the true one, whatever a year without a table turns out to be."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from privacy.clocks import MOST_MADE_UP, due, is_working_day

START = date(2026, 1, 1)
DAYS = st.integers(0, 800)


def true_last_day(received, working_days, off, made_up):
    """Counted day by day, with a calendar of its own for the years that have no table."""
    day = received
    while working_days:
        day += timedelta(days=1)
        if day.year == 2026:
            working_days -= is_working_day(day)
        else:
            working_days -= day in made_up or (day.weekday() < 5 and day not in off)
    return day


@given(
    start=DAYS,
    working_days=st.integers(1, 25),
    off=st.sets(st.integers(0, 60), max_size=15),
    made_up=st.sets(st.integers(1, 60), max_size=MOST_MADE_UP),
)
def test_never_later_than_the_true_last_day(start, working_days, off, made_up):
    received = START + timedelta(days=start)
    base = max(received, date(2026, 12, 31))
    off = {base + timedelta(days=number) for number in off}
    made_up = {base + timedelta(days=number) for number in made_up}
    made_up = {day for day in made_up if day.weekday() >= 5}
    last = due(received, working_days)
    assert received < last <= true_last_day(received, working_days, off - made_up, made_up)


@given(start=DAYS, working_days=st.integers(1, 25))
def test_a_longer_period_does_not_end_earlier(start, working_days):
    received = START + timedelta(days=start)
    assert due(received, working_days) <= due(received, working_days + 1)
    assert due(received, working_days) <= due(received + timedelta(days=1), working_days)
