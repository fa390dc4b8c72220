"""Who is late, or nearly: by the last day for an answer, and by our own targets before it (PIPL 50; pipl.md 2.4 [D]).

An alarm names a case by its number, what is late, and for how many days; it is raised in the log once a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Final

import msgspec

from clients.home import NodeHome
from clients.rights.store import CaseStore, Line
from clients.rights.telling import CASES_WITH_EVENT
from privacy.audit import EventType
from privacy.clocks import due
from privacy.rights import CaseNumber, CaseState
from privacy.texts import text

ACKNOWLEDGE_WORKING_DAYS: Final = 1
DECIDE_WORKING_DAYS: Final = 10
RESTRICT_WITHIN: Final = timedelta(hours=24)
NEAR_DAYS: Final = 3
"""An answer that is due within so many days is named beforehand."""

_UNDECIDED: Final = frozenset({CaseState.RECEIVED, CaseState.ACKNOWLEDGED, CaseState.IDENTIFIED})
_UNRESTRICTED: Final = frozenset({CaseState.IDENTIFIED, CaseState.SCOPED})


class Late(StrEnum):
    """What is late (`rights.late.<code>` in the texts)."""

    ANSWER = "answer"
    ACKNOWLEDGEMENT = "acknowledgement"
    RESTRICTION = "restriction"
    DECISION = "decision"
    KEPT = "kept"
    """The day has come on which what was kept is looked at again."""
    NEAR = "near"
    """Nothing yet: the answer is due soon."""


class Alarm(msgspec.Struct, frozen=True):
    """One case that is late. due: the day it should have been done; days: since then, negative when it is to come."""

    case: CaseNumber
    late: Late
    due: date
    days: int

    @property
    def is_overdue(self) -> bool:
        return self.late is not Late.NEAR

    def render(self, language: str | None = None) -> str:
        about = text(f"rights.late.{self.late.value}", language=language)
        if self.days <= 0:
            return text("rights.alarm_near", language=language, case=self.case, about=about, due=self.due)
        return text(
            "rights.alarm", language=language, case=self.case, about=about, due=self.due, days=self.days
        )


def alarms(store: CaseStore, now: datetime) -> list[Alarm]:
    """What is late or nearly due of the open cases, and whose row has been kept long enough, the longest late first;
    one alarm per case."""
    found = _found(store, now)
    return sorted((one for _, one in found), key=lambda one: (not one.is_overdue, -one.days, one.case))


def raise_alarms(home: NodeHome, store: CaseStore, now: datetime) -> int:
    """Log what is late and was not logged today; how many cases."""
    today = now.astimezone().date()
    late = [
        (line, one) for line, one in _found(store, now) if line.alarmed < today.toordinal() and one.is_overdue
    ]
    if late:
        _tell(home, [one for _, one in late])
        with store.transaction() as connection:
            store.mark_alarmed(connection, [line.number for line, _ in late], today)
    return len(late)


def _found(store: CaseStore, now: datetime) -> list[tuple[Line, Alarm]]:
    """Alarms with their cases. One that was reopened was answered in its time: its first due date is no alarm."""
    today = now.astimezone().date()
    kept = store.kept_lines(today)
    found = [
        (line, Alarm(line.number, Late.KEPT, day, (today - day).days)) for line, day in kept if day <= today
    ]
    known = {line.number for line, _ in kept}
    for line in store.lines(only_open=True):
        alarm = None if line.number in known else _alarm(line, now)
        if alarm is not None:
            found.append((line, alarm))
    return found


def _alarm(line: Line, now: datetime) -> Alarm | None:
    today = now.astimezone().date()
    for late, last in _targets(line):
        if today > last:
            return Alarm(line.number, late, last, (today - last).days)
    if line.state in _UNRESTRICTED and now - line.updated > RESTRICT_WITHIN:
        last = (line.updated + RESTRICT_WITHIN).astimezone().date()
        return Alarm(line.number, Late.RESTRICTION, last, (today - last).days)
    if (line.due - today).days <= NEAR_DAYS:
        return Alarm(line.number, Late.NEAR, line.due, (today - line.due).days)
    return None


def _targets(line: Line) -> list[tuple[Late, date]]:
    """What an open case should have come to, by which day."""
    received = line.received.astimezone().date()
    targets = [(Late.ANSWER, line.due)]
    if line.state in _UNDECIDED:
        targets.append((Late.DECISION, _due(received, DECIDE_WORKING_DAYS)))
    if line.state is CaseState.RECEIVED:
        targets.append((Late.ACKNOWLEDGEMENT, _due(received, ACKNOWLEDGE_WORKING_DAYS)))
    return targets


@cache
def _due(received: date, working_days: int) -> date:
    return due(received, working_days)


def _tell(home: NodeHome, late: Sequence[Alarm]) -> None:
    """Nobody can be told from an alarm: it holds the number of a case, or how many there are."""
    if len(late) > CASES_WITH_EVENT:
        home.audit.append(
            EventType.COUNTER_SNAPSHOT, actor="node", artefact="overdue", numbers={"cases": len(late)}
        )
        return
    for one in late:
        home.audit.append(
            EventType.COUNTER_SNAPSHOT,
            actor="node",
            artefact=one.case,
            numbers={f"{one.late.value}_days_late": one.days},
        )
