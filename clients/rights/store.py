"""The durable cases of a node. No identifier stands in a column in clear, and none is left when a case has ended.

What is not a column is sealed with AES-256-GCM under a key of its own, which lies in the vault; the case's number and
the column are bound to it, so that nothing moves from one case to another.
Cost. 10,000 cases that all change their state: under a second.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Row, Select, bindparam, delete, false, func, insert, select, update
from sqlalchemy.exc import DatabaseError

from clients.consents.forgetting import clear_traces
from clients.rights.cases import Case, Locators, Record
from clients.rights.tables import cases, kept
from clients.tables.times import moment, time_of
from clients.vault import KEY_BYTES, NONCE_BYTES, Vault, metadata
from privacy.errors import DeadlinePassed, SealBroken, SilhouetteError
from privacy.rights import ENDED, CaseState, Requester, RequestKind

log = logging.getLogger("silhouette.rights")

KEY_RECORD: Final = "rights/key"
NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""When a case goes on that waits for somebody."""
KEPT_DAYS: Final = 3 * 366
"""As long as records of processing (PIPL 56; 网络数据安全管理条例 12), counted from the end of the case."""
BROKEN_RETRY: Final = timedelta(hours=1)
"""How soon a case that does not open is looked at again."""
_NAMES_PER_QUERY: Final = 500
_RECORD: Final = "record"
_LOCATORS: Final = "locators"

