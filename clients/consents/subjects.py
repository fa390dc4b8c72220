"""Who a subject is to the consent store: a keyed token, and a key of its own that can be destroyed.

token = CMAC(node key, kind | identifier): without the node's `vault.key` the database can neither be searched for a
phone number nor joined with another party's. subject key = CMAC(second node key, salt): all that an audit log or a
snapshot holds of a subject is made with it, so that destroying the salt leaves these entries in place and unlinkable.
Sources. AES-256-CMAC, NIST SP 800-38B; HMAC-SHA256, RFC 2104; SHA-256, FIPS 180-4. PIPL article 73 (3): tokens are
de-identified, not anonymous.
What it does not promise. Who has `vault.key` and the database can try all phone numbers. Two kinds of identifier of one
person are two subjects here.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from clients.tables.specs import TableSpec
from clients.vault import Vault
from privacy import joining
from privacy.cmac import BLOCK_BYTES, KEY_BYTES, BatchCmac
from privacy.identifiers import Identifiers

KEYS_RECORD: Final = "consents/keys"
SALT_BYTES: Final = 16
COMMITMENT_BYTES: Final = hashlib.sha256().digest_size
_SREF: Final = b"sref\0"
_COMMITMENT: Final = b"commit\0"
_AT_ONCE: Final = 2**16
"""Commitments that are small objects at the same time."""

SubjectKeys = NDArray[np.uint8]
"""(n, 16): one key per subject."""


def kind_label(spec: TableSpec) -> str:
    """What a table's identifiers are: a digest of a phone number is another identifier than the number."""
    return f"{spec.id_kind.value}/{spec.id_format.value}"


class SubjectSecrets:
    """The node's two keys, kept sealed in its vault. Refuses to be pickled; its `repr` shows no key."""

    def __init__(self, vault: Vault) -> None:
        both = vault.keep(KEYS_RECORD, secrets.token_bytes(2 * KEY_BYTES))
        self._token = BatchCmac(both[:KEY_BYTES])
        self._subject = BatchCmac(both[KEY_BYTES:])
        self._lock = threading.Lock()  # a cipher serves one thread at a time

    def __repr__(self) -> str:
        return "SubjectSecrets(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")

    def tokens(self, label: str, identifiers: Identifiers) -> joining.Tokens:
        """(n, 2): the token of every canonical identifier of one kind (`kind_label`)."""
        with self._lock:
            return joining.tokens_of(self._token.digest(identifiers, f"{label}|".encode()))

    def keys(self, salts: NDArray[np.uint8]) -> SubjectKeys:
        """(n, 16): each subject's own key from its (n, 16) salts."""
        with self._lock:
            return self._subject.digest_rows(salts)


def sref(key: bytes, project: str, epoch: int) -> str:
    """What an audit log calls a subject in one project and epoch, 64 hexadecimal digits (two projects: unlinkable)."""
    return hmac.digest(key, _SREF + project.encode() + b"\0" + epoch.to_bytes(8, "big"), "sha256").hex()


def commitments(keys: SubjectKeys, context: bytes) -> NDArray[np.uint8]:
    """(n, 32): SHA-256(domain | subject key | SHA-256(context)); the key is the opening.

    Every message is 55 bytes, so that none extends another, and fills one block of SHA-256: a million take 0.8 s.
    """
    about = hashlib.sha256(context).digest()
    sha256 = hashlib.sha256
    found = np.empty((len(keys), COMMITMENT_BYTES), np.uint8)
    for first in range(0, len(keys), _AT_ONCE):
        data = keys[first : first + _AT_ONCE].tobytes()
        starts = range(0, len(data), BLOCK_BYTES)
        digests = b"".join(
            [sha256(_COMMITMENT + data[start : start + BLOCK_BYTES] + about).digest() for start in starts]
        )
        found[first : first + _AT_ONCE] = np.frombuffer(digests, np.uint8).reshape(-1, COMMITMENT_BYTES)
    return found
