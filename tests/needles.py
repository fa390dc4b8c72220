"""A search for thousands of byte strings at once: what `needle in haystack` says of each, in one walk."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

HEAD = 3
"""A place is looked at closely only where the first bytes of some needle stand."""


def found_in_bytes(haystack: bytes, needles: Iterable[bytes]) -> list[bytes]:
    """The needles that the haystack holds, in the order given. Each has at least `HEAD` bytes."""
    wanted = list(needles)
    assert all(len(needle) >= HEAD for needle in wanted)
    is_head = np.zeros(1 << (8 * HEAD), dtype=np.bool_)
    is_head[[int.from_bytes(needle[:HEAD], "little") for needle in wanted]] = True
    data = np.frombuffer(haystack, dtype=np.uint8)
    heads = np.zeros(max(len(data) - HEAD + 1, 0), dtype=np.uint32)
    for place in range(HEAD):
        heads |= data[place : place + len(heads)].astype(np.uint32) << np.uint32(8 * place)
    places = np.flatnonzero(is_head[heads]).tolist()
    found: set[bytes] = set()
    for length, group in _by_length(wanted).items():
        found |= group.intersection(haystack[place : place + length] for place in places)
    return [needle for needle in wanted if needle in found]


def _by_length(needles: list[bytes]) -> dict[int, set[bytes]]:
    groups: dict[int, set[bytes]] = {}
    for needle in needles:
        groups.setdefault(len(needle), set()).add(needle)
    return groups
