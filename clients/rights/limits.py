"""How many deletions and corrections another party can have carried out here in a day; the others are held over.

A party that has gone bad could have everybody deleted whom it has matched. Its tasks become cases as they come, and
what is asked to be deleted is restricted at once; carrying them out begins for `NodeSettings.tasks_per_day` of them a
calendar day, in the order in which they came. What is held over waits as a case, and goes on the next day.
That a task was begun is stored in the transaction that stores its case as executing: a kill neither loses nor counts it
twice. Own requests are not limited, nor are withdrawals, restrictions and refusals (PIPL 15, 24, 44): they take effect
at once.
What it does not promise. A withdrawal or an opt-out takes what was derived from the row with it, without a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, delete, func, insert, select, update

from clients.consents.changes import end_of_day
from clients.home import NodeHome
from clients.rights.cases import Case
from clients.rights.store import CaseStore
from clients.rights.tables import cases, held_told, tasks
from clients.tables.times import moment
from privacy.audit import EventType
from privacy.rights import CaseState, RequestKind
from privacy.texts import text

LIMITED: Final = frozenset({RequestKind.DELETE, RequestKind.CORRECT})
"""The kinds that erase or correct; all others take effect at once."""
_NOT_YET: Final = 0
_AT_ONCE: Final = 500


class HeldOver(msgspec.Struct, frozen=True):
    """How many tasks of a party wait for a day that has room for them. until: the next day."""

    party: str
    tasks: int
    until: date

    def render(self, language: str | None = None) -> str:
        return text(
            "rights.limits.held", language=language, party=self.party, tasks=self.tasks, until=self.until
        )


def is_limited(case: Case) -> bool:
    """Whether a case waits for its turn: another party's, of a kind that is limited, and not begun before."""
    return bool(case.origin) and case.kind in LIMITED and CaseState.EXECUTING not in case.record.reached


def queue(connection: Connection, new: Iterable[Case]) -> None:
    """Tasks have come, in this order; one that stands in the queue keeps its place."""
    limited = {case.number: case.origin for case in new if is_limited(case)}
    for part in _parts(list(limited)):
        known = connection.execute(select(tasks.c.number).where(tasks.c.number.in_(part))).scalars()
        for number in known.all():
            del limited[number]
    if limited:
        values = [{"number": number, "origin": origin, "day": _NOT_YET} for number, origin in limited.items()]
        connection.execute(insert(tasks), values)


def split(store: CaseStore, batch: Sequence[Case], most: int, now: datetime) -> tuple[list[Case], list[Case]]:
    """The cases that may begin today, and those that are held over to the next day.

    batch: restricted ones. most: tasks per party and day.
    """
    limited = [case for case in batch if is_limited(case)]
    if not limited:
        return list(batch), []
    going: set[str] = set()
    with store.transaction() as connection:
        queue(connection, limited)  # of a home from before there was a limit
        for origin in {case.origin for case in limited}:
            going |= _next(connection, origin, most, now)
    waits = {case.number for case in limited} - going
    tomorrow = end_of_day(_day(now))
    held = [msgspec.structs.replace(case, wake=tomorrow) for case in batch if case.number in waits]
    return [case for case in batch if case.number not in waits], held


def mark_begun(connection: Connection, saved: Iterable[Case], now: datetime) -> None:
    """Cases have been stored: those among them that are executing have been begun, each counted once."""
    numbers = [
        case.number
        for case in saved
        if case.origin and case.kind in LIMITED and case.state is CaseState.EXECUTING
    ]
    for part in _parts(numbers):
        not_yet = tasks.c.number.in_(part) & (tasks.c.day == _NOT_YET)
        connection.execute(update(tasks).where(not_yet).values(day=_day(now).toordinal()))


def held_over(store: CaseStore, now: datetime) -> list[HeldOver]:
    """By party, what waits for the next day."""
    with store.engine.connect() as connection:
        return _held(connection, now)


def tell_held(home: NodeHome, store: CaseStore, now: datetime) -> None:
    """Log how many tasks of a party are held over: once a day, when its limit is first passed.

    Raises `LogUnavailable`.
    """
    today = _day(now).toordinal()
    if not held_over(store, now):
        return
    with store.transaction() as connection:
        told = {row.party: row.day for row in connection.execute(select(held_told))}
        for one in _held(connection, now):
            if told.get(one.party) == today:
                continue
            home.audit.append(
                EventType.COUNTER_SNAPSHOT,
                actor="node",
                artefact=f"tasks/{one.party}",
                numbers={"held_over": one.tasks, "tasks_per_day": home.settings.tasks_per_day},
            )
            connection.execute(delete(held_told).where(held_told.c.party == one.party))
            connection.execute(insert(held_told).values(party=one.party, day=today))


def forget_begun(connection: Connection, now: datetime) -> None:
    """What was begun on an earlier day is counted no more."""
    over = (tasks.c.day != _NOT_YET) & (tasks.c.day < _day(now).toordinal())
    connection.execute(delete(tasks).where(over))


def _next(connection: Connection, origin: str, most: int, now: datetime) -> set[str]:
    """The cases of a party that have their turn today and are not begun yet: the first to come among those that can go
    on now, so that one that cannot keeps no other from its turn."""
    mine = tasks.c.origin == origin
    today = select(func.count()).where(mine, tasks.c.day == _day(now).toordinal())
    left = most - int(connection.execute(today).scalar_one())
    if left <= 0:
        return set()
    can_go_on = (cases.c.state == CaseState.RESTRICTED.value) & (cases.c.wake <= moment(now))
    first = select(tasks.c.number).join(cases, cases.c.number == tasks.c.number)
    first = first.where(mine, tasks.c.day == _NOT_YET, can_go_on).order_by(tasks.c.place).limit(left)
    return set(connection.execute(first).scalars())


def _held(connection: Connection, now: datetime) -> list[HeldOver]:
    tomorrow = end_of_day(_day(now))
    waiting = (cases.c.state == CaseState.RESTRICTED.value) & (cases.c.wake == moment(tomorrow))
    query = select(tasks.c.origin, func.count()).join(cases, cases.c.number == tasks.c.number)
    query = query.where(tasks.c.day == _NOT_YET, waiting).group_by(tasks.c.origin).order_by(tasks.c.origin)
    return [HeldOver(party, int(count), tomorrow.date()) for party, count in connection.execute(query)]


def _day(now: datetime) -> date:
    """The calendar day by which everything here counts (`federation.pace.today`)."""
    return now.astimezone().date()


def _parts(numbers: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(numbers), _AT_ONCE):
        yield list(numbers[start : start + _AT_ONCE])
