"""What was decided about people: decisions of lending, appeals, early-warning tasks.

An appeal stays, as a record of how it was dealt with (PIPL 56), and no longer says whose it was. A validation report
holds figures of groups alone, and nothing of it is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from clients.enterprise.desk import ALERTS, PROJECT, firm_of
from clients.home import NodeHome
from clients.lending.appeals import APPEALS, LENDING, Appeal
from clients.results import CUSTOMERS
from clients.rights.erasers.csv_files import CsvPlan, Rule
from clients.rights.erasers.eraser import BaseEraser, SealedEdits, known_srefs
from clients.rights.erasers.files import (
    IDENTIFIER,
    PeopleList,
    erase_from_lists,
    find_in_lists,
    lists_in_results,
)
from clients.rights.erasers.wanted import Mask, Wanted
from privacy.rights import Artefact, Outcome

_ROW: Final = CsvPlan(IDENTIFIER, Rule.REMOVE)
_AT_ONCE: Final = 500
"""Records read at a time: below the 999 parameters that any SQLite takes."""


class DecisionEraser(BaseEraser):
    """`decisions.csv` and every other list of people in the results; whose an appeal was; tasks about a firm."""

    artefact = Artefact.DECISION

    def __init__(self, *, with_appeals: bool = True) -> None:
        """with_appeals: False where the subject asks for something else than to be deleted: its appeal goes on."""
        self._with_appeals = with_appeals

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = erase_from_lists(_lists(home), _ROW, wanted)
        of_appeals, of_tasks = _references(home, wanted)
        with SealedEdits(home) as sealed:
            for names in _blocks(self._appeals(home)):
                sealed.edit(names, lambda stored: _without_links(stored, of_appeals, found))
            for names in _blocks(home.vault.names(ALERTS)):
                sealed.edit(names, lambda stored: _without_tasks(stored, of_tasks, found))
        return self.erased(wanted.spread(found))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        found = find_in_lists(_lists(home), _ROW, wanted)
        of_appeals, of_tasks = _references(home, wanted)
        for names in _blocks(self._appeals(home)):
            _without_links(home.vault.held(names), of_appeals, found)
        for names in _blocks(home.vault.names(ALERTS)):
            _without_tasks(home.vault.held(names), of_tasks, found)
        return wanted.spread(found)

    def _appeals(self, home: NodeHome) -> list[str]:
        return home.vault.names(APPEALS) if self._with_appeals else []


def _lists(home: NodeHome) -> Iterator[PeopleList]:
    return (one for one in lists_in_results(home) if one.file.name != CUSTOMERS)


def _references(home: NodeHome, wanted: Wanted) -> tuple[dict[str, int], dict[str, int]]:
    """What appeals and what tasks call the subjects, and their places."""

    def of(project: str) -> dict[str, int]:
        return {sref: place for place, sref in enumerate(known_srefs(home, wanted, project, 0)) if sref}

    return of(LENDING), of(PROJECT)


def _without_links(
    stored: Mapping[str, bytes], places: Mapping[str, int], found: Mask
) -> dict[str, bytes | None]:
    changed: dict[str, bytes | None] = {}
    for name, data in stored.items():
        appeal = msgspec.json.decode(data, type=Appeal)
        if appeal.sref in places:
            found[places[appeal.sref]] = True
            changed[name] = msgspec.json.encode(msgspec.structs.replace(appeal, sref=""))
    return changed


def _without_tasks(
    stored: Mapping[str, bytes], places: Mapping[str, int], found: Mask
) -> dict[str, bytes | None]:
    changed: dict[str, bytes | None] = {}
    for name, data in stored.items():
        firm = firm_of(data)
        if firm in places:
            found[places[firm]] = True
            changed[name] = None
    return changed


def _blocks(names: list[str]) -> Iterator[list[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))
