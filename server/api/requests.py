"""/requests: how many requests of subjects are in which state at each party. Whose they are, only the party knows."""

from __future__ import annotations

import datetime

import msgspec
from fastapi import APIRouter, Request, Response

from federation.publications import Noun, Requests
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from privacy.rights import CaseState
from server.api.documenting import Document
from server.api.lists import PartyQuery, page_of
from server.api.services import Services


class RequestsRecord(msgspec.Struct, frozen=True):
    """A party's requests: how many are in each state."""

    party: str
    listed: datetime.datetime
    counts: dict[CaseState, int]


def add_requests(api: APIRouter, services: Services, document: Document) -> None:
    """The route."""

    @api.get(
        "/requests",
        tags=["requests"],
        summary="Requests of subjects, counted by party and state",
        dependencies=[needs(Permission.REQUESTS_READ)],
        **document.answers(Page[RequestsRecord]),
    )
    def listed(request: Request, paging: Paging, party: PartyQuery = "") -> Response:
        rows = [
            RequestsRecord(name, found.made, found.items)
            for name, found in services.catalogue.of(Noun.REQUESTS).items()
            if isinstance(found, Requests) and party in {"", name}
        ]
        return page_of(request, paging, rows, lambda row: (row.party,), str)
