"""Lists of people for marketing (`clients.audiences`). What was handed out already is recalled, or its time ends."""

from __future__ import annotations

from typing import Final

from clients.home import NodeHome
from clients.rights.erasers.csv_files import CsvPlan, Rule
from clients.rights.erasers.eraser import BaseEraser
from clients.rights.erasers.files import IDENTIFIER, erase_from_lists, find_in_lists, lists_of_audiences
from clients.rights.erasers.wanted import Mask, Wanted
from privacy.rights import Artefact, Outcome

_ROW: Final = CsvPlan(IDENTIFIER, Rule.REMOVE)


class AudienceEraser(BaseEraser):
    """Every list that was made from a job in which the subject is; a node without lists has none."""

    artefact = Artefact.AUDIENCE

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        return self.erased(erase_from_lists(lists_of_audiences(home), _ROW, wanted))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return find_in_lists(lists_of_audiences(home), _ROW, wanted)
