"""/personas: the segments of finished jobs, described as each party released it. Small cells were hidden by parties."""

from __future__ import annotations

import datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from server.api.documenting import Document
from server.api.jobs import Number
from server.api.released import answer_one, answer_page
from server.api.services import Services
from server.jobs.views import JobView

Numbers = tuple[float | None, ...]
"""One for each segment; null where the number is hidden."""


class Highlight(msgspec.Struct, frozen=True):
    """A field that stands out in a segment: its mean, in percent of everybody's."""

    party: str
    field: str
    index: float


class FieldProfile(msgspec.Struct, frozen=True):
    """A party's field over the segments. means and mean_overall: in the field's unit; index: percent of everybody's
    mean; bands: a row for each segment, rows of people in each band."""

    party: str
    field: str
    counts: Numbers
    means: Numbers
    mean_overall: float | None
    index: Numbers
    band_names: tuple[str, ...]
    bands: tuple[Numbers, ...]


class PersonaRecord(msgspec.Struct, frozen=True):
    """The segments of a job. sizes: people in each; default_rate: in [0, 1], empty or null where there is no label."""

    job: str
    name: str
    purpose: str
    ended: datetime.datetime | None
    k_min: int
    segments: int
    sizes: Numbers
    default_rate: Numbers
    highlights: tuple[tuple[Highlight, ...], ...]
    fields: tuple[FieldProfile, ...]


def persona_of(job: JobView, report: dict[str, Any]) -> PersonaRecord | None:
    """The segments out of a report's figures; None for a job without any."""
    found = report["segments"]
    if not found:
        return None
    fields = [
        {"party": party, **field}
        for party, profile in found["profiles"].items()
        for field in profile["fields"]
    ]
    plain = {
        "job": job.number,
        "name": job.name,
        "purpose": job.purpose,
        "ended": job.ended,
        "k_min": report["job"]["k_min"],
        "segments": found["k"],
        "sizes": found["sizes"],
        "default_rate": found["default_rate"],
        "highlights": found["highlights"],
        "fields": fields,
    }
    return msgspec.convert(plain, PersonaRecord)


def add_personas(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/personas",
        tags=["personas"],
        summary="Segments of finished jobs, the newest first",
        dependencies=[needs(Permission.PERSONAS_READ)],
        **document.answers(Page[PersonaRecord], 404),
    )
    def listed(request: Request, paging: Paging) -> Response:
        return answer_page(request, services, paging, persona_of)

    @api.get(
        "/personas/{number}",
        tags=["personas"],
        summary="The segments of one job",
        dependencies=[needs(Permission.PERSONAS_READ)],
        **document.answers(PersonaRecord, 404),
    )
    def get(request: Request, number: Number) -> Response:
        return answer_one(request, services, number, persona_of)
