"""Who may log in at this node's desk, and as what."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import FastAPI, Form, Request, Response

from clients.desk.console.services import Desk, word
from clients.desk.console.services import Form as Fields
from federation.web.guard import Current, needs
from privacy.access import Permission, Role

_LIST: Final = "/desk/users"
_ONE: Final = "/desk/users/{name}"


def add_users(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    accounts = desk.access.accounts

    def list_page(request: Request, name: str = "", code: str = "") -> Response:
        return desk.pages.render(
            request,
            "clients.desk.console:users.html.j2",
            users=accounts.all(),
            roles=[*Role],
            code_name=name,
            code=code,
        )

    @app.get(_LIST, dependencies=[needs(Permission.USERS_READ)])
    def users(request: Request) -> Response:
        return list_page(request)

    @app.post(_LIST, dependencies=[needs(Permission.USERS_MANAGE)])
    def add(request: Request, caller: Current, form: Fields) -> Response:
        name, roles = word(form, "name"), [str(role) for role in form.getlist("roles")]
        accounts.add(name, roles, by=caller.name, language=word(form, "language"), must_change=True)
        return list_page(request, name, accounts.one_time(name, by=caller.name))

    @app.get(_ONE, dependencies=[needs(Permission.USERS_READ)])
    def one(request: Request, name: str) -> Response:
        return desk.pages.render(
            request, "clients.desk.console:user.html.j2", user=accounts.get(name), roles=[*Role]
        )

    @app.post(_ONE + "/roles", dependencies=[needs(Permission.USERS_MANAGE)])
    def set_roles(request: Request, caller: Current, name: str, form: Fields) -> Response:
        accounts.set_roles(name, [str(role) for role in form.getlist("roles")], by=caller.name)
        return desk.pages.lead_on(request, _LIST, key="desk.users.changed", name=name)

    @app.post(_ONE + "/code", dependencies=[needs(Permission.USERS_MANAGE)])
    def code(request: Request, caller: Current, name: str) -> Response:
        return list_page(request, name, accounts.one_time(name, by=caller.name))

    @app.post(_ONE + "/state", dependencies=[needs(Permission.USERS_MANAGE)])
    def set_state(
        request: Request, caller: Current, name: str, state: Annotated[str, Form(max_length=10)]
    ) -> Response:
        change = accounts.enable if state == "active" else accounts.disable
        change(name, by=caller.name)
        return desk.pages.lead_on(request, _LIST, key="desk.users.changed", name=name)
