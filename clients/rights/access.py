"""Codes with which a subject looks at one case of its own, later and without a login: its state, and its receipt.

A code is given once, when the request is filed; the node keeps a salted digest. A code opens nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import Final

import msgspec

from clients.home import NodeHome
from privacy.errors import Denied
from privacy.reasons import Finding, Reason
from privacy.rights import CaseNumber

ACCESS: Final = "rights/access/"
KEPT_DAYS: Final = 400
MOST_TRIES: Final = 10
"""Wrong ones of a case; then its code opens nothing any more."""
_ALPHABET: Final = "23456789abcdefghjkmnpqrstuvwxyz"
"""Without characters that are taken for others."""
_LENGTH: Final = 12
_SALT_BYTES: Final = 16


class _Code(msgspec.Struct, frozen=True):
    salt: bytes
    digest: bytes
    tries: int = 0


_lock = threading.Lock()


def give(home: NodeHome, case: CaseNumber) -> str:
    """A new code for a case, in place of the one before: 12 characters, of which no two cases have the same."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    salt = secrets.token_bytes(_SALT_BYTES)
    _put(home, case, _Code(salt, _digest(salt, code)))
    return code


def check(home: NodeHome, case: str, code: str) -> None:
    """Raises `Denied` with R-IDENTITY-UNVERIFIED for a wrong code and for a case that there is not: the same answer."""
    refused = Denied.of([Finding(Reason.IDENTITY_UNVERIFIED)])
    with _lock:
        try:
            data = home.vault.get(ACCESS + case)
        except Denied:
            data = None
        if data is None:
            raise refused
        kept = msgspec.msgpack.decode(data, type=_Code)
        if kept.tries >= MOST_TRIES:
            raise refused
        if not hmac.compare_digest(kept.digest, _digest(kept.salt, "".join(code.lower().split()))):
            _put(home, case, msgspec.structs.replace(kept, tries=kept.tries + 1))
            raise refused


def _put(home: NodeHome, case: CaseNumber, code: _Code) -> None:
    home.vault.put(ACCESS + case, msgspec.msgpack.encode(code), days=KEPT_DAYS)


def _digest(salt: bytes, code: str) -> bytes:
    return hashlib.sha256(salt + code.encode()).digest()
