"""Where a subject is at this node: written down before anything of it is deleted.

A row is found by its identifier in every spelling that the registration knows, a matching by the row's place in the
file, which stays the same; by another party's name for a subject (`privacy.rights.SharedRow`) the other way round.
Cost. One pass over the table's column of identifiers, and one over the stored matchings, for up to 1,000 subjects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from clients.consents.rows import as_bytes
from clients.consents.subjects import kind_label
from clients.finished import HANDLE, read_handle, record_name, sessions_with
from clients.home import NodeHome
from clients.rights.located import Located
from clients.tables.problems import refuse
from clients.tables.subjects import read_subjects
from federation.jobs import decode_job
from privacy.errors import Denied
from privacy.identifiers import Identifiers
from privacy.rights import SharedRow

NOWHERE: Final = -1
_JOB: Final = "job"


def locate(home: NodeHome, identifiers: Sequence[bytes]) -> list[Located]:
    """Where each of these subjects is, in their order. identifiers: canonical, as `Changes.identifiers` gives them.

    Raises `SchemaMismatch` for a table that cannot be read; where its file is gone nobody has a row.
    """
    if not identifiers:
        return []
    wanted = np.array(identifiers, dtype=np.bytes_)
    tokens = as_bytes(home.consents.tokens(kind_label(home.settings.table), wanted))
    places = _places(_identifiers_of(home), wanted)
    shared = _shared(home, [row for rows in places for row in rows])
    return [
        Located(
            identifier=identifier,
            token=token,
            row=rows[-1] if rows else NOWHERE,
            shared=tuple(dict.fromkeys(name for row in rows for name in shared.get(row, ()))),
        )
        for identifier, token, rows in zip(identifiers, tokens, places, strict=True)
    ]


class Meant(NamedTuple):
    """Whom another party means. is_contradictory: its names for one subject lead to several."""

    located: Located | None = None
    is_contradictory: bool = False


def locate_shared(home: NodeHome, asked: Sequence[tuple[str, Sequence[SharedRow]]]) -> list[Meant]:
    """Whom other parties mean, for each (party, its names for one subject).

    Names of matchings in which the party had no part name nobody.
    """
    sessions = {name.session for _, names in asked for name in names}
    handles = {session: _handle(home, session) for session in sessions}
    rows = [_rows_of(handles, party, names) for party, names in asked]
    if not any(rows):
        return [Meant()] * len(asked)
    cells = _identifiers_of(home)
    people = [{bytes(cells[row]) for row in found if row < len(cells)} - {b""} for found in rows]
    single = [next(iter(found)) for found in people if len(found) == 1]
    located = iter(locate(home, single))
    return [Meant(next(located)) if len(found) == 1 else Meant(None, len(found) > 1) for found in people]


def partners_of(home: NodeHome, subjects: Sequence[Located]) -> list[dict[str, tuple[SharedRow, ...]]]:
    """Per subject, the other parties that have matched it, and what each calls it."""
    parties = {
        session: _parties(home, session) - {home.settings.name}
        for session in {name.session for one in subjects for name in one.shared}
    }
    found = []
    for one in subjects:
        names: defaultdict[str, list[SharedRow]] = defaultdict(list)
        for name in one.shared:
            for party in sorted(parties[name.session]):
                names[party].append(name)
        found.append({party: tuple(shared) for party, shared in names.items()})
    return found


def purpose_of(home: NodeHome, session: str) -> str:
    """What a job was run for; "" where its record is gone."""
    data = _record(home, session, _JOB)
    return "" if data is None else decode_job(data).purpose


def _identifiers_of(home: NodeHome) -> Identifiers:
    """(n,) canonical identifiers by place in the table's file, empty where the cell holds none."""
    spec = home.settings.table
    if not Path(spec.path).exists():
        return np.empty(0, dtype="S1")
    reading, found = read_subjects(spec, [])
    if found is None:
        refuse(spec.path, reading.problems)
        return np.empty(0, dtype="S1")
    return np.where(found.valid, found.identifiers, b"")


def _places(cells: Identifiers, wanted: Identifiers) -> list[list[int]]:
    """The places of each wanted identifier in a column, in order."""
    ordered, back = np.unique(wanted, return_inverse=True)
    spots = np.searchsorted(ordered, cells)
    spots[spots == len(ordered)] = 0
    rows = np.flatnonzero((ordered[spots] == cells) & (cells != b""))
    by_identifier: defaultdict[int, list[int]] = defaultdict(list)
    for row, spot in zip(rows.tolist(), spots[rows].tolist(), strict=True):
        by_identifier[spot].append(row)
    return [by_identifier[spot] for spot in back.tolist()]


def _shared(home: NodeHome, rows: Sequence[int]) -> Mapping[int, Sequence[SharedRow]]:
    """By place in the file, what all stored matchings call the subjects of these rows."""
    wanted = np.array(sorted(set(rows)), dtype=np.int64)
    found: defaultdict[int, list[SharedRow]] = defaultdict(list)
    for session, own, refs in _handles(home):
        for place in np.flatnonzero(np.isin(own, wanted)).tolist():
            found[int(own[place])].append(SharedRow(session, refs[place].tobytes()))
    return found


_Handle = tuple[frozenset[str], dict[bytes, int]]
"""The parties of a matching, and the place in the file by what the matching calls a subject."""


def _handle(home: NodeHome, session: str) -> _Handle:
    data = _record(home, session, HANDLE)
    if data is None:
        return frozenset(), {}
    rows, refs = read_handle(data)
    names = (ref.tobytes() for ref in refs)
    return _parties(home, session), dict(zip(names, rows.tolist(), strict=True))


def _rows_of(handles: Mapping[str, _Handle], party: str, names: Sequence[SharedRow]) -> set[int]:
    rows = set()
    for name in names:
        parties, places = handles[name.session]
        if party in parties and name.ref in places:
            rows.add(places[name.ref])
    return rows


def _handles(home: NodeHome) -> Iterator[tuple[str, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    for session in sessions_with(home.vault, HANDLE):
        data = _record(home, session, HANDLE)
        if data is not None:
            rows, refs = read_handle(data)
            if refs.shape[1]:
                yield session, rows, refs


def _parties(home: NodeHome, session: str) -> frozenset[str]:
    data = _record(home, session, _JOB)
    return frozenset() if data is None else frozenset(plan.name for plan in decode_job(data).parties)


def _record(home: NodeHome, session: str, name: str) -> bytes | None:
    """A job's record; None when it is not there, or its time is over and nothing may read it."""
    try:
        return home.vault.get(record_name(session, name))
    except Denied:
        return None
