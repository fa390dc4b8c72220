"""The first page: what runs, what waits for whom, what came out last, who is connected."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from federation.proposals import OPEN_STATES, JobState
from federation.web.guard import Current, needs_login
from privacy.access import Permission
from server.console.naming import presence_of
from server.console.services import Console

_FEW = 5
_MANY = 20


def add_overview(app: FastAPI, console: Console) -> None:
    """The route."""

    @app.get("/", dependencies=[needs_login("whoever has to set a password first is led to where it is set")])
    def overview(request: Request, caller: Current) -> Response:
        if not caller.may(Permission.OVERVIEW_READ):
            return console.pages.lead_on(request, "/password")
        console.access.check(caller, Permission.OVERVIEW_READ)
        waiting = [JobState.PROPOSED, JobState.APPROVED]
        ended = [state for state in JobState if state not in OPEN_STATES]
        return console.pages.render(
            request,
            "server.console:overview.html.j2",
            counts=console.jobs.counts(),
            states=JobState,
            running=console.jobs.page(states=[JobState.RUNNING], limit=_MANY),
            waiting=console.jobs.page(states=waiting, limit=_MANY),
            ended=console.jobs.page(states=ended, limit=_FEW),
            presences={name: presence_of(status) for name, status in console.presence.of_parties().items()},
            confirmations=[
                one for one in console.access.two_persons.waiting(caller) if one.asker != caller.name
            ],
        )
