"""Requests to the coordinator: with a token, decoded, tried again where that is safe.

Reads may always be tried again. What creates or starts something carries an idempotency key of our own making, so that
it is done once however often it arrives (draft-ietf-httpapi-idempotency-key-header-07), and may be tried again too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import httpx
import msgspec

from federation.client.answered import error_of
from privacy.errors import MessageInvalid, PeerDropped

PREFIX: Final = "/api/v1"
MAX_ANSWER_BYTES: Final = 64 << 20
"""Of one answer, so that no server fills a notebook's memory; a page has some hundred kilobytes."""
PAGE_ITEMS: Final = 200
"""The most that the coordinator gives at once."""
TRIES: Final = 5
FIRST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 30.0
"""We wait no longer than this between two tries, whatever `Retry-After` says."""
_LATER: Final = frozenset({429, 502, 503, 504})
_KEY_BYTES: Final = 24
_BEING_DONE: Final = 409

_Record = TypeVar("_Record")
_Item = TypeVar("_Item")
Query = Mapping[str, str | int | Sequence[str] | None]


class Page(msgspec.Struct, Generic[_Item], frozen=True):
    """Some items of a list. next: the cursor of the next page, "" on the last one."""

    items: list[_Item]
    next: str = ""


class Calls:
    """One coordinator, and who calls. http: with its base address; sleep: for tests.

    Every call raises an `Answered` for what the coordinator refuses, `PeerDropped` when it cannot be reached, and
    `MessageInvalid` for an answer that is none.
    """

    def __init__(
        self,
        http: httpx.Client,
        token: str,
        language: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.http, self._sleep = http, sleep
        self._headers = {"Accept": "application/json", "Accept-Language": language}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, kind: type[_Record], query: Query | None = None) -> _Record:
        """What is at a path. kind: the record that it is."""
        return _decoded(self.raw("GET", path, query=query), kind)

    def page(self, path: str, kind: type[_Item], query: Query | None = None) -> Page[_Item]:
        """One page of a list."""
        wanted = {"limit": PAGE_ITEMS, **(query or {})}
        found: Page[_Item] = self.get(path, Page[kind], wanted)  # type: ignore[valid-type]
        return found

    def pages(self, path: str, kind: type[_Item], query: Query | None = None) -> Iterator[_Item]:
        """The items of a list, page after page, as they are asked for."""
        cursor = ""
        while True:
            page = self.page(path, kind, {**(query or {}), "cursor": cursor})
            yield from page.items
            if not page.next:
                return
            cursor = page.next

    def post(self, path: str, kind: type[_Record], body: object = None) -> _Record:
        """Create or start something, once."""
        return _decoded(self.raw("POST", path, body=body, key=secrets.token_urlsafe(_KEY_BYTES)), kind)

    def ask(self, path: str, kind: type[_Record], body: object) -> _Record:
        """Ask something that takes a body and changes nothing."""
        return _decoded(self.raw("POST", path, body=body), kind)

    def delete(self, path: str) -> None:
        """Remove something. Done again it is not there: so it is asked once."""
        self.raw("DELETE", path, tries=1)

    def raw(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        key: str = "",
        tries: int = TRIES,
        prefix: str = PREFIX,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of an answer. path: behind the prefix; key: for idempotency; tries: how often at most."""
        sent = {**self._headers, **(headers or {}), **({"Idempotency-Key": key} if key else {})}
        content = b"" if body is None else msgspec.json.encode(body)
        if content:
            sent["Content-Type"] = "application/json"
        parameters = {name: value for name, value in (query or {}).items() if value not in (None, "", ())}
        for wait in _waits(tries):
            try:
                status, given, answer = self._send(method, prefix + path, parameters, sent, content)
            except httpx.TransportError:  # its words may name what is none of a reader's business
                if wait is None:
                    raise PeerDropped("client_unreachable", name=self.http.base_url.host) from None
                self._sleep(wait)
                continue
            if 200 <= status < 300:
                return answer
            is_busy = status in _LATER or (status == _BEING_DONE and given is not None)
            if wait is None or not is_busy:
                raise error_of(status, answer)
            self._sleep(min(max(wait, given or 0), LONGEST_WAIT_SECONDS))
        raise AssertionError  # the last try returns or raises

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], headers: Mapping[str, str], content: bytes
    ) -> tuple[int, float | None, bytes]:
        """Status, seconds until another try as the answer says, body."""
        parts, size = [], 0
        with self.http.stream(method, path, params=query, headers=headers, content=content) as response:
            for part in response.iter_bytes():
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise MessageInvalid("client_answer_large", limit=MAX_ANSWER_BYTES)
                parts.append(part)
            return response.status_code, _seconds_in(response), b"".join(parts)


def _waits(tries: int) -> Iterator[float | None]:
    """How long to wait after each try that fails; None: not any more."""
    for number in range(tries - 1):
        yield FIRST_WAIT_SECONDS * 2**number
    yield None


def _seconds_in(response: httpx.Response) -> float | None:
    """`Retry-After` in seconds; the coordinator sends no dates."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdecimal() else None


def _decoded(content: bytes, kind: type[_Record]) -> _Record:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("client_answer") from None
