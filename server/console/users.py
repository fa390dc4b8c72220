"""Who may come in, as what. No password is ever typed for somebody else: a new user comes in by a code, once."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Form, Request, Response

from federation.access.people import Account
from federation.web.guard import needs
from privacy.access import Caller, Permission, Role
from privacy.texts import LANGUAGES
from server.console.naming import ROLES
from server.console.services import Console

_MANAGE = Permission.USERS_MANAGE
_Roles = Annotated[list[str] | None, Form()]


def add_users(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages, accounts = console.pages, console.access.accounts

    def user_page(request: Request, account: Account, code: str = "") -> Response:
        return pages.render(
            request, "server.console:user.html.j2", account=account, roles=ROLES, every=list(Role), code=code
        )

    @app.get("/users", dependencies=[needs(Permission.USERS_READ)])
    def users(request: Request) -> Response:
        return pages.render(
            request,
            "server.console:users.html.j2",
            accounts=accounts.all(),
            roles=ROLES,
            every=list(Role),
            languages_known=LANGUAGES,
        )

    @app.post("/users")
    def add(
        request: Request,
        caller: Annotated[Caller, needs(_MANAGE)],
        name: Annotated[str, Form(max_length=60)],
        roles: _Roles = None,
        language: Annotated[str, Form(max_length=10)] = "",
    ) -> Response:
        account = accounts.add(name, roles or [], by=caller.name, language=language, must_change=True)
        # Shown on the answer itself: a code has no place in a cookie or an address.
        return user_page(request, account, accounts.one_time(account.name, by=caller.name))

    @app.get("/users/{name}", dependencies=[needs(Permission.USERS_READ)])
    def user(request: Request, name: str) -> Response:
        return user_page(request, accounts.get(name))

    @app.post("/users/{name}/roles")
    def set_roles(
        request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)], roles: _Roles = None
    ) -> Response:
        accounts.set_roles(name, roles or [], by=caller.name)
        return pages.lead_on(request, f"/users/{name}", key="console.users.roles_set", name=name)

    @app.post("/users/{name}/code")
    def code(request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        return user_page(request, accounts.get(name), accounts.one_time(name, by=caller.name))

    @app.post("/users/{name}/disable")
    def disable(request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        accounts.disable(name, by=caller.name)
        return pages.lead_on(request, f"/users/{name}", "note", "console.users.disabled", name=name)

    @app.post("/users/{name}/enable")
    def enable(request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        accounts.enable(name, by=caller.name)
        return pages.lead_on(request, f"/users/{name}", key="console.users.enabled", name=name)

    @app.post("/users/{name}/end")
    def end(request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        accounts.end_all(name, by=caller.name)
        return pages.lead_on(request, f"/users/{name}", "note", "console.users.ended", name=name)
