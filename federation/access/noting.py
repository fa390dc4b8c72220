"""What an edge's audit log says about those who work with it (PIPL 51): who came in, who was turned away, who decided.

The actor is the user's name. No password, code, cookie or token, nor a hash of one, is ever in it. Each event is on the
disk before what it tells of takes effect; without a log nobody comes in.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

from federation.audit_log import AuditLog
from privacy.access import Caller, Permission, Role
from privacy.audit import EventType

UNKNOWN: Final = "unknown"
"""The actor where no account is proved: what was typed as a name may have been a password."""
TERMINAL: Final = "operator"
"""The actor of both command lines."""
LOOKING_SECONDS: Final = 900.0
"""Looking at the same thing again within this time is not told again: pages refresh themselves."""
_MOST_REMEMBERED: Final = 10_000
_Look = tuple[str, str, Permission, str]
"""Who, by which login, used which permission on what."""


class Noting:
    """Writes one edge's events about access. `clock`: seconds that only grow."""

    def __init__(self, log: AuditLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._looked: dict[_Look, float] = {}
        self._mutex = threading.Lock()

    def login(self, user: str) -> None:
        """Somebody has come in."""
        self._log.append(EventType.ACCESS_LOGIN, actor=user)

    def login_failed(self, user: str, stage: str) -> None:
        """Somebody was turned away. stage: "password", "code", or "locked" for the last one before the lock."""
        self._log.append(EventType.ACCESS_LOGIN_FAILED, actor=user, stage=stage)

    def logout(self, user: str) -> None:
        """Somebody has left."""
        self._log.append(EventType.ACCESS_LOGOUT, actor=user)

    def user_changed(self, by: str, user: str, what: str, roles: Iterable[Role]) -> None:
        """An account is another than before. what: "added", "roles", "password" and so on; roles: it has now."""
        numbers = {role.value: 1 for role in roles}
        self._log.append(EventType.ACCESS_USER_CHANGED, actor=by, stage=what, artefact=user, numbers=numbers)

    def token_changed(self, by: str, token: str, what: str) -> None:
        """A token was issued or revoked. token: its id, which says nothing about its secret."""
        self._log.append(EventType.ACCESS_USER_CHANGED, actor=by, stage=what, artefact=token)

    def denied(self, caller: Caller | None, permission: Permission, artefact: str = "") -> None:
        """Somebody wanted what their roles do not give."""
        self._log.append(
            EventType.ACCESS_DENIED, actor=_name_of(caller), stage=permission.value, artefact=artefact
        )

    def granted(self, caller: Caller, permission: Permission, artefact: str = "") -> None:
        """Somebody used a permission. The same again within `LOOKING_SECONDS` is not written if it only reads."""
        if self.is_told(caller, permission, artefact):
            return
        self._log.append(
            EventType.ACCESS_GRANTED, actor=caller.name, stage=permission.value, artefact=artefact
        )
        self._remember((caller.name, caller.login, permission, artefact))

    def is_told(self, caller: Caller, permission: Permission, artefact: str = "") -> bool:
        """Whether `granted` would write nothing."""
        key = (caller.name, caller.login, permission, artefact)
        return permission.value.endswith(":read") and self._is_recent(key)

    def asked(self, asker: str, number: str, permission: Permission, what: str) -> None:
        """Somebody asked for what takes two persons. what: the digest of exactly that."""
        self._second(EventType.ACCESS_SECOND_ASKED, asker, number, permission, what)

    def confirmed(self, second: str, number: str, permission: Permission, what: str) -> None:
        """A second person said yes."""
        self._second(EventType.ACCESS_SECOND_CONFIRMED, second, number, permission, what)

    def refused(self, second: str, number: str, permission: Permission, what: str) -> None:
        """A second person said no, or the first has thought better of it."""
        self._second(EventType.ACCESS_SECOND_REFUSED, second, number, permission, what)

    def used(self, asker: str, number: str, permission: Permission, what: str) -> None:
        """What two persons agreed on is being done."""
        self._second(EventType.ACCESS_SECOND_USED, asker, number, permission, what)

    def _second(self, kind: EventType, actor: str, number: str, permission: Permission, what: str) -> None:
        self._log.append(kind, actor=actor, stage=permission.value, artefact=number, digests={"what": what})

    def _is_recent(self, key: _Look) -> bool:
        with self._mutex:
            return self._clock() - self._looked.get(key, -LOOKING_SECONDS) < LOOKING_SECONDS

    def _remember(self, key: _Look) -> None:
        with self._mutex:
            if len(self._looked) >= _MOST_REMEMBERED:
                self._looked.clear()  # telling some again is harmless
            self._looked[key] = self._clock()


def _name_of(caller: Caller | None) -> str:
    return UNKNOWN if caller is None else caller.name
