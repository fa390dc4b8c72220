"""Lists of people for marketing (`clients.audiences`). What was handed out already is recalled, or its time ends."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from clients.home import NodeHome
from clients.rights.erasers.csv_files import CsvPlan, Rule
from clients.rights.erasers.eraser import BaseEraser
from clients.rights.erasers.files import (
    AUDIENCES,
    DESCRIPTION,
    IDENTIFIER,
    PeopleList,
    erase_from_lists,
    find_in_lists,
    lists_of_audiences,
)
from clients.rights.erasers.wanted import Mask, Wanted
from privacy.rights import Artefact, Outcome

_ROW: Final = CsvPlan(IDENTIFIER, Rule.REMOVE)


class AudienceEraser(BaseEraser):
    """Every list that was made from a job in which the subject is; a node without lists has none."""

    artefact = Artefact.AUDIENCE

    def __init__(self, purpose: str = "") -> None:
        """purpose: of the lists that are meant, "" for all."""
        self._purpose = purpose

    def _lists(self, home: NodeHome) -> list[PeopleList]:
        """A list that does not say what it is for may be for anything."""
        folder = home.folder / AUDIENCES
        return [
            one
            for one in lists_of_audiences(home)
            if not self._purpose
            or _purpose(folder / one.file.relative_to(folder).parts[0]) in ("", self._purpose)
        ]

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        return self.erased(erase_from_lists(self._lists(home), _ROW, wanted))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return find_in_lists(self._lists(home), _ROW, wanted)


def _purpose(folder: Path) -> str:
    try:
        return str(msgspec.json.decode((folder / DESCRIPTION).read_bytes())["purpose"])
    except (OSError, KeyError, TypeError, msgspec.MsgspecError):
        return ""
