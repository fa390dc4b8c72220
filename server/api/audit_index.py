"""The audit log, searchable: each event is read once, and what it can be searched by stays in memory."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from typing import NamedTuple

from federation.audit_log import AuditLog
from privacy.audit import Event


class Wish(NamedTuple):
    """Which events somebody looks for; "" for any. type: of an event, or the family before its point; about: the name
    of a job, a session or an artefact."""

    type: str = ""
    actor: str = ""
    about: str = ""


class _Entry(NamedTuple):
    type: str
    actor: str
    about: tuple[str, ...]

    def fits(self, wish: Wish) -> bool:
        is_type = not wish.type or wish.type in {self.type, self.type.partition(".")[0]}
        is_actor = not wish.actor or wish.actor == self.actor
        return is_type and is_actor and (not wish.about or wish.about in self.about)


class AuditIndex:
    """Any thread may use it. Memory: some 200 bytes an event."""

    def __init__(self, log: AuditLog) -> None:
        self.log = log
        self._entries: list[_Entry] = []
        self._mutex = threading.Lock()

    def find(self, wish: Wish, before: int | None, limit: int) -> list[Event]:
        """The newest events that fit, the newest first. before: only those with a lower number."""
        size = self._read_on()
        last = size if before is None else min(before, size)
        if not any(wish):
            return [*self.log.events(max(0, last - limit), last)][::-1]
        return [
            self.event(number) for number, _ in zip(self._numbers(wish, last), range(limit), strict=False)
        ]

    def event(self, number: int) -> Event:
        """One event. Raises `IndexError`."""
        if not 0 <= number < self.log.size:
            raise IndexError(number)
        return next(self.log.events(number, number + 1))

    def _numbers(self, wish: Wish, last: int) -> Iterator[int]:
        return (number for number in range(last - 1, -1, -1) if self._entries[number].fits(wish))

    def _read_on(self) -> int:
        """Read what has come since; returns how many events there are."""
        with self._mutex:
            size = self.log.size
            if size > len(self._entries):
                self._entries.extend(map(_entry_of, self.log.events(len(self._entries), size)))
            return size


def _entry_of(event: Event) -> _Entry:
    about = tuple(sys.intern(name) for name in (event.job, event.session, event.artefact) if name)
    return _Entry(event.type.value, sys.intern(event.actor), about)
