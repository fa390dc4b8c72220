"""The desk's pages as an application of their own, beside the routes for the holder's systems and for subjects.

It is its own because its limits, headers and permissions are others: the holder's systems call with one token and as
often as they like, and a subject's page has a policy of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import FastAPI, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from clients.desk.console.approvals import add_approvals
from clients.desk.console.audiences import add_audiences
from clients.desk.console.audit import add_audit
from clients.desk.console.confirmations import add_confirmations
from clients.desk.console.consents import add_consents
from clients.desk.console.filing import add_filing
from clients.desk.console.logins import add_logins
from clients.desk.console.overview import add_overview
from clients.desk.console.registering import add_registering
from clients.desk.console.requests import add_requests
from clients.desk.console.results import add_results
from clients.desk.console.rules import add_rules
from clients.desk.console.services import FIRST, LOGIN, Desk
from clients.desk.console.table import add_table
from clients.desk.console.users import add_users
from clients.home import NodeHome
from federation.web.edge import protect
from federation.web.guard import Guard, bearer_of
from federation.web.hosts import LoopbackHosts
from federation.web.limits import RateLimits
from federation.web.statics import PATH
from privacy.access import Caller, Permission

_OWN: Final = (FIRST, PATH)


def make_console(desk: Desk) -> FastAPI:
    """The pages. What has a fixed name comes before what takes a name from the address."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    guard = Guard(
        _authenticate(desk),
        desk.csrf,
        lambda caller, permission, path: desk.access.noting.denied(caller, permission, _artefact(path)),
        lambda caller, permission, path: _note(desk, caller, permission, path),
        RateLimits(),
        api=(),
        login=LOGIN,
    )
    protect(app, guard, secure=desk.cookies.secure, pages=desk.pages)
    desk.statics.add_to(app)
    for add in (
        add_logins,
        add_overview,
        add_approvals,
        add_registering,
        add_table,
        add_rules,
        add_consents,
        add_filing,
        add_requests,
        add_results,
        add_audiences,
        add_audit,
        add_confirmations,
        add_users,
    ):
        add(app, desk)
    return app


def add_console(app: FastAPI, home: NodeHome) -> None:
    """Put the pages of a node beside the other routes of its desk."""
    app.add_middleware(Beside, pages=LoopbackHosts(make_console(Desk.of(home))))


class Beside:
    """ASGI middleware that hands the desk's own addresses to its pages, and everything else on."""

    def __init__(self, app: ASGIApp, pages: ASGIApp) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        is_own = scope["type"] == "http" and (path.startswith(_OWN) or path == FIRST.rstrip("/"))
        await (self._pages if is_own else self._app)(scope, receive, send)


def _authenticate(desk: Desk) -> Callable[[Request], Caller | None]:
    def who(request: Request) -> Caller | None:
        if bearer_of(request):
            return desk.access.caller_of(bearer_of(request))
        secret = desk.cookies.session(request)
        return desk.access.logins.lookup(secret) if secret else None

    return who


def _note(desk: Desk, caller: Caller, permission: Permission, path: str) -> None:
    desk.access.noting.granted(caller, permission, _artefact(path))


def _artefact(path: str) -> str:
    """A path's template as the log can name it: no part of it comes from a request."""
    return path.strip("/").replace("{", "").replace("}", "")
