"""The first page: what waits for somebody, what runs late, and whether the node is fit to work."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from clients.approvals.inbox import Inbox
from clients.desk.console.services import FIRST, Desk
from clients.gate.policy import active_policy
from clients.rights.alarms import alarms
from clients.rights.store import CaseStore
from federation.pace import utc_now
from federation.proposals import DecidedBy
from federation.web.guard import Current, needs, open_to_all
from privacy.access import Permission
from privacy.errors import Denied
from privacy.rights import ENDED


def add_overview(app: FastAPI, desk: Desk) -> None:
    """The routes."""

    @app.get(FIRST.rstrip("/"), dependencies=[open_to_all("it only leads on to the first page")])
    def without_slash(request: Request) -> Response:
        return desk.pages.lead_on(request, FIRST)

    @app.get(FIRST, dependencies=[needs(Permission.OVERVIEW_READ)])
    def overview(request: Request, caller: Current) -> Response:
        home = desk.home
        inbox, store = Inbox(home), CaseStore(home.vault)
        open_jobs = [held for held in inbox.all() if inbox.decision(held.proposal.number) is None]
        ended = {state.value for state in ENDED}
        late = [one for one in alarms(store, utc_now()) if one.is_overdue]
        return desk.pages.render(
            request,
            "clients.desk.console:overview.html.j2",
            approves=home.settings.approves is DecidedBy.PERSON,
            has_policy=_has_policy(desk),
            is_joined=home.roster_file.exists(),
            open_jobs=open_jobs,
            open_requests=sum(count for state, count in store.counts().items() if state not in ended),
            late=len(late),
            waiting=[one for one in desk.access.two_persons.waiting(caller) if one.asker != caller.name],
            events=home.audit.size,
            k_min=desk.k_min,
            now=utc_now(),
        )


def _has_policy(desk: Desk) -> bool:
    try:
        active_policy(desk.home)
    except Denied:
        return False
    return True
