"""The desk on the coordinator's public port: nodes fetch proposals, and say what they say to them and of themselves.

Entered as the post office is (`server.post_callers`): a party of the roster that signs its request. What it brings
carries a second signature, which stays with the record and convinces an auditor too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated, Final, Protocol

from fastapi import FastAPI, HTTPException, Path, Query, Request, Response

from federation.post_messages import MAX_WAIT_SECONDS
from federation.post_requests import Claim
from federation.proposals import (
    MAX_PROPOSALS,
    MAX_WORD_BYTES,
    Proposal,
    Word,
    encode_proposals,
    open_word,
    version_of,
)
from federation.publications import MAX_PUBLICATION_BYTES, Noun, Publication, open_publication
from federation.signed_records import FRAME_BYTES
from privacy.errors import CryptoError, InputError, ProtocolError, StateConflict
from server.post_routes import Post
from server.relay_routes import read_body

LOOK_SECONDS: Final = 0.5
"""How often a waiting call looks for something new: the console is another process and cannot wake it."""
_NumberPath = Annotated[str, Path(pattern=r"^J-[A-Z2-7]{8}$")]
_DONE: Final = 204
_MSGPACK: Final = "application/msgpack"


class DeskService(Protocol):
    """What stands behind the routes. Called from several threads."""

    def proposals_for(self, party: str) -> Sequence[Proposal]:
        """The open jobs that this party takes part in, the oldest first, at most `MAX_PROPOSALS`."""
        ...

    def take_word(self, word: Word, signed: bytes) -> None:
        """Store a party's word on a proposal; the same bytes again change nothing.

        Raises `InputError` for a job that is not known, another digest than the job's and a party that has no part in
        it, and `StateConflict` for one that is over or has this party's word already.
        """
        ...

    def take_publication(self, noun: Noun, publication: Publication, signed: bytes) -> None:
        """Replace a party's list of a noun; the same bytes again change nothing.

        Raises `StateConflict` for a number that is not higher than that of the list which is there.
        """
        ...


def add_desk(app: FastAPI, post: Post, desk: DeskService) -> None:
    """Add the routes. Whoever is no party of the roster gets the answer of a path that does not exist."""

    @app.get("/desk/proposals")
    async def proposals(
        request: Request,
        wait: Annotated[int, Query(ge=0, le=MAX_WAIT_SECONDS)] = 0,
        known: Annotated[str, Query(pattern=r"^([0-9a-f]{64})?$")] = "",
    ) -> Response:
        claim = post.enter(request)
        await _body_of(request, claim, 0)
        until = time.monotonic() + wait
        found = await asyncio.to_thread(desk.proposals_for, claim.party)
        while known == version_of(found) and time.monotonic() < until:
            await asyncio.sleep(LOOK_SECONDS)
            found = await asyncio.to_thread(desk.proposals_for, claim.party)
        return Response(encode_proposals(found[:MAX_PROPOSALS]), media_type=_MSGPACK)

    @app.put("/desk/proposals/{number}/word")
    async def say(number: _NumberPath, request: Request) -> Response:
        claim = post.enter(request)  # before the body is read: a stranger uploads nothing
        signed = await _body_of(request, claim, MAX_WORD_BYTES + FRAME_BYTES)
        try:
            word = open_word(signed, claim.party, post.callers.known()[claim.party], post.callers.coordinator)
        except (ProtocolError, CryptoError):
            raise HTTPException(422) from None
        if word.number != number:
            raise HTTPException(422)
        try:
            await asyncio.to_thread(desk.take_word, word, signed)
        except InputError as error:
            raise _refusal(error) from None
        return Response(status_code=_DONE)

    @app.put("/desk/publications/{noun}")
    async def publish(noun: Noun, request: Request) -> Response:
        claim = post.enter(request)
        signed = await _body_of(request, claim, MAX_PUBLICATION_BYTES + FRAME_BYTES)
        identity, coordinator = post.callers.known()[claim.party], post.callers.coordinator
        try:
            publication = open_publication(signed, noun, claim.party, identity, coordinator)
        except (ProtocolError, CryptoError):
            raise HTTPException(422) from None
        try:
            await asyncio.to_thread(desk.take_publication, noun, publication, signed)
        except InputError as error:
            raise _refusal(error) from None
        return Response(status_code=_DONE)


def _refusal(error: InputError) -> HTTPException:
    return HTTPException(409 if isinstance(error, StateConflict) else 422)


async def _body_of(request: Request, claim: Claim, limit: int) -> bytes:
    body = await read_body(request, limit)
    if not claim.is_of(body):
        raise HTTPException(404)
    return body
