"""Keyed matching tokens: pseudonyms of identifiers that only holders of a project's key can compute.

A token is HMAC-SHA256(K, kind | 0x00 | identifier) cut to `TOKEN_BYTES` (RFC 2104, truncation as in its
section 5). Under a fresh K the tokens of a list are a pseudorandom function's values, so their sorted order
is a random
permutation of the rows: a position in it tells nothing about the identifier behind it. The set intersection
on such tokens by an untrusted server is Kamara, Mohassel, Raykova, Sadeghian 2014, "Scaling Private Set
Intersection to Billion-Element Sets", section 3. Whoever holds both K and another party's tokens can
enumerate phone numbers.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from privacy.errors import ConfigInvalid, CryptoError, IdentifierInvalid, MessageInvalid
from privacy.parameters import TOKEN_BYTES

KEY_BYTES: Final = 32
_SHA256_BLOCK_BYTES: Final = 64
_REFERENCE_INFO: Final = b"silhouette subject reference v1"

Tokens = np.ndarray[Any, np.dtype[np.bytes_]]
"""(n,) of dtype `S16`. All are 16 bytes wide, so NumPy's comparisons order them like `memcmp`. Do not take
single
elements out: NumPy strips trailing zero bytes from those."""
_TOKEN_DTYPE: Final = np.dtype(f"S{TOKEN_BYTES}")

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Blinded:
    """One party's identifiers as tokens.

    tokens: (n,) sorted, distinct. rows: (n,) int64, the party's own row of each token; it stays with the
    party.
    """

    tokens: Tokens
    rows: Positions


def new_key() -> bytes:
    """A fresh project key of `KEY_BYTES` random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def blind(key: bytes, kind: str, identifiers: Sequence[str | bytes]) -> Blinded:
    """Tokens of normalised, distinct identifiers of one `kind` ("phone", ...), about 1 us each.

    Raises `CryptoError` for a key of the wrong length, `ConfigInvalid` for a kind that is empty or holds a
    zero byte (it would not separate from the identifier), `IdentifierInvalid` when an identifier occurs
    twice.
    """
    if len(key) != KEY_BYTES:
        raise CryptoError("align_key_length", expected=KEY_BYTES)
    if not kind or "\x00" in kind:
        raise ConfigInvalid("align_kind_invalid")
    encoded = (one.encode() if isinstance(one, str) else one for one in identifiers)
    tokens = _as_array(_hmac_all(key, kind.encode() + b"\x00", encoded))
    rows = np.argsort(tokens, kind="stable").astype(np.int64, copy=False)
    tokens = tokens[rows]
    repeated = int((tokens[1:] == tokens[:-1]).sum())
    if repeated:
        raise IdentifierInvalid("align_identifiers_repeated", count=repeated)
    return Blinded(tokens, rows)


def dump_tokens(tokens: Tokens) -> bytes:
    """The tokens one after the other, `TOKEN_BYTES` each."""
    return tokens.tobytes()


def load_tokens(data: bytes, party: str) -> Tokens:
    """Inverse of `dump_tokens`, for a list received from `party`.

    Raises `MessageInvalid` when the length is no multiple of `TOKEN_BYTES`, or the tokens are repeated or
    unsorted (an unsorted list would tell the coordinator the order of the party's table).
    """
    if len(data) % TOKEN_BYTES:
        raise MessageInvalid("align_tokens_length", party=party, token_bytes=TOKEN_BYTES)
    tokens = np.frombuffer(data, _TOKEN_DTYPE)
    if (tokens[1:] < tokens[:-1]).any():
        raise MessageInvalid("align_tokens_unsorted", party=party)
    if (tokens[1:] == tokens[:-1]).any():
        raise MessageInvalid("align_tokens_repeated", party=party)
    return tokens


def intersect(token_lists: Sequence[Tokens]) -> list[Positions]:
    """Where the tokens that all lists share stand in each list, in the order of the tokens.

    token_lists: sorted and distinct, (n_i,) each. Returns one int64 array per list, all of the overlap's
    length.
    """
    shared = token_lists[0]
    for tokens in token_lists[1:]:
        small, large = (shared, tokens) if len(shared) <= len(tokens) else (tokens, shared)
        if not len(small):
            shared = small
            break
        places = np.minimum(np.searchsorted(large, small), len(large) - 1)
        shared = small[large[places] == small]
    return [np.searchsorted(tokens, shared).astype(np.int64, copy=False) for tokens in token_lists]


def subject_refs(key: bytes, tokens: Tokens) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(n, 16) uint8: a project's reference per subject, the same at all parties that hold `key`.

    HMAC of the token under HKDF-SHA256(key) (RFC 5869), so the coordinator, who has seen the tokens, cannot
    link them to the references, and references of two projects are unrelated.
    """
    reference_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=_REFERENCE_INFO).derive(key)
    raw = tokens.tobytes()
    each = (raw[start : start + TOKEN_BYTES] for start in range(0, len(raw), TOKEN_BYTES))
    joined = _hmac_all(reference_key, b"", each)
    return np.frombuffer(joined, np.uint8).reshape(len(tokens), TOKEN_BYTES)


def _hmac_all(key: bytes, prefix: bytes, messages: Iterable[bytes]) -> bytes:
    """HMAC-SHA256(key, prefix | message) of each message, cut to `TOKEN_BYTES`, one after the other.

    The hash states after the padded key are copied instead of computed again (RFC 2104, section 4), a third
    of the time of `hmac.digest`.
    """
    block = key.ljust(_SHA256_BLOCK_BYTES, b"\x00")
    inner_start = hashlib.sha256(bytes(byte ^ 0x36 for byte in block) + prefix).copy
    outer_start = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy
    joined = bytearray()
    for message in messages:
        inner = inner_start()
        inner.update(message)
        outer = outer_start()
        outer.update(inner.digest())
        joined += outer.digest()[:TOKEN_BYTES]
    return bytes(joined)


def _as_array(joined: bytes) -> Tokens:
    return np.frombuffer(joined, _TOKEN_DTYPE)
