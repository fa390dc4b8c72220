"""One's own tokens, with which programs come in. A token is shown once, on the answer that makes it."""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Form, Request, Response

from federation.access.tokens import LABEL_LENGTH, MOST_DAYS
from federation.web.guard import needs
from privacy.access import Caller, Permission
from server.console.naming import ROLES
from server.console.services import Console

_MANAGE = Permission.TOKENS_MANAGE
USUAL_DAYS = 90


def add_tokens(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages, own = console.pages, console.access.tokens

    def tokens_page(request: Request, caller: Caller, secret: str = "") -> Response:
        return pages.render(
            request,
            "server.console:tokens.html.j2",
            records=own.of(caller.name),
            roles=ROLES,
            held=sorted(caller.roles),
            secret=secret,
            usual_days=USUAL_DAYS,
            most_days=MOST_DAYS,
            longest=LABEL_LENGTH,
        )

    @app.get("/tokens")
    def tokens(request: Request, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        return tokens_page(request, caller)

    @app.post("/tokens")
    def issue(
        request: Request,
        caller: Annotated[Caller, needs(_MANAGE)],
        label: Annotated[str, Form(max_length=LABEL_LENGTH)],
        days: Annotated[int, Form(ge=1, le=MOST_DAYS)] = USUAL_DAYS,
        roles: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        _, secret = own.issue(caller, label, roles or [], days)
        return tokens_page(request, caller, secret)

    @app.post("/tokens/{name}/revoke")
    def revoke(request: Request, name: str, caller: Annotated[Caller, needs(_MANAGE)]) -> Response:
        own.revoke(caller, name)
        return pages.lead_on(request, "/tokens", "note", "console.tokens.revoked")
