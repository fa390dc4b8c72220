"""Whose the rows of older jobs are, of which no tokens were kept with the matching (`clients.finished.read_tokens`).

Such a job names its rows by their places in a file that may have been replaced since. Its own results say whose a place
was then; what they say is kept with the matching. A row that they do not name belongs to nobody knows whom: it is never
looked up in today's file, and whoever asks for a deletion is not told that nothing of it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from clients.consents.rows import as_bytes, as_tokens
from clients.consents.subjects import kind_label
from clients.finished import HANDLE, handle_of, is_named, read_handle, read_tokens, record_name, sessions_with
from clients.home import NodeHome
from clients.results import CUSTOMERS
from clients.rights.erasers.eraser import SealedEdits
from clients.rights.erasers.files import IDENTIFIER, lists_in_results
from privacy.identifiers import Identifiers
from privacy.parameters import TOKEN_BYTES

NO_TOKEN: Final = bytes(TOKEN_BYTES)
"""Of a row of which nobody knows whose it is."""
_ROW: Final = "row"


def name_rows(home: NodeHome) -> None:
    """Keep with the matchings of older jobs whose their rows are, as far as the jobs' results say so."""
    unnamed = unnamed_sessions(home)
    if not unnamed:
        return
    known = _known(home, unnamed)
    with SealedEdits(home) as sealed:
        for session, people in known.items():

            def change(
                stored: Mapping[str, bytes], people: Mapping[int, bytes] = people
            ) -> dict[str, bytes | None]:
                return {name: _named(data, people) for name, data in stored.items()}

            sealed.edit([record_name(session, HANDLE)], change)


def unnamed_sessions(home: NodeHome) -> frozenset[str]:
    """The sessions whose matching has rows of which it is not known whose they are."""
    found = set()
    for session in sessions_with(home.vault, HANDLE):
        name = record_name(session, HANDLE)
        for data in home.vault.held([name]).values():
            if read_handle(data)[1].shape[1] and not is_named(read_tokens(data)).all():
                found.add(session)
    return frozenset(found)


def people_in_results(home: NodeHome) -> Identifiers:
    """(n,) the canonical identifiers that results of jobs name."""
    parts = [
        pd.read_csv(one.file, dtype=str, keep_default_na=False, usecols=[IDENTIFIER])[IDENTIFIER]
        for one in lists_in_results(home)
    ]
    names = pd.concat(parts).unique().tolist() if parts else []
    return np.array([name.encode() for name in names] or [b""], dtype=np.bytes_)


def _known(home: NodeHome, sessions: frozenset[str]) -> dict[str, dict[int, bytes]]:
    """By session, the tokens of who had which place in the file."""
    found = {}
    for one in lists_in_results(home):
        if one.file.name != CUSTOMERS or len(one.sessions) != 1 or not one.sessions <= sessions:
            continue
        rows = pd.read_csv(one.file, dtype=str, keep_default_na=False)
        if _ROW not in rows or not len(rows):
            continue
        people = np.array([name.encode() for name in rows[IDENTIFIER]], dtype=np.bytes_)
        tokens = as_bytes(home.consents.tokens(kind_label(home.settings.table), people))
        (session,) = one.sessions
        found[session] = dict(zip(rows[_ROW].astype(np.int64).tolist(), tokens, strict=True))
    return found


def _named(handle: bytes, people: Mapping[int, bytes]) -> bytes:
    rows, refs = read_handle(handle)
    before = as_bytes(read_tokens(handle))
    tokens = [
        token if token != NO_TOKEN else people.get(row, NO_TOKEN)
        for row, token in zip(rows.tolist(), before, strict=True)
    ]
    return handle_of(rows, refs, as_tokens(tokens))
