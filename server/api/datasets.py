"""/datasets: the tables that parties have registered: names and classes of columns, never a size or a value."""

from __future__ import annotations

import datetime

from fastapi import APIRouter, Request, Response

from federation.publications import Dataset, Noun
from federation.web.etags import reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.lists import NamePath, PartyQuery, page_of, published
from server.api.services import Services


class DatasetRecord(Dataset, frozen=True, kw_only=True):
    """A party's table. listed: when the party has signed the list that it is in."""

    party: str
    listed: datetime.datetime


def add_datasets(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/datasets",
        tags=["datasets"],
        summary="All tables that parties have published",
        dependencies=[needs(Permission.DATASETS_READ)],
        **document.answers(Page[DatasetRecord]),
    )
    def listed(request: Request, paging: Paging, party: PartyQuery = "") -> Response:
        rows = published(services.catalogue, Noun.DATASETS, DatasetRecord, party)
        return page_of(request, paging, rows, lambda row: (row.party, row.name), str, str)

    @api.get(
        "/datasets/{party}/{name}",
        tags=["datasets"],
        summary="One table",
        dependencies=[needs(Permission.DATASETS_READ)],
        **document.answers(DatasetRecord, 404),
    )
    def get(request: Request, party: NamePath, name: NamePath) -> Response:
        for row in published(services.catalogue, Noun.DATASETS, DatasetRecord, party):
            if row.name == name:
                return reply(request, row)
        raise NotFound("api_item_unknown")
