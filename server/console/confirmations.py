"""What waits for a second person, as far as the reader has a say in it."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from federation.access.two_persons import LIFE
from federation.web.guard import Current, needs
from privacy.access import Permission
from server.console.naming import PERMISSIONS
from server.console.services import Console


def add_confirmations(app: FastAPI, console: Console) -> None:
    """The routes. What somebody may answer is settled by the permission that each request is about."""
    pages, two_persons = console.pages, console.access.two_persons

    @app.get("/confirmations", dependencies=[needs(Permission.OVERVIEW_READ)])
    def confirmations(request: Request, caller: Current) -> Response:
        found = two_persons.waiting(caller)
        return pages.render(
            request,
            "server.console:confirmations.html.j2",
            others=[one for one in found if one.asker != caller.name and not one.answer],
            own=[one for one in found if one.asker == caller.name],
            names=PERMISSIONS,
            life=LIFE,
            taking={Permission.AUDIT_EXPORT: "/audit/export/"},
        )

    @app.post("/confirmations/{number}/yes", dependencies=[needs(Permission.OVERVIEW_READ)])
    def confirm(request: Request, number: str, caller: Current) -> Response:
        two_persons.confirm(caller, number)
        return pages.lead_on(request, "/confirmations", key="console.confirm.said_yes", number=number)

    @app.post("/confirmations/{number}/no", dependencies=[needs(Permission.OVERVIEW_READ)])
    def refuse(request: Request, number: str, caller: Current) -> Response:
        two_persons.refuse(caller, number)
        return pages.lead_on(request, "/confirmations", "note", "console.confirm.said_no", number=number)
