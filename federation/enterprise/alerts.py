"""From an alert to a due-diligence task at the bank: who looks by when, what was found, what follows for labels.

    open --acknowledge--> acknowledged --conclude--> concluded
      |  after N days without a word: the next in `CHAIN` is asked as well; acknowledging remains possible

A task never changes the terms of a loan by itself: its outcome is a person's finding. It refers to the firm by the
bank's own reference, holds reason codes and no readings, and time is a calendar day that the caller gives. Storing
tasks and telling people are the server's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from federation.enterprise.early_warning import Strength
from federation.jobs import Name
from privacy.errors import ConfigInvalid

CHAIN: Final = ("relationship_manager", "risk_officer", "head_of_credit")
"""Who is asked, in order."""
ACKNOWLEDGE_DAYS: Final = 5
"""Days after which a task that nobody has acknowledged goes to the next of the chain. A severe alert: half of them."""

Reference = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Code = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}\Z")]
Person = Annotated[str, Meta(min_length=1, max_length=64)]


class State(StrEnum):
    """Where a task is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CONCLUDED = "concluded"


class Outcome(StrEnum):
    """What due diligence has found."""

    CONFIRMED = "confirmed"
    """The firm is in trouble."""
    EXPLAINED = "explained"
    """A reason that has nothing to do with its credit: a move, maintenance, a change of shifts."""
    UNCLEAR = "unclear"


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the alert was raised: a reason code (`enterprise.reason.<code>`), its holder, and months it rests on."""

    reason: Code
    party: Name
    months: Annotated[int, Meta(ge=1, le=36)]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of a task. what: "opened", "acknowledged", "escalated" or "concluded"; by: a person, or a role."""

    day: date
    what: Code
    by: Person


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One due-diligence task. firm: the bank's own reference, never the firm's code; asked: how many of `CHAIN`."""

    number: Reference
    firm: Reference
    strength: Strength
    evidence: tuple[Evidence, ...]
    opened: date
    due: date
    state: State = State.OPEN
    asked: Annotated[int, Meta(ge=1, le=len(CHAIN))] = 1
    outcome: Outcome | None = None
    history: tuple[Event, ...] = ()

    @property
    def role(self) -> str:
        """Who is asked last."""
        return CHAIN[self.asked - 1]


def open_task(
    number: str,
    firm: str,
    strength: Strength,
    evidence: Iterable[Evidence],
    today: date,
    days: int = ACKNOWLEDGE_DAYS,
) -> Task:
    """A new task. days: until it goes to the next. Raises `ConfigInvalid` without evidence, or for a malformed name."""
    shown = tuple(evidence)
    if not shown or days < 1:
        raise ConfigInvalid("alert_evidence" if not shown else "alert_days", name=number)
    task = Task(
        number=number,
        firm=firm,
        strength=strength,
        evidence=shown,
        opened=today,
        due=today + _patience(strength, days),
        history=(Event(today, "opened", CHAIN[0]),),
    )
    try:
        return msgspec.convert(msgspec.to_builtins(task), Task)
    except msgspec.ValidationError as problem:
        raise ConfigInvalid("alert_invalid", problem=str(problem)) from None


def acknowledge(task: Task, by: str, today: date) -> Task:
    """Somebody has taken it on. Raises `ConfigInvalid` when it is not open, or on a day before its last event."""
    _check(task, {State.OPEN}, today)
    return _after(task, today, "acknowledged", by, state=State.ACKNOWLEDGED)


def escalate(task: Task, today: date, days: int = ACKNOWLEDGE_DAYS) -> Task:
    """What time does to a task: an open one whose day has passed goes up, a step for each period that has passed.

    May be called as often as one likes; the same task when nothing is due. At the end of the chain it stays open.
    """
    while task.state is State.OPEN and today > task.due and task.asked < len(CHAIN):
        day = task.due + timedelta(days=1)
        asked = task.asked + 1
        task = _after(
            task, day, "escalated", CHAIN[asked - 1], asked=asked, due=day + _patience(task.strength, days)
        )
    return task


def is_overdue(task: Task, today: date) -> bool:
    """Whether the whole chain was asked and nobody has answered in time."""
    return task.state is State.OPEN and task.asked == len(CHAIN) and today > task.due


def conclude(task: Task, outcome: Outcome, by: str, today: date) -> Task:
    """What was found. Raises `ConfigInvalid` when nobody has acknowledged it, or it is concluded already."""
    _check(task, {State.ACKNOWLEDGED}, today)
    return _after(task, today, "concluded", by, state=State.CONCLUDED, outcome=outcome)


def labels(tasks: Iterable[Task]) -> Mapping[str, bool]:
    """What outcomes say for the next model, by firm: the latest clear finding. Unclear ones say nothing."""
    found: dict[str, bool] = {}
    concluded = (task for task in tasks if task.state is State.CONCLUDED)
    for task in sorted(concluded, key=lambda one: (one.history[-1].day, one.number)):
        if task.outcome is not Outcome.UNCLEAR:
            found[task.firm] = task.outcome is Outcome.CONFIRMED
    return found


def _patience(strength: Strength, days: int) -> timedelta:
    return timedelta(days=max(1, days // 2) if strength is Strength.SEVERE else days)


def _check(task: Task, states: set[State], today: date) -> None:
    if task.state not in states:
        raise ConfigInvalid("alert_state", name=task.number, found=task.state.value)
    if today < task.history[-1].day:
        raise ConfigInvalid("alert_earlier", name=task.number)


def _after(task: Task, day: date, what: str, by: str, **changes: object) -> Task:
    if not by.strip():
        raise ConfigInvalid("alert_nobody", name=task.number)
    return msgspec.structs.replace(task, history=(*task.history, Event(day, what, by)), **changes)
