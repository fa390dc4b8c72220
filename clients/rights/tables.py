"""The tables of cases, in the vault's database: what they are looked up by; everything else of a case lies sealed.

Times are microseconds since 1970 in UTC, days are counted as `date.toordinal` does.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from clients.vault import metadata

_NEVER_AGAIN: Final[dict[str, Any]] = {"sqlite_autoincrement": True}
"""A place that is free again must not come before one that was given later."""

cases: Final = Table(
    "rights_cases",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("origin", String(32), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requester", String(16), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("due", Integer, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("wake", BigInteger, nullable=False),
    Column("alarmed", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("locators", LargeBinary, nullable=True),
    Index("rights_cases_waiting", "state", "wake", "number"),
    Index("rights_cases_due", "due", "state"),
)
"""alarmed: the day of the last alarm, 0 for none. locators: where the subject is, while the case is open."""

tasks: Final = Table(
    "rights_tasks",
    metadata,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("number", String(32), nullable=False, unique=True),
    Column("origin", String(32), nullable=False),
    Column("day", Integer, nullable=False),
    Index("rights_tasks_of_day", "origin", "day"),
    **_NEVER_AGAIN,
)
"""Tasks of other parties that erase or correct (`clients.rights.limits`), in the order in which they came. day: when
one was begun, 0 for not yet."""

held_told: Final = Table(
    "rights_held_told",
    metadata,
    Column("party", String(32), primary_key=True),
    Column("day", Integer, nullable=False),
)
"""The last day on which the log was told that tasks of a party are held over."""

kept: Final = Table(
    "rights_kept",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("day", Integer, nullable=False),
    Index("rights_kept_day", "day"),
)
"""Cases that ended while a row was kept (`Case.kept_until`). day: from which on somebody has to look at it again."""
