"""Who has just come in, so that not each of their requests asks the database.

How long a proof that was taken back may still count: a change by this process is seen by the next request, one by
another process (the command line), or a request that was on its way at that moment, after `KEPT_SECONDS`.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Engine, event

from federation.access.secret_words import digest_of
from federation.pace import utc_now
from privacy.access import Caller

KEPT_SECONDS: Final = 2.0
_MOST: Final = 10_000


class RecentCallers:
    """The callers of some seconds, by the digest of their proof. Any thread may use it; it never waits for anything.

    A commit to the database by this process may have changed what anybody may: then nobody is remembered, nor whoever
    was looked up before it (`now` and `keep` take the count of changes).
    """

    def __init__(self, engine: Engine, now: Callable[[], datetime.datetime] = utc_now) -> None:
        self._now = now
        self._known: dict[str, tuple[datetime.datetime, Caller]] = {}
        self._changes, self._mutex = 0, threading.Lock()
        event.listen(engine, "commit", self._forget)

    @property
    def changes(self) -> int:
        """How often something has changed: to be asked before looking somebody up."""
        return self._changes

    def find(self, proof: str) -> Caller | None:
        """Who has come in with this proof within `KEPT_SECONDS`. proof: a token or a cookie, with its kind."""
        with self._mutex:
            found = self._known.get(digest_of(proof))
        if found is None or not 0 <= (self._now() - found[0]).total_seconds() < KEPT_SECONDS:
            return None
        return found[1]

    def keep(self, proof: str, caller: Caller, changes: int) -> None:
        """Somebody was looked up. changes: as they were before; then what has changed since is not overlooked."""
        with self._mutex:
            if changes == self._changes:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[digest_of(proof)] = (self._now(), caller)

    def _forget(self, _connection: Any) -> None:
        with self._mutex:
            self._changes += 1
            self._known.clear()
