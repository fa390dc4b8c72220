"""/tokens: one's own, for programs that act in one's name with no more than one's roles."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response

from federation.access.tokens import LABEL_LENGTH, MOST_DAYS, TokenRecord
from federation.web.etags import JSON, canonical, reply
from federation.web.guard import needs
from privacy.access import Caller, Permission, Role
from server.api.bodies import body_of
from server.api.documenting import Document
from server.api.services import Services

_Id = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class NewToken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """label: for oneself; roles: some of one's own."""

    label: Annotated[str, msgspec.Meta(min_length=1, max_length=LABEL_LENGTH)]
    roles: tuple[Role, ...]
    days: Annotated[int, msgspec.Meta(ge=1, le=MOST_DAYS)] = 90


class OwnTokens(msgspec.Struct, frozen=True):
    """Those that still hold, the newest first."""

    items: tuple[TokenRecord, ...]


class IssuedToken(msgspec.Struct, frozen=True):
    """token: shown this once; only its hash is kept."""

    record: TokenRecord
    token: str


def add_tokens(api: APIRouter, services: Services, document: Document) -> None:
    """The routes. No `Idempotency-Key`: an answer that is kept would hold the token."""
    tokens = services.access.tokens

    @api.get("/tokens", tags=["tokens"], summary="My tokens", **document.answers(OwnTokens))
    def listed(request: Request, caller: Annotated[Caller, needs(Permission.TOKENS_MANAGE)]) -> Response:
        return reply(request, OwnTokens(tuple(tokens.of(caller.name))))

    @api.post(
        "/tokens",
        tags=["tokens"],
        summary="A new token of mine; only a login gets one",
        **document.answers(
            IssuedToken,
            status=201,
            body=NewToken,
            example={"label": "notebook", "roles": ["modeller"], "days": 30},
        ),
    )
    def issue(
        caller: Annotated[Caller, needs(Permission.TOKENS_MANAGE)],
        wanted: Annotated[NewToken, body_of(NewToken)],
    ) -> Response:
        record, secret = tokens.issue(caller, wanted.label, wanted.roles, wanted.days)
        return Response(canonical(IssuedToken(record, secret)), 201, media_type=JSON)

    @api.delete(
        "/tokens/{number}",
        tags=["tokens"],
        summary="End one of my tokens",
        **document.answers(None, 404, status=204),
    )
    def revoke(number: _Id, caller: Annotated[Caller, needs(Permission.TOKENS_MANAGE)]) -> Response:
        tokens.revoke(caller, number)
        return Response(status_code=204)
