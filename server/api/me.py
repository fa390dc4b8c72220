"""/me: who one is here and what one may; one's own language and password."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request, Response

from federation.web.etags import reply
from federation.web.guard import needs_login
from privacy.access import Caller, Means, Permission, Role
from privacy.errors import AccessDenied
from server.api.bodies import body_of
from server.api.documenting import Document
from server.api.services import Services

_EVERYBODY: Final = needs_login("everybody may know what they are here, and change what is their own")


class Me(msgspec.Struct, frozen=True):
    """Who calls. csrf: what a browser's changes carry in the header `x-csrf`; empty for a token."""

    name: str
    roles: tuple[Role, ...]
    permissions: tuple[Permission, ...]
    means: Means
    language: str
    must_change: bool = False
    csrf: str = ""


class Password(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change of one's own password, proved by the present one; whoever came by a code leaves it out."""

    new: Annotated[str, msgspec.Meta(max_length=1024)]
    present: Annotated[str, msgspec.Meta(max_length=1024)] = ""


class Language(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In which language one is told things; "": the coordinator's."""

    language: Annotated[str, msgspec.Meta(max_length=16)]


def me_of(services: Services, caller: Caller) -> Me:
    """A caller as they are told of themselves."""
    csrf = services.csrf.token(caller.login) if caller.means is Means.LOGIN else ""
    return Me(
        name=caller.name,
        roles=tuple(sorted(caller.roles)),
        permissions=tuple(sorted(caller.permissions)),
        means=caller.means,
        language=caller.language,
        must_change=caller.granted is not None and not caller.granted,
        csrf=csrf,
    )


def add_me(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get("/me", tags=["me"], summary="Who I am and what I may", **document.answers(Me))
    def get(request: Request, caller: Annotated[Caller, _EVERYBODY]) -> Response:
        return reply(request, me_of(services, caller))

    @api.put(
        "/me/language",
        tags=["me"],
        summary="Be told things in another language",
        **document.answers(None, 404, status=204, body=Language, example={"language": "zh-CN"}),
    )
    def language(
        caller: Annotated[Caller, _EVERYBODY], wanted: Annotated[Language, body_of(Language)]
    ) -> Response:
        _check_account(caller)
        services.access.accounts.set_language(caller.name, wanted.language, by=caller.name)
        return Response(status_code=204)

    @api.put(
        "/me/password",
        tags=["me"],
        summary="Change my password; every login and token of mine ends",
        **document.answers(
            None, 404, status=204, body=Password, example={"present": "the old one", "new": "the new one"}
        ),
    )
    def password(
        caller: Annotated[Caller, _EVERYBODY], wanted: Annotated[Password, body_of(Password)]
    ) -> Response:
        _check_account(caller)
        services.access.change_password(caller, wanted.present, wanted.new)
        return Response(status_code=204)


def _check_account(caller: Caller) -> None:
    """Raises `AccessDenied` for whoever has no login: a token changes nobody's account."""
    if caller.means is not Means.LOGIN:
        raise AccessDenied("access_token_by_login")
