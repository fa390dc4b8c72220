"""What every answer of an edge tells a browser: that nothing but its own files may run, and that nothing is kept.

Sources: CSP level 3, RFC 6797 (HSTS), the Fetch and HTML standards for the rest; OWASP Secure Headers for the choice.
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TRANSPORT: Final = "max-age=31536000"
"""A year. Only this host: its neighbours are others' business."""
KEPT_NOWHERE: Final = "no-store"
KEPT_FOR_GOOD: Final = "public, max-age=31536000, immutable"
"""For a static file under an address that names its content."""


class SecurityHeaders:
    """ASGI middleware, the outermost one. secure: whether browsers come by https.

    A page that sets one of these itself keeps it: the subject's page has a policy of its own.
    """

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"Strict-Transport-Security": TRANSPORT} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", KEPT_NOWHERE)
            await send(message)

        await self._app(scope, receive, adding)
