"""One ciphertext per row in half form (`privacy.paillier`), as the encrypted group-by reads it.

A column is written as lists of numbers, which this process multiplies, or as an array of bytes, which is cheap
to cut by rows and to hand to other processes: a number costs 0.7 us there and back, a third of pickling it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

import numpy as np
from gmpy2 import mpz

from federation.binning import Integers
from privacy.paillier import PublicKey, to_half_form
from privacy.parallel import ALONE, Workers

ROWS_PER_PROCESS: Final = 2_000
"""Rows from which converting in another process pays: some 20 ms of work at 2048 bit."""

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
"""(2, n_rows, width): a and t of every row, little-endian."""

Halves = tuple[Sequence[mpz], Sequence[mpz]]
"""The a and the t of rows: c = a (1 + t n) mod n^2."""


class EncryptedColumn:
    """One checked ciphertext per row under `key`."""

    def __init__(self, key: PublicKey, rows: Halves | Bytes) -> None:
        self.key = key
        self._rows = rows

    @classmethod
    def of(cls, ciphertexts: Sequence[mpz], key: PublicKey) -> EncryptedColumn:
        """Convert checked ciphertexts. Raises `CiphertextInvalid` when one is no unit."""
        return cls(key, to_half_form(ciphertexts, key))

    @classmethod
    def load(cls, data: bytes, n_rows: int, key: PublicKey, workers: Workers = ALONE) -> EncryptedColumn:
        """Read and convert ciphertexts from a peer. Raises `CiphertextInvalid` as `PublicKey.load` does."""
        width = key.ciphertext_bytes
        if workers.worth(n_rows, ROWS_PER_PROCESS) == 1 or len(data) != n_rows * width:
            return cls(key, key.load_halves(data, n_rows))
        bounds = [*range(0, n_rows, ROWS_PER_PROCESS), n_rows]
        blocks = [(data[start * width : end * width], end - start, key) for start, end in pairwise(bounds)]
        return cls(key, np.concatenate(workers.map(_load_packed, blocks), axis=1))

    def __len__(self) -> int:
        return self._rows.shape[1] if isinstance(self._rows, np.ndarray) else len(self._rows[0])

    def halves(self, rows: Integers) -> Halves:
        """The a and the t of some rows, as numbers."""
        if isinstance(self._rows, np.ndarray):
            return unpacked(self._rows[:, rows])
        a, t = self._rows
        places = rows.tolist()
        return [a[row] for row in places], [t[row] for row in places]

    def packed(self, rows: Integers) -> Bytes:
        """The same as bytes, (2, len(rows), width)."""
        return self._all_packed[:, rows]

    @cached_property
    def _all_packed(self) -> Bytes:
        return self._rows if isinstance(self._rows, np.ndarray) else packed(self._rows, self.key)


def packed(halves: Halves, key: PublicKey) -> Bytes:
    """Numbers as bytes, each as long as the key."""
    width = (key.bits + 7) // 8
    data = b"".join([number.to_bytes(width, "little") for part in halves for number in part])
    return np.frombuffer(data, dtype=np.uint8).reshape(2, -1, width)


def unpacked(rows: Bytes) -> Halves:
    """Inverse of `packed`."""
    read = mpz.from_bytes
    width = rows.shape[2]
    a, t = (
        [read(item, "little") for (item,) in struct.iter_unpack(f"{width}s", part.tobytes())] for part in rows
    )
    return a, t


def _load_packed(data: bytes, n_rows: int, key: PublicKey) -> Bytes:
    """What one process does in `EncryptedColumn.load`."""
    return packed(key.load_halves(data, n_rows), key)
