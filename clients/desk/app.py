"""The desk's HTTP interface, for the data holder's own systems on the same machine.

POST /v1/consents            one word, or {"statements": [...]}
POST /v1/consents/withdraw   what is taken back: everything, unless a purpose is named
POST /v1/consents/status     what is held about subjects (article 45)
POST /v1/prompts             whether subjects may be asked for consent to a purpose now
POST /v1/restrictions        restrict processing (article 47), or lift a restriction
GET  /v1/status              whose desk this is, and the version of its store

Every call carries the bearer token of `clients.desk.desk_token`. What is answered holds as soon as it is answered: a
running job drops the subject before its next message. Identifiers are read from the body, used and forgotten: they
stand in no path, answer or log.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from clients.consents.changes import Changes
from clients.consents.node import changes_of
from clients.consents.prompts import ask
from clients.consents.tables import Source
from clients.desk.problems import DeskError, answer, problem_of
from clients.desk.requests import Prompting, Question, Restraint, Said, Told, Withdrawal, read
from clients.desk.serving import desk_token
from clients.home import NodeHome

MAX_BODY_BYTES: Final = 1 << 20
MAX_BODY_SECONDS: Final = 10.0

log = logging.getLogger("silhouette.desk")

Work = Callable[[bytes], dict[str, Any]]


def make_desk(home: NodeHome) -> FastAPI:
    """The application over one node's consent store."""
    changes, token = changes_of(home, Source.API), desk_token(home)
    app = FastAPI(
        title="Silhouette consent desk",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    desk = _Desk(changes, home)
    posts: dict[str, Work] = {
        "/v1/consents": desk.told,
        "/v1/consents/withdraw": desk.withdrawn,
        "/v1/consents/status": desk.asked,
        "/v1/prompts": desk.prompted,
        "/v1/restrictions": desk.restrained,
    }
    for path, work in posts.items():
        app.add_api_route(path, _handler(token, work), methods=["POST"])
    app.add_api_route("/v1/status", _handler(token, desk.status), methods=["GET"])

    @app.exception_handler(HTTPException)
    async def unknown(_request: Request, _problem: Exception) -> Response:
        return answer(problem_of(DeskError("not_found")))

    return app


class _Desk:
    """What each route does with the body of a request."""

    def __init__(self, changes: Changes, home: NodeHome) -> None:
        self._changes, self._home = changes, home

    def told(self, body: bytes) -> dict[str, Any]:
        """Every word of a call is checked before the first is stored."""
        plain = msgspec.json.decode(body)
        is_list = isinstance(plain, dict) and "statements" in plain
        said = read(body, Told).statements if is_list else (read(body, Said),)
        if any(one.granted and not one.affirmative_action for one in said):
            raise DeskError("no_action")
        checked = [
            (self._changes.identifiers(one.identifiers), self._changes.checked(one.statement)) for one in said
        ]
        version = self._changes.store.version
        for one, (identifiers, statement) in zip(said, checked, strict=True):
            version = self._changes.give(identifiers, [statement], one.capture)
        return {"version": version, "subjects": sum(len(one.identifiers) for one in said)}

    def withdrawn(self, body: bytes) -> dict[str, Any]:
        asked = read(body, Withdrawal)
        identifiers = self._changes.identifiers(asked.identifiers)
        version = self._changes.withdraw(identifiers, asked.purpose, asked.kind, asked.scope, asked.recipient)
        return {"version": version, "subjects": len(identifiers)}

    def asked(self, body: bytes) -> dict[str, Any]:
        return {"subjects": self._changes.held(read(body, Question).identifiers)}

    def prompted(self, body: bytes) -> dict[str, Any]:
        """In the order of the identifiers; whoever may be asked counts as asked."""
        asked = read(body, Prompting)
        return {"answers": ask(self._home, asked.identifiers, asked.purpose, Source.API)}

    def restrained(self, body: bytes) -> dict[str, Any]:
        asked = read(body, Restraint)
        identifiers = self._changes.identifiers(asked.identifiers)
        if asked.lift:
            version = self._changes.lift(identifiers, asked.reason)
        elif asked.reason is None:
            raise DeskError("malformed", "$.reason")
        else:
            version = self._changes.restrict(identifiers, asked.reason, asked.law, asked.review)
        return {"version": version, "subjects": len(identifiers)}

    def status(self, _body: bytes) -> dict[str, Any]:
        return {"party": self._home.settings.name, "version": self._changes.store.version}


def _handler(token: str, work: Work) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        try:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                raise DeskError("unauthorised")
            found = await run_in_threadpool(work, await _body(request))
            return Response(msgspec.json.encode(found), media_type="application/json")
        except Exception as error:
            problem = problem_of(error)
            if problem.code == "internal":
                # Its message or its frames may hold an identifier: the kind alone is logged.
                log.error("a request failed: %s", type(error).__name__)
            return answer(problem)

    return handle


async def _body(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(MAX_BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > MAX_BODY_BYTES:
                    raise DeskError("too_large")
                parts.append(part)
    except TimeoutError:
        raise DeskError("slow") from None
    return b"".join(parts)
