"""The tables of the consent store, in the vault's database: tokens, codes and times, never an identifier.

A subject is a 128-bit keyed token (`clients.consents.subjects`). Needs and notices are small numbers, so that rows are
short. Times are microseconds since 1970 in UTC; 0 stands for "no time" (an imported word that has none, a consent
without an end, a restriction that holds).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
)

from clients.vault import metadata

_CLUSTERED: Final[dict[str, Any]] = {"sqlite_with_rowid": False}
"""SQLite keeps such a table in the order of its primary key, like the tokens that it is joined with."""


class Source(StrEnum):
    """Where a word came from."""

    FILE = "file"
    CLI = "cli"
    API = "api"


class _Bytes(LargeBinary):
    """Bytes as every driver takes and gives them: converting a million values one by one takes a second."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


class Restriction(StrEnum):
    """Why a subject is under a restriction (PIPL articles 44, 46, 47; `consents.restriction.<code>` in the texts)."""

    REQUEST = "request"
    STATUTORY = "statutory"
    TECHNICAL = "technical"
    DISPUTE = "dispute"


def token_column() -> Column[bytes]:
    """16 bytes that name a subject, first in a table's key."""
    return Column("token", _Bytes(16), primary_key=True)


clock: Final = Table(
    "consent_clock",
    metadata,
    Column("id", SmallInteger, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("forgotten", BigInteger, nullable=False),
)
"""One row. version: grows with every change; forgotten: the version at which subjects were last forgotten."""

subjects: Final = Table(
    "consent_subjects",
    metadata,
    token_column(),
    Column("salt", _Bytes(16), nullable=False),
    **_CLUSTERED,
)
"""The salt makes the subject's own key: without it nothing made with that key leads back to the subject."""

needs: Final = Table(
    "consent_needs",
    metadata,
    Column("code", Integer, primary_key=True),
    Column("purpose", String(32), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("scope", String(80), nullable=False),
    Column("recipient", String(32), nullable=False),
)

notices: Final = Table(
    "consent_notices",
    metadata,
    Column("code", Integer, primary_key=True),
    Column("notice", String(64), nullable=False, unique=True),
)

words: Final = Table(
    "consent_words",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    token_column(),
    Column("need", Integer, primary_key=True, autoincrement=False),
    Column("granted", Boolean, nullable=False),
    Column("notice", Integer, nullable=False),
    Column("stated", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("source", String(8), nullable=False),
    Index("consent_words_of", "token"),
    **_CLUSTERED,
)
"""Every word that changed a state, in order of the versions: appended, and removed only with its subject."""

states: Final = Table(
    "consent_states",
    metadata,
    Column("need", Integer, primary_key=True, autoincrement=False),
    token_column(),
    Column("granted", Boolean, nullable=False),
    Column("notice", Integer, nullable=False),
    Column("stated", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    **_CLUSTERED,
)
"""The word that holds, of every subject on every need it has spoken about."""

restrictions: Final = Table(
    "consent_restrictions",
    metadata,
    token_column(),
    Column("code", String(64), primary_key=True),
    Column("law", String(200), nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("review", BigInteger, nullable=False),
    Column("lifted", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    **_CLUSTERED,
)
"""Subjects that nothing but storage and security may touch (PIPL article 47); code says why, law what demands it."""

prompts: Final = Table(
    "consent_prompts",
    metadata,
    token_column(),
    Column("purpose", String(32), primary_key=True),
    Column("at", BigInteger, nullable=False),
    **_CLUSTERED,
)
"""When a subject was last asked for consent to a purpose (`clients.consents.prompts`)."""

imports: Final = Table(
    "consent_imports",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("file", LargeBinary(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("read", BigInteger, nullable=False),
    Column("words", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)
"""Files that were imported. file: SHA-256 of the path; digest: of the content and of how it is registered."""
