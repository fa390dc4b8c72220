"""Proposing a job: step by step, or as a file; either way with a look at exactly what would leave each party."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Form, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from federation.jobs import Job
from federation.proposals import MAX_JOB_BYTES
from federation.publications import Column, Datasets, Noun, Purposes, RegisteredPurpose
from federation.web.guard import needs
from federation.web.languages import language_of
from federation.web.wording import Wording
from privacy.access import Caller, Permission
from privacy.errors import SilhouetteError
from server.console import naming
from server.console.draft import NUMBERS, STEPS, Draft
from server.console.job_text import methods_of, to_toml
from server.console.services import Console
from server.jobs.proposals import DAYS, MOST_DAYS

_PROPOSE = Permission.JOBS_PROPOSE
STEP_KEYS: Final = {
    "purpose": "console.wizard.step_purpose",
    "parties": "console.wizard.step_parties",
    "fields": "console.wizard.step_fields",
    "method": "console.wizard.step_method",
    "preview": "console.wizard.step_preview",
}
NUMBER_KEYS: Final = {
    "trees": "console.wizard.trees",
    "depth": "console.wizard.depth",
    "max_bins": "console.wizard.max_bins",
    "pdo": "console.wizard.pdo",
}
_UNPROCESSABLE = 422


def add_proposing(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    def preview(request: Request, source: str, back: str, status: int = 200) -> Response:
        job: Job | None = None
        message = ""
        try:
            job = console.jobs.read(source)
        except SilhouetteError as error:
            message, status = error.render(language_of(request)), _UNPROCESSABLE
        return pages.render(
            request,
            "server.console:preview.html.j2",
            status,
            job=job,
            leaving=() if job is None else console.jobs.preview(job),
            language=language_of(request),
            methods="" if job is None else methods_of(job, Wording(language_of(request))),
            source=source if job is None else to_toml(job),
            message=message,
            back=back,
            days=DAYS,
            most_days=MOST_DAYS,
            steps=STEP_KEYS,
        )

    @app.get("/jobs/new", dependencies=[needs(_PROPOSE)])
    def wizard(request: Request) -> Response:
        draft = Draft(dict(request.query_params))
        if draft.step == STEPS[-1]:
            return preview(request, draft.to_toml(), "wizard")
        return pages.render(
            request,
            "server.console:wizard.html.j2",
            draft=draft,
            steps=STEP_KEYS,
            following=STEPS[STEPS.index(draft.step) + 1],
            before=STEPS[max(0, STEPS.index(draft.step) - 1)],
            numbers={name: (NUMBER_KEYS[name], *limits) for name, limits in NUMBERS.items()},
            sensitivities=naming.SENSITIVITIES,
            **_choices(console, draft),
        )

    @app.get("/jobs/file", dependencies=[needs(_PROPOSE)])
    def file(request: Request) -> Response:
        return pages.render(request, "server.console:job_file.html.j2")

    @app.post("/jobs/preview", dependencies=[needs(_PROPOSE)])
    async def look(request: Request) -> Response:
        form = await request.form()
        sent, written = form.get("file"), form.get("source", "")
        source = written if isinstance(written, str) else ""
        if isinstance(sent, UploadFile) and sent.filename:
            source = (await sent.read(MAX_JOB_BYTES + 1)).decode("utf-8", "replace")
        return await run_in_threadpool(preview, request, source, "file")

    @app.post("/jobs")
    def propose(
        request: Request,
        caller: Annotated[Caller, needs(_PROPOSE)],
        source: Annotated[str, Form(max_length=MAX_JOB_BYTES)],
        days: Annotated[int, Form(ge=1, le=MOST_DAYS)] = DAYS,
    ) -> Response:
        job = console.jobs.propose(caller, source, days)
        return pages.lead_on(request, f"/jobs/{job.number}", key="console.wizard.proposed", job=job.number)


def _choices(console: Console, draft: Draft) -> dict[str, Any]:
    """What there is to choose from, as the parties have published it."""
    datasets = {
        party: found.items
        for party, found in console.publications.of(Noun.DATASETS).items()
        if isinstance(found, Datasets)
    }
    purposes: dict[str, tuple[RegisteredPurpose, list[str]]] = {}
    for party, found in console.publications.of(Noun.PURPOSES).items():
        for item in found.items if isinstance(found, Purposes) else ():
            purposes.setdefault(item.name, (item, []))[1].append(party)
    columns: dict[str, list[tuple[str, Column]]] = {
        party: [(table.name, column) for table in datasets.get(party, ()) for column in table.columns]
        for party in draft.parties
    }
    return {
        "purposes": purposes,
        "parties": [party.name for party in console.home.roster.parties],
        "datasets": datasets,
        "columns": columns,
    }
