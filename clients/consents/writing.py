"""How a word becomes the state that holds: one transaction, one new version, one rule for which word is the later.

A word with a time outweighs a word without one; of two with a time the later holds, of equals the one that came last.
So a nightly export without times cannot bring back a consent that was withdrawn here (PIPL article 15). A word that is
given here (`is_given_here`) holds at once, whatever an imported file says about the future.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from clients.consents.rows import BLOCK_ROWS, as_bytes, insert_rows, stored
from clients.consents.subjects import SALT_BYTES
from clients.consents.tables import Source, clock, needs, notices, states, subjects, words
from privacy.consent import Need
from privacy.joining import Tokens

_UPSERTS: Final[dict[str, Callable[[Table], Any]]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True, slots=True)
class Words:
    """One word each of n subjects on one need.

    tokens: (n, 2), sorted, each once. granted: (n,); notice: (n,) codes; stated, until: (n,) microseconds, 0 for none.
    """

    tokens: Tokens = field(repr=False)
    granted: NDArray[np.bool_] = field(repr=False)
    notice: NDArray[np.int64] = field(repr=False)
    stated: NDArray[np.int64] = field(repr=False)
    until: NDArray[np.int64] = field(repr=False)

    def __len__(self) -> int:
        return len(self.tokens)

    def at(self, rows: NDArray[Any] | slice) -> Words:
        """Some of them, by places, mask or slice."""
        return Words(
            self.tokens[rows], self.granted[rows], self.notice[rows], self.stated[rows], self.until[rows]
        )


@contextmanager
def change(engine: Engine) -> Iterator[tuple[Connection, int]]:
    """A transaction that may change the store, and the version that it will have then (`advance`).

    Its first statement is a write, so that writers wait for one another and read what the one before has written.
    """
    with engine.begin() as connection:
        connection.execute(update(clock).values(version=clock.c.version))
        yield connection, connection.execute(select(clock.c.version)).scalar_one() + 1


def advance(connection: Connection, version: int) -> None:
    """Tell readers that something has changed."""
    connection.execute(update(clock).values(version=version))


class Written(NamedTuple):
    """granted, withdrawn: words that became a state; outweighed: words that differ from one, and are the earlier."""

    granted: int = 0
    withdrawn: int = 0
    outweighed: int = 0

    def plus(self, other: Written) -> Written:
        """Both together."""
        return Written(*(one + two for one, two in zip(self, other, strict=True)))


def write(
    connection: Connection, version: int, need: int, given: Words, source: Source, *, is_given_here: bool
) -> Written:
    """Store the words that change a state."""
    total = Written()
    for start in range(0, len(given), BLOCK_ROWS):
        block = given.at(slice(start, start + BLOCK_ROWS))
        known, before = _before(connection, need, block.tokens)
        outweighed = 0
        if is_given_here:
            new = replace(block, stated=np.maximum(block.stated, before.stated + 1))
        else:
            differs = ~known | _differ(block, before)
            is_later = block.stated >= before.stated
            new = block.at(differs & is_later)
            outweighed = int((differs & ~is_later).sum())
        add_subjects(connection, new.tokens)
        _append(connection, version, need, new, source)
        granted = int(new.granted.sum())
        total = total.plus(Written(granted, len(new) - granted, outweighed))
    if total.granted or total.withdrawn:
        _apply(connection, version, need)
        advance(connection, version)
    return total


def add_subjects(connection: Connection, tokens: Tokens) -> None:
    """Subjects that the store does not know yet get their salts. tokens: sorted, each once."""
    unknown = np.ones(len(tokens), np.bool_)
    for places, _, _ in stored(connection, select(subjects.c.token), subjects, tokens):
        unknown[places] = False
    new = as_bytes(tokens[unknown])
    insert_rows(connection, subjects, {"token": new, "salt": (secrets.token_bytes(SALT_BYTES) for _ in new)})


def need_code(connection: Connection, need: Need) -> int:
    """The need's number, a new one for a new need."""
    fields = {
        "purpose": need.purpose,
        "kind": need.kind.value,
        "scope": need.scope,
        "recipient": need.recipient,
    }
    return _code(connection, needs, fields)


def notice_code(connection: Connection, notice: str) -> int:
    """The notice's number, a new one for a new notice."""
    return _code(connection, notices, {"notice": notice})


def find_code(connection: Connection, table: Table, fields: dict[str, str]) -> int | None:
    """The number under which a need or a notice is known, or None."""
    found = select(table.c.code).where(*(table.c[name] == value for name, value in fields.items()))
    code: int | None = connection.execute(found).scalar_one_or_none()
    return code


def _code(connection: Connection, table: Table, fields: dict[str, str]) -> int:
    code = find_code(connection, table, fields)
    if code is None:
        connection.execute(insert(table).values(**fields))
        code = find_code(connection, table, fields)
    if code is None:
        raise LookupError(table.name)
    return code


def _before(connection: Connection, need: int, tokens: Tokens) -> tuple[NDArray[np.bool_], Words]:
    """Which subjects have a state, and the state of each (zeros where there is none)."""
    known = np.zeros(len(tokens), np.bool_)
    granted = np.zeros(len(tokens), np.bool_)
    numbers = np.zeros((3, len(tokens)), np.int64)
    query = select(states.c.token, states.c.granted, states.c.notice, states.c.stated, states.c.until).where(
        states.c.need == need
    )
    for places, columns, rows in stored(connection, query, states, tokens):
        known[places] = True
        granted[places] = np.array(columns[0], np.bool_)[rows]
        for row, column in zip(numbers, columns[1:], strict=True):
            row[places] = np.array(column, np.int64)[rows]
    return known, Words(tokens, granted, *numbers)


def _differ(given: Words, before: Words) -> NDArray[np.bool_]:
    differ: NDArray[np.bool_] = given.granted != before.granted
    for name in ("notice", "stated", "until"):
        differ |= getattr(given, name) != getattr(before, name)
    return differ


def _append(connection: Connection, version: int, need: int, changed: Words, source: Source) -> None:
    columns = {
        "version": repeat(version),
        "need": repeat(need),
        "source": repeat(source.value),
        "token": as_bytes(changed.tokens),
        "granted": changed.granted.tolist(),
        "notice": changed.notice.tolist(),
        "stated": changed.stated.tolist(),
        "until": changed.until.tolist(),
    }
    insert_rows(connection, words, columns)


def _apply(connection: Connection, version: int, need: int) -> None:
    """The words of this version become the states, inside the database."""
    names = ["need", "token", "granted", "notice", "stated", "until"]
    said = select(*(words.c[name] for name in names)).where(words.c.version == version, words.c.need == need)
    statement = _UPSERTS[connection.dialect.name](states).from_select(names, said)
    fresh = {name: statement.excluded[name] for name in names[2:]}
    connection.execute(
        statement.on_conflict_do_update(index_elements=[states.c.need, states.c.token], set_=fresh)
    )
