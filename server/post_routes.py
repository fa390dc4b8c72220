"""The post office's and the ledgers' routes on the coordinator's public port. Callers prove who they are first."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from federation.post_messages import (
    MAX_ENTRY_BYTES,
    MAX_LETTER_BYTES,
    MAX_WAIT_SECONDS,
    MOST_LETTERS,
    Mail,
)
from federation.post_requests import Claim
from federation.roster_file import RosterFile
from server.home import CoordinatorHome
from server.post import PostFull, PostOffice, PostRefused
from server.post_callers import CallerRefused, Callers, CallerTooBusy
from server.post_ledger import LAST_NUMBER, LedgerFull, LedgerGap, LedgerShelf
from server.relay_routes import read_body

_Letter = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
_Number = Annotated[int, Path(ge=1, le=LAST_NUMBER)]
_DONE: Final = 204
_MSGPACK: Final = "application/msgpack"


@dataclass(frozen=True, slots=True)
class Post:
    """What the routes work on."""

    office: PostOffice
    shelf: LedgerShelf
    callers: Callers

    @classmethod
    def of(cls, home: CoordinatorHome) -> Post:
        """A coordinator's, with whoever is in its roster."""
        return cls(home.post, home.ledgers, Callers(RosterFile(home.roster_file)))

    def enter(self, request: Request) -> Claim:
        """What the caller has proved. Anybody else gets 404 (see `server.post_callers`)."""
        query = f"?{request.url.query}" if request.url.query else ""
        try:
            return self.callers.enter(request.method, request.url.path + query, request.headers)
        except CallerRefused:
            raise HTTPException(404) from None
        except CallerTooBusy:
            raise HTTPException(429) from None


class _Waiting:
    """Who waits for a letter, to be woken when one comes."""

    def __init__(self) -> None:
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, party: str) -> None:
        self._arrived.pop(party, asyncio.Event()).set()

    def next(self, party: str) -> asyncio.Event:
        return self._arrived[party]


def add_post(app: FastAPI, post: Post) -> None:
    """Add the routes. Whoever is no party of the roster gets the answer of a path that does not exist."""
    _add_letters(app, post)
    _add_ledgers(app, post)


def _add_letters(app: FastAPI, post: Post) -> None:
    waiting = _Waiting()

    @app.put("/post/{recipient}/{letter}")
    async def put(recipient: str, letter: _Letter, request: Request) -> Response:
        claim = post.enter(request)  # before the body is read: a stranger uploads nothing
        if recipient not in post.callers.known() or recipient == claim.party:
            raise HTTPException(422)
        data = await _body_of(request, claim, MAX_LETTER_BYTES)
        try:
            await asyncio.to_thread(post.office.put, claim.party, recipient, letter, data)
        except PostRefused:
            raise HTTPException(409) from None
        except PostFull:
            raise HTTPException(507) from None
        waiting.wake(recipient)
        return Response(status_code=_DONE)

    @app.get("/post")
    async def fetch(
        request: Request,
        wait: Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS)] = 0,
        most: Annotated[int, Query(ge=1, le=MOST_LETTERS)] = 1,
    ) -> Response:
        party = await _entered(post, request)
        arrived = waiting.next(party)  # before looking: what comes in between is not missed
        mail = await asyncio.to_thread(post.office.mail, party, most)
        if mail == Mail() and wait:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), wait)
            mail = await asyncio.to_thread(post.office.mail, party, most)
        return _answer(mail)

    @app.delete("/post/{letter}")
    async def remove(
        letter: _Letter, request: Request, refused: Annotated[int, Query(ge=0, le=1)] = 0
    ) -> Response:
        party = await _entered(post, request)
        await asyncio.to_thread(post.office.give_back if refused else post.office.remove, party, letter)
        return Response(status_code=_DONE)


def _add_ledgers(app: FastAPI, post: Post) -> None:
    @app.put("/ledger/{number}")
    async def append(number: _Number, request: Request) -> Response:
        claim = post.enter(request)
        entry = await _body_of(request, claim, MAX_ENTRY_BYTES)
        try:
            await asyncio.to_thread(post.shelf.append, claim.party, number, entry)
        except LedgerGap:
            raise HTTPException(409) from None
        except LedgerFull:
            raise HTTPException(507) from None
        return Response(status_code=_DONE)

    @app.get("/ledger")
    async def entries(
        request: Request, first: Annotated[int, Query(alias="from", ge=1, le=LAST_NUMBER)] = 1
    ) -> Response:
        party = await _entered(post, request)
        return _answer(await asyncio.to_thread(post.shelf.entries, party, first))

    @app.get("/ledger/head")
    async def head(request: Request) -> Response:
        party = await _entered(post, request)
        return _answer(await asyncio.to_thread(post.shelf.head, party))


async def _entered(post: Post, request: Request) -> str:
    """Who calls, with a request that has no body."""
    claim = post.enter(request)
    await _body_of(request, claim, 0)
    return claim.party


async def _body_of(request: Request, claim: Claim, limit: int) -> bytes:
    body = await read_body(request, limit)
    if not claim.is_of(body):
        raise HTTPException(404)
    return body


def _answer(record: msgspec.Struct) -> Response:
    return Response(msgspec.msgpack.encode(record), media_type=_MSGPACK)
