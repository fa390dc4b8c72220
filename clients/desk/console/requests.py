"""Requests of data subjects: their clocks, who asks, what was done here and at the partners, the receipt."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import FastAPI, Form, Request, Response

from clients.desk.console.services import Desk
from clients.rights import receipts
from clients.rights.alarms import alarms
from clients.rights.intake import REFUSALS, VOUCHES, Intake
from clients.rights.store import CaseStore
from clients.rights.views import line_view, view
from federation.pace import today, utc_now
from federation.web.guard import needs
from federation.web.languages import language_of
from privacy.access import Permission
from privacy.errors import ConfigInvalid, NotFound
from privacy.reasons import Finding, Reason
from privacy.rights import ENDED, NEXT_STATES, CaseState

_LIST: Final = "/desk/requests"
_ONE: Final = "/desk/requests/{number}"


def add_requests(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    def one(request: Request, number: str, code: str = "") -> Response:
        case = CaseStore(home.vault).get(number)
        if case is None:
            raise NotFound("desk_request_unknown")
        language = language_of(request)
        return desk.pages.render(
            request,
            "clients.desk.console:request.html.j2",
            case=view(case, language),
            days=(case.due - today()).days,
            needs_proof=not case.record.identified and not case.is_ended and not case.origin,
            may_reject=CaseState.REJECTED in NEXT_STATES[case.state] and not case.origin,
            refusals=[(reason.value, Finding(reason).render(language)) for reason in REFUSALS],
            vouches=VOUCHES,
            has_receipt=receipts.kept(home, number) is not None,
            is_ended=case.is_ended,
            code=code,
        )

    @app.get(_LIST, dependencies=[needs(Permission.REQUESTS_READ)])
    def list_page(request: Request) -> Response:
        store = CaseStore(home.vault)
        everything = request.query_params.get("all") == "yes"
        lines = [line_view(line) for line in store.lines(only_open=not everything)]
        return desk.pages.render(
            request,
            "clients.desk.console:requests.html.j2",
            lines=lines,
            late={alarm.case: alarm.late.value for alarm in alarms(store, utc_now())},
            counts=store.counts(),
            ended={state.value for state in ENDED},
            today=today(),
            everything=everything,
        )

    @app.get(_ONE, dependencies=[needs(Permission.REQUESTS_READ)])
    def page(request: Request, number: str) -> Response:
        return one(request, number)

    @app.post(_ONE + "/verify", dependencies=[needs(Permission.REQUESTS_FILE)])
    def verify(
        request: Request,
        number: str,
        code: Annotated[str, Form(max_length=32)] = "",
        verified_by: Annotated[str, Form(max_length=32)] = "",
    ) -> Response:
        if verified_by:
            Intake(home).vouch(number, verified_by)
        else:
            Intake(home).verify(number, code.strip())
        return desk.pages.lead_on(request, f"{_LIST}/{number}", key="desk.requests.verified")

    @app.post(_ONE + "/code", dependencies=[needs(Permission.REQUESTS_FILE)])
    def new_code(request: Request, number: str) -> Response:
        return one(request, number, Intake(home).new_code(number).code)

    @app.post(_ONE + "/reject", dependencies=[needs(Permission.REQUESTS_FILE)])
    def reject(request: Request, number: str, reason: Annotated[str, Form(max_length=60)]) -> Response:
        known = {one.value: one for one in REFUSALS}
        if reason not in known:
            raise ConfigInvalid("rights_reason", known=", ".join(known))
        Intake(home).reject(number, [Reason(reason)])
        return desk.pages.lead_on(request, f"{_LIST}/{number}", "note", "desk.requests.rejected")

    @app.get(_ONE + "/receipt.{form}", dependencies=[needs(Permission.REQUESTS_READ)])
    def receipt(request: Request, number: str, form: str) -> Response:
        """The signed receipt: `json` to check, `html` to print."""
        data = receipts.kept(home, number) if form in {"json", "html"} else None
        if data is None:
            raise NotFound("desk_request_unknown")
        if form == "html":
            page = receipts.page(data, language_of(request)).encode()
            return download(page, "text/html; charset=utf-8", f"receipt-{number}.html")
        return download(data, "application/json", f"receipt-{number}.json")


def download(content: bytes, media_type: str, name: str) -> Response:
    """A file for the browser to keep, never to show."""
    return Response(
        content, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )
