"""The list of jobs, and the matchings among them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import FastAPI, Query, Request, Response

from federation.proposals import OPEN_STATES, JobState
from federation.web.guard import needs
from federation.web.paging import Paging
from privacy.access import Permission
from server.console.services import Console

_GROUPS: Final = {
    "open": ("console.jobs.group_open", tuple(state for state in JobState if state in OPEN_STATES)),
    "done": ("console.jobs.group_done", (JobState.DONE,)),
    "other": (
        "console.jobs.group_other",
        tuple(state for state in JobState if state not in OPEN_STATES and state is not JobState.DONE),
    ),
    "all": ("console.jobs.group_all", tuple(JobState)),
}
_MOST_MATCHES: Final = 20
"""On one page: each may be read from the disk first."""


def add_jobs(app: FastAPI, console: Console) -> None:
    """The routes."""

    @app.get("/jobs", dependencies=[needs(Permission.JOBS_READ)])
    def jobs(
        request: Request, paging: Paging, group: Annotated[str, Query(alias="show", max_length=8)] = "all"
    ) -> Response:
        chosen = group if group in _GROUPS else "all"
        after = paging.after(str)
        rows = console.jobs.page(
            states=_GROUPS[chosen][1], after=str(after[0]) if after else "", limit=paging.limit + 1
        )
        page = paging.page(rows, lambda job: (job.number,))
        return console.pages.render(
            request,
            "server.console:jobs.html.j2",
            jobs=page.items,
            next=page.next,
            groups={name: key for name, (key, _) in _GROUPS.items()},
            chosen=chosen,
        )

    @app.get("/matches", dependencies=[needs(Permission.MATCHES_READ)])
    def matches(request: Request, paging: Paging) -> Response:
        after = paging.after(str)
        limit = min(paging.limit, _MOST_MATCHES)
        rows = console.jobs.page(
            states=[JobState.DONE], after=str(after[0]) if after else "", limit=limit + 1
        )
        found = [(job, (console.results.report(job) or {}).get("match")) for job in rows[:limit]]
        wanted = type(paging)(limit, paging.cursor)
        return console.pages.render(
            request,
            "server.console:matches.html.j2",
            rows=[(job, match) for job, match in found if match is not None],
            next=wanted.page(rows, lambda job: (job.number,)).next,
        )
