"""A job while it runs: how far every party is, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Annotated, Final

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from federation.proposals import OPEN_STATES, JobState
from federation.web.events import Event, last_event_id
from federation.web.guard import needs
from federation.web.languages import language_of
from federation.web.wording import Wording
from privacy.access import Caller, Permission
from server.console.services import Console
from server.jobs.rows import STATE_EVENT, WORD_EVENT
from server.jobs.views import JobEvent

LOOK_SECONDS: Final = 1.0
_CHANGES: Final = frozenset({STATE_EVENT, WORD_EVENT})
"""After which the page's own words are not true any more."""
Flat = dict[str, str | float | None]


def add_live(app: FastAPI, console: Console) -> None:
    """The route."""

    @app.get("/jobs/{number}/events")
    async def events(
        request: Request, number: str, caller: Annotated[Caller, needs(Permission.JOBS_READ)]
    ) -> Response:
        last_event_id(request)  # a page that comes back gets the present state, whatever it has seen
        job = await run_in_threadpool(console.jobs.get, number)
        t = Wording(language_of(request))
        return console.streams.stream(request, caller.name, _watch(console, number, job.parties, t))


async def _watch(
    console: Console, number: str, parties: Sequence[str], t: Wording
) -> AsyncGenerator[Event, None]:
    """What has happened so far at once, then what happens, until the job has ended."""
    known: list[JobEvent] = []
    while True:
        after = known[-1].number if known else 0
        new = await run_in_threadpool(console.jobs.events, number, after)
        if new:
            is_first = not known
            known += new
            state = _state_of(known)
            is_changed = not is_first and any(event.kind in _CHANGES for event in new)
            is_over = state not in OPEN_STATES
            kind = "over" if is_over else "changed" if is_changed else "progress"
            yield Event(str(known[-1].number), kind, progress_of(known, parties, t))
            if is_over:
                return
        await asyncio.sleep(LOOK_SECONDS)


def progress_of(events: Iterable[JobEvent], parties: Sequence[str], t: Wording) -> Flat:
    """How far a job is by its events, for `static/live.js`: what fills in `stage`, `share-<party>`, `step-<party>`
    and `sent-<party>`. share: 0 to 100; None where nothing is known."""
    found: Flat = {"stage": str(t("console.live.not_yet")), "place": ""}
    for party in parties:
        found |= {f"share-{party}": 0.0, f"step-{party}": "", f"sent-{party}": t.size(None)}
    sent: dict[str, float] = dict.fromkeys(parties, 0.0)
    for event in events:
        _take(event, found, sent, t)
    return found


def _take(event: JobEvent, found: Flat, sent: dict[str, float], t: Wording) -> None:
    party, data = str(event.data.get("party", "")), event.data
    match event.kind:
        case "inviting":
            found["stage"] = str(t("console.live.inviting"))
            for name in sent:
                found[f"share-{name}"], found[f"step-{name}"] = None, str(t("console.live.waiting"))
        case "joined" if party in sent:
            found[f"share-{party}"], found[f"step-{party}"] = 0.0, str(t("console.live.joined"))
        case "stage_started":
            stage = str(data.get("stage", ""))
            found["stage"] = t.known(f"server.stage.{stage}", stage)
            found["place"] = str(
                t("console.live.place", number=data.get("number", ""), total=data.get("of", ""))
            )
            for name in sent:
                found[f"share-{name}"], found[f"step-{name}"] = None, str(t("console.live.working"))
        case "progress" if party in sent:
            done, total = float(data.get("done") or 0), float(data.get("total") or 0)
            found[f"share-{party}"] = round(min(100.0, 100 * done / total), 1) if total else None
            step = str(data.get("step", ""))
            found[f"step-{party}"] = (
                t.known(f"steps.{step}", step) if step else str(t("console.live.working"))
            )
        case "party_finished" if party in sent:
            sent[party] += float(data.get("bytes_sent") or 0)
            found[f"share-{party}"], found[f"step-{party}"] = 100.0, str(t("console.live.finished"))
            found[f"sent-{party}"] = t.size(sent[party])
        case "job_done":
            found["stage"], found["place"] = str(t("console.live.done")), ""


def _state_of(events: Sequence[JobEvent]) -> JobState:
    states = [event.data["state"] for event in events if event.kind == STATE_EVENT]
    return JobState(states[-1]) if states else JobState.PROPOSED
