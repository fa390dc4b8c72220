"""How many natural persons' data has gone abroad since 1 January (促进和规范数据跨境流动规定 articles 5, 7, 8).

Counted by person: nobody twice, whatever the number of jobs, and nobody who has been forgotten since.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from clients.home import NodeHome
from privacy.joining import Tokens

ABROAD: Final = "abroad/"
"""Vault records of these counts begin so."""


def without_people(record: bytes, tokens: Tokens) -> bytes:
    """A year's record without some people."""
    people = _people_of(record)
    return people[~np.isin(_whole(people), _whole(tokens))].tobytes()


def counted_in(record: bytes, tokens: Tokens) -> NDArray[np.bool_]:
    """(n,): who is in a year's record."""
    return np.isin(_whole(tokens), _whole(_people_of(record)))


def _people_of(record: bytes) -> Tokens:
    return np.frombuffer(record, np.uint64).reshape(-1, 2)


def _whole(tokens: Tokens) -> NDArray[np.void]:
    """(n,): each token as one value that can be compared."""
    return np.ascontiguousarray(tokens).view([("high", np.uint64), ("low", np.uint64)]).ravel()


class AbroadCounter:
    """One year's people at one node, as their tokens, sealed in the vault."""

    def __init__(self, home: NodeHome, year: int) -> None:
        self._home = home
        self._name = f"{ABROAD}{year}"

    def count(self, tokens: Tokens) -> tuple[int, int]:
        """(people counted so far, people among these who come on top)."""
        before = self._people()
        return len(before), len(np.unique(np.concatenate([before, tokens]), axis=0)) - len(before)

    def add(self, tokens: Tokens) -> None:
        """These people's data goes abroad now."""
        both = np.unique(np.concatenate([self._people(), tokens]), axis=0)
        self._home.vault.put(self._name, both.tobytes())

    def _people(self) -> Tokens:
        data = self._home.vault.get(self._name)
        if data is None:
            return np.empty((0, 2), np.uint64)
        people = _people_of(data)
        return people[self._home.consents.known(people)]
