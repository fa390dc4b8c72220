"""The register of requests for an auditor: who is meant stands in keyed references alone (PIPL 54, 69).

What happened when is read from the log, whose proofs an auditor has; what is still kept, and by which law, from the
store of cases. Where both speak of a case, they have to agree: `disagreements` names those that do not.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

import msgspec

from clients.home import NodeHome
from clients.rights.absences import last_snapshots
from clients.rights.cases import Case
from clients.rights.store import CaseStore
from federation.pace import today
from privacy.audit import Event
from privacy.rights import Result

_STEPS: Final = {
    "dsr.received": "received",
    "dsr.restricted": "restricted",
    "dsr.completed": "completed",
    "dsr.rejected": "rejected",
}
_ENDS: Final = frozenset({"dsr.completed", "dsr.rejected"})
_REOPENED: Final = "dsr.reopened"
_BUCKETS: Final = (1, 3, 7, 15, 30)
"""Days within which requests were answered, in the histogram."""
_COLUMNS: Final = (
    "case", "sref", "kind", "state", "received", "restricted", "ended", "due", "late", "receipt",
)  # fmt: skip
_RESIDUAL: Final = (Result.RESTRICTED_LAW, Result.RESTRICTED_TECHNICAL)


class RegisterCase(msgspec.Struct, frozen=True, kw_only=True):
    """One request. sref: what the log calls the subject; seqs: of the case's events; receipt: the receipt's SHA-256."""

    case: str
    sref: str
    kind: str
    state: str
    received: date
    due: date
    restricted: date | None = None
    ended: date | None = None
    late: bool = False
    receipt: str = ""
    seqs: tuple[int, ...] = ()


class Residual(msgspec.Struct, frozen=True, kw_only=True):
    """What of one case is still kept, restricted, and why."""

    case: str
    party: str
    artefact: str
    result: str
    law: str
    until: date | None
    review: date | None
    reason: str


class KeptSnapshot(msgspec.Struct, frozen=True):
    """A session whose leaves are kept: absence of a subject in it can be proved by who has the subject's receipt."""

    session: str
    root: str
    subjects: int


class Register(msgspec.Struct, frozen=True, kw_only=True):
    """days: how many requests were answered within so many days ("over": more); replays: events of restored backups."""

    party: str
    cases: tuple[RegisterCase, ...]
    residual: tuple[Residual, ...]
    days: dict[str, int]
    replays: tuple[int, ...]
    snapshots: tuple[KeptSnapshot, ...]
    disagreements: tuple[str, ...]

    def sums(self) -> dict[str, Any]:
        """Counts by outcome."""
        states = Counter(item.state for item in self.cases)
        ended = states["completed"] + states["rejected"]
        return {
            "total": len(self.cases),
            "completed": states["completed"],
            "rejected": states["rejected"],
            "open": len(self.cases) - ended,
            "late": sum(item.late for item in self.cases),
            "residual": len(self.residual),
        }


def register(home: NodeHome) -> Register:
    """The register of one node, as its log and its store have it now. Reads the log once."""
    events, replays = _events_of(home.audit.events())
    store = CaseStore(home.vault)
    cases = store.many([line.number for line in store.lines()])
    rows = [_row(case, events.get(number, [])) for number, case in sorted(cases.items())]
    days = [(row.ended - row.received).days for row in rows if row.ended is not None]
    return Register(
        party=home.settings.name,
        cases=tuple(rows),
        residual=tuple(item for case in cases.values() for item in _residual(case, home.settings.name)),
        days=_histogram(days),
        replays=tuple(replays),
        snapshots=tuple(
            KeptSnapshot(session, snapshot.root.hex(), snapshot.size)
            for session, _, snapshot in last_snapshots(home)
        ),
        disagreements=tuple(row.case for row in rows if _is_contradicted(row, events.get(row.case, []))),
    )


def as_csv(found: Register) -> str:
    """One line per request."""
    stream = io.StringIO()
    table = csv.writer(stream)
    table.writerow(_COLUMNS)
    for row in found.cases:
        cells = (getattr(row, name) for name in _COLUMNS)
        table.writerow("" if cell is None else str(cell) for cell in cells)
    return stream.getvalue()


def _events_of(events: Iterable[Event]) -> tuple[dict[str, list[Event]], list[int]]:
    """Events by case, and the numbers of those that tell of restored backups."""
    found: dict[str, list[Event]] = {}
    replays = []
    for event in events:
        if event.type.value == "restore.replayed":
            replays.append(event.seq)
        elif event.type.value.startswith("dsr.") and event.artefact:
            found.setdefault(event.artefact, []).append(event)
    return found, replays


def _row(case: Case, events: list[Event]) -> RegisterCase:
    at: dict[str, Event] = {}
    for event in events:  # the first ones: when it was answered, however often it was reopened
        if event.type.value in _STEPS:
            at.setdefault(_STEPS[event.type.value], event)
    end = at.get("completed") or at.get("rejected")
    ended = None if end is None else _day(end)
    receipt = next((event for event in reversed(events) if event.type.value == "dsr.receipt_issued"), None)
    return RegisterCase(
        case=case.number,
        sref=case.record.sref or next((event.sref for event in events if event.sref), ""),
        kind=case.kind.value,
        state=case.state.value,
        received=case.received.astimezone().date(),
        due=case.due,
        restricted=_day(at["restricted"]) if "restricted" in at else None,
        ended=ended,
        late=(ended or today()) > case.due,
        receipt="" if receipt is None else receipt.digests.get("receipt", ""),
        seqs=tuple(event.seq for event in events),
    )


def _day(event: Event) -> date:
    return datetime.fromisoformat(event.time).astimezone().date()


def _is_contradicted(row: RegisterCase, events: list[Event]) -> bool:
    """A case that has ended and whose end nobody logged, or the other way round; or that was never received.

    The end of a case that was reopened counts from then on.
    """
    kinds = [event.type.value for event in events]
    turns = [kind for kind in kinds if kind in _ENDS or kind == _REOPENED]
    logged = bool(turns) and turns[-1] in _ENDS
    return "dsr.received" not in kinds or logged != (row.state in {"completed", "rejected"})


def _residual(case: Case, own: str) -> Iterable[Residual]:
    answers = {name: one.answer.outcomes for name, one in case.record.partners.items() if one.answer}
    for party, outcomes in ({own: case.record.outcomes} | answers).items():
        for item in outcomes:
            if item.result in _RESIDUAL:
                yield Residual(
                    case=case.number,
                    party=party,
                    artefact=item.artefact.value,
                    result=item.result.value,
                    law=item.law,
                    until=item.until,
                    review=item.review,
                    reason=item.reason,
                )


def _histogram(days: Iterable[int]) -> dict[str, int]:
    found = dict.fromkeys([*map(str, _BUCKETS), "over"], 0)
    for count in days:
        found[next((str(limit) for limit in _BUCKETS if count <= limit), "over")] += 1
    return found
