"""Looks for changed consents, and for a person's no, while a job computes: before the next message is ready."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from clients.gate.gate import Gate

WATCH_SECONDS: Final = 0.25
"""A withdrawal reaches the coordinator's relay within about this time even when this party is deep in a computation;
this party itself looks before every message."""

log = logging.getLogger("silhouette.gate")


class ConsentWatch:
    """A thread beside one session. `on_change` is called whenever rows have to leave, or the job is not to go on.

    is_refused: whether somebody has said no to it since.
    """

    def __init__(self, gate: Gate, on_change: Callable[[], None], is_refused: Callable[[], bool]) -> None:
        self._gate, self._on_change, self._is_refused = gate, on_change, is_refused
        self.refused = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="consent-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it is gone when this returns."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            try:
                if self._gate.look():
                    self._on_change()
                if not self.refused.is_set() and self._is_refused():
                    self.refused.set()
                    self._on_change()
            except Exception as error:
                # The session looks again before its next message and fails there, with a reason.
                log.error("consents could not be looked at: %s", type(error).__name__)
                self._on_change()
