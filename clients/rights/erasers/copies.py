"""Copies of what was held, made for their subjects and not handed out yet (`clients.rights.copies`)."""

from __future__ import annotations

import shutil

import numpy as np

from clients.gate.retention import COPIES
from clients.home import NodeHome
from clients.rights.copies import folder_of
from clients.rights.erasers.eraser import BaseEraser, SealedEdits
from clients.rights.erasers.wanted import Mask, Wanted
from privacy.rights import Artefact, Outcome


class CopyEraser(BaseEraser):
    """The folder of every copy of a subject, and then the record that says whose it was."""

    artefact = Artefact.COPY

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = np.zeros(len(wanted), dtype=np.bool_)
        with SealedEdits(home) as sealed:
            for case, places in _copies(home, wanted).items():
                folder = folder_of(home, case)
                if folder.exists():
                    shutil.rmtree(folder)
                sealed.edit([COPIES + case], dict.fromkeys)
                found[places] = True
        return self.erased(found)

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        found = np.zeros(len(wanted), dtype=np.bool_)
        for places in _copies(home, wanted).values():
            found[places] = True
        return found


def _copies(home: NodeHome, wanted: Wanted) -> dict[str, list[int]]:
    """The cases with a copy of one of the subjects, and the places of that one."""
    places: dict[bytes, list[int]] = {}
    for place, one in enumerate(wanted.subjects):
        places.setdefault(one.token, []).append(place)
    found = {}
    for name in home.vault.names(COPIES):
        token = home.vault.held([name]).get(name)
        if token in places:
            found[name.removeprefix(COPIES)] = places[token]
    return found
