"""Where a subject is at this node: written down before anything of it is deleted.

A row is found by its identifier in every spelling that the registration knows; a matching by the consent store's token
that is kept with each of its rows (`clients.finished.read_tokens`), as the file may be a later one, in another order.
By another party's name for a subject (`privacy.rights.SharedRow`) it goes the other way round.
Matchings whose time is over are looked through as well: they are there until they have been removed.
Cost. One pass over the table's column of identifiers, and one over the stored matchings, for up to 1,000 subjects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from clients.consents.rows import as_bytes, as_tokens
from clients.consents.subjects import kind_label
from clients.finished import HANDLE, NO_TOKEN, matchings, read_handle, read_tokens, record_name
from clients.home import NodeHome
from clients.rights.located import NOWHERE, Located
from clients.rights.naming import name_rows, people_in_results
from clients.tables.subjects import identifiers_by_place
from federation.jobs import decode_job
from privacy.identifiers import Identifiers
from privacy.rights import SharedRow

_JOB: Final = "job"


def locate(home: NodeHome, identifiers: Sequence[bytes]) -> list[Located]:
    """Where each of these subjects is, in their order. identifiers: canonical, as `Changes.identifiers` gives them.

    Raises `SchemaMismatch` for a table that cannot be read; where its file is gone nobody has a row.
    """
    if not identifiers:
        return []
    wanted = np.array(identifiers, dtype=np.bytes_)
    tokens = as_bytes(home.consents.tokens(kind_label(home.settings.table), wanted))
    people = [
        Located(identifier=identifier, token=token, row=NOWHERE)
        for identifier, token in zip(identifiers, tokens, strict=True)
    ]
    return with_matchings(home, _with_rows(home, people))


def with_matchings(home: NodeHome, subjects: Sequence[Located]) -> list[Located]:
    """The same subjects, and beside the matchings that they name already all others that hold them now."""
    shared = _shared(home, [one.token for one in subjects])
    return [
        msgspec.structs.replace(one, shared=tuple(dict.fromkeys((*one.shared, *shared.get(one.token, ())))))
        for one in subjects
    ]


def _with_rows(home: NodeHome, subjects: Sequence[Located]) -> list[Located]:
    places = _places(
        identifiers_by_place(home.settings.table),
        np.array([one.identifier for one in subjects], dtype=np.bytes_),
    )
    return [
        msgspec.structs.replace(one, row=rows[-1] if rows else NOWHERE)
        for one, rows in zip(subjects, places, strict=True)
    ]


class Meant(NamedTuple):
    """Whom another party means. is_contradictory: its names for one subject lead to several; is_unclear: they lead to
    a row of which nobody knows any more whose it is."""

    located: Located | None = None
    is_contradictory: bool = False
    is_unclear: bool = False


def locate_shared(home: NodeHome, asked: Sequence[tuple[str, Sequence[SharedRow]]]) -> list[Meant]:
    """Whom other parties mean, for each (party, its names for one subject).

    Names of matchings in which the party had no part name nobody.
    """
    name_rows(home)
    sessions = {name.session for _, names in asked for name in names}
    handles = {session: _handle(home, session) for session in sessions}
    found = [_tokens_of(handles, party, names) for party, names in asked]
    people = [tokens - {NO_TOKEN} for tokens in found]
    single = list(dict.fromkeys(next(iter(tokens)) for tokens in people if len(tokens) == 1))
    located = dict(zip(single, locate_tokens(home, single), strict=True))
    return [
        Meant(located[next(iter(tokens))])
        if len(tokens) == 1
        else Meant(is_contradictory=len(tokens) > 1, is_unclear=not tokens and bool(all_of_them))
        for tokens, all_of_them in zip(people, found, strict=True)
    ]


def locate_tokens(home: NodeHome, tokens: Sequence[bytes]) -> list[Located]:
    """Subjects by their tokens; by its token alone one that is neither in the table nor in any result."""
    if not tokens:
        return []
    label = kind_label(home.settings.table)
    wanted = as_tokens(tokens)
    names = dict.fromkeys(tokens, b"")
    for cells in (people_in_results(home), identifiers_by_place(home.settings.table)):
        theirs = home.consents.tokens(label, cells)
        near = np.flatnonzero(np.isin(theirs[:, 0], wanted[:, 0]) & (cells != b""))
        for identifier, token in zip(cells[near].tolist(), as_bytes(theirs[near]), strict=True):
            if token in names:
                names[token] = identifier
    people = [Located(identifier=names[token], token=token, row=NOWHERE) for token in tokens]
    return with_matchings(home, _with_rows(home, people))


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


def _shared(home: NodeHome, tokens: Sequence[bytes]) -> Mapping[bytes, Sequence[SharedRow]]:
    """By token, what all stored matchings call these subjects."""
    name_rows(home)
    wanted = as_tokens(tokens)[:, 0]
    found: defaultdict[bytes, list[SharedRow]] = defaultdict(list)
    for session, data in matchings(home.vault):
        _, refs = read_handle(data)
        theirs = read_tokens(data)
        near = np.flatnonzero(np.isin(theirs[:, 0], wanted))
        for place, token in zip(near.tolist(), as_bytes(theirs[near]), strict=True):
            found[token].append(SharedRow(session, refs[place].tobytes()))
    found.pop(NO_TOKEN, None)
    return found


_Handle = tuple[frozenset[str], dict[bytes, bytes]]
"""The parties of a matching, and a subject's token by what the matching calls it."""


def _handle(home: NodeHome, session: str) -> _Handle:
    data = _record(home, session, HANDLE)
    if data is None:
        return frozenset(), {}
    names = (ref.tobytes() for ref in read_handle(data)[1])
    return _parties(home, session), dict(zip(names, as_bytes(read_tokens(data)), strict=True))


def _tokens_of(handles: Mapping[str, _Handle], party: str, names: Sequence[SharedRow]) -> set[bytes]:
    tokens = set()
    for name in names:
        parties, people = handles[name.session]
        if party in parties and name.ref in people:
            tokens.add(people[name.ref])
    return tokens


def _parties(home: NodeHome, session: str) -> frozenset[str]:
    data = _record(home, session, _JOB)
    return frozenset() if data is None else frozenset(plan.name for plan in decode_job(data).parties)


def _record(home: NodeHome, session: str, name: str) -> bytes | None:
    """A job's record, whether or not its time is over: it has to be found to be deleted. None when it is not there."""
    full_name = record_name(session, name)
    return home.vault.held([full_name]).get(full_name)
