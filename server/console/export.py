"""The log as a bundle for an auditor: asked for by one person, confirmed by another, then taken once.

What is confirmed is the same as over the interface for programs: a request of one may be taken by the other.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import FastAPI, Request, Response

from federation.web.guard import needs
from federation.web.languages import language_of
from privacy.access import Caller, Permission
from privacy.texts import text
from server.api.audit_exports import what_of
from server.console.services import Console
from server.evidence import bundle

_EXPORT = Permission.AUDIT_EXPORT


def add_export(app: FastAPI, console: Console) -> None:
    """The routes."""

    @app.post("/audit/export")
    def ask(request: Request, caller: Annotated[Caller, needs(_EXPORT)]) -> Response:
        detail = text("console.export.detail", language=language_of(request), count=console.home.audit.size)
        number = console.access.two_persons.ask(caller, _EXPORT, what_of(console.home.audit), detail)
        return console.pages.lead_on(request, "/confirmations", "note", "console.export.asked", number=number)

    @app.post("/audit/export/{number}")
    def take(number: str, caller: Annotated[Caller, needs(_EXPORT)]) -> Response:
        console.access.two_persons.use(caller, number, _EXPORT, what_of(console.home.audit))
        name, content = bundle(console.home, caller.name)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, headers, "application/zip")
