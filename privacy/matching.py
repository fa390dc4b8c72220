"""Keyed matching tokens: pseudonyms of identifiers that only holders of a project's key can compute.

Source. A token is AES-256-CMAC (NIST SP 800-38B) of kind | 0x00 | identifier, 128 bits, under a subkey that
HKDF-SHA256 (RFC 5869) derives from the project's key. Intersection of such tokens by an untrusted server: Kamara,
Mohassel, Raykova, Sadeghian 2014, "Scaling Private Set Intersection to Billion-Element Sets", section 3.
What it promises. Under a fresh key the tokens of a list are a pseudorandom function's values, so their sorted
order is a random permutation of the rows: a position in it tells nothing about the identifier behind it. With s
AES blocks in all messages, CMAC differs from a random function by about 4 s^2 / 2^128 (Iwata and Kurosawa 2003,
"Stronger Security Bounds for OMAC, TMAC, and XCBC"), which is below 2^-70 for 10^8 phones.
What it does not. Whoever holds both the key and another party's tokens can enumerate phone numbers. Times depend
on the lengths of the identifiers.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from privacy import joining
from privacy.cmac import BatchCmac
from privacy.errors import ConfigInvalid, CryptoError, IdentifierInvalid
from privacy.identifiers import Identifiers
from privacy.joining import Tokens
from privacy.parameters import TOKEN_BYTES

KEY_BYTES: Final = 32
REFERENCE_BYTES: Final = TOKEN_BYTES
"""Width of a subject reference: one CMAC value."""
_PROJECT_INFO: Final = b"silhouette matching key v1"
_TOKEN_INFO: Final = b"silhouette matching token v2"
_REFERENCE_INFO: Final = b"silhouette subject reference v2"


@dataclass(frozen=True, slots=True)
class Blinded:
    """One party's identifiers as tokens.

    tokens: (n, 2) sorted, distinct. rows: (n,) int64, the party's own row of each token; it stays with the
    party.
    """

    tokens: Tokens
    rows: NDArray[np.int64]


def new_key() -> bytes:
    """A fresh project key of `KEY_BYTES` random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def derived_key(master: bytes, stamps: Sequence[bytes]) -> bytes:
    """A project's key for these lists: the same for the same master and stamps, unrelated for any other.

    HKDF-SHA256 (RFC 5869). Raises `CryptoError` for a master of the wrong length.
    """
    return _subkey(master, _PROJECT_INFO + b"".join(stamps))


def kind_prefix(kind: str) -> bytes:
    """What every function of identifiers reads before the identifier, so that kinds are separate domains.

    Raises `ConfigInvalid` for a kind that is empty or holds a zero byte (it would not separate).
    """
    if not kind or "\x00" in kind:
        raise ConfigInvalid("align_kind_invalid")
    return kind.encode() + b"\x00"


def keyed_tokens(key: bytes, kind: str, identifiers: Identifiers) -> Tokens:
    """(n, 2): the token of each normalised identifier of one `kind` ("phone", ...), in the order of the rows.

    Raises `CryptoError` for a key of the wrong length, `ConfigInvalid` for an unusable kind.
    """
    prefix = kind_prefix(kind)
    return joining.tokens_of(BatchCmac(_subkey(key, _TOKEN_INFO)).digest(identifiers, prefix))


def blind(key: bytes, kind: str, identifiers: Identifiers) -> Blinded:
    """Sorted tokens of distinct identifiers, about 0.1 us each.

    Raises as `keyed_tokens`, and `IdentifierInvalid` when an identifier occurs twice.
    """
    return sorted_distinct(keyed_tokens(key, kind, identifiers))


def sorted_distinct(tokens: Tokens) -> Blinded:
    """One party's tokens, one per row, in the order in which they may leave it.

    Raises `IdentifierInvalid` when a token, and so its identifier, occurs twice.
    """
    ordered, rows = joining.sort(tokens)
    count = int(joining.repeats(ordered).sum())
    if count:
        raise IdentifierInvalid("align_identifiers_repeated", count=count)
    return Blinded(ordered, rows)


def subject_refs(key: bytes, tokens: Tokens) -> NDArray[np.uint8]:
    """(n, 16): a project's reference per subject, the same at all parties that hold `key`.

    CMAC of the token under another subkey, so the coordinator, who has seen the tokens, cannot link them to the
    references, and references of two projects are unrelated.
    """
    rows = np.frombuffer(joining.dump(tokens), np.uint8).reshape(-1, TOKEN_BYTES)
    return BatchCmac(_subkey(key, _REFERENCE_INFO)).digest_rows(rows)


def _subkey(key: bytes, info: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise CryptoError("align_key_length", expected=KEY_BYTES)
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)
