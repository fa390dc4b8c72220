"""How the desk takes a request of the data holder's own systems: its token, a body of bounded size, a plain answer."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from clients.desk.problems import DeskError, problem_of
from federation.web.problems import answer

MAX_BODY_BYTES: Final = 1 << 20
MAX_BODY_SECONDS: Final = 10.0

log = logging.getLogger("silhouette.desk")

Work = Callable[..., dict[str, Any]]
"""Takes the body, and by name what stands in the path."""


def handler(token: str, work: Work) -> Callable[[Request], Awaitable[Response]]:
    """A route for whoever has the token: what `work` makes of the body, or what cannot be done (RFC 9457)."""

    async def handle(request: Request) -> Response:
        try:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                raise DeskError("unauthorised")
            found = await run_in_threadpool(work, await body_of(request), **request.path_params)
            return Response(msgspec.json.encode(found), media_type="application/json")
        except Exception as error:
            problem = problem_of(error)
            if problem.code == "internal":
                # Its message or its frames may hold an identifier: the kind alone is logged.
                log.error("a request failed: %s", type(error).__name__)
            return answer(problem)

    return handle


async def body_of(request: Request, most: int | None = None) -> bytes:
    """The body of a request. most: bytes; None: `MAX_BODY_BYTES`. Raises `DeskError`."""
    limit = MAX_BODY_BYTES if most is None else most
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > limit:
                    raise DeskError("too_large")
                parts.append(part)
    except TimeoutError:
        raise DeskError("slow") from None
    return b"".join(parts)
