"""When an answer to a subject is due, who is late, and what a refusal has to say (PIPL 50).

Periods in working days run from the day after receipt (民法典 article 201). Which days those are, the State Council
announces for one year at a time: a year without a table is counted so that a due date is never later than the true one.
What it does not promise. That the periods are the right ones for a company: 15 working days are what 《App违法违规收集
使用个人信息行为认定方法》 (六.3, 六.5) says of apps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from privacy.errors import ConfigInvalid
from privacy.reasons import Findings
from privacy.texts import text

ANSWER_WORKING_DAYS: Final = 15
LONGEST_DAYS: Final = 30
"""However many of them are days off (GB/T 35273-2020, 8.7)."""

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5


def _days(month: int, first: int, last: int) -> tuple[date, ...]:
    return tuple(date(2026, month, day) for day in range(first, last + 1))


_KNOWN_YEARS: Final = frozenset({2026})
_OFF: Final = frozenset(
    {
        *_days(1, 1, 3),
        *_days(2, 15, 23),
        *_days(4, 4, 6),
        *_days(5, 1, 5),
        *_days(6, 19, 21),
        *_days(9, 25, 27),
        *_days(10, 1, 7),
    }
)
_MADE_UP: Final = frozenset(
    {
        date(2026, 1, 4),
        date(2026, 2, 14),
        date(2026, 2, 28),
        date(2026, 5, 9),
        date(2026, 9, 20),
        date(2026, 10, 10),
    }
)
"""Days off, and weekend days that are worked instead: 国务院办公厅关于2026年部分节假日安排的通知 (2025-11-04)."""
MOST_MADE_UP: Final = 2
"""In no year from 2004 to 2026 did the weekend days worked in any 15 working days outnumber the other days off among
them by more: so much earlier may the true last day be than one counted from Monday to Friday."""


def is_working_day(day: date) -> bool:
    """Whether a day is worked; Monday to Friday in a year that has no table here."""
    if day.year not in _KNOWN_YEARS:
        return day.weekday() < _SATURDAY
    return day in _MADE_UP or (day.weekday() < _SATURDAY and day not in _OFF)


def due(received: date, working_days: int) -> date:
    """The last day of a period of working days after `received`; never later than the true one.

    Exact as long as all its days are of years with a table. Raises `ValueError` for a period of no day.
    """
    if working_days < 1:
        raise ValueError(working_days)
    last = _last_of(received, working_days)
    unknown = _first_unknown(received)
    if last < unknown:
        return last
    return max(unknown, _last_of(received, working_days - MOST_MADE_UP))


def answer_due(received: date) -> date:
    """When a request of that day is to be answered, at the latest."""
    return min(due(received, ANSWER_WORKING_DAYS), received + LONGEST_DAYS * _DAY)


def _last_of(received: date, working_days: int) -> date:
    day = received
    while working_days > 0:
        day += _DAY
        working_days -= is_working_day(day)
    return day


def _first_unknown(received: date) -> date:
    """The first day after receipt of which nobody here knows whether it is worked."""
    day = received + _DAY
    while day.year in _KNOWN_YEARS:
        day = date(day.year + 1, 1, 1)
    return day


@dataclass(frozen=True, slots=True)
class Overdue:
    """An alarm: a case that should have been answered. days: since its due date, from 1."""

    case: str
    due: date
    days: int

    def render(self, language: str | None = None) -> str:
        return text("clocks.overdue", language=language, case=self.case, due=self.due, days=self.days)


def overdue(open_cases: Mapping[str, date], today: date) -> list[Overdue]:
    """The alarms about open cases, given when each was received; the longest overdue first."""
    late = [
        Overdue(case, last, (today - last).days)
        for case, received in open_cases.items()
        if today > (last := answer_due(received))
    ]
    return sorted(late, key=lambda alarm: (-alarm.days, alarm.case))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The refusal of a subject's request. There is none without a reason: raises `ConfigInvalid` (PIPL 50)."""

    case: str
    findings: Findings

    def __post_init__(self) -> None:
        if not self.findings:
            raise ConfigInvalid("refusal_without_reason", case=self.case)

    def letter(self, language: str | None = None) -> str:
        """What the subject is told: every reason with its code and article, and the way to a court."""
        reasons = format(self.findings, language or "")
        return text("clocks.refusal", language=language, case=self.case, reasons=reasons)
