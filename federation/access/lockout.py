"""After some failed logins under one name no password is looked at for a while (NIST SP 800-63B 5.2.2)."""

from __future__ import annotations

import datetime
import hashlib
import secrets
from typing import Final

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from federation.access.tables import Failure, count_one
from federation.access.transactions import writing
from privacy.errors import LoginsLocked

MOST_FAILURES: Final = 5
MINUTES: Final = 15
_SECONDS_PER_MINUTE: Final = 60
_UNKNOWN_PREFIX: Final = "?"
"""No user's name begins so."""


class Lockout:
    """Counts failed logins by name and minute, of names without an account as well: a lock tells nobody apart."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # What was typed as a name may have been a password: it is stored under a key that ends with this process.
        self._blinding_key = secrets.token_bytes(32)

    def blind(self, name: str) -> str:
        """Under what the failures of a name without an account are counted."""
        digest = hashlib.blake2b(
            name.encode("utf-8", "surrogatepass"), key=self._blinding_key, digest_size=16
        )
        return _UNKNOWN_PREFIX + digest.hexdigest()

    def begin(self, name: str, now: datetime.datetime) -> int:
        """Count an attempt before its password is looked at; `forget` takes it back. Returns how many there are.

        Counted first, attempts at the same time cannot be more than those that follow each other. Raises
        `LoginsLocked`, and then this one does not count.
        """
        minute = int(now.timestamp()) // _SECONDS_PER_MINUTE
        with writing(self._engine) as session:
            session.execute(delete(Failure).where(Failure.minute <= minute - MINUTES))
            count_one(session, name, minute)
            found = session.scalar(select(func.sum(Failure.count)).where(Failure.name == name)) or 0
            if found > MOST_FAILURES:
                raise LoginsLocked("access_locked", limit=MINUTES)
        return int(found)

    @staticmethod
    def forget(session: Session, name: str) -> None:
        """Nothing is counted any more."""
        session.execute(delete(Failure).where(Failure.name == name))
