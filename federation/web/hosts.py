"""Under which names an edge on loopback answers.

A page of somebody else's can let its own name lead to this machine (DNS rebinding); browsers then take it for ours.
What gives it away is the name that they ask for. Beyond loopback TLS sees to that: no certificate of ours has another's
name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from federation.web.languages import language_of
from federation.web.problems import answer, named

_LOCAL: Final = "localhost"


class LoopbackHosts:
    """ASGI middleware that answers where it is asked for by a name of this machine, or by one of `names`."""

    def __init__(self, app: ASGIApp, names: Collection[str] = ()) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names if name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(Headers(scope=scope).get("host", "")):
            problem = named("forbidden", language=language_of(HTTPConnection(scope)))
            await answer(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether a name or an address is this machine's own."""
    try:
        return name == _LOCAL or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
