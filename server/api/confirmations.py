"""/confirmations: what waits for a second person. Which permission that takes stands in each; nobody else sees it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Request, Response

from federation.access.two_persons import Request as Asked
from federation.web.etags import reply
from federation.web.guard import needs_login
from privacy.access import Caller
from server.api.documenting import Document
from server.api.services import Services

Confirmation = Annotated[str, Path(pattern="^C-[A-Z2-7]{8}$", examples=["C-ABCDEFGH"])]
"""A request's number, in a path."""
_ANSWERERS: Final = needs_login("each request names its permission, and is there only for those who have it")


class Waiting(msgspec.Struct, frozen=True):
    """All that the caller may answer or, after a yes, use; the oldest first."""

    items: tuple[Asked, ...]


def add_confirmations(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    two = services.access.two_persons

    @api.get(
        "/confirmations",
        tags=["confirmations"],
        summary="What waits for me, or for a second person",
        **document.answers(Waiting),
    )
    def listed(request: Request, caller: Annotated[Caller, _ANSWERERS]) -> Response:
        return reply(request, Waiting(tuple(two.waiting(caller))))

    @api.get(
        "/confirmations/{number}",
        tags=["confirmations"],
        summary="One request",
        **document.answers(Asked, 404),
    )
    def get(request: Request, number: Confirmation, caller: Annotated[Caller, _ANSWERERS]) -> Response:
        return reply(request, two.get(caller, number))

    @api.post(
        "/confirmations/{number}/confirm",
        tags=["confirmations"],
        summary="Say yes, as the second person",
        **document.answers(Asked, 404, 409),
    )
    def confirm(request: Request, number: Confirmation, caller: Annotated[Caller, _ANSWERERS]) -> Response:
        return reply(request, two.confirm(caller, number))

    @api.post(
        "/confirmations/{number}/refuse",
        tags=["confirmations"],
        summary="Say no; or take back what one has asked for",
        **document.answers(Asked, 404, 409),
    )
    def refuse(request: Request, number: Confirmation, caller: Annotated[Caller, _ANSWERERS]) -> Response:
        return reply(request, two.refuse(caller, number))
