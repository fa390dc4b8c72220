"""That a request which comes twice is done once (draft-ietf-httpapi-idempotency-key-header-07).

A caller sends `Idempotency-Key` with what creates or starts something. The same key with the same request gets the
first answer again; with another request it is refused; while the first is being worked on, the second has to wait.
What fails is forgotten, so that it can be tried again. For JSON bodies: a form is sent by a person, who sees the page.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from federation.web.refusing import RequestRefused

HEADER: Final = "idempotency-key"
REPLAYED: Final = "Idempotency-Replayed"
FIELD: Final = "header.idempotency-key"
KEPT_SECONDS: Final = 86_400
"""So long an answer is kept: a day."""
STUCK_SECONDS: Final = 300
"""After so long without an answer, whoever worked on it has ended without one, and the key is free."""
_KEY: Final = re.compile(r"[\x21-\x7e]{16,64}")
_FAILED: Final = 400
_CLAIM_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of a key. digest: of the request, in hexadecimal; status: 0 while it is being worked on."""

    digest: str
    status: int = 0
    media_type: str = ""
    body: bytes = b""


class Storage(Protocol):
    """Where keys and answers are kept. Called from several threads, and of several processes."""

    def begin(self, caller: str, key: str, digest: str, claim: str) -> Kept | None:
        """What is known of a caller's key; None when it was free and is now taken for this request, by nobody else.

        claim: random, names this attempt. Answers older than `KEPT_SECONDS`, and requests without one older than
        `STUCK_SECONDS`, are as if never there.
        """
        ...

    def finish(self, caller: str, key: str, kept: Kept, claim: str) -> None:
        """Keep the answer, unless the key is another attempt's by now."""
        ...

    def forget(self, caller: str, key: str, claim: str) -> None:
        """The request has failed: the key is free again, unless it is another attempt's by now."""
        ...


class MemoryStorage:
    """In this process's memory, until it ends: for tests."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[str, Kept]] = {}
        self._mutex = threading.Lock()

    def begin(self, caller: str, key: str, digest: str, claim: str) -> Kept | None:
        with self._mutex:
            if (caller, key) in self._kept:
                return self._kept[caller, key][1]
            self._kept[caller, key] = (claim, Kept(digest))
            return None

    def finish(self, caller: str, key: str, kept: Kept, claim: str) -> None:
        with self._mutex:
            if self._is_claimed(caller, key, claim):
                self._kept[caller, key] = (claim, kept)

    def forget(self, caller: str, key: str, claim: str) -> None:
        with self._mutex:
            if self._is_claimed(caller, key, claim):
                del self._kept[caller, key]

    def _is_claimed(self, caller: str, key: str, claim: str) -> bool:
        return (caller, key) in self._kept and self._kept[caller, key][0] == claim


async def once(
    request: Request, storage: Storage, caller: str, work: Callable[[], Awaitable[Response]]
) -> Response:
    """What `work` answers, or has answered to the same request before. Without a key it is simply done.

    Raises `RequestRefused` for a key that cannot be one, belongs to another request, or is being worked on.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return await work()
    if not _KEY.fullmatch(key):
        raise RequestRefused("malformed", FIELD)
    digest, claim = await _digest_of(request), secrets.token_hex(_CLAIM_BYTES)
    kept = await run_in_threadpool(storage.begin, caller, key, digest, claim)
    if kept is not None:
        return _again(kept, digest)
    try:
        response = await work()
    except BaseException:
        await run_in_threadpool(storage.forget, caller, key, claim)
        raise
    if response.status_code >= _FAILED:
        await run_in_threadpool(storage.forget, caller, key, claim)
        return response
    media_type = response.headers.get("content-type", "")
    done = Kept(digest, response.status_code, media_type, bytes(response.body))
    await run_in_threadpool(storage.finish, caller, key, done, claim)
    return response


def _again(kept: Kept, digest: str) -> Response:
    if kept.digest != digest:
        raise RequestRefused("key_reused", FIELD)
    if not kept.status:
        raise RequestRefused("in_progress", FIELD, {"Retry-After": "1"})
    headers = {REPLAYED: "true"} | ({"Content-Type": kept.media_type} if kept.media_type else {})
    return Response(kept.body, kept.status, headers)


async def _digest_of(request: Request) -> str:
    """SHA-256 over what is asked for: method, address and body."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return hashlib.sha256(asked + await request.body()).hexdigest()
