"""Entity tags: whether somebody has the newest of something, and whether they change what they have seen (RFC 9110, 8.8
and 13). Ours are strong: the hash of the body that is sent."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
from fastapi import Request, Response

from federation.web.refusing import RequestRefused

_TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e]*")')
_TAG_CHARACTERS: Final = 32
JSON: Final = "application/json"


def canonical(value: Any) -> bytes:
    """JSON that is the same for the same content: sorted keys, no spaces."""
    return msgspec.json.encode(value, order="deterministic")


def etag_of(body: bytes) -> str:
    """The tag of a body."""
    return f'"{hashlib.sha256(body).hexdigest()[:_TAG_CHARACTERS]}"'


def reply(request: Request, value: Any, status: int = 200) -> Response:
    """The value as JSON with its tag; without it, as 304, for whoever has it already."""
    body = canonical(value)
    headers = {"ETag": etag_of(body)}
    asked = request.headers.get("if-none-match")
    if asked is not None and request.method in {"GET", "HEAD"} and _names(asked, headers["ETag"], weak=True):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, JSON)


def must_match(request: Request, value: Any) -> None:
    """Returns when the caller changes what they have seen. value: as `reply` has given it.

    Raises `RequestRefused`: 428 without `If-Match` (RFC 6585), 412 when it has changed in between.
    """
    asked = request.headers.get("if-match")
    if asked is None:
        raise RequestRefused("precondition_missing", "header.if-match")
    if not _names(asked, etag_of(canonical(value)), weak=False):
        raise RequestRefused("precondition_failed", "header.if-match")


def _names(asked: str, etag: str, *, weak: bool) -> bool:
    """Whether a list of tags names ours. weak: a tag marked weak counts too (RFC 9110, 8.8.3.2)."""
    if asked.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in _TAG.findall(asked))
