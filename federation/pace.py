"""The clock: what time it is, and how loops keep what need not happen at every turn to once in a while."""

from __future__ import annotations

import math
import time
from datetime import UTC, date, datetime


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def today() -> date:
    """The calendar day in the time zone of this machine, by which ages, periods and agreements count."""
    return utc_now().astimezone().date()


class Every:
    """Due at once, and then at most every `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = -math.inf

    def is_due(self) -> bool:
        """Whether the time has come; when it has, the next `seconds` begin."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
