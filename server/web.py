"""The coordinator's one public port: Flower's Fleet API for SuperNodes, the session relay, post and desk. Nothing else.

SuperLink serves its Control, Fleet and Runtime APIs on one port without authentication of Control, so that port
stays on loopback; only the Fleet routes named in `FLEET_ROUTES` are forwarded to it, by exact name.
"""

from __future__ import annotations

import contextlib
import hmac
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Final

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from server.desk_routes import DeskService, add_desk
from server.post_routes import Post, add_post
from server.relay import Relay
from server.relay_routes import add_relay, bearer, read_body

FLEET_ROUTES: Final = frozenset(
    {
        "activate-node",
        "deactivate-node",
        "send-node-heartbeat",
        "pull-messages",
        "push-messages",
        "get-run",
        "get-fab",
        "push-object",
        "pull-object",
        "confirm-message-received",
    }
)
"""What an enrolled SuperNode calls. Self-registration is left out: parties enter through the roster."""

MAX_FLEET_BYTES: Final = 1 << 20
"""A SuperNode sends heartbeats and one short reply per job; all that is large goes through the relay."""
_HOP_BY_HOP: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}
)


def create_app(
    superlink: str,
    trust: ssl.SSLContext,
    relay_secret: str,
    on_stale: Callable[[str, str], None] = lambda session, party: None,
    post: Post | None = None,
    desk: DeskService | None = None,
) -> FastAPI:
    """The public application.

    superlink: base URL of the loopback SuperLink, whose certificate `trust` accepts; relay_secret: the driver's token;
    on_stale: told the session and the party whose message was refused because it rests on an older snapshot;
    post: the post office and the ledgers, where there are any; desk: what takes nodes' words on proposed jobs.
    """
    relay = Relay()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with httpx.AsyncClient(
            base_url=superlink, verify=trust, timeout=120, trust_env=False
        ) as client:
            app.state.superlink = client
            yield

    app = FastAPI(
        title="Silhouette coordinator",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )

    @app.exception_handler(RequestValidationError)
    async def say_nothing(_request: Request, _problem: Exception) -> Response:
        # Just as for a path that does not exist: a malformed request learns no more than a wrong token.
        return JSONResponse({"detail": "Not Found"}, 404)

    def driver_only(token: Annotated[str, Depends(bearer)]) -> None:
        if not hmac.compare_digest(token.encode(), relay_secret.encode()):
            raise HTTPException(404)

    @app.post("/v1/fleet/{route}")
    async def fleet(route: str, request: Request) -> Response:
        if route not in FLEET_ROUTES:
            raise HTTPException(404)
        body = await read_body(request, MAX_FLEET_BYTES)
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP]
        try:
            answer = await app.state.superlink.post(f"/v1/fleet/{route}", content=body, headers=headers)
        except httpx.TransportError:
            raise HTTPException(503) from None
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)

    add_relay(app, relay, driver_only, on_stale)
    if post is not None:
        add_post(app, post)
    if post is not None and desk is not None:
        add_desk(app, post, desk)
    return app
