"""What waits for a second person at this node: confirming it, or saying no."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request, Response

from clients.desk.console.second_person import CONFIRMATIONS
from clients.desk.console.services import Desk
from federation.web.guard import Current, needs
from privacy.access import Permission

_WHERE: Final = {
    Permission.AUDIT_EXPORT: "/desk/audit",
    Permission.AUDIENCES_EXPORT: "/desk/audiences",
    Permission.MODELS_RELEASE: "/desk/models",
    Permission.RESULTS_DECRYPT: "/desk/results",
}
"""On which page the asker then does it."""


def add_confirmations(app: FastAPI, desk: Desk) -> None:
    """The routes. Who may confirm what is for `federation.access.two_persons` to say."""
    second = desk.access.two_persons

    @app.get(CONFIRMATIONS, dependencies=[needs(Permission.OVERVIEW_READ)])
    def list_page(request: Request, caller: Current) -> Response:
        return desk.pages.render(
            request,
            "clients.desk.console:confirmations.html.j2",
            waiting=second.waiting(caller),
            where=_WHERE,
        )

    @app.post(CONFIRMATIONS + "/{number}/yes", dependencies=[needs(Permission.OVERVIEW_READ)])
    def yes(request: Request, caller: Current, number: str) -> Response:
        second.confirm(caller, number)
        return desk.pages.lead_on(request, CONFIRMATIONS, key="desk.second.confirmed", number=number)

    @app.post(CONFIRMATIONS + "/{number}/no", dependencies=[needs(Permission.OVERVIEW_READ)])
    def no(request: Request, caller: Current, number: str) -> Response:
        second.refuse(caller, number)
        return desk.pages.lead_on(request, CONFIRMATIONS, "note", "desk.second.refused", number=number)
