"""/jobs: proposing, looking, stopping. That a job runs takes every party's word, which no route here gives."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from federation.leaving import to_records
from federation.proposals import JobState
from federation.web.etags import JSON, canonical, reply
from federation.web.guard import needs
from federation.web.languages import language_of
from federation.web.paging import Page, Paging, add_link
from privacy.access import Caller, Permission
from server.api.bodies import body_of, made_once
from server.api.documenting import Document
from server.api.job_records import (
    EXAMPLE,
    JobRecord,
    JobSummary,
    PartyPreview,
    Preview,
    Previewed,
    Proposed,
    WordRecord,
    record_of,
    summary_of,
    word_record,
)
from server.api.services import Services

Number = Annotated[str, Path(pattern=r"^J-[A-Z2-7]{8}$", examples=["J-ABCDEFGH"])]
"""A job's, in a path."""
_States = Annotated[list[JobState], Query(description="Only jobs in one of these states.")]
_Party = Annotated[
    str, Query(pattern=r"^([a-z][a-z0-9_-]{0,31})?$", description="Only jobs that it takes part in.")
]


def add_jobs(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    jobs = services.jobs

    @api.get(
        "/jobs",
        tags=["jobs"],
        summary="All jobs, the newest first",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(Page[JobSummary], 404),
    )
    def listed(request: Request, paging: Paging, state: _States = [], party: _Party = "") -> Response:  # noqa: B006
        after = paging.after(str)
        views = jobs.page(
            states=state or tuple(JobState),
            party=party,
            after=str(after[0]) if after else "",
            limit=paging.limit + 1,
        )
        page = paging.page([summary_of(view) for view in views], lambda job: (job.number,))
        response = reply(request, page)
        add_link(request, response, page)
        return response

    @api.post(
        "/jobs",
        tags=["jobs"],
        summary="Ask all parties of a job",
        **document.answers(
            JobRecord, 409, status=201, once=True, body=Proposed, example={"job": EXAMPLE, "days": 14}
        ),
    )
    async def propose(
        request: Request,
        caller: Annotated[Caller, needs(Permission.JOBS_PROPOSE)],
        wanted: Annotated[Proposed, body_of(Proposed)],
    ) -> Response:
        def work() -> Response:
            view = jobs.propose(caller, wanted.job, wanted.days)
            made = record_of(view, language_of(request))
            return Response(canonical(made), 201, media_type=JSON)

        return await made_once(request, services, caller, work)

    @api.post(
        "/jobs/preview",
        tags=["jobs"],
        summary="What would leave each party; nothing is proposed",
        dependencies=[needs(Permission.JOBS_PROPOSE)],
        **document.answers(Preview, body=Previewed, example={"job": EXAMPLE}),
    )
    def preview(request: Request, wanted: Annotated[Previewed, body_of(Previewed)]) -> Response:
        job = jobs.read(wanted.job)
        language = language_of(request)
        parties = [to_records(found, language) for found in jobs.preview(job, wanted.rows)]
        return reply(request, Preview(job.digest, msgspec.convert(parties, tuple[PartyPreview, ...])))

    @api.get(
        "/jobs/{number}",
        tags=["jobs"],
        summary="One job",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(JobRecord, 404),
    )
    def get(request: Request, number: Number) -> Response:
        return reply(request, record_of(jobs.get(number), language_of(request)))

    @api.get(
        "/jobs/{number}/words",
        tags=["jobs"],
        summary="What each party has said to it",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(list[WordRecord], 404),
    )
    def words(request: Request, number: Number) -> Response:
        return reply(request, [word_record(word) for word in jobs.get(number).words])

    @api.post(
        "/jobs/{number}/stop",
        tags=["jobs"],
        summary="Stop a job: at once while it waits, else within seconds; again changes nothing",
        **document.answers(JobRecord, 404, 409, once=True),
    )
    async def stop(
        request: Request, number: Number, caller: Annotated[Caller, needs(Permission.JOBS_STOP)]
    ) -> Response:
        def work() -> Response:
            view = jobs.stop(caller, number)
            return Response(canonical(record_of(view, language_of(request))), media_type=JSON)

        return await made_once(request, services, caller, work)
