"""The session relay's routes on the coordinator's public port; `server.relay` holds the mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

import msgspec
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response

from federation.frames import MAX_FRAME_BYTES
from privacy.errors import MessageInvalid
from server.relay import Relay, RelayFull, RelayRefused, RelayStale

MAX_TOKENS_BYTES: Final = 1 << 20
"""What the driver may send to open a session: room for thousands of parties."""
BINDING_BYTES: Final = 32
MAX_BODY_SECONDS: Final = 120.0
MAX_WAIT_SECONDS: Final = 30.0


async def read_body(request: Request, limit: int) -> bytes:
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


def add_relay(
    app: FastAPI,
    relay: Relay,
    driver_only: Callable[[str], None],
    on_stale: Callable[[str, str], None],
) -> None:
    """Add the routes. driver_only: what refuses everybody but the driver; on_stale: see `server.web.create_app`."""

    @app.put("/relay/{session}", dependencies=[Depends(driver_only)])
    async def open_session(session: str, request: Request) -> None:
        # Not a parameter of the route: FastAPI would read the body before it has looked at the token.
        try:
            tokens = msgspec.json.decode(await read_body(request, MAX_TOKENS_BYTES), type=dict[str, str])
        except (msgspec.MsgspecError, ValueError):
            raise HTTPException(422) from None
        relay.open(session, tokens)

    @app.delete("/relay/{session}", dependencies=[Depends(driver_only)])
    async def close_session(session: str) -> None:
        relay.close(session)

    @app.get("/relay/{session}/status", dependencies=[Depends(driver_only)])
    async def session_status(session: str) -> dict[str, Any]:
        return {party: asdict(status) for party, status in relay.status(session).items()}

    @app.put("/relay/{session}/snapshot")
    async def attest(
        session: str,
        request: Request,
        token: Annotated[str, Depends(bearer)],
        x_party: Annotated[str, Header()],
    ) -> Response:
        try:
            relay.enter(session, x_party, token)
            binding = await read_body(request, BINDING_BYTES)
            if len(binding) != BINDING_BYTES:
                raise HTTPException(422)
            relay.attest(session, x_party, token, binding)
        except RelayRefused:
            raise HTTPException(404) from None
        return Response(status_code=204)

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
            relay.put(session, x_party, token, recipient, x_number, await read_body(request, MAX_FRAME_BYTES))
        except RelayRefused:
            raise HTTPException(404) from None
        except RelayStale as stale:
            if stale.is_first:
                await asyncio.to_thread(on_stale, session, x_party)
            raise HTTPException(409) from None
        except MessageInvalid:
            raise HTTPException(422) from None
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
