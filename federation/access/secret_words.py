"""Random secrets that are handed out once and stored as digests."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

SECRET_BYTES: Final = 32
"""256 random bits: a plain SHA-256 of them cannot be searched, so it needs no salt and no slow hash."""
CODE_BYTES: Final = 16
"""Of a code that lives for minutes and that people copy."""
ID_BYTES: Final = 16


def new_secret() -> str:
    """For a cookie or a token, in URL-safe base64."""
    return secrets.token_urlsafe(SECRET_BYTES)


def new_code() -> str:
    """For a login that is good once."""
    return secrets.token_urlsafe(CODE_BYTES)


def new_id() -> str:
    """A name for a login or a token that says nothing about its secret: 32 hexadecimal digits."""
    return secrets.token_hex(ID_BYTES)


def digest_of(secret: str) -> str:
    """What is stored instead: SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
