"""What somebody may be called in a file: identifiers in the spellings that programs give them, tokens, references.

And a search for thousands of byte strings at once: what `needle in haystack` says of each, in one walk.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import Final

import numpy as np

from privacy.digests import IdFormat, hash_identifiers

HEAD: Final = 3
"""A place is looked at closely only where the first bytes of some needle stand."""
SEPARATORS: Final = b" \t-.()" + bytes(sorted(set("\u00a0\u2010\u2011\u2013\u2014\u200b\u3000".encode())))
"""What people put between the digits of a number: ASCII, and the bytes of other spaces and dashes in UTF-8."""
_FEW: Final = 40
"""So many are looked for one by one."""
_SHORTEST: Final = 6
"""Fewer bytes stand in any large file by chance: an identifier that is shorter cannot be looked for."""
_DIGITS: Final = 19
"""Longer numbers do not fit 64 bits."""
_BLAKE_BYTES: Final = 16


class Kind(StrEnum):
    """What was found (`rights.search.kind.<kind>` in the texts); `UNREAD`: a file that could not be looked into."""

    IDENTIFIER = "identifier"
    SEPARATED = "separated"
    ENCODED = "encoded"
    NUMBER = "number"
    DIGEST = "digest"
    TOKEN = "token"  # noqa: S105 (a name, no password)
    REFERENCE = "reference"
    UNREAD = "unread"


Needles = dict[bytes, Kind]


def of_identifiers(identifiers: Iterable[bytes]) -> Needles:
    """Needles for canonical identifiers; spellings with separators are found by leaving these out of the haystack."""
    found: Needles = {}
    for identifier in identifiers:
        text = identifier.decode()
        for data in {identifier, text.lower().encode(), text.upper().encode()}:
            found[data] = Kind.IDENTIFIER
            found |= dict.fromkeys(_encoded(data), Kind.ENCODED)
            found |= dict.fromkeys(_digests(data), Kind.DIGEST)
        if text.isdigit() and len(text) < _DIGITS:
            found[struct.pack("<q", int(text))] = Kind.NUMBER
            found[struct.pack("<d", int(text))] = Kind.NUMBER
    return {data: kind for data, kind in found.items() if len(data) >= _SHORTEST}


def of_names(names: Iterable[bytes], kind: Kind) -> Needles:
    """Needles for tokens or references, which are random bytes: as they are, and in hexadecimal."""
    found: Needles = {}
    for name in names:
        found |= dict.fromkeys((name, name.hex().encode(), name.hex().upper().encode()), kind)
    return found


def _encoded(data: bytes) -> Iterator[bytes]:
    text = data.decode()
    yield from (text.encode("utf-16-le"), text.encode("utf-16-be"))
    yield from (data.hex().encode(), data.hex().upper().encode())
    if text.isascii():
        wide = "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in text)
        yield from (wide.encode(), wide.encode("gb18030"))
    for before in range(3):  # base64 of it at any place of a longer text: the characters that are its alone
        whole = base64.b64encode(bytes(before) + data)
        inner = whole[-(-8 * before // 6) : (8 * (before + len(data))) // 6]
        yield from (inner, inner.translate(bytes.maketrans(b"+/", b"-_")))


def _digests(data: bytes) -> Iterator[bytes]:
    digests = [hashlib.blake2b(data, digest_size=_BLAKE_BYTES).digest(), hashlib.sha1(data).digest()]  # noqa: S324
    for kind in (IdFormat.MD5, IdFormat.SHA256, IdFormat.SM3):
        digests.append(bytes.fromhex(hash_identifiers(np.array([data]), kind)[0].decode()))
    for digest in digests:
        yield from (digest, digest.hex().encode(), digest.hex().upper().encode(), base64.b64encode(digest))


class Search:
    """A search for the same needles in many places. Its repr shows none."""

    def __init__(self, needles: Needles) -> None:
        self._kinds = needles
        self._plain = [data for data, kind in needles.items() if kind is Kind.IDENTIFIER]

    def __repr__(self) -> str:
        return f"Search({len(self._kinds)} needles)"

    @property
    def longest(self) -> int:
        """Bytes of the longest needle, with separators between all of its own."""
        return 2 * max(map(len, self._kinds), default=0)

    def kinds_in(self, haystack: bytes) -> set[Kind]:
        """What is in these bytes."""
        found = {self._kinds[data] for data in found_in_bytes(haystack, self._kinds)}
        if Kind.IDENTIFIER not in found and found_in_bytes(haystack.translate(None, SEPARATORS), self._plain):
            found.add(Kind.SEPARATED)
        return found


def found_in_bytes(haystack: bytes, needles: Collection[bytes]) -> list[bytes]:
    """The needles that the haystack holds, in the order given. Each has at least `HEAD` bytes."""
    wanted = list(needles)
    assert all(len(needle) >= HEAD for needle in wanted)  # noqa: S101
    if len(wanted) <= _FEW:
        return [needle for needle in wanted if needle in haystack]
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
