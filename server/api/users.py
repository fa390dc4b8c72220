"""/users: the accounts of the coordinator. Whoever manages them sees no results, and changes nobody's own roles."""

from __future__ import annotations

import threading
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Request, Response
from msgspec import UNSET, UnsetType

from federation.access.people import Account
from federation.web.etags import JSON, canonical, must_match, reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Caller, Permission, Role
from server.api.bodies import body_of, made_once
from server.api.documenting import Document
from server.api.lists import page_of
from server.api.services import Services

UserName = Annotated[str, Path(pattern="^[a-z][a-z0-9_-]{0,39}$", examples=["ada"])]


class NewUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An account that comes in by a code first (`/users/{name}/code`), and then sets its password."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]{0,39}\Z")]
    roles: tuple[Role, ...]
    language: Annotated[str, msgspec.Meta(max_length=16)] = ""


class UserChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays as it is."""

    roles: tuple[Role, ...] | UnsetType = UNSET
    language: Annotated[str, msgspec.Meta(max_length=16)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class OneTimeCode(msgspec.Struct, frozen=True):
    """Good once, for a quarter of an hour; shown this once and kept nowhere."""

    code: str


def add_users(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    accounts, changing = services.access.accounts, threading.Lock()

    @api.get(
        "/users",
        tags=["users"],
        summary="All accounts",
        dependencies=[needs(Permission.USERS_READ)],
        **document.answers(Page[Account]),
    )
    def listed(request: Request, paging: Paging) -> Response:
        return page_of(request, paging, accounts.all(), lambda user: (user.name,), str)

    @api.post(
        "/users",
        tags=["users"],
        summary="Add an account",
        **document.answers(
            Account, status=201, once=True, body=NewUser, example={"name": "ada", "roles": ["modeller"]}
        ),
    )
    async def add(
        request: Request,
        caller: Annotated[Caller, needs(Permission.USERS_MANAGE)],
        wanted: Annotated[NewUser, body_of(NewUser)],
    ) -> Response:
        def work() -> Response:
            made = accounts.add(
                wanted.name, wanted.roles, by=caller.name, language=wanted.language, must_change=True
            )
            return Response(canonical(made), 201, media_type=JSON)

        return await made_once(request, services, caller, work)

    @api.get(
        "/users/{name}",
        tags=["users"],
        summary="One account",
        dependencies=[needs(Permission.USERS_READ)],
        **document.answers(Account, 404),
    )
    def get(request: Request, name: UserName) -> Response:
        return reply(request, accounts.get(name))

    @api.patch(
        "/users/{name}",
        tags=["users"],
        summary="Change roles or language, disable or enable",
        **document.answers(
            Account, 404, matched=True, body=UserChange, example={"roles": ["analyst"], "disabled": False}
        ),
    )
    def change(
        request: Request,
        name: UserName,
        caller: Annotated[Caller, needs(Permission.USERS_MANAGE)],
        wanted: Annotated[UserChange, body_of(UserChange)],
    ) -> Response:
        with changing:
            must_match(request, accounts.get(name))
            if wanted.roles is not UNSET:
                accounts.set_roles(name, wanted.roles, by=caller.name)
            if wanted.language is not UNSET:
                accounts.set_language(name, wanted.language, by=caller.name)
            if wanted.disabled is not UNSET:
                (accounts.disable if wanted.disabled else accounts.enable)(name, by=caller.name)
            return reply(request, accounts.get(name))

    @api.post(
        "/users/{name}/code",
        tags=["users"],
        summary="A code with which this user comes in once; an earlier one is void",
        **document.answers(OneTimeCode, 404, status=201),
    )
    def code(name: UserName, caller: Annotated[Caller, needs(Permission.USERS_MANAGE)]) -> Response:
        made = OneTimeCode(accounts.one_time(name, by=caller.name))
        return Response(canonical(made), 201, media_type=JSON)

    @api.post(
        "/users/{name}/end",
        tags=["users"],
        summary="End every login, token and code of this user",
        **document.answers(None, 404, status=204),
    )
    def end(name: UserName, caller: Annotated[Caller, needs(Permission.USERS_MANAGE)]) -> Response:
        accounts.end_all(name, by=caller.name)
        return Response(status_code=204)
