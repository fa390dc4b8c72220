"""/jobs/{number}/runs: how often a job was started, and how far each party is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from federation.web.etags import reply
from federation.web.guard import needs
from privacy.access import Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.jobs import Number
from server.api.run_records import RunRecord, Runs
from server.api.services import Services

_Attempt = Annotated[int, Path(ge=1, le=1_000)]


def add_runs(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    runs = Runs(services.jobs)

    @api.get(
        "/jobs/{number}/runs",
        tags=["runs"],
        summary="All attempts at a job, the first one first",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(list[RunRecord], 404),
    )
    def listed(request: Request, number: Number) -> Response:
        return reply(request, runs.of(services.jobs.get(number)))

    @api.get(
        "/jobs/{number}/runs/{attempt}",
        tags=["runs"],
        summary="One attempt",
        dependencies=[needs(Permission.JOBS_READ)],
        **document.answers(RunRecord, 404),
    )
    def get(request: Request, number: Number, attempt: _Attempt) -> Response:
        for found in runs.of(services.jobs.get(number)):
            if found.attempt == attempt:
                return reply(request, found)
        raise NotFound("api_run_unknown", job=number)
