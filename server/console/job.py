"""One job: its state and the parties' words, how far it is, how it ended, what leaves whom, and stopping it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Request, Response

from federation.messages import COORDINATOR
from federation.proposals import OPEN_STATES, JobState
from federation.web.guard import Current, needs
from federation.web.languages import language_of
from federation.web.wording import Wording
from privacy.access import Caller, Permission
from server.console import naming
from server.console.job_text import to_toml
from server.console.live import progress_of
from server.console.services import Console
from server.jobs.states import NEXT_STATES
from server.jobs.views import JobView

_STOP = Permission.JOBS_STOP


def add_job(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    def values_of(request: Request, job: JobView, caller: Caller) -> dict[str, Any]:
        t = Wording(language_of(request))
        identities = console.home.roster.identities(without=COORDINATOR)
        report = console.results.report(job)
        return {
            "job": job,
            "plan": job.job,
            "fingerprints": {party: key.fingerprint for party, key in identities.items()},
            "standings": naming.STANDINGS,
            "deciders": naming.DECIDERS,
            "proposer_role": naming.ROLES[job.proposer_role],
            "reasons": {
                code: naming.reason_of(code, t) for word in job.words for code in (*word.reasons, job.code)
            },
            "ending": _ending(job, t),
            "report": report,
            "can_stop": caller.may(_STOP) and JobState.STOPPED in NEXT_STATES[job.state],
            "is_open": job.state in OPEN_STATES,
        }

    @app.get("/jobs/{number}", dependencies=[needs(Permission.JOBS_READ)])
    def job(request: Request, number: str, caller: Current) -> Response:
        found = console.jobs.get(number)
        language = language_of(request)
        return pages.render(
            request,
            "server.console:job.html.j2",
            **values_of(request, found, caller),
            progress=progress_of(console.jobs.events(number), found.parties, Wording(language)),
            leaving=console.jobs.preview(found.job),
            language=language,
            source=to_toml(found.job),
        )

    @app.get("/jobs/{number}/now", dependencies=[needs(Permission.JOBS_READ)])
    def now(request: Request, number: str, caller: Current) -> Response:
        found = console.jobs.get(number)
        return pages.render(request, "server.console:job_now.html.j2", **values_of(request, found, caller))

    @app.post("/jobs/{number}/stop")
    def stop(request: Request, number: str, caller: Annotated[Caller, needs(_STOP)]) -> Response:
        console.jobs.stop(caller, number)
        return pages.lead_on(request, f"/jobs/{number}", "note", "console.job.stopping", job=number)


def _ending(job: JobView, t: Wording) -> tuple[str, str, str] | None:
    """(tone, what happened, what to do) of a job that has ended without a result."""
    if job.state in OPEN_STATES or job.state is JobState.DONE:
        return None
    meaning, remedy = naming.reason_of(job.code, t) if job.code else ("", "")
    happened = job.texts.get(t.language, "") or meaning
    if job.state is JobState.REFUSED:
        return "bad", happened or str(t("console.job.refused")), str(t("console.job.refused_do"))
    if job.state is JobState.EXPIRED:
        return "note", str(t("console.job.expired")), str(t("console.job.expired_do"))
    if job.state is JobState.STOPPED:
        return "note", happened, str(t("console.job.stopped_do"))
    is_told = not remedy or remedy in happened
    return "bad", happened or job.code, str(t("console.job.failed_do")) if is_told else remedy