_CHANGED: Final = ("state", "updated", "wake", "revision", "record", "locators")
_UPDATE: Final = (
    update(cases)
    .where(cases.c.number == bindparam("known"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)

_Sealed = TypeVar("_Sealed", Record, Locators)


class Line(NamedTuple):
    """The columns of a case, without what is sealed."""

    number: str
    origin: str
    kind: RequestKind
    state: CaseState
    requester: Requester
    received: datetime
    due: date
    updated: datetime
    alarmed: int


class CaseStore:
    """Cases by number."""

    def __init__(self, vault: Vault) -> None:
        self.engine = vault.engine
        self._cipher = AESGCM(vault.keep(KEY_RECORD, secrets.token_bytes(KEY_BYTES)))
        try:
            metadata.create_all(self.engine)
        except DatabaseError:  # another process was creating them at the same moment
            metadata.create_all(self.engine)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that nobody else writes in between: what it reads is still so when it writes."""
        with self.engine.begin() as connection:
            connection.execute(update(cases).where(false()).values(revision=0))
            yield connection

    # --- writing

    def add(self, connection: Connection, new: Sequence[Case]) -> None:
        """New cases. Raises `sqlalchemy.exc.IntegrityError` for a number that is known."""
        if new:
            connection.execute(insert(cases), [{**self._columns(case), "alarmed": 0} for case in new])

    def save(self, connection: Connection, changed: Sequence[Case]) -> list[Case]:
        """Store cases that nobody has changed since they were read: those that were stored."""
        known = self._revisions(connection, [case.number for case in changed])
        current = [case for case in changed if known.get(case.number) == case.revision]
        saved = [msgspec.structs.replace(case, revision=case.revision + 1) for case in current]
        if saved:
            connection.execute(
                _UPDATE,
                [
                    {
                        "known": case.number,
                        **{f"new_{name}": value for name, value in self._content(case).items()},
                    }
                    for case in saved
                ],
            )
        self._note_kept(connection, [case for case in saved if case.state is CaseState.COMPLETED])
        return saved

    def _note_kept(self, connection: Connection, ended: Sequence[Case]) -> None:
        """When somebody has to look again at what was kept of these cases."""
        for part in _parts([case.number for case in ended]):
            connection.execute(delete(kept).where(kept.c.number.in_(part)))
        days = {case.number: case.kept_until for case in ended}
        values = [
            {"number": number, "day": day.toordinal()} for number, day in days.items() if day is not None
        ]
        if values:
            connection.execute(insert(kept), values)

    def mark_alarmed(self, connection: Connection, numbers: Sequence[str], day: date) -> None:
        """An alarm was raised about these cases on a day."""
        for part in _parts(numbers):
            connection.execute(update(cases).where(cases.c.number.in_(part)).values(alarmed=day.toordinal()))

    def remove_ended(self, now: datetime) -> int:
        """Remove cases that ended longer than `KEPT_DAYS` ago, and of which no row is kept; how many."""
        before = moment(now - timedelta(days=KEPT_DAYS))
        ended = cases.c.state.in_([state.value for state in ENDED])
        with self.transaction() as connection:
            is_kept = cases.c.number.in_(select(kept.c.number))
            query = delete(cases).where(ended, cases.c.updated < before, ~is_kept)
            return int(connection.execute(query).rowcount)

    def clear_traces(self) -> None:
        """Leave no older version of a locator in the database's log; another time when that is in use."""
        try:
            clear_traces(self.engine, ())
        except DeadlinePassed:
            return

    # --- reading

    def get(self, number: str, connection: Connection | None = None) -> Case | None:
        """The case of that number, or None. Raises `SealBroken` for one that was tampered with."""
        found = self._read(select(cases).where(cases.c.number == number), connection)
        return found[0] if found else None

    def many(self, numbers: Sequence[str], connection: Connection | None = None) -> dict[str, Case]:
        """Those of these cases that there are."""
        found: dict[str, Case] = {}
        for part in _parts(numbers):
            rows = self._read(select(cases).where(cases.c.number.in_(part)), connection)
            found |= {case.number: case for case in rows}
        return found

    def waiting(self, state: CaseState, now: datetime, limit: int) -> list[Case]:
        """Cases in a state that can go on now, the first ones by number; one that cannot be read is put off."""
        query = select(cases).where(cases.c.state == state.value, cases.c.wake <= moment(now))
        query = query.order_by(cases.c.wake, cases.c.number).limit(limit)
        while True:
            with self.engine.connect() as connection:
                rows = connection.execute(query).fetchall()
            found, broken = self._readable(rows)
            self._put_off(broken, now + BROKEN_RETRY)
            if found or not broken:
                return found

    def lines(self, *, only_open: bool = False, until: date | None = None) -> list[Line]:
        """The columns of cases in the order of their due dates; until: the last due date."""
        names = Line._fields
        query = select(*(cases.c[name] for name in names)).order_by(cases.c.due, cases.c.number)
        if only_open:
            query = query.where(cases.c.state.not_in([state.value for state in ENDED]))
        if until is not None:
            query = query.where(cases.c.due <= until.toordinal())
        with self.engine.connect() as connection:
            return [_line(row) for row in connection.execute(query)]

    def kept_lines(self, until: date) -> list[tuple[Line, date]]:
        """Cases with a kept row that somebody has to look at, and from which day on: those up to a day, and all that
        were reopened for it and have not ended yet."""
        columns = [*(cases.c[name] for name in Line._fields), kept.c.day]
        is_open = cases.c.state.not_in([state.value for state in ENDED])
        query = select(*columns).join(kept, kept.c.number == cases.c.number)
        query = query.where((kept.c.day <= until.toordinal()) | is_open).order_by(kept.c.day, cases.c.number)
        with self.engine.connect() as connection:
            return [(_line(row), date.fromordinal(row.day)) for row in connection.execute(query)]

    def counts(self) -> dict[str, int]:
        """How many cases there are in each state."""
        query = select(cases.c.state, func.count()).group_by(cases.c.state)
        with self.engine.connect() as connection:
            return {state: int(count) for state, count in connection.execute(query)}

    def _read(self, query: Select[Any], connection: Connection | None) -> list[Case]:
        if connection is not None:
            return [self._case(row) for row in connection.execute(query)]
        with self.engine.connect() as fresh:
            rows = fresh.execute(query).fetchall()
        return [self._case(row) for row in rows]

    def _readable(self, rows: Sequence[Row[Any]]) -> tuple[list[Case], list[str]]:
        """The cases, and the numbers of those that do not open."""
        found, broken = [], []
        for row in rows:
            try:
                found.append(self._case(row))
            except (SilhouetteError, ValueError, TypeError, OverflowError) as error:
                log.error("a request cannot be read: %s", type(error).__name__)
                broken.append(row.number)
        return found, broken

    def _put_off(self, numbers: Sequence[str], wake: datetime) -> None:
        for part in _parts(numbers):
            with self.transaction() as connection:
                later = update(cases).where(cases.c.number.in_(part)).values(wake=moment(wake))
                connection.execute(later)

    def _revisions(self, connection: Connection, numbers: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for part in _parts(numbers):
            query = select(cases.c.number, cases.c.revision).where(cases.c.number.in_(part))
            found.update((number, revision) for number, revision in connection.execute(query))
        return found

    # --- columns

    def _columns(self, case: Case) -> dict[str, Any]:
        return {
            "number": case.number,
            "origin": case.origin,
            "kind": case.kind.value,
            "requester": case.requester.value,
            "received": moment(case.received),
            "due": case.due.toordinal(),
            **self._content(case),
        }

    def _content(self, case: Case) -> dict[str, Any]:
        """The columns that change."""
        locators = None if case.locators is None else self._seal(case.number, _LOCATORS, case.locators)
        return {
            "state": case.state.value,
            "updated": moment(case.updated),
            "wake": moment(case.wake),
            "revision": case.revision,
            "record": self._seal(case.number, _RECORD, case.record),
            "locators": locators,
        }

    def _case(self, row: Row[Any]) -> Case:
        sealed = row.locators
        return Case(
            number=row.number,
            origin=row.origin,
            kind=RequestKind(row.kind),
            state=CaseState(row.state),
            requester=Requester(row.requester),
            received=_time(row.received),
            due=date.fromordinal(row.due),
            updated=_time(row.updated),
            wake=_time(row.wake),
            revision=row.revision,
            record=self._open(row.number, _RECORD, row.record, Record),
            locators=None if sealed is None else self._open(row.number, _LOCATORS, sealed, Locators),
        )

    def _seal(self, number: str, column: str, value: Record | Locators) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, msgspec.msgpack.encode(value), _bound(number, column))

    def _open(self, number: str, column: str, sealed: bytes, kind: type[_Sealed]) -> _Sealed:
        try:
            data = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(number, column))
            return msgspec.msgpack.decode(data, type=kind)
        except (InvalidTag, ValueError, msgspec.MsgspecError):
            raise SealBroken("vault_broken", name=f"rights/{number}") from None


def _bound(number: str, column: str) -> bytes:
    return f"{number}/{column}".encode()


def _time(microseconds: int) -> datetime:
    found = time_of(microseconds)
    if found is None:
        raise ValueError(microseconds)
    return found


def _line(row: Row[Any]) -> Line:
    return Line(
        row.number,
        row.origin,
        RequestKind(row.kind),
        CaseState(row.state),
        Requester(row.requester),
        _time(row.received),
        date.fromordinal(row.due),
        _time(row.updated),
        row.alarmed,
    )


def _parts(numbers: Sequence[str]) -> Iterable[list[str]]:
    for start in range(0, len(numbers), _NAMES_PER_QUERY):
        yield list(numbers[start : start + _NAMES_PER_QUERY])
