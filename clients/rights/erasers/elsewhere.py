"""Artefacts that other modules keep, and delete themselves: models, backups, copies that were made for subjects."""

from __future__ import annotations

import importlib
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from clients.backup import shredding
from clients.home import NodeHome
from clients.rights.erasers.eraser import BaseEraser
from clients.rights.erasers.wanted import Mask, Wanted
from clients.rights.located import Located
from privacy.rights import Artefact, Outcome, Result

_NUMBER_BYTES: Final = 16


class ModelEraser(BaseEraser):
    """Which models a subject's row was trained with (`clients.forgetting.cards`): these are to be trained again."""

    artefact = Artefact.MODEL

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        taint = _taint()
        if taint is None:
            return [self.outcome(Result.UNSUPPORTED)] * len(wanted)
        return list(taint(home, wanted.subjects))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        """A marked model has no row; the rows are the matching's, which has an eraser of its own."""
        return np.zeros(len(wanted), dtype=np.bool_)


def _taint() -> Callable[[NodeHome, Sequence[Located]], Sequence[Outcome]] | None:
    try:
        cards: Any = importlib.import_module("clients.forgetting.cards")
    except ModuleNotFoundError:
        return None
    taint: Callable[[NodeHome, Sequence[Located]], Sequence[Outcome]] = cards.taint
    return taint


class BackupEraser(BaseEraser):
    """Subjects' keys in archives, their entries in the ledger of deletions, their tombstones.

    case: 32 hexadecimal digits; without one a batch of deletions gets a number of its own, as it may be of many cases.
    """

    artefact = Artefact.BACKUP

    def __init__(self, case: str = "") -> None:
        self._case = case

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        return shredding.shred(home, wanted.subjects, self._case or secrets.token_hex(_NUMBER_BYTES))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return np.array(shredding.remains(home, wanted.subjects), dtype=np.bool_)
