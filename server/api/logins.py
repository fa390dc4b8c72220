"""/logins: coming in with a name and a password, or a code that is good once, and leaving again."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from federation.access.logins import LIFE
from federation.web.etags import JSON, canonical
from federation.web.guard import needs_login, open_to_all
from federation.web.limits import address_of
from server.api.bodies import body_of
from server.api.documenting import Document
from server.api.me import Me, me_of
from server.api.services import Services


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either name and password, or a code alone."""

    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    password: Annotated[str, msgspec.Meta(max_length=1024)] = ""
    code: Annotated[str, msgspec.Meta(max_length=64)] = ""


def add_logins(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.post(
        "/logins",
        tags=["logins"],
        summary="Log in; the answer sets the cookie",
        dependencies=[
            open_to_all("before a login nobody has a permission"),
            Depends(services.logins.by_address),
        ],
        **document.answers(
            Me, status=201, body=Credentials, example={"name": "ada", "password": "a long one of her own"}
        ),
    )
    def log_in(request: Request, wanted: Annotated[Credentials, body_of(Credentials)]) -> Response:
        if wanted.code:
            secret, caller = services.access.log_in_once(wanted.code)
        else:
            secret, caller = services.access.log_in(wanted.name, wanted.password, address_of(request))
        response = Response(canonical(me_of(services, caller)), 201, media_type=JSON)
        services.cookies.give_session(response, secret, int(LIFE.total_seconds()))
        return response

    @api.delete(
        "/logins/current",
        tags=["logins"],
        summary="Log out",
        dependencies=[needs_login("everybody may leave")],
        **document.answers(None, status=204),
    )
    def log_out(request: Request) -> Response:
        services.access.logins.end(services.cookies.session(request))
        response = Response(status_code=204)
        services.cookies.end_session(response)
        return response
