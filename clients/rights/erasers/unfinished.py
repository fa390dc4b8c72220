"""What a job was working with when it stopped, and what a node counts for a day.

A rerun finds other rows without these people, and could not go on from what was kept; so all of that goes. It holds
keys, bins and trees, and which rows were in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from clients.answered import ANSWERED, counted_in, without_people
from clients.context import UNFINISHED
from clients.home import NodeHome
from clients.rights.erasers.eraser import BaseEraser, SealedEdits
from clients.rights.erasers.wanted import Mask, Wanted
from privacy.rights import Artefact, Outcome


class UnfinishedEraser(BaseEraser):
    """Unfinished jobs of a node that has the subjects' rows, and the day's counts of answers about them."""

    artefact = Artefact.UNFINISHED

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = self._remains(home, wanted)
        people = [one.identifier for one in wanted.subjects]
        with SealedEdits(home) as sealed:
            for name in home.vault.names(ANSWERED):
                sealed.edit([name], partial(_without, people))
            if _in_table(wanted).any():
                for name in home.vault.names(UNFINISHED):
                    sealed.edit([name], dict.fromkeys)
        return self.erased(found)

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        people = [one.identifier for one in wanted.subjects]
        found = np.zeros(len(wanted), dtype=np.bool_)
        for name in home.vault.names(ANSWERED):
            for record in home.vault.held([name]).values():
                found |= counted_in(record, people)
        return found | _in_table(wanted) if home.vault.names(UNFINISHED) else found


def _in_table(wanted: Wanted) -> Mask:
    """(m,): who can be in a job of this node."""
    return np.array([one.row >= 0 or bool(one.shared) for one in wanted.subjects], dtype=np.bool_)


def _without(people: list[bytes], stored: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {name: without_people(record, people) for name, record in stored.items()}
