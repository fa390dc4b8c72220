"""AES-256-CMAC of many short messages at once.

Source. NIST SP 800-38B (May 2005, updated October 2016), sections 6.1 (subkeys) and 6.2 (MAC generation), with
AES-256 (FIPS 197). Messages of one length advance through the CBC chain together, so that a block of rows costs
one AES call instead of one call per message.
What it promises. The values of the standard, bit for bit; under a fresh random key a pseudorandom function of
messages of any lengths.
What it does not. NumPy's copies are not constant-time in the number of rows of each length. Whoever has the key
can make collisions, so this is no hash function. Keys in Python memory are not wiped.
"""

from __future__ import annotations

from typing import Final, NoReturn

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from privacy.errors import CryptoError
from privacy.identifiers import Identifiers

KEY_BYTES: Final = 32
BLOCK_BYTES: Final = 16
_REDUCTION: Final = 0x87
"""R_128: x^128 = x^7 + x^2 + x + 1 (SP 800-38B, section 5.3)."""
_ROWS_AT_ONCE: Final = 2**15
"""Rows in one AES call: half a MiB per array, so that the working set stays in cache."""


class BatchCmac:
    """AES-256-CMAC under one key. Refuses to be pickled; its `repr` does not show the key.

    Raises `CryptoError` for a key that has not `KEY_BYTES` bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise CryptoError("align_key_length", expected=KEY_BYTES)
        # ECB on whole blocks is the bare block cipher; the chaining is done here.
        self._encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        whole = _doubled(self._encryptor.update(bytes(BLOCK_BYTES)))
        self._whole = np.frombuffer(whole, np.uint64)
        self._padded = np.frombuffer(_doubled(whole), np.uint64)

    def __repr__(self) -> str:
        return "BatchCmac(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyed function is not pickled")

    def digest(self, messages: Identifiers, prefix: bytes = b"") -> NDArray[np.uint8]:
        """(n, 16): the CMAC of `prefix | message` of every message, each at its own length.

        messages: (n,) of dtype `S<width>`. Trailing zero bytes are NumPy's padding and no part of a message.
        """
        digests = np.empty((len(messages), BLOCK_BYTES), np.uint8)
        width = messages.dtype.itemsize
        for start in range(0, len(messages), _ROWS_AT_ONCE):
            block = np.ascontiguousarray(messages[start : start + _ROWS_AT_ONCE])
            rows = block.view(np.uint8).reshape(len(block), width)
            out = digests[start : start + len(block)]
            if rows[:, -1].all():
                out[:] = self._digest_block(rows, prefix)
                continue
            lengths = np.strings.str_len(block)
            for length in np.flatnonzero(np.bincount(lengths)):
                here = np.flatnonzero(lengths == length)
                out[here] = self._digest_block(rows[here, :length], prefix)
        return digests

    def digest_rows(self, rows: NDArray[np.uint8], prefix: bytes = b"") -> NDArray[np.uint8]:
        """(n, 16): the CMAC of `prefix | row` of every row of (n, length), zero bytes included."""
        digests = np.empty((len(rows), BLOCK_BYTES), np.uint8)
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            block = rows[start : start + _ROWS_AT_ONCE]
            digests[start : start + len(block)] = self._digest_block(block, prefix)
        return digests

    def _digest_block(self, rows: NDArray[np.uint8], prefix: bytes) -> NDArray[np.uint8]:
        count, length = len(rows), len(prefix) + rows.shape[1]
        n_blocks = max(1, -(-length // BLOCK_BYTES))
        message = np.zeros((count, n_blocks * BLOCK_BYTES), np.uint8)
        message[:, : len(prefix)] = np.frombuffer(prefix, np.uint8)
        message[:, len(prefix) : length] = rows
        if length < n_blocks * BLOCK_BYTES:
            message[:, length] = 0x80
            last_mask = self._padded
        else:
            last_mask = self._whole
        words = message.view(np.uint64).reshape(count, n_blocks, 2)
        words[:, -1] ^= last_mask
        state = np.ascontiguousarray(words[:, 0])
        # `update_into` wants room for one block less a byte beyond its output.
        space = np.empty(count * BLOCK_BYTES + BLOCK_BYTES - 1, np.uint8)
        output = space[: count * BLOCK_BYTES]
        self._encryptor.update_into(_bytes_of(state), space.data)
        for place in range(1, n_blocks):
            np.bitwise_xor(output.view(np.uint64).reshape(count, 2), words[:, place], out=state)
            self._encryptor.update_into(_bytes_of(state), space.data)
        return output.reshape(count, BLOCK_BYTES)


def _bytes_of(array: NDArray[np.uint64]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _doubled(block: bytes) -> bytes:
    """The block times x in GF(2^128) (SP 800-38B, section 6.1)."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number ^ _REDUCTION) & (2**128 - 1)
    return number.to_bytes(BLOCK_BYTES, "big")
