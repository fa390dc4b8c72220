"""The shelf of ledgers: each party's own entries about what it has deleted, sealed by it to itself, only appended.

A node that comes back from an old copy asks here how long its ledger was. The coordinator sees how many entries there
are, of which size and when; a coordinator that hides the last of them hides deletions from their own party.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from federation.post_messages import MAX_ENTRY_BYTES, LedgerEntries, LedgerHead, next_head
from server.post_database import PostDatabase

MAX_LEDGER_BYTES: Final = 1 << 30
"""Of one party."""
ENTRIES_IN_AN_ANSWER: Final = 1_000
BYTES_IN_AN_ANSWER: Final = 64 * MAX_ENTRY_BYTES
LAST_NUMBER: Final = (1 << 53) - 1


class LedgerGap(Exception):
    """The entry is not the next one."""


class LedgerFull(Exception):
    """The party's ledger holds no more."""


class LedgerShelf:
    """All parties' ledgers. Entries are numbered from 1."""

    def __init__(self, database: PostDatabase) -> None:
        self._database = database

    def append(self, party: str, number: int, entry: bytes) -> None:
        """Add the next entry; the last one again changes nothing. Raises `LedgerGap`, `LedgerFull`."""
        with self._database.writing() as connection:
            head, size = self._last(connection, party)
            if number == head.count and self._entry(connection, party, number) == entry:
                return
            if number != head.count + 1:
                raise LedgerGap
            if size + len(entry) > MAX_LEDGER_BYTES:
                raise LedgerFull
            values = (party, number, entry, next_head(head, entry).chain, size + len(entry))
            connection.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?)", values)

    def entries(self, party: str, first: int) -> LedgerEntries:
        """Entries from number `first` on, as many as one answer holds."""
        found: list[bytes] = []
        size = 0
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT entry FROM ledger WHERE party = ? AND number >= ? ORDER BY number LIMIT ?",
                (party, first, ENTRIES_IN_AN_ANSWER),
            )
            for (entry,) in rows:
                size += len(entry)
                if found and size > BYTES_IN_AN_ANSWER:
                    break
                found.append(entry)
        return LedgerEntries(tuple(found))

    def head(self, party: str) -> LedgerHead:
        """How long a party's ledger is."""
        with self._database.reading() as connection:
            return self._last(connection, party)[0]

    def _last(self, connection: sqlite3.Connection, party: str) -> tuple[LedgerHead, int]:
        row = connection.execute(
            "SELECT number, chain, size FROM ledger WHERE party = ? ORDER BY number DESC LIMIT 1", (party,)
        ).fetchone()
        return (LedgerHead(row[0], row[1]), row[2]) if row else (LedgerHead(), 0)

    def _entry(self, connection: sqlite3.Connection, party: str, number: int) -> bytes | None:
        row = connection.execute(
            "SELECT entry FROM ledger WHERE party = ? AND number = ?", (party, number)
        ).fetchone()
        return row[0] if row else None
