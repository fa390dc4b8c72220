"""/matches: how many customers parties share, as finished jobs released it. What was hidden stays null."""

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


class FunnelStep(msgspec.Struct, frozen=True):
    """Rows that were left out in one step. reason: code of the rule, where one demands it."""

    step: str
    rows: int | None
    reason: str


class PartyMatch(msgspec.Struct, frozen=True):
    """One party's rows: all, those that may take part, those that are matched, and where the others went."""

    party: str
    rows: int | None
    eligible: int | None
    matched: int | None
    funnel: tuple[FunnelStep, ...]


class MatchRecord(msgspec.Struct, frozen=True):
    """The matching of a job. members: whose customers were wanted, "" for those of all; k_min: no smaller number is
    shown."""

    job: str
    name: str
    purpose: str
    ended: datetime.datetime | None
    mode: str
    size_only: bool
    members: str
    k_min: int
    matched: int | None
    parties: tuple[PartyMatch, ...]


def match_of(job: JobView, report: dict[str, Any]) -> MatchRecord:
    """A matching out of a report's figures."""
    match = report["match"]
    parties = tuple(
        PartyMatch(
            name,
            found["rows"],
            found["eligible"],
            found["matched"],
            tuple(FunnelStep(step, rows, match["codes"].get(step, "")) for step, rows in found["funnel"]),
        )
        for name, found in match["parties"].items()
    )
    return MatchRecord(
        job=job.number,
        name=job.name,
        purpose=job.purpose,
        ended=job.ended,
        mode=match["mode"],
        size_only=match["size_only"],
        members=match["members"],
        k_min=report["job"]["k_min"],
        matched=match["matched"],
        parties=parties,
    )


def add_matches(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/matches",
        tags=["matches"],
        summary="Matchings of finished jobs, the newest first",
        dependencies=[needs(Permission.MATCHES_READ)],
        **document.answers(Page[MatchRecord], 404),
    )
    def listed(request: Request, paging: Paging) -> Response:
        return answer_page(request, services, paging, match_of)

    @api.get(
        "/matches/{number}",
        tags=["matches"],
        summary="The matching of one job",
        dependencies=[needs(Permission.MATCHES_READ)],
        **document.answers(MatchRecord, 404),
    )
    def get(request: Request, number: Number) -> Response:
        return answer_one(request, services, number, match_of)
