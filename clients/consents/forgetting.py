"""How subjects leave the store: rows destroyed, and no trace of them left in the file or its log (PIPL article 47).

SQLite overwrites what is deleted (`PRAGMA secure_delete`), and its write-ahead log is emptied. PostgreSQL is asked to
vacuum; its pages, its log and every backup are the operator's to rotate: there, what makes entries elsewhere unlinkable
is that the salt can no longer be asked for.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Delete, Engine, Table, Update, delete, text, update

from clients.consents.rows import TOKENS_PER_QUERY, as_bytes
from clients.consents.tables import clock, restrictions, states, subjects, words
from privacy.errors import DeadlinePassed
from privacy.joining import Tokens

_HELD: Final = (words, states, restrictions, subjects)
"""Every table with tokens; the salt goes last, as the deletion of a subject's other traces needs it."""


def of_each(connection: Connection, statement: Delete | Update, table: Table, tokens: Tokens) -> None:
    """Apply a statement to the rows of these subjects."""
    data = as_bytes(tokens)
    for start in range(0, len(data), TOKENS_PER_QUERY):
        connection.execute(statement.where(table.c.token.in_(data[start : start + TOKENS_PER_QUERY])))


def forget(connection: Connection, version: int, tokens: Tokens) -> None:
    """Remove all rows of these subjects, and remember at which version somebody was forgotten."""
    for table in _HELD:
        of_each(connection, delete(table), table, tokens)
    connection.execute(update(clock).values(version=version, forgotten=version))


def clear_traces(engine: Engine) -> None:
    """Empty the log of changes. Raises `DeadlinePassed` when another program kept it in use for `BUSY_SECONDS`."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            is_busy, _, _ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        if is_busy:
            raise DeadlinePassed("consent_store_busy")
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for table in _HELD:
            connection.execute(text(f"VACUUM {table.name}"))
