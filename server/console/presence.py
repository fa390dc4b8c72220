"""Which parties' nodes are connected now, as SuperLink sees them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from server.flower import FlowerControl
from server.home import CoordinatorHome

KEPT_SECONDS: Final = 5.0
"""Pages of a hundred readers ask SuperLink once in this time."""
UNKNOWN: Final = "unknown"
OFFLINE: Final = "offline"

Ask = Callable[[CoordinatorHome], Mapping[int, str]]


def ask_superlink(home: CoordinatorHome) -> Mapping[int, str]:
    """Every registered node's status."""
    return FlowerControl(home).node_status()


class Presence:
    """Any thread may use it."""

    def __init__(
        self, home: CoordinatorHome, ask: Ask = ask_superlink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._home, self._ask, self._clock = home, ask, clock
        self._mutex = threading.Lock()
        self._known: dict[str, str] = {}
        self._until = -1.0

    def of_parties(self) -> dict[str, str]:
        """`online`, `offline` or, while nothing serves, `unknown`, by party of the roster."""
        with self._mutex:
            if self._clock() >= self._until:
                self._known = self._look()
                self._until = self._clock() + KEPT_SECONDS
            return dict(self._known)

    def _look(self) -> dict[str, str]:
        names = [party.name for party in self._home.roster.parties]
        running = self._home.running
        if running is None:
            return dict.fromkeys(names, UNKNOWN)
        try:
            statuses = self._ask(self._home)
        except Exception:  # Flower's client raises many kinds
            return dict.fromkeys(names, UNKNOWN)
        return {name: statuses.get(running.node_ids.get(name, 0), OFFLINE) for name in names}
