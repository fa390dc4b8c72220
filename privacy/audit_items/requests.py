"""What the log shows of requests of individuals: time limits, receipts, backups, models (items 16 to 18).

Up to `clients.rights.telling.CASES_WITH_EVENT` cases at once have an event each, named by the case's number; of more,
one event (`MANY`) holds how many they were. Such events are counted, and no single time limit is read from them.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any, Final

from privacy.audit import Event
from privacy.audit_items.guideline import Holds
from privacy.audit_items.ledger import Ledger
from privacy.clocks import answer_due

MANY: Final = "cases"
ANSWERS: Final = ("dsr.completed", "dsr.rejected")
BUCKETS: Final = (1, 3, 7, 15, 30)
"""Days within which requests were answered, in the histogram."""
_A_DAY: Final = 1
"""Events have UTC and periods the holder's calendar."""
_FEWEST_REASONS: Final = 3


def answers(ledger: Ledger) -> tuple[dict[str, Holds], dict[str, Any]]:
    """Whether answers were in time (PIPL 50), and how many days they took."""
    opened: dict[str, Event] = {}
    late: list[str] = []
    days: list[int] = []
    for event in ledger.of("dsr.received", *ANSWERS):
        case = event.artefact or event.sref
        if case == MANY:
            continue
        if event.type.value == "dsr.received":
            opened.setdefault(case, event)
        elif case in opened:
            received = opened.pop(case)
            days.append(_day(event).toordinal() - _day(received).toordinal())
            if _is_late(received, _day(event).toordinal()):
                late.append(case)
    waiting = [case for case, event in opened.items() if _is_late(event, ledger.last_day)]
    checks: dict[str, Holds] = {}
    if days or opened:
        checks["answered_in_time"] = not late and not waiting
    result = {
        "days": _histogram(days),
        "late": len(late),
        "late_and_open": len(waiting),
        "many_at_once": _many(ledger),
    }
    return checks, result


def traces(ledger: Ledger) -> tuple[dict[str, Holds], dict[str, Any], list[str]]:
    """What deletions left in the log beside the requests: receipts, destroyed keys, replayed restores, models.

    The last is what stays open for a human.
    """
    completed = {event.artefact for event in ledger.of("dsr.completed")} - {MANY, ""}
    receipts = {event.artefact for event in ledger.of("dsr.receipt_issued")}
    checks: dict[str, Holds] = {}
    if receipts:
        own = {event.artefact for event in ledger.of("dsr.received")}
        checks["receipts_issued"] = True if completed & own <= receipts else None
    models = ("model.registered", "model.released", "model.superseded", "model.retired")
    result = {
        "receipts": len(receipts),
        "restores_replayed": len(ledger.of("restore.replayed")),
        "keys_destroyed": len(ledger.of("key.shredded")),
        "models": ledger.count(*models),
        "tasks": ledger.count("dsr.task_sent", "dsr.task_result"),
    }
    left = ["backups"] * (not ledger.of("key.shredded", "restore.replayed"))
    left += ["models"] * (not ledger.of(*models[2:]))
    return checks, result, left


def explanations(ledger: Ledger) -> tuple[dict[str, Any], list[str]]:
    """How many decisions were explained to people, and with how many reasons; what stays open."""
    told = [event.numbers.get("reasons", 0) for event in ledger.of("adm.explained")]
    result = {
        "explained": len(told),
        "with_fewer_reasons": sum(count < _FEWEST_REASONS for count in told),
    }
    return result, ["explanations"] * (not told)


def _many(ledger: Ledger) -> dict[str, int]:
    """By kind of event: cases that were told of together."""
    found: Counter[str] = Counter()
    for event in ledger.of("dsr.received", *ANSWERS):
        if event.artefact == MANY:
            found[event.type.value] += max(0, event.numbers.get("cases", 0))
    return dict(found)


def _is_late(received: Event, day: int) -> bool:
    return day > answer_due(_day(received)).toordinal() + _A_DAY


def _day(event: Event) -> date:
    return datetime.fromisoformat(event.time).date()


def _histogram(days: list[int]) -> dict[str, int]:
    found = dict.fromkeys([*map(str, BUCKETS), "over"], 0)
    for count in days:
        found[next((str(limit) for limit in BUCKETS if count <= limit), "over")] += 1
    return found
