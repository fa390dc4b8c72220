"""How often a partner has answered for a person with one model: a limit per person and day.

A label holder that may ask about the same person again and again, each time with another version of what is asked,
learns more than points are meant to tell. What is kept is a digest per person and a count, for the day alone. Answers
are counted before they are given: one that breaks off afterwards has learnt them as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from clients.home import NodeHome
from federation.binning import Bools
from federation.pace import today
from privacy.errors import Denied

ANSWERED: Final = "answered/"
"""Vault records of these counts begin so."""
_KEPT_DAYS: Final = 2.0
_DIGEST_BYTES: Final = 16


class AnsweredToday:
    """The counts of one model, for one session: its reruns of a stage give the same answers, which count once."""

    def __init__(self, home: NodeHome, model_id: bytes) -> None:
        self._home, self._name = home, ANSWERED + model_id.hex()
        self._day = today().isoformat()
        self._counts: dict[bytes, int] = {}
        self._given: set[bytes] = set()
        try:
            data = home.vault.get(self._name)
        except Denied:  # an earlier day's, which the sweeper has not removed yet
            data = None
        if data is not None:
            day, counts = msgspec.msgpack.decode(data, type=tuple[str, dict[bytes, int]])
            self._counts = counts if day == self._day else {}

    def allowed(self, identifiers: np.ndarray[Any, Any]) -> Bools:
        """Whose answers the limit of this node's owner still allows: (n,)."""
        most = self._home.settings.scores_per_day
        digests = [_digest(item) for item in identifiers.tolist()]
        found = [digest in self._given or self._counts.get(digest, 0) < most for digest in digests]
        return np.array(found, dtype=np.bool_)

    def add(self, identifiers: np.ndarray[Any, Any]) -> None:
        """These are about to be answered."""
        new = {_digest(item) for item in identifiers.tolist()} - self._given
        for digest in new:
            self._counts[digest] = self._counts.get(digest, 0) + 1
        self._given |= new
        record = msgspec.msgpack.encode((self._day, self._counts))
        self._home.vault.put(self._name, record, days=_KEPT_DAYS)


def without_people(record: bytes, identifiers: Collection[bytes]) -> bytes:
    """A model's record without the counts of some people."""
    day, counts = msgspec.msgpack.decode(record, type=tuple[str, dict[bytes, int]])
    for identifier in identifiers:
        counts.pop(_digest(identifier), None)
    return msgspec.msgpack.encode((day, counts))


def counted_in(record: bytes, identifiers: Sequence[bytes]) -> Bools:
    """(n,): whom a model's record has a count of."""
    _, counts = msgspec.msgpack.decode(record, type=tuple[str, dict[bytes, int]])
    return np.array([_digest(identifier) in counts for identifier in identifiers], dtype=np.bool_)


def _digest(identifier: bytes) -> bytes:
    return hashlib.blake2b(identifier, digest_size=_DIGEST_BYTES).digest()
