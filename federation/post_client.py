"""A party at the coordinator's post office and at its own ledger there: HTTPS with the roster's pinned certificate."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Any, Final, TypeVar

import httpx
import msgspec

from federation.post_messages import (
    MAX_ANSWER_BYTES,
    MAX_WAIT_SECONDS,
    MOST_LETTERS,
    LedgerEntries,
    LedgerHead,
    Mail,
)
from federation.post_requests import signed_headers
from federation.roster import Roster
from privacy.errors import MessageInvalid, PeerDropped, UnexpectedMessage
from privacy.sealing import Identity

_ANSWERS: Final = frozenset(
    {
        httpx.codes.CONFLICT,
        httpx.codes.INSUFFICIENT_STORAGE,
        httpx.codes.REQUEST_ENTITY_TOO_LARGE,
        httpx.codes.UNPROCESSABLE_ENTITY,
    }
)
"""Statuses that say something about what was put; any other failure is the coordinator's."""
_Answer = TypeVar("_Answer", Mail, LedgerEntries, LedgerHead)


class Put(Enum):
    """What became of what was put: the coordinator has it, has no room for it now, or will never take it."""

    TAKEN = "taken"
    LATER = "later"
    NEVER = "never"


class PostClient:
    """One party's calls. roster: names the coordinator, its certificate and its keys; http: another client, for tests.

    Every call raises `PeerDropped` when the coordinator cannot be reached or does not take it now, which may be tried
    again, and `MessageInvalid` for an answer that is none.
    """

    def __init__(
        self,
        roster: Roster,
        own: str,
        identity: Identity,
        *,
        http: httpx.Client | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._own, self._identity, self._coordinator, self._now = own, identity, roster.coordinator, now
        self._is_own = http is None
        self._http = http or httpx.Client(
            base_url=roster.url,
            verify=ssl.create_default_context(cadata=roster.certificate),
            timeout=httpx.Timeout(60.0, connect=10.0),
            trust_env=False,
        )

    def __enter__(self) -> PostClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections; another's client stays open."""
        if self._is_own:
            self._http.close()

    def put(self, recipient: str, letter: str, data: bytes) -> Put:
        """Hand a letter over, which may be done again."""
        return self._handed("PUT", f"/post/{recipient}/{letter}", data)

    def fetch(self, wait_seconds: int = 0, most: int = MOST_LETTERS) -> Mail:
        """The oldest letters to this party, and word of its own that came back; waits until there are any."""
        response = self._call("GET", f"/post?wait={min(wait_seconds, MAX_WAIT_SECONDS)}&most={most}")
        return _decoded(response, Mail)

    def confirm(self, letter: str) -> None:
        """Remove a letter, or the word of one that came back, for good."""
        self._call("DELETE", f"/post/{letter}")

    def refuse(self, letter: str) -> None:
        """Remove a letter that does not open; its sender gets word of it."""
        self._call("DELETE", f"/post/{letter}?refused=1")

    def put_entry(self, number: int, entry: bytes) -> None:
        """Append to this party's ledger; the same entry at the end may be sent again.

        Raises `UnexpectedMessage` when the ledger does not end just before that number.
        """
        response = self._call("PUT", f"/ledger/{number}", entry)
        if response.status_code == httpx.codes.INSUFFICIENT_STORAGE:
            raise PeerDropped("relay_refused", status=response.status_code)
        if not response.is_success:
            raise UnexpectedMessage("post_ledger_number", position=number)

    def entries(self, first: int) -> tuple[bytes, ...]:
        """Entries from number `first` (1 is the first) on, as many as one answer holds; none at the end."""
        return _decoded(self._call("GET", f"/ledger?from={first}"), LedgerEntries).entries

    def head(self) -> LedgerHead:
        """How long this party's ledger is there."""
        return _decoded(self._call("GET", "/ledger/head"), LedgerHead)

    def _handed(self, method: str, path: str, body: bytes) -> Put:
        response = self._call(method, path, body)
        if response.status_code == httpx.codes.INSUFFICIENT_STORAGE:
            return Put.LATER
        return Put.TAKEN if response.is_success else Put.NEVER

    def _call(self, method: str, path: str, body: bytes = b"") -> httpx.Response:
        headers = signed_headers(
            self._own, self._identity, self._coordinator, method, path, body, self._now()
        )
        try:
            with self._http.stream(method, path, headers=headers, content=body) as response:
                content = _read(response)
        except httpx.RequestError:
            raise PeerDropped("relay_unreachable") from None
        if not response.is_success and response.status_code not in _ANSWERS:
            raise PeerDropped("relay_refused", status=response.status_code)
        return httpx.Response(response.status_code, content=content)


def _read(response: httpx.Response) -> bytes:
    parts, size = [], 0
    for part in response.iter_raw():
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise MessageInvalid("post_answer")
        parts.append(part)
    return b"".join(parts)


def _decoded(response: httpx.Response, kind: type[_Answer]) -> _Answer:
    try:
        found: Any = msgspec.msgpack.decode(response.content, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise MessageInvalid("post_answer") from None
    answer: _Answer = found
    return answer
