"""/audiences: lists for marketing that parties have built: purpose and rounded size."""

from __future__ import annotations

import datetime

from fastapi import APIRouter, Request, Response

from federation.publications import Noun, PublishedAudience
from federation.web.etags import reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.lists import NamePath, PartyQuery, page_of, published
from server.api.services import Services


class AudienceRecord(PublishedAudience, frozen=True, kw_only=True):
    """A party's list. listed: when the party has signed the list that it is in."""

    party: str
    listed: datetime.datetime


def add_audiences(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/audiences",
        tags=["audiences"],
        summary="All audiences that parties have published",
        dependencies=[needs(Permission.AUDIENCES_READ)],
        **document.answers(Page[AudienceRecord]),
    )
    def listed(request: Request, paging: Paging, party: PartyQuery = "") -> Response:
        rows = published(services.catalogue, Noun.AUDIENCES, AudienceRecord, party)
        return page_of(request, paging, rows, lambda row: (row.party, row.name), str, str)

    @api.get(
        "/audiences/{party}/{name}",
        tags=["audiences"],
        summary="One audience",
        dependencies=[needs(Permission.AUDIENCES_READ)],
        **document.answers(AudienceRecord, 404),
    )
    def get(request: Request, party: NamePath, name: NamePath) -> Response:
        for row in published(services.catalogue, Noun.AUDIENCES, AudienceRecord, party):
            if row.name == name:
                return reply(request, row)
        raise NotFound("api_item_unknown")
