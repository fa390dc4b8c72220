"""The coordinator's post office: sealed letters between parties, kept until their recipients have them.

It sees who writes to whom, when, and how much; what is in a letter only its recipient can open (`federation.post`).
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from federation.post_messages import KEPT_DAYS, MAX_LETTER_BYTES, Delivered, Mail, Returned
from server.post_database import PostDatabase

MAX_LETTERS: Final = 4_000
"""That wait for one recipient: two million tasks."""
MAX_BYTES: Final = 512 << 20
SENDER_SHARE: Final = 4
"""One sender may fill a quarter of a recipient's box, so that it shuts out nobody else."""
BYTES_IN_AN_ANSWER: Final = 7 * MAX_LETTER_BYTES
"""Of letters; word of returned ones fits beside them (`federation.post_messages.MAX_ANSWER_BYTES`)."""
MOST_RETURNED: Final = 500
DAY_SECONDS: Final = 86_400.0


class PostRefused(Exception):
    """This letter will never be taken: another one has its id."""


class PostFull(Exception):
    """The recipient's box, or the sender's part of it, holds no more now."""


class PostOffice:
    """All boxes. now: seconds since 1970."""

    def __init__(self, database: PostDatabase, now: Callable[[], float] = time.time) -> None:
        self._database, self._now = database, now

    def put(self, sender: str, recipient: str, letter: str, data: bytes) -> None:
        """Keep a letter; the same again is kept once. Raises `PostRefused`, `PostFull`."""
        with self._database.writing() as connection:
            same = connection.execute(
                "SELECT sender, data FROM letters WHERE recipient = ? AND letter = ?", (recipient, letter)
            ).fetchone()
            if same is not None:
                if same != (sender, data):
                    raise PostRefused
                return
            self._check_room(connection, sender, recipient, len(data))
            connection.execute(
                "INSERT INTO letters (recipient, letter, sender, arrived, data) VALUES (?, ?, ?, ?, ?)",
                (recipient, letter, sender, self._now(), data),
            )

    def mail(self, party: str, most: int) -> Mail:
        """The oldest letters to a party, at least one if there is any, and word of its own that came back."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT letter, sender, data FROM letters WHERE recipient = ? AND arrived > ?"
                " ORDER BY number LIMIT ?",
                (party, self._oldest, most),
            )
            letters: list[Delivered] = []
            size = 0
            for row in rows:
                size += len(row[2])
                if letters and size > BYTES_IN_AN_ANSWER:
                    break
                letters.append(Delivered(*row))
            back = connection.execute(
                "SELECT letter, recipient FROM returned WHERE sender = ? ORDER BY since LIMIT ?",
                (party, MOST_RETURNED),
            )
            return Mail(tuple(letters), tuple(Returned(*row) for row in back))

    def remove(self, party: str, letter: str) -> None:
        """Forget a letter to this party, or the word of one of its own; what is not there is forgotten already."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM letters WHERE recipient = ? AND letter = ?", (party, letter))
            connection.execute("DELETE FROM returned WHERE sender = ? AND letter = ?", (party, letter))

    def give_back(self, party: str, letter: str) -> None:
        """This party cannot open a letter to it: its sender gets word."""
        with self._database.writing() as connection:
            self._return(connection, party, letter, math.inf)

    def sweep(self) -> None:
        """Give back what nobody fetched in `KEPT_DAYS`; forget what nobody asked about for as long again."""
        with self._database.writing() as connection:
            self._return(connection, "", "", self._oldest)
            connection.execute("DELETE FROM returned WHERE since <= ?", (self._oldest,))

    @property
    def _oldest(self) -> float:
        return self._now() - KEPT_DAYS * DAY_SECONDS

    def _return(self, connection: sqlite3.Connection, party: str, letter: str, before: float) -> None:
        """Give back letters to `party` (any: empty) of this id (any: empty) that arrived by `before`."""
        which = {"party": party, "letter": letter, "before": before, "now": self._now()}
        connection.execute(
            "INSERT OR IGNORE INTO returned (sender, letter, recipient, since)"
            " SELECT sender, letter, recipient, :now FROM letters"
            " WHERE :party IN ('', recipient) AND :letter IN ('', letter) AND arrived <= :before",
            which,
        )
        connection.execute(
            "DELETE FROM letters"
            " WHERE :party IN ('', recipient) AND :letter IN ('', letter) AND arrived <= :before",
            which,
        )

    def _check_room(self, connection: sqlite3.Connection, sender: str, recipient: str, size: int) -> None:
        for parts, own in ((1, ""), (SENDER_SHARE, sender)):
            count, held = connection.execute(
                "SELECT COUNT(*), COALESCE(SUM(LENGTH(data)), 0) FROM letters"
                " WHERE recipient = ? AND ? IN ('', sender)",
                (recipient, own),
            ).fetchone()
            if count >= MAX_LETTERS // parts or held + size > MAX_BYTES // parts:
                raise PostFull
