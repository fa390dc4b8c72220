"""The coordinator's one public port: Flower's Fleet API for SuperNodes, and the session relay. Nothing else.

SuperLink serves its Control, Fleet and Runtime APIs on one port without authentication of Control, so that port
stays on loopback; only the Fleet routes named in `FLEET_ROUTES` are forwarded to it, by exact name.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ssl
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any, Final

import httpx
import msgspec
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from federation.frames import MAX_FRAME_BYTES
from server.relay import Relay, RelayFull, RelayRefused

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
MAX_TOKENS_BYTES: Final = 1 << 20
"""What the driver may send to open a session: room for thousands of parties."""
MAX_BODY_SECONDS: Final = 120.0
MAX_WAIT_SECONDS: Final = 30.0
_HOP_BY_HOP: Final = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}
)


async def _body(request: Request, limit: int) -> bytes:
    """The request's body; 413 as soon as it passes `limit`, 408 when it takes longer than `MAX_BODY_SECONDS`."""
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise HTTPException(413)
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408) from None
    return b"".join(parts)


def bearer(authorization: Annotated[str, Header()] = "") -> str:
    """The request's bearer token, empty when there is none."""
    return authorization.removeprefix("Bearer ")


def create_app(superlink: str, trust: ssl.SSLContext, relay_secret: str) -> FastAPI:
    """The public application.

    superlink: base URL of the loopback SuperLink, whose certificate `trust` accepts; relay_secret: the driver's token.
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
        body = await _body(request, MAX_FLEET_BYTES)
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP]
        try:
            answer = await app.state.superlink.post(f"/v1/fleet/{route}", content=body, headers=headers)
        except httpx.TransportError:
            raise HTTPException(503) from None
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)

    @app.put("/relay/{session}", dependencies=[Depends(driver_only)])
    async def open_session(session: str, request: Request) -> None:
        # Not a parameter of the route: FastAPI would read the body before it has looked at the token.
        try:
            tokens = msgspec.json.decode(await _body(request, MAX_TOKENS_BYTES), type=dict[str, str])
        except (msgspec.MsgspecError, ValueError):
            raise HTTPException(422) from None
        relay.open(session, tokens)

    @app.delete("/relay/{session}", dependencies=[Depends(driver_only)])
    async def close_session(session: str) -> None:
        relay.close(session)

    @app.get("/relay/{session}/status", dependencies=[Depends(driver_only)])
    async def session_status(session: str) -> dict[str, Any]:
        return {party: asdict(status) for party, status in relay.status(session).items()}

    @app.post("/relay/{session}/{recipient}")
    async def send(
        session: str,
        recipient: str,
        request: Request,
        token: Annotated[str, Depends(bearer)],
        x_party: Annotated[str, Header()],
        x_number: Annotated[int, Header()],
    ) -> Response:
        try:
            relay.enter(session, x_party, token)  # before the body is read: a stranger uploads nothing
            relay.put(session, x_party, token, recipient, x_number, await _body(request, MAX_FRAME_BYTES))
        except RelayRefused:
            raise HTTPException(404) from None
        except RelayFull:
            raise HTTPException(507) from None
        return Response(status_code=204)

    @app.get("/relay/{session}")
    async def receive(
        session: str,
        token: Annotated[str, Depends(bearer)],
        x_party: Annotated[str, Header()],
        x_confirm: Annotated[int, Header()],
        x_state: Annotated[str, Header(max_length=200)],
        x_wait: Annotated[float, Header(ge=0, le=MAX_WAIT_SECONDS)],
    ) -> Response:
        try:
            item = await relay.take(session, x_party, token, x_confirm, x_state, x_wait)
        except RelayRefused:
            raise HTTPException(404) from None
        if item is None:
            return Response(status_code=204)
        return Response(item[1], media_type="application/octet-stream", headers={"x-number": str(item[0])})

    return app
