"""The registered table and its consent log: what a node's owner has put there about people.

The table's row keeps its place, emptied, as matched rows are named by their places in the file; `clients.tables` counts
it as deleted. Rows of the consent log go. A file that this node cannot write stays as it is, and nobody may use what it
says of these people (PIPL 47, paragraph 2): its owner has to see to it, within 90 days at the latest.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from clients.home import NodeHome
from clients.rights.erasers.csv_files import Rule
from clients.rights.erasers.eraser import READ_ONLY, BaseEraser
from clients.rights.erasers.files import erase_from, find_in
from clients.rights.erasers.rewriting import is_writable
from clients.rights.erasers.wanted import Mask, Wanted
from clients.tables.specs import TableSpec
from privacy.rights import Artefact, Outcome, Result


class _Source(NamedTuple):
    file: Path
    id_column: str
    rule: Rule


class FeatureEraser(BaseEraser):
    """A row counts as deleted when no registered file has it any more."""

    artefact = Artefact.FEATURE

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = np.zeros(len(wanted), dtype=np.bool_)
        stays = np.zeros(len(wanted), dtype=np.bool_)
        for source in _sources(home.settings.table):
            if is_writable(source.file):
                found |= erase_from(*source, wanted)
            else:
                stays |= find_in(*source, wanted)
        outcomes = self.erased(found)
        for place in np.flatnonzero(stays).tolist():
            outcomes[place] = self.outcome(Result.RESTRICTED_TECHNICAL, READ_ONLY)
        return outcomes

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return rows_left(home, wanted)


def rows_left(home: NodeHome, wanted: Wanted) -> Mask:
    """Whom a registered file still has. Raises `SchemaMismatch`."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    for source in _sources(home.settings.table):
        found |= find_in(*source, wanted)
    return found


def _sources(spec: TableSpec) -> Iterator[_Source]:
    """The registered files that are there."""
    if Path(spec.path).exists():
        yield _Source(Path(spec.path), spec.id_column, Rule.EMPTY)
    if spec.consents is not None and Path(spec.consents.path).exists():
        yield _Source(Path(spec.consents.path), spec.consents.id_column, Rule.REMOVE)
