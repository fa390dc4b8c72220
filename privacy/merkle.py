"""Merkle trees over lists of byte strings, as RFC 9162 (Certificate Transparency 2.0), section 2, defines them.

A leaf is hashed with a zero byte before it and a node with a one, so that no leaf can pass for a node. The root of a
list says what every entry is and how they are ordered. An inclusion proof shows that one entry is in the list, a
consistency proof that an older list is the beginning of a newer one. All hashes are SHA-256, `HASH_BYTES` long.
What it does not promise. That a root is the only one its owner shows: that takes witnesses who compare roots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from privacy.errors import ProofInvalid

HASH_BYTES: Final = hashlib.sha256().digest_size
LEAF_PREFIX: Final = b"\x00"
NODE_PREFIX: Final = b"\x01"
EMPTY_ROOT: Final = hashlib.sha256().digest()
"""The root of the empty list (RFC 9162, section 2.1.1)."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over two subtrees."""
    return hashlib.sha256(NODE_PREFIX + left + right).digest()


class Tree:
    """A growing tree that keeps its leaf hashes, and so can prove anything about any size it has had.

    An append costs two hashes on average and at most one more than the tree is high; it takes 64 bytes of memory.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        # _levels[k] holds the roots of the complete subtrees over 2**k leaves, from left to right.
        self._levels: list[bytearray] = [bytearray()]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0]) // HASH_BYTES

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its hash (`leaf_hash` of the entry)."""
        place, level, found = len(self), 0, leaf
        while True:
            self._levels[level] += found
            if not place & 1:
                return
            found = node_hash(self._complete(level, place - 1), found)
            place, level = place >> 1, level + 1
            if level == len(self._levels):
                self._levels.append(bytearray())

    def leaf(self, position: int) -> bytes:
        """The leaf hash at `position`. Raises `IndexError`."""
        if not 0 <= position < len(self):
            raise IndexError(position)
        return self._complete(0, position)

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves (default: all). Raises `IndexError`."""
        size = len(self) if size is None else size
        self._check(0, size, len(self))
        return self._root(0, size)

    def inclusion(self, position: int, size: int | None = None) -> tuple[bytes, ...]:
        """The proof that the leaf at `position` is in the tree over the first `size` leaves (RFC 9162, 2.1.3.1)."""
        size = len(self) if size is None else size
        self._check(position + 1, size, len(self))
        self._check(0, position, size)
        path: list[bytes] = []
        first, last = 0, size
        while last - first > 1:
            middle = first + _split(last - first)
            if position < middle:
                path.append(self._root(middle, last))
                last = middle
            else:
                path.append(self._root(first, middle))
                first = middle
        return tuple(reversed(path))

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the first `old` leaves are the beginning of the first `new` ones (RFC 9162, 2.1.4.1).

        It is empty when `old` is 0 or equal to `new`.
        """
        new = len(self) if new is None else new
        self._check(old, new, len(self))
        if old in {0, new}:
            return ()
        path: list[bytes] = []
        first, last, whole = (
            0,
            new,
            True,
        )  # whole: the old tree is the subtree itself, whose root the verifier has
        while old < last:
            middle = first + _split(last - first)
            if old <= middle:
                path.append(self._root(middle, last))
                last = middle
            else:
                path.append(self._root(first, middle))
                first, whole = middle, False
        if not whole:
            path.append(self._root(first, last))
        return tuple(reversed(path))

    @staticmethod
    def _check(*ascending: int) -> None:
        if ascending[0] < 0 or list(ascending) != sorted(ascending):
            raise IndexError(ascending)

    def _complete(self, level: int, place: int) -> bytes:
        return bytes(self._levels[level][place * HASH_BYTES : (place + 1) * HASH_BYTES])

    def _root(self, first: int, last: int) -> bytes:
        """The root over leaves first .. last - 1, where `first` is a multiple of a power of two over their number."""
        if first == last:
            return EMPTY_ROOT
        found = b""
        while last > first:  # from the smallest complete subtree at the right end to the left
            level = ((last - first) & (first - last)).bit_length() - 1
            part = self._complete(level, (last >> level) - 1)
            found = node_hash(part, found) if found else part
            last -= 1 << level
        return found


def _split(size: int) -> int:
    """The largest power of two below `size` (RFC 9162, section 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def root_from_inclusion(leaf: bytes, position: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2). Raises `ProofInvalid`."""
    if not 0 <= position < size:
        raise ProofInvalid("proof_invalid")
    place, last, found = position, size - 1, leaf
    for part in path:
        if last == 0 or len(part) != HASH_BYTES:
            raise ProofInvalid("proof_invalid")
        if place & 1 or place == last:
            found = node_hash(part, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, part)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofInvalid("proof_invalid")
    return found


def verify_inclusion(leaf: bytes, position: int, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that `leaf` is at `position` of the `size` leaves under `root`. Raises `ProofInvalid`."""
    if root_from_inclusion(leaf, position, size, path) != root:
        raise ProofInvalid("proof_invalid")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that a tree is the beginning of another (RFC 9162, section 2.1.4.2); both roots are checked.

    old, new: their sizes. Raises `ProofInvalid`.
    """
    if not _consistent(old, new, old_root, new_root, path):
        raise ProofInvalid("proof_invalid")


def _consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    if not 0 <= old <= new or any(len(part) != HASH_BYTES for part in path):
        return False
    if old == 0:  # the RFC leaves this case out: nothing is the beginning of everything
        return not path and old_root == EMPTY_ROOT and (new > 0 or new_root == EMPTY_ROOT)
    if old == new:
        return not path and old_root == new_root
    parts = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if len(parts) < 2:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = new_found = parts[0]
    for part in parts[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old_found, new_found = node_hash(part, old_found), node_hash(part, new_found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_found = node_hash(new_found, part)
        place, last = place >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root
