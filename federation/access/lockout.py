"""After some failed logins no password is looked at for a while (NIST SP 800-63B 5.2.2).

Few are let by from one place, many more under one name: whoever fails elsewhere does not keep the owner out, and
guesses from many places are stopped all the same. Who is logged in and shows the password once more is counted by
the login.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
from typing import Final, NamedTuple

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from federation.access.tables import Failure, count_one
from federation.database import writing
from privacy.errors import LoginsLocked

MOST_FAILURES: Final = 5
"""Under one name from one place."""
MOST_OF_NAME: Final = 100
"""Under one name, from wherever: what the standard allows at most in a row."""
MINUTES: Final = 15
KEY_BYTES: Final = 32
_SECONDS_PER_MINUTE: Final = 60
_BLINDED_PREFIX: Final = "?"
"""No user's name begins so."""
_PERSON: Final = b"login failures"


class Attempt(NamedTuple):
    """A password that is about to be looked at. place: under what it is counted for its name and place."""

    name: str
    place: str
    minute: int
    failures: int


class Lockout:
    """Counts failed logins by name, place and minute, of names without an account too: a lock tells nobody apart.

    key: what was typed as a name may have been a password, so it is stored under a key. One that outlives the process
    keeps a restart from telling the names with an account, whose count goes on, from the others. None: of this process.
    """

    def __init__(self, engine: Engine, key: bytes | None = None) -> None:
        self._engine = engine
        self._key = hashlib.blake2b(
            key or secrets.token_bytes(KEY_BYTES), person=_PERSON, digest_size=32
        ).digest()

    def blind(self, *words: str) -> str:
        """Under what the failures of a name without an account, or of a place, are counted."""
        mixed = hashlib.blake2b(key=self._key, digest_size=16)
        for word in words:
            data = word.encode("utf-8", "surrogatepass")
            mixed.update(len(data).to_bytes(8) + data)
        return _BLINDED_PREFIX + mixed.hexdigest()

    def begin(self, name: str, place: str, now: datetime.datetime, *, is_in: bool = False) -> Attempt:
        """Count an attempt before its password is looked at; `forget` takes it back.

        name: as it is counted (`blind`); place: an address or, if somebody is logged in (`is_in`), their login, whom
        failures elsewhere do not hold up. Counted first, attempts at the same time cannot be more than those that
        follow each other. Raises `LoginsLocked`, and then this one does not count.
        """
        minute = int(now.timestamp()) // _SECONDS_PER_MINUTE
        both = self.blind(name, "login" if is_in else "address", place)
        with writing(self._engine) as session:
            session.execute(delete(Failure).where(Failure.minute <= minute - MINUTES))
            failures = _count(session, both, minute)
            if failures > MOST_FAILURES or (_count(session, name, minute) > MOST_OF_NAME and not is_in):
                raise LoginsLocked("access_locked", limit=MINUTES)
        return Attempt(name, both, minute, failures)

    @staticmethod
    def forget(session: Session, attempt: Attempt) -> None:
        """The password was right: nothing is counted for its place any more, and this attempt not for its name.

        What fails elsewhere still counts (the standard says so): the owner's login is no help to whoever guesses.
        """
        session.execute(delete(Failure).where(Failure.name == attempt.place))
        count_one(session, attempt.name, attempt.minute, -1)
        session.execute(delete(Failure).where(Failure.name == attempt.name, Failure.count <= 0))

    @staticmethod
    def forget_name(session: Session, name: str) -> None:
        """Nothing is counted under a name any more."""
        session.execute(delete(Failure).where(Failure.name == name))


def _count(session: Session, name: str, minute: int) -> int:
    """Count one, and say how many there are."""
    count_one(session, name, minute)
    return int(session.scalar(select(func.sum(Failure.count)).where(Failure.name == name)) or 0)
