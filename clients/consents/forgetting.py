"""How subjects leave the store: rows destroyed, and no trace of them left in the file or its log (PIPL article 47).

SQLite overwrites what is deleted (`PRAGMA secure_delete`), and its write-ahead log is emptied. That is not enough:
where rows were moved between pages, a stale copy may stay behind. So the file is searched for the tokens (for sealed
values: for their beginnings, which are theirs alone), and written anew where one is found. PostgreSQL is asked to
vacuum; its pages, its log and every backup are the operator's to rotate: there, what makes entries elsewhere unlinkable
is that the salt can no longer be asked for.
Cost. A file of 400 MB (a million subjects, two million words) is searched for a token in 0.1 s and written anew in 6 s.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Delete, Engine, Table, Update, delete, update
from sqlalchemy.exc import OperationalError

from clients.consents.rows import TOKENS_PER_QUERY, as_bytes
from clients.consents.tables import clock, prompts, restrictions, states, subjects, words
from clients.vault import SEALED_TABLE
from privacy.errors import DeadlinePassed
from privacy.joining import Tokens

_HELD: Final = (words, states, restrictions, prompts, subjects)
"""Every table with tokens; the salt goes last, as the deletion of a subject's other traces needs it."""
_MOST_SEARCHED_BYTES: Final = 10**10
_PART_BYTES: Final = 1 << 24
_descriptors: Final[dict[tuple[int, int], int]] = {}
"""Of every database file that was searched, by device and inode."""
_opening: Final = threading.Lock()


def of_each(connection: Connection, statement: Delete | Update, table: Table, tokens: Tokens) -> None:
    """Apply a statement to the rows of these subjects."""
    data = as_bytes(tokens)
    for start in range(0, len(data), TOKENS_PER_QUERY):
        connection.execute(statement.where(table.c.token.in_(data[start : start + TOKENS_PER_QUERY])))


def forget(connection: Connection, version: int, tokens: Tokens, tables: Sequence[Table] = _HELD) -> None:
    """Remove all rows of these subjects, and remember at which version somebody was forgotten."""
    for table in tables:
        of_each(connection, delete(table), table, tokens)
    connection.execute(update(clock).values(version=version, forgotten=version))


def clear_traces(engine: Engine, needles: Sequence[bytes], *, is_cut_off: bool = False) -> None:
    """Leave nothing of removed rows, or of sealed values that were replaced, in the database's files.

    needles: what is in every such row; is_cut_off: an earlier attempt came to no end, whose needles nobody knows.

    Raises `DeadlinePassed` when another program kept the log in use for `BUSY_SECONDS`, or the disk is full.
    """
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    if engine.dialect.name != "sqlite":
        with alone.connect() as connection:
            for name in (*(table.name for table in _HELD), SEALED_TABLE):
                connection.exec_driver_sql(f"VACUUM {name}")
        return
    try:
        with alone.connect() as connection:
            _empty_log(connection)
            if is_cut_off or is_traced(Path(str(engine.url.database)), needles):
                connection.exec_driver_sql("VACUUM")
                _empty_log(connection)
    except OperationalError:
        raise DeadlinePassed("consent_store_busy") from None


def _empty_log(connection: Connection) -> None:
    is_busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    if is_busy:
        raise DeadlinePassed("consent_store_busy")


def is_traced(file: Path, needles: Sequence[bytes]) -> bool:
    """Whether the file holds one of them; taken for granted where searching takes longer than writing anew."""
    if not needles:
        return False
    descriptor = _descriptor_of(file)
    size = os.fstat(descriptor).st_size
    if size * len(needles) > _MOST_SEARCHED_BYTES:
        return True
    overlap = max(map(len, needles)) - 1
    for start in range(0, size, _PART_BYTES):
        part = os.pread(descriptor, _PART_BYTES + overlap, start)
        if any(needle in part for needle in needles):
            return True
    return False


def _descriptor_of(file: Path) -> int:
    """A descriptor that is never closed: closing any descriptor of a database's file takes from this process the locks
    that SQLite holds on it, and another program may then remove the log that is still in use ("How To Corrupt An SQLite
    Database File", section 2.2).
    """
    with _opening:
        found = file.stat()
        key = (found.st_dev, found.st_ino)
        if key not in _descriptors:
            _descriptors[key] = os.open(file, os.O_RDONLY)
        return _descriptors[key]
