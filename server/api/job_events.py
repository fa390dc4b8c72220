"""/jobs/{number}/events and /report: what happens to a job, in pages or as it happens; and what it released."""

from __future__ import annotations

import datetime
from collections.abc import AsyncGenerator
from typing import Annotated, Any, Final

import anyio
import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from federation.proposals import OPEN_STATES
from federation.web.etags import reply
from federation.web.events import Event, last_event_id
from federation.web.guard import needs
from federation.web.paging import Page, Paging, add_link
from federation.web.refusing import RequestRefused
from privacy.access import Caller, Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.jobs import Number
from server.api.services import Services

POLL_SECONDS: Final = 0.5
"""The runner is another process: it cannot say that there is something new."""
_AT_ONCE: Final = 200
_LONGEST_NUMBER: Final = 9


class EventRecord(msgspec.Struct, frozen=True):
    """What happened, numbered from 1 without gaps. data: names, counts and states, by kind."""

    number: int
    kind: str
    moment: datetime.datetime
    data: dict[str, Any]


_LastId = Annotated[
    str, Header(alias="Last-Event-ID", pattern="^[0-9]{0,9}$", description="The last event that was seen.")
]
_After = Annotated[str, Query(pattern="^[0-9]{0,9}$", description="The same, where no header can be set.")]


def add_job_events(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/jobs/{number}/events",
        tags=["jobs"],
        summary="What has happened to a job, from its proposal on",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(Page[EventRecord], 404),
    )
    def events(request: Request, number: Number, paging: Paging) -> Response:
        after = paging.after(int)
        services.jobs.get(number)
        page = paging.page(
            _events(services, number, int(after[0]) if after else 0, paging.limit + 1),
            lambda event: (event.number,),
        )
        response = reply(request, page)
        add_link(request, response, page)
        return response

    @api.get(
        "/jobs/{number}/events/stream",
        tags=["jobs"],
        summary="The same as server-sent events, until the job ends",
        **document.answers(str, 404, media_type="text/event-stream"),
    )
    def stream(
        request: Request,
        number: Number,
        caller: Annotated[Caller, needs(Permission.JOBS_READ)],
        last_id: _LastId = "",
        after: _After = "",
    ) -> Response:
        services.jobs.get(number)
        seen = last_event_id(request)
        if seen and not (seen.isdecimal() and len(seen) <= _LONGEST_NUMBER):
            raise RequestRefused("malformed", "header.last-event-id")
        return services.streams.stream(request, caller.name, follow(services, number, int(seen or 0)))

    @api.get(
        "/jobs/{number}/report",
        tags=["jobs"],
        summary="What a finished job released: every figure of its report",
        dependencies=[needs(Permission.REPORTS_READ)],
        **document.answers(dict[str, Any], 404),
    )
    def report(request: Request, number: Number) -> Response:
        found = services.results.report(services.jobs.get(number))
        if found is None:
            raise NotFound("api_result_missing", job=number)
        return reply(request, found)


async def follow(services: Services, number: str, after: int) -> AsyncGenerator[Event, None]:
    """A job's events behind a number as they come, until it has ended and all were given."""
    while True:
        job = await run_in_threadpool(services.jobs.get, number)
        found = await run_in_threadpool(_events, services, number, after, _AT_ONCE)
        for event in found:
            after = event.number
            yield Event(str(event.number), event.kind, event)
        if job.state not in OPEN_STATES and after >= job.events:
            return
        if len(found) < _AT_ONCE:
            await anyio.sleep(POLL_SECONDS)


def _events(services: Services, number: str, after: int, limit: int) -> list[EventRecord]:
    return [
        EventRecord(event.number, event.kind, event.moment, event.data)
        for event in services.jobs.events(number, after, limit)
    ]
