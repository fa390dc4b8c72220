"""What routes are sent, as JSON; and what is done once though it comes twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from fastapi import Depends, Request, Response
from fastapi.concurrency import run_in_threadpool

from federation.web.etags import JSON
from federation.web.idempotency import once
from federation.web.refusing import RequestRefused
from privacy.access import Caller
from server.api.services import Services

_Record = TypeVar("_Record")


def body_of(kind: type[_Record]) -> Any:
    """A parameter's default: the request's body as this record. 415 for what is not JSON, 422 for another record."""

    async def read(request: Request) -> _Record:
        given = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
        if given != JSON:
            raise RequestRefused("media_type", "header.content-type")
        try:
            return msgspec.json.decode(await request.body(), type=kind)
        except UnicodeDecodeError:
            raise RequestRefused("malformed", "$") from None

    return Depends(read)


async def made_once(
    request: Request, services: Services, caller: Caller, work: Callable[[], Response]
) -> Response:
    """What `work` answers, in a thread; or has answered to the same request before (`Idempotency-Key`)."""

    async def run() -> Response:
        return await run_in_threadpool(work)

    return await once(request, services.kept, caller.name, run)
