"""Server-sent events: what happens, as it happens, to a browser or a program that watches (HTML standard, 9.2).

A watch lasts no longer than the right to it: at each heartbeat it is looked who calls, by the same proof, and whether
they may still (`guard.still_may`). Who may not any more is told nothing further, and on coming back is refused.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

import anyio
import msgspec
from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Message, Receive, Scope, Send

from federation.web.guard import still_may
from federation.web.languages import language_of
from federation.web.problems import answer, named
from federation.web.refusing import RequestRefused

MOST_PER_CALLER: Final = 6
"""As many connections as a browser opens to one host over HTTP/1.1: more watches would keep its pages from loading."""
HEARTBEAT_SECONDS: Final = 15
SEND_SECONDS: Final = 30
"""A client that takes nothing for so long is gone."""
_LAST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")

# It would write every event into the log at its lowest level.
logging.getLogger("sse_starlette").setLevel(logging.WARNING)


class Event(NamedTuple):
    """One event. id: where to go on after a break; data: names, counts and states, as JSON."""

    id: str
    event: str
    data: Any


class Streams:
    """The watches that are open. most: of one caller."""

    def __init__(self, most: int = MOST_PER_CALLER) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def stream(
        self,
        request: Request,
        caller: str,
        events: AsyncGenerator[Event, None],
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> EventSourceResponse:
        """An answer that goes on until the events end or the client goes; 429 if the caller watches enough already."""
        return _Watch(self, request, caller, events, heartbeat)

    def enter(self, caller: str) -> bool:
        """Whether one more may be opened; it counts from now on."""
        if self._open[caller] >= self._most:
            return False
        self._open[caller] += 1
        return True

    def leave(self, caller: str) -> None:
        """One has ended."""
        self._open[caller] -= 1
        if not self._open[caller]:
            del self._open[caller]

    def count(self, caller: str) -> int:
        """How many a caller has open."""
        return self._open[caller]


def last_event_id(request: Request) -> str:
    """After which event a client wants to go on, or "". Raises `RequestRefused` for what cannot be an id of ours."""
    given = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
    if given and not _LAST_ID.fullmatch(given):
        raise RequestRefused("malformed", "header.last-event-id")
    return given


class _Watch(EventSourceResponse):
    """One stream; it counts while it runs, so one that is never begun takes nobody's place."""

    def __init__(
        self,
        streams: Streams,
        request: Request,
        caller: str,
        events: AsyncGenerator[Event, None],
        heartbeat: float,
    ) -> None:
        super().__init__(
            _encoded(events), ping=heartbeat, send_timeout=SEND_SECONDS, ping_message_factory=_beat
        )
        self._streams, self._caller, self._events = streams, caller, events
        self._request, self._heartbeat = request, heartbeat
        self._language = language_of(request)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._streams.enter(self._caller):
            await self._events.aclose()
            problem = named("too_many", language=self._language)
            await answer(problem, {"Retry-After": str(HEARTBEAT_SECONDS)})(scope, receive, send)
            return
        watching = _Watching(send)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._look_again, group.cancel_scope)
                await super().__call__(scope, receive, watching.send)
                group.cancel_scope.cancel()
            await watching.end()
        finally:
            self._streams.leave(self._caller)
            await self._events.aclose()

    async def _look_again(self, watch: anyio.CancelScope) -> None:
        while await still_may(self._request):
            await anyio.sleep(self._heartbeat)
        watch.cancel()


class _Watching:
    """What a client has been sent, so that an answer that is cut off ends as one should."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_open = False

    async def send(self, message: Message) -> None:
        """Hand a message on."""
        await self._send(message)
        self._is_open = message["type"] == "http.response.start" or bool(message.get("more_body"))

    async def end(self) -> None:
        """The last message, if it was not sent."""
        if self._is_open:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def _beat() -> ServerSentEvent:
    return ServerSentEvent(comment="")


async def _encoded(events: AsyncGenerator[Event, None]) -> AsyncGenerator[ServerSentEvent, None]:
    async for event in events:
        yield ServerSentEvent(msgspec.json.encode(event.data).decode(), id=event.id, event=event.event)
