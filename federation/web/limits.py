"""How much and how often: bytes of a body, seconds until it is there, requests of a caller or an address.

Rate limits are counted in this process's memory: an edge's pages are one process. Moving windows, so that no burst
at the turn of a minute is twice as large. Headers: draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.web.languages import language_of
from federation.web.problems import answer, named
from federation.web.refusing import BodyBroken, RequestRefused

MAX_BODY_BYTES: Final = 1 << 20
MAX_BODY_SECONDS: Final = 30.0
_STATE: Final = "rate"
_NETWORK_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    name: str
    requests: int
    seconds: int


PER_CALLER: Final = Rate("caller", 600, 60)
"""Of somebody who has proved who they are; a page and its live parts take about one in two seconds."""
PER_ADDRESS: Final = Rate("address", 3_000, 60)
"""Of one address, behind which a whole department may sit."""
LOGINS: Final = Rate("login", 20, 60)
"""Of one address at the login: a password costs this machine a tenth of a second."""


class RateLimits:
    """Counts, on the event loop. rate: how often one caller may come; `clock`: seconds that only grow.

    Own code: the memory storage of the library `limits` starts a thread for nearly every request, to forget old ones,
    and the loop waits until it runs: half of the time that a page took under load.
    """

    def __init__(self, rate: Rate = PER_CALLER, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._moments: dict[str, deque[float]] = {}
        self._sweep_at = clock() + rate.seconds

    def check(self, request: HTTPConnection, who: str) -> None:
        """Count a request. Raises `RequestRefused` when it is one too many; that one does not count."""
        now = self._clock()
        moments = self._moments_of(who, now)
        is_allowed = len(moments) < self._rate.requests
        if is_allowed:
            moments.append(now)
        seconds = max(1, math.ceil(moments[0] + self._rate.seconds - now))
        found = {
            "RateLimit-Policy": f'"{self._rate.name}";q={self._rate.requests};w={self._rate.seconds}',
            "RateLimit": f'"{self._rate.name}";r={self._rate.requests - len(moments)};t={seconds}',
        }
        request.scope.setdefault("state", {})[_STATE] = found
        if not is_allowed:
            raise RequestRefused("too_many", headers={"Retry-After": str(seconds)})

    def _moments_of(self, who: str, now: float) -> deque[float]:
        """When somebody came within the window, the longest ago first."""
        oldest = now - self._rate.seconds
        if now >= self._sweep_at:  # those who came once would be remembered for good
            self._sweep_at = now + self._rate.seconds
            self._moments = {key: kept for key, kept in self._moments.items() if kept[-1] > oldest}
        moments = self._moments.setdefault(who, deque())
        while moments and moments[0] <= oldest:
            moments.popleft()
        return moments

    async def by_address(self, request: Request) -> None:
        """A dependency: count a request by the address that it comes from."""
        self.check(request, address_of(request))


def address_of(request: HTTPConnection) -> str:
    """Where a request comes from, as the server sees it: what a proxy says of it is the server's setting.

    Of IPv6 the first 64 bits: whoever has one address there has all of its network (RFC 6177).
    """
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), _NETWORK_BITS), strict=False))


class RateHeaders:
    """ASGI middleware that counts by address, and tells callers how much they have left."""

    def __init__(self, app: ASGIApp, rates: RateLimits | None = None) -> None:
        self._app = app
        self._rates = rates or RateLimits(PER_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope["state"].get(_STATE, {}))
            await send(message)

        connection = HTTPConnection(scope)
        try:
            self._rates.check(connection, address_of(connection))
        except RequestRefused as refused:
            problem = named(refused.code, language=language_of(connection))
            await answer(problem, refused.headers)(scope, receive, adding)
            return
        await self._app(scope, receive, adding)


class BodyLimit:
    """ASGI middleware: no body is larger or slower than its path allows, whatever its headers say.

    most_by_prefix: bytes, by the beginning of the path, the longest that fits; `most`: everywhere else.
    """

    def __init__(
        self,
        app: ASGIApp,
        most_by_prefix: Mapping[str, int] | None = None,
        most: int = MAX_BODY_BYTES,
        seconds: float = MAX_BODY_SECONDS,
    ) -> None:
        self._app, self._most, self._seconds = app, most, seconds
        self._by_prefix = sorted((most_by_prefix or {}).items(), key=lambda item: -len(item[0]))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._most_of(scope["path"]), self._seconds)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > body.most:
            body.refusal = "too_large"
        is_started = False

        async def guarded(message: Message) -> None:
            nonlocal is_started
            # Whatever the application makes of a body that broke off, it is not its answer that is sent.
            if not body.refusal or is_started:
                is_started = True
                await send(message)

        if not body.refusal:
            with contextlib.suppress(BodyBroken):
                await self._app(scope, body.receive, guarded)
        if body.refusal and not is_started:
            problem = named(body.refusal, language=language_of(HTTPConnection(scope)))
            await answer(problem, {"Connection": "close"})(scope, receive, send)

    def _most_of(self, path: str) -> int:
        return next((most for prefix, most in self._by_prefix if path.startswith(prefix)), self._most)


class _Body:
    """A body on its way in."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive = receive
        self.most, self.refusal = most, ""
        self._size, self._is_whole = 0, False
        self._until = asyncio.get_running_loop().time() + seconds

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        if self.refusal:
            raise BodyBroken
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refusal = "slow"
            raise BodyBroken from None
        self._size += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if self._size > self.most:
            self.refusal, self._is_whole = "too_large", False
            raise BodyBroken
        return message
