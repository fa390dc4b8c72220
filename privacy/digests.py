"""Identifiers that a data supplier delivers as unkeyed digests: an input format, and no protection.

A supplier's list often holds MD5, SHA-256 or SM3 of each phone number, as lower-case hexadecimal of the canonical
spelling in UTF-8. Parties then match on digests: who has the numbers hashes them likewise.
What it does not promise. Anything about secrecy: whoever holds such a digest tries all numbers (the seven thousand
million that begin 13 to 19 take one core 24 minutes with MD5). So digests are blinded like plain identifiers before
anything leaves a party, and never taken back to numbers here.
Sources: MD5, RFC 1321; SHA-256, FIPS 180-4; SM3, GB/T 32905-2016.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.hashes import SM3, Hash

from privacy.identifiers import Check, Checked, IdentifierReason, Identifiers, compact


class IdFormat(StrEnum):
    """In which form a list's identifiers come."""

    PLAIN = "plain"
    MD5 = "md5"
    SHA256 = "sha256"
    SM3 = "sm3"


DIGEST_CHARACTERS: Final = {IdFormat.MD5: 32, IdFormat.SHA256: 64, IdFormat.SM3: 64}
"""Hexadecimal characters of one digest. SHA-256 and SM3 cannot be told apart by their form."""
HEXADECIMAL: Final = "0123456789abcdef"
_ROWS_AT_ONCE: Final = 2**16


def digest_check(id_format: IdFormat) -> Check:
    """The function that spells one digest canonically (lower case), or says why it has not the form of one."""
    characters = DIGEST_CHARACTERS[id_format]

    def check(value: str) -> Checked:
        text = compact(value).lower()
        reason: IdentifierReason | None = None
        if not text:
            reason = IdentifierReason.MISSING
        elif len(text) != characters:
            reason = IdentifierReason.WRONG_LENGTH
        elif not set(HEXADECIMAL) >= set(text):
            reason = IdentifierReason.NOT_DIGITS
        return (text, None) if reason is None else (None, reason)

    return check


def hash_identifiers(identifiers: Identifiers, id_format: IdFormat) -> Identifiers:
    """(n,) lower-case hexadecimal digests of canonical identifiers; the same array for `PLAIN`."""
    if id_format is IdFormat.PLAIN:
        return identifiers
    digest = _DIGESTS[id_format]
    hashed = np.empty(len(identifiers), dtype=f"S{DIGEST_CHARACTERS[id_format]}")
    for start in range(0, len(identifiers), _ROWS_AT_ONCE):
        block = identifiers[start : start + _ROWS_AT_ONCE].tolist()
        hashed[start : start + len(block)] = [digest(one).hex() for one in block]
    return hashed


def _md5(message: bytes) -> bytes:
    return hashlib.md5(message, usedforsecurity=False).digest()


def _sha256(message: bytes) -> bytes:
    return hashlib.sha256(message).digest()


def _sm3(message: bytes) -> bytes:
    # hashlib has SM3 only where the system's OpenSSL has it.
    state = Hash(SM3())
    state.update(message)
    return state.finalize()


_DIGESTS: Final[dict[IdFormat, Callable[[bytes], bytes]]] = {
    IdFormat.MD5: _md5, IdFormat.SHA256: _sha256, IdFormat.SM3: _sm3,
}  # fmt: skip
