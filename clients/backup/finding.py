"""Who of a node's subjects has one of these tombstones: what a restored copy has to delete again.

A subject is looked for where it may be: among the identifiers of the table's file, in the consent store, and by what
stored matchings call it, which also finds it where the file no longer names it.
Cost. One pass over the column of identifiers, the store's tokens and the stored matchings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
import numpy as np
from sqlalchemy import select

from clients.consents import tables as consent_tables
from clients.consents.rows import as_bytes, as_tokens
from clients.consents.subjects import kind_label
from clients.finished import NO_TOKEN, matchings, read_handle, read_tokens
from clients.home import NodeHome
from clients.rights.located import NOWHERE, Located
from clients.tables.subjects import identifiers_by_place
from privacy.identifiers import Identifiers
from privacy.joining import Tokens, tokens_of
from privacy.parameters import TOKEN_BYTES
from privacy.rights import SharedRow


class Column(NamedTuple):
    """By place in the table's file: identifiers (n,), empty where the cell holds none, and tokens (n, 2)."""

    identifiers: Identifiers
    tokens: Tokens

    @property
    def holds(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """(n,): which rows belong to somebody."""
        found: np.ndarray[Any, np.dtype[np.bool_]] = self.identifiers != b""
        return found


def column_of(home: NodeHome) -> Column:
    """The identifiers of a node's table; none where its file is gone. Raises `SchemaMismatch`."""
    spec = home.settings.table
    identifiers = identifiers_by_place(spec)
    return Column(identifiers, home.consents.tokens(kind_label(spec), identifiers))


def find(home: NodeHome, subjects: Tokens, shared: Tokens) -> list[Located]:
    """The subjects that have these tombstones. subjects: of tokens; shared: of what matchings call them."""
    suppression, column = home.consents.suppression, column_of(home)
    wanted = {stone.tobytes() for stone in subjects}
    by_token: dict[bytes, Located] = {}
    known = _known(home)
    for token, stone in zip(as_bytes(known), suppression.of(known), strict=True):
        if stone.tobytes() in wanted:
            by_token[token] = Located(identifier=b"", token=token, row=NOWHERE)
    rows = np.flatnonzero(column.holds)
    is_wanted = [stone.tobytes() in wanted for stone in suppression.of(column.tokens[rows])]
    for row in rows[np.array(is_wanted, np.bool_)].tolist():
        token = as_bytes(column.tokens[row : row + 1])[0]
        by_token[token] = Located(identifier=bytes(column.identifiers[row]), token=token, row=row)
    found = list(by_token.values())
    by_row = {one.row: one.token for one in found if one.row != NOWHERE}
    named = _named(home, {stone.tobytes() for stone in shared}, set(by_token), by_row)
    names_of = {token: tuple(names) for (token, _), names in named.items() if token in by_token}
    found = [msgspec.structs.replace(one, shared=names_of.get(one.token, ())) for one in found]
    return found + [
        Located(identifier=b"", token=token, row=row, shared=tuple(names))
        for (token, row), names in named.items()
        if token not in by_token
    ]


def stones_of(home: NodeHome, subjects: list[Located]) -> tuple[Tokens, Tokens]:
    """The tombstones of subjects: (of their tokens, of what matchings call them)."""
    suppression = home.consents.suppression
    tokens = as_tokens([one.token for one in subjects if one.token != NO_TOKEN])
    names = defaultdict(list)
    for one in subjects:
        for name in one.shared:
            names[name.session].append(name.ref)
    shared = [
        suppression.of_shared(session, np.frombuffer(b"".join(refs), np.uint8).reshape(-1, 16))
        for session, refs in names.items()
    ]
    return suppression.of(tokens), np.concatenate([np.empty((0, 2), np.uint64), *shared])


def stones_from(data: bytes) -> Tokens:
    """Tombstones as an entry of the ledger holds them."""
    return tokens_of(np.frombuffer(data, np.uint8).reshape(-1, TOKEN_BYTES))


def _known(home: NodeHome) -> Tokens:
    with home.consents.engine.connect() as connection:
        return as_tokens(connection.execute(select(consent_tables.subjects.c.token)).scalars().all())


_Whose = tuple[bytes, int]
"""A token, and `NOWHERE`; where a matching has kept no tokens, `NO_TOKEN`, and the place in the file."""


def _named(
    home: NodeHome, wanted: set[bytes], tokens: set[bytes], rows: Mapping[int, bytes]
) -> Mapping[_Whose, list[SharedRow]]:
    """By whom they mean, the names in stored matchings of these subjects, and of who has one of these tombstones.

    rows: by place, the subjects that the file holds; asked only about a matching that has kept no tokens.
    """
    found: defaultdict[_Whose, list[SharedRow]] = defaultdict(list)
    for session, data in matchings(home.vault):
        own, refs = read_handle(data)
        stones = home.consents.suppression.of_shared(session, refs)
        for place, (stone, token) in enumerate(zip(stones, as_bytes(read_tokens(data)), strict=True)):
            row = int(own[place])
            known = token if token != NO_TOKEN else rows.get(row, NO_TOKEN)
            if known in tokens or stone.tobytes() in wanted:
                whose = (known, row if known == NO_TOKEN else NOWHERE)
                found[whose].append(SharedRow(session, refs[place].tobytes()))
    return found
