"""The inbox of proposed jobs: exactly what would leave this node, and a person's yes or no."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import FastAPI, Form, Request, Response

from clients.approvals.deciding import HOLDS_DAYS, approve, deny
from clients.approvals.inbox import MAX_NOTE, Inbox
from clients.approvals.review import review
from clients.desk.console.services import Desk
from federation.jobs import decode_job
from federation.proposals import LONGEST_WORD, DecidedBy
from federation.web.guard import Current, needs
from privacy.access import Permission

DIGITS: Final = 64
"""Of a digest (SHA-256)."""
_LIST: Final = "/desk/approvals"
_ONE: Final = "/desk/approvals/{number}"


def add_approvals(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    @app.get(_LIST, dependencies=[needs(Permission.APPROVALS_READ)])
    def inbox_page(request: Request) -> Response:
        inbox = Inbox(home)
        held = inbox.all()
        rows = [
            (one.proposal, decode_job(one.proposal.job), inbox.decision(one.proposal.number)) for one in held
        ]
        listed = {one.proposal.number for one in held}
        return desk.pages.render(
            request,
            "clients.desk.console:approvals.html.j2",
            rows=rows,
            earlier=[one for one in reversed(inbox.decisions()) if one.word.number not in listed],
            by_person=home.settings.approves is DecidedBy.PERSON,
        )

    @app.get(_ONE, dependencies=[needs(Permission.APPROVALS_READ)])
    def one_page(request: Request, number: str) -> Response:
        inbox = Inbox(home)
        with_rows = request.query_params.get("rows") == "yes"
        return desk.pages.render(
            request,
            "clients.desk.console:approval.html.j2",
            found=review(home, inbox.get(number).proposal, with_rows=with_rows),
            decision=inbox.decision(number),
            days=HOLDS_DAYS,
            longest=LONGEST_WORD.days,
            most_note=MAX_NOTE,
        )

    @app.post(_ONE + "/approve", dependencies=[needs(Permission.APPROVALS_DECIDE)])
    def say_yes(
        request: Request,
        caller: Current,
        number: str,
        digest: Annotated[str, Form(max_length=DIGITS)] = "",
        policy: Annotated[str, Form(max_length=DIGITS)] = "",
        days: Annotated[int, Form()] = HOLDS_DAYS,
        note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    ) -> Response:
        said = approve(home, number, digest=digest, policy=policy, days=days, who=caller.name, note=note)
        word = said.word
        return desk.pages.lead_on(
            request, _LIST, key="desk.approvals.approved", number=number, moment=f"{word.until:%Y-%m-%d}"
        )

    @app.post(_ONE + "/deny", dependencies=[needs(Permission.APPROVALS_DECIDE)])
    def say_no(
        request: Request,
        caller: Current,
        number: str,
        note: Annotated[str, Form(min_length=1, max_length=MAX_NOTE)],
    ) -> Response:
        deny(home, number, who=caller.name, note=note)
        return desk.pages.lead_on(request, _LIST, "note", "desk.approvals.denied", number=number)
