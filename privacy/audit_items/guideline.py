"""The 27 items of the audit guideline (个人信息保护合规审计指引, CAC order 18 of 2025), and what is found about one.

A finding is a list of named checks over events and policy. It is evidence for an auditor, never a statement that the
law is complied with: what software cannot see is named as an open point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from privacy.audit import Event


class Level(StrEnum):
    """How much of an item software can show. Ours, not the guideline's.

    mostly, partial: the rest is for a human; document: a paper that only a human can write.
    """

    AUTOMATIC = "automatic"
    MOSTLY = "mostly"
    PARTIAL = "partial"
    DOCUMENT = "document"
    NOT_APPLICABLE = "not_applicable"


LEVELS: Final[Mapping[int, Level]] = {
    1: Level.NOT_APPLICABLE,
    2: Level.AUTOMATIC,
    3: Level.PARTIAL,
    4: Level.PARTIAL,
    5: Level.PARTIAL,
    6: Level.MOSTLY,
    7: Level.DOCUMENT,
    8: Level.AUTOMATIC,
    9: Level.AUTOMATIC,
    10: Level.AUTOMATIC,
    11: Level.NOT_APPLICABLE,
    12: Level.PARTIAL,
    13: Level.AUTOMATIC,
    14: Level.MOSTLY,
    15: Level.AUTOMATIC,
    16: Level.AUTOMATIC,
    17: Level.AUTOMATIC,
    18: Level.PARTIAL,
    19: Level.PARTIAL,
    20: Level.AUTOMATIC,
    21: Level.DOCUMENT,
    22: Level.DOCUMENT,
    23: Level.MOSTLY,
    24: Level.DOCUMENT,
    25: Level.PARTIAL,
    26: Level.NOT_APPLICABLE,
    27: Level.NOT_APPLICABLE,
}
"""By number; 1 is the preamble."""
FOR_PEOPLE: Final = tuple(
    number for number, level in LEVELS.items() if level in {Level.DOCUMENT, Level.NOT_APPLICABLE}
)
"""Items about which neither events nor policy say anything."""

Holds = bool | None
"""True: what was looked at agrees; False: it contradicts; None: it does not suffice, a human has to look."""


@dataclass(frozen=True, slots=True)
class Item:
    """What was found about one item.

    checks: by name (`audit.item.check.<name>`). result: figures, plain JSON. events: what the finding rests on.
    open: names of what is left for a human (`audit.item.open.<name>`). applies: whether there is anything to check.
    """

    number: int
    checks: Mapping[str, Holds]
    result: Mapping[str, Any]
    events: tuple[Event, ...]
    open: tuple[str, ...] = ()
    applies: bool = True

    @property
    def holds(self) -> Holds:
        """All checks together; None where nothing is to be checked."""
        return all_hold(self.checks.values()) if self.applies else None


def all_hold(values: Iterable[Holds]) -> Holds:
    """One contradiction decides; else one doubt; nothing at all is a doubt too."""
    found = list(values)
    if False in found:
        return False
    return None if None in found or not found else True
