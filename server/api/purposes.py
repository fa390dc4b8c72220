"""/purposes: what parties may tell people apart for, on which basis, with whom, and for how long."""

from __future__ import annotations

import datetime

from fastapi import APIRouter, Request, Response

from federation.publications import Noun, RegisteredPurpose
from federation.web.etags import reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.lists import NamePath, PartyQuery, page_of, published
from server.api.services import Services


class PurposeRecord(RegisteredPurpose, frozen=True, kw_only=True):
    """A purpose of a party's policy. listed: when the party has signed the list that it is in."""

    party: str
    listed: datetime.datetime


def add_purposes(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/purposes",
        tags=["purposes"],
        summary="All purposes that parties have registered",
        dependencies=[needs(Permission.PURPOSES_READ)],
        **document.answers(Page[PurposeRecord]),
    )
    def listed(request: Request, paging: Paging, party: PartyQuery = "") -> Response:
        rows = published(services.catalogue, Noun.PURPOSES, PurposeRecord, party)
        return page_of(request, paging, rows, lambda row: (row.party, row.name), str, str)

    @api.get(
        "/purposes/{party}/{name}",
        tags=["purposes"],
        summary="One purpose",
        dependencies=[needs(Permission.PURPOSES_READ)],
        **document.answers(PurposeRecord, 404),
    )
    def get(request: Request, party: NamePath, name: NamePath) -> Response:
        for row in published(services.catalogue, Noun.PURPOSES, PurposeRecord, party):
            if row.name == name:
                return reply(request, row)
        raise NotFound("api_item_unknown")
