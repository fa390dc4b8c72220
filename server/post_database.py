"""The coordinator's file of sealed letters and ledgers: SQLite, on the disk when a call returns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

BUSY_SECONDS: Final = 30.0
"""How long a call waits for another process's."""
FILE: Final = "post.sqlite"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS letters (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL, letter TEXT NOT NULL, sender TEXT NOT NULL, arrived REAL NOT NULL, data BLOB NOT NULL,
    UNIQUE (recipient, letter));
CREATE TABLE IF NOT EXISTS returned (
    sender TEXT NOT NULL, letter TEXT NOT NULL, recipient TEXT NOT NULL, since REAL NOT NULL,
    PRIMARY KEY (sender, letter));
CREATE TABLE IF NOT EXISTS ledger (
    party TEXT NOT NULL, number INTEGER NOT NULL, entry BLOB NOT NULL, chain BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (party, number)) WITHOUT ROWID;
"""
"""size: bytes of the ledger's entries up to and including this one."""


class PostDatabase:
    """One file. Any thread and any process may use it; each call is a transaction of its own."""

    def __init__(self, folder: Path) -> None:
        """folder: is made, for its owner alone, when something is written first."""
        self._file = folder / FILE

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the file; it is on the disk when this ends, or has not happened."""
        with closing(self._connect()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries."""
        with closing(self._connect()) as connection:
            yield connection

    def _connect(self) -> sqlite3.Connection:
        if not self._file.exists():
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Only a new file: closing one that another thread uses takes SQLite's locks from it.
            with suppress(FileExistsError):
                os.close(os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(self._file, timeout=BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(
            "PRAGMA synchronous = EXTRA"
        )  # the removed journal too: no power cut brings it back
        connection.executescript(_TABLES)
        return connection
