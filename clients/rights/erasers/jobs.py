"""What finished jobs keep of people: segments, scores, the matching itself. One pass over the vault for all people.

Artefacts go one after the other, and whoever models were trained with has to be found until the models are done. So a
segment or a score is first taken out in its place (`clients.finished.NOBODY`), and the rows leave all records of a job
at once, last of all (`MatchEraser`): cut off anywhere, the records fit each other, and doing it again ends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import numpy as np

from clients.finished import (
    HANDLE,
    NOBODY,
    PER_ROW,
    SEGMENTS,
    per_row,
    record_name,
    remove_rows,
    sessions_with,
    unnamed_sessions,
    with_values,
)
from clients.home import NodeHome
from clients.results import CUSTOMERS
from clients.rights.erasers import wanted as wanting
from clients.rights.erasers.csv_files import CsvPlan, Rule
from clients.rights.erasers.eraser import BaseEraser, SealedEdits, tell
from clients.rights.erasers.files import (
    IDENTIFIER,
    PeopleList,
    erase_from_lists,
    find_in_lists,
    lists_in_results,
)
from clients.rights.erasers.wanted import Integers, Mask, Wanted
from privacy.audit import EventType
from privacy.errors import SealBroken
from privacy.rights import Artefact, Outcome

_SEGMENT_CELL: Final = CsvPlan(IDENTIFIER, Rule.CELLS, ("segment",))
_ROW: Final = CsvPlan(IDENTIFIER, Rule.REMOVE)


def matched(home: NodeHome, wanted: Wanted) -> Iterator[tuple[str, Integers]]:
    """The sessions in which one of the subjects is matched, and (n,) whose each matched row is."""
    for session in sessions_with(home.vault, HANDLE):
        name = record_name(session, HANDLE)
        handle = home.vault.held([name]).get(name)
        if handle is not None:
            subjects = wanted.in_handle(session, handle)
            if (subjects != wanting.NOBODY).any():
                yield session, subjects


class SegmentEraser(BaseEraser):
    """Clusters that people were put into."""

    artefact = Artefact.SEGMENT

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = erase_from_lists(_customers(home), _SEGMENT_CELL, wanted)
        found |= _take_out(home, wanted, (SEGMENTS,))
        tell(home, EventType.TAG_DELETED, SEGMENTS, wanted, found)
        return self.erased(found, _unclear(home, wanted, (SEGMENTS,)))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return find_in_lists(_customers(home), _SEGMENT_CELL, wanted) | _left(home, wanted, (SEGMENTS,))


class ScoreEraser(BaseEraser):
    """Points, probabilities, reasons: whatever a party's own people find about a customer of a job."""

    artefact = Artefact.SCORE

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = erase_from_lists(_customers(home), _ROW, wanted)
        found |= _take_out(home, wanted, tuple(PER_ROW))
        return self.erased(found, _unclear(home, wanted, tuple(PER_ROW)))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return find_in_lists(_customers(home), _ROW, wanted) | _left(home, wanted, tuple(PER_ROW))


class MatchEraser(BaseEraser):
    """That somebody was matched, and what the parties call it: the row leaves every record of the job."""

    artefact = Artefact.MATCH

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        found = np.zeros(len(wanted), dtype=np.bool_)
        with SealedEdits(home) as sealed:
            for session, subjects in matched(home, wanted):
                found |= wanted.mask(subjects)
                gone = subjects != wanting.NOBODY
                sealed.edit_by(partial(remove_rows, home.vault, session, gone))
        return self.erased(found, _unclear(home, wanted, (HANDLE,)))

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        found = np.zeros(len(wanted), dtype=np.bool_)
        for _, subjects in matched(home, wanted):
            found |= wanted.mask(subjects)
        return found


def _customers(home: NodeHome) -> Iterator[PeopleList]:
    return (one for one in lists_in_results(home) if one.file.name == CUSTOMERS)


def _unclear(home: NodeHome, wanted: Wanted, names: tuple[str, ...]) -> Mask:
    """Of whom a job may have such records that nobody can find: its matching has rows that are nobody's, as far as is
    known, and not the subject's under the name that it has there.
    """
    unnamed = {
        session
        for session in unnamed_sessions(home.vault)
        if home.vault.held([record_name(session, name) for name in names])
    }
    return np.array(
        [
            not one.is_narrowed and not unnamed <= {name.session for name in one.shared}
            for one in wanted.subjects
        ],
        dtype=np.bool_,
    )


def _take_out(home: NodeHome, wanted: Wanted, names: tuple[str, ...]) -> Mask:
    """Put nobody's value in the place of theirs; who had one."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    with SealedEdits(home) as sealed:
        for session, subjects in matched(home, wanted):

            def change(stored: Mapping[str, bytes], subjects: Integers = subjects) -> dict[str, bytes | None]:
                nonlocal found
                changed: dict[str, bytes | None] = {}
                for full_name, data in stored.items():
                    name = full_name.rpartition("/")[2]
                    values = per_row(name, data)
                    rows = _with_value(name, values, subjects)
                    found |= wanted.mask(subjects[rows])
                    values[rows] = NOBODY[name]
                    changed[full_name] = with_values(name, data, values)
                return changed

            sealed.edit([record_name(session, name) for name in names], change)
    return found


def _left(home: NodeHome, wanted: Wanted, names: tuple[str, ...]) -> Mask:
    """Who has a value still."""
    found = np.zeros(len(wanted), dtype=np.bool_)
    for session, subjects in matched(home, wanted):
        for full_name, data in home.vault.held([record_name(session, name) for name in names]).items():
            name = full_name.rpartition("/")[2]
            found |= wanted.mask(subjects[_with_value(name, per_row(name, data), subjects)])
    return found


def _with_value(name: str, values: np.ndarray, subjects: Integers) -> Mask:
    """(n,): the rows of subjects that have a value."""
    if len(values) != len(subjects):
        raise SealBroken("vault_broken", name=name)
    nobody = NOBODY[name]
    is_empty = np.isnan(values) if np.isnan(nobody) else values == nobody
    has_value: Mask = (subjects != wanting.NOBODY) & ~is_empty
    return has_value
