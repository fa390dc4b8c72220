"""What HTTP itself has against a request. What a rule of ours has against it is a `privacy.errors.SilhouetteError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATUS: Final[Mapping[str, int]] = {
    "unauthorised": 401,
    "forbidden": 403,
    "csrf": 403,
    "not_found": 404,
    "method": 405,
    "slow": 408,
    "conflict": 409,
    "in_progress": 409,
    "precondition_failed": 412,
    "too_large": 413,
    "media_type": 415,
    "malformed": 422,
    "key_reused": 422,
    "precondition_missing": 428,
    "too_many": 429,
    "internal": 500,
    "unavailable": 503,
}
"""The codes, each with its status (RFC 9110, 6585; `key_reused`: draft-ietf-httpapi-idempotency-key-header)."""


class RequestRefused(Exception):
    """A request that is refused before anything is done. code: a key of `STATUS`; field: of the request.

    headers: what the answer says besides, such as when to come again.
    """

    def __init__(self, code: str, field: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.code, self.field, self.headers = code, field, dict(headers or {})


class BodyBroken(Exception):
    """A body is too large or too slow, and is not read on. The limit that broke it off answers (`limits.BodyLimit`)."""
