"""The table of cases, in the vault's database: what they are looked up by; everything else of a case lies sealed.

Times are microseconds since 1970 in UTC, days are counted as `date.toordinal` does.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table

from clients.vault import metadata

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
