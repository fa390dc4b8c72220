"""The tables of a node's letters, in the vault's database: contents sealed, names of parties and times in the clear."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Float, Integer, LargeBinary, String, Table

from clients.vault import metadata

_NEVER_AGAIN: Final[dict[str, Any]] = {"sqlite_autoincrement": True}
"""A number that is free again must not name another item to whoever still confirms the old one."""
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _number() -> Column[int]:
    return Column("number", _NUMBER, primary_key=True, autoincrement=True)


queue: Final = Table(
    "post_queue",
    metadata,
    _number(),
    Column("recipient", String(32), nullable=False),
    Column("item", LargeBinary, nullable=False),
    **_NEVER_AGAIN,
)
"""Tasks and answers that are in no letter yet."""

letters: Final = Table(
    "post_letters",
    metadata,
    _number(),
    Column("letter", String(32), nullable=False, unique=True),
    Column("recipient", String(32), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("cases", LargeBinary, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("taken", Float, nullable=False),
    Column("returned", Float, nullable=False),
    **_NEVER_AGAIN,
)
"""Letters on their way. data: empty once the coordinator has it; cases: sealed case numbers, for what comes back;
due, taken, returned: seconds since 1970, 0 for not yet."""

had: Final = Table("post_had", metadata, Column("letter", String(32), primary_key=True))
"""Digests of sender and id of all letters that have come (`clients.rights.outbox`), so that none is taken in twice."""

received: Final = Table(
    "post_received",
    metadata,
    _number(),
    Column("letter", String(32), nullable=False),
    Column("sender", String(32), nullable=False),
    Column("item", LargeBinary, nullable=False),
    **_NEVER_AGAIN,
)
"""Tasks and answers that nobody has confirmed yet."""
