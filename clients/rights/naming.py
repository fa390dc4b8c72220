"""Whose the rows of older jobs are, of which no tokens were kept with the matching (`clients.finished.read_tokens`).

Such a job names its rows by their places in a file that may have been replaced since. Its own results say whose a place
was then; what they say is kept with the matching. A row that they do not name belongs to nobody knows whom: it is never
looked up in today's file, and whoever asks for a deletion is not told that nothing of it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from clients.consents.rows import as_bytes, as_tokens
from clients.consents.subjects import kind_label
from clients.finished import (
    HANDLE,
    NO_TOKEN,
    handle_of,
    read_handle,
    read_tokens,
    record_name,
    unnamed_sessions,
)
from clients.home import NodeHome
from clients.results import CUSTOMERS
from clients.rights.erasers.eraser import SealedEdits
from clients.rights.erasers.files import IDENTIFIER, lists_in_results
from privacy.identifiers import Identifiers

_ROW: Final = "row"


def name_rows(home: NodeHome) -> None:
    """Keep with the matchings of older jobs whose their rows are, as far as the jobs' results say so."""
    unnamed = unnamed_sessions(home.vault)
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


def people_in_results(home: NodeHome) -> Identifiers:
    """(n,) the canonical identifiers that results of jobs name."""
    parts = [table[IDENTIFIER] for one in lists_in_results(home) if (table := _table(one.file)) is not None]
    names = pd.concat(parts).unique().tolist() if parts else []
    return np.array([name.encode() for name in names] or [b""], dtype=np.bytes_)


def _known(home: NodeHome, sessions: frozenset[str]) -> dict[str, dict[int, bytes]]:
    """By session, the tokens of who had which place in the file."""
    found = {}
    for one in lists_in_results(home):
        if one.file.name != CUSTOMERS or len(one.sessions) != 1 or not one.sessions <= sessions:
            continue
        rows = _table(one.file)
        if rows is None or _ROW not in rows or not rows[_ROW].str.isdecimal().all() or not len(rows):
            continue
        people = np.array([name.encode() for name in rows[IDENTIFIER]], dtype=np.bytes_)
        tokens = as_bytes(home.consents.tokens(kind_label(home.settings.table), people))
        (session,) = one.sessions
        found[session] = dict(zip(rows[_ROW].astype(np.int64).tolist(), tokens, strict=True))
    return found


def _table(file: Path) -> pd.DataFrame | None:
    """None for one that somebody has made unreadable: it says nothing of anybody."""
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError):
        return None


def _named(handle: bytes, people: Mapping[int, bytes]) -> bytes:
    rows, refs = read_handle(handle)
    before = as_bytes(read_tokens(handle))
    tokens = [
        token if token != NO_TOKEN else people.get(row, NO_TOKEN)
        for row, token in zip(rows.tolist(), before, strict=True)
    ]
    return handle_of(rows, refs, as_tokens(tokens))
