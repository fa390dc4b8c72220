"""Personas: what the segments of a done job are like, against everybody. Small cells are hidden, and stay so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from federation.proposals import JobState
from federation.web import figures
from federation.web.guard import needs
from federation.web.languages import language_of
from federation.web.paging import Paging
from federation.web.wording import Wording
from privacy.access import Permission
from privacy.errors import NotFound
from server.console.quality import found
from server.console.results import Report
from server.console.services import Console

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Trait:
    """A column of a party in one segment. index: 100 is everybody's mean."""

    party: str
    field: str
    index: float


@dataclass(frozen=True, slots=True)
class Persona:
    """A segment's card. people, share, rate: None where they are hidden."""

    number: int
    people: int | None
    share: float | None
    rate: float | None
    traits: tuple[Trait, ...]


def personas_of(report: Report) -> list[Persona]:
    """The cards, in the segments' own order."""
    segments: dict[str, Any] = report["segments"]
    matched = report["match"]["matched"]
    return [
        Persona(
            number + 1,
            size,
            size / matched if size is not None and matched else None,
            segments["default_rate"][number],
            tuple(Trait(**trait) for trait in segments["highlights"][number]),
        )
        for number, size in enumerate(segments["sizes"])
    ]


def add_personas(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    @app.get("/personas", dependencies=[needs(Permission.PERSONAS_READ)])
    def personas(request: Request, paging: Paging) -> Response:
        after = paging.after(str)
        wanted = type(paging)(min(paging.limit, _MOST), paging.cursor)
        rows = console.jobs.page(
            states=[JobState.DONE], after=str(after[0]) if after else "", limit=wanted.limit + 1
        )
        page = wanted.page(rows, lambda job: (job.number,))
        reports = [(job, console.results.report(job)) for job in page.items]
        return pages.render(
            request,
            "server.console:personas.html.j2",
            rows=[(job, report["segments"]) for job, report in reports if report and report["segments"]],
            next=page.next,
        )

    @app.get("/personas/{number}", dependencies=[needs(Permission.PERSONAS_READ)])
    def persona(request: Request, number: str) -> Response:
        job, report = found(console, number)
        if not report["segments"]:
            raise NotFound("console_result_missing", job=number)
        t = Wording(language_of(request))
        return pages.render(
            request,
            "server.console:persona.html.j2",
            job=job,
            k_min=report["job"]["k_min"],
            segments=report["segments"],
            cards=personas_of(report),
            pictures=_pictures(report, t),
        )


def _pictures(report: Report, t: Wording) -> list[figures.Figure]:
    """How large the segments are, and every mean against everybody's."""
    segments = report["segments"]
    labels = [str(t("console.persona.segment", number=number + 1)) for number in range(segments["k"])]
    fields = [
        (f"{party} · {field['field']}", [None if one is None else round(one) for one in field["index"]])
        for party, profile in segments["profiles"].items()
        for field in profile["fields"]
    ]
    sizes = figures.bars(
        "sizes",
        str(t("console.persona.sizes")),
        labels,
        {str(t("console.match.people")): segments["sizes"]},
        str(t("console.persona.column")),
    )
    if not fields:
        return [sizes]
    return [
        sizes,
        figures.heat(
            "indexes",
            str(t("console.persona.indexes")),
            labels,
            [name for name, _ in fields],
            [values for _, values in fields],
            str(t("console.quality.field")),
            0,
            200,
        ),
    ]
