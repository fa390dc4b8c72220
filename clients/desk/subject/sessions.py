"""Who is looking at the subject's page: in memory alone, for half an hour, and by an identifier that never leaves it.

Two ways in. A subject that is logged in at the data holder's own system gets a link from there, good once and for ten
minutes. Whoever has a case number and its code sees that case and nothing else.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.home import NodeHome
from federation.pace import utc_now

LINK_TIME: Final = timedelta(minutes=10)
SESSION_TIME: Final = timedelta(minutes=30)
MOST_AT_ONCE: Final = 10_000
"""Links and sessions each; the oldest give way."""
LINK_PATH: Final = "/s/"
_SECRET_BYTES: Final = 32


class Link(NamedTuple):
    """path: below the address at which the holder shows the desk."""

    path: str
    until: datetime


@dataclass(slots=True)
class Session:
    """identifier: canonical, b"" for one that is about `cases` alone. form: what a form has to bring, new each time.

    language: chosen by the subject, "" for the browser's.
    """

    identifier: bytes
    until: datetime
    cases: set[str] = field(default_factory=set)
    form: str = field(default_factory=lambda: secrets.token_urlsafe(_SECRET_BYTES))
    language: str = ""

    def uses(self, form: str) -> bool:
        """Whether a form was made for this session and has not been sent yet; it cannot be sent again."""
        if not secrets.compare_digest(self.form.encode(), form.encode()):
            return False
        self.form = secrets.token_urlsafe(_SECRET_BYTES)
        return True

    def __repr__(self) -> str:
        return "Session(...)"


class Sessions:
    """The links and sessions of one desk. May be used by several threads."""

    def __init__(self, home: NodeHome, now: Callable[[], datetime] = utc_now) -> None:
        self._home, self._now = home, now
        self._lock = threading.Lock()
        self._links: dict[str, tuple[bytes, datetime]] = {}
        self._open: dict[str, Session] = {}

    def canonical(self, cell: str) -> bytes:
        """An identifier as it is stored. Raises `IdentifierInvalid`."""
        (identifier,) = changes_of(self._home, Source.API).identifiers([cell]).tolist()
        return bytes(identifier)

    def invite(self, identifier: bytes) -> Link:
        """A link for the browser of a subject whose identity the holder's own system has made sure of."""
        secret, until = secrets.token_urlsafe(_SECRET_BYTES), self._now() + LINK_TIME
        with self._lock:
            _make_room(self._links)
            self._links[secret] = identifier, until
        return Link(LINK_PATH + secret, until)

    def is_good(self, link: str) -> bool:
        """Whether a link still opens a session. Asking does not use it up."""
        with self._lock:
            found = self._links.get(link)
            return found is not None and self._now() < found[1]

    def enter(self, link: str) -> str | None:
        """Use a link up; the secret of a new session, None for a link that is used, over or unknown."""
        with self._lock:
            found = self._links.pop(link, None)
        if found is None or self._now() >= found[1]:
            return None
        return self._opened(Session(found[0], self._now() + SESSION_TIME))

    def enter_case(self, case: str) -> str:
        """The secret of a session about one case; its code has been checked."""
        return self._opened(Session(b"", self._now() + SESSION_TIME, {case}))

    def get(self, secret: str) -> Session | None:
        """The session of that secret, as long as it lasts."""
        with self._lock:
            found = self._open.get(secret)
            if found is not None and self._now() >= found.until:
                del self._open[secret]
                return None
            return found

    def leave(self, secret: str) -> None:
        """End a session."""
        with self._lock:
            self._open.pop(secret, None)

    def _opened(self, session: Session) -> str:
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        with self._lock:
            _make_room(self._open)
            self._open[secret] = session
        return secret


def _make_room(kept: MutableMapping[str, Any]) -> None:
    while len(kept) >= MOST_AT_ONCE:
        del kept[next(iter(kept))]
