"""Artefacts that other modules keep, and delete themselves: models, backups, copies that were made for subjects."""

from __future__ import annotations

import secrets
from typing import Final

import numpy as np

from clients.backup import shredding
from clients.forgetting.cards import taint
from clients.home import NodeHome
from clients.rights.erasers.eraser import BaseEraser
from clients.rights.erasers.wanted import Mask, Wanted
from clients.rights.located import Located
from privacy.rights import Artefact, Outcome

_NUMBER_BYTES: Final = 16


class ModelEraser(BaseEraser):
    """Which models a subject's row was trained with (`clients.forgetting.cards`): these are to be trained again."""

    artefact = Artefact.MODEL

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        """What becomes of a model depends on the jobs that a subject was in: one is asked about for all of the same."""
        first: dict[frozenset[str], Located] = {}
        jobs = [frozenset(name.session for name in one.shared) for one in wanted.subjects]
        for sessions, one in zip(jobs, wanted.subjects, strict=True):
            first.setdefault(sessions, one)
        outcomes = dict(zip(first, taint(home, list(first.values())), strict=True))
        return [outcomes[sessions] for sessions in jobs]

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        """A marked model has no row; the rows are the matching's, which has an eraser of its own."""
        return np.zeros(len(wanted), dtype=np.bool_)


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
