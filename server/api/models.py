"""/models: the cards of models, as each party that has a part of one publishes it."""

from __future__ import annotations

import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from federation.publications import Noun, PublishedModel
from federation.web.etags import reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Permission
from privacy.errors import NotFound
from server.api.documenting import Document
from server.api.lists import PartyQuery, page_of, published
from server.api.services import Services

_Number = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class ModelRecord(PublishedModel, frozen=True, kw_only=True):
    """A model's card. party: whose; listed: when the party has signed the list that it is in."""

    party: str
    listed: datetime.datetime


def add_models(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""

    @api.get(
        "/models",
        tags=["models"],
        summary="All cards that parties have published",
        dependencies=[needs(Permission.MODELS_READ)],
        **document.answers(Page[ModelRecord]),
    )
    def listed(request: Request, paging: Paging, party: PartyQuery = "") -> Response:
        rows = published(services.catalogue, Noun.MODELS, ModelRecord, party)
        return page_of(request, paging, rows, lambda row: (row.number, row.party), str, str)

    @api.get(
        "/models/{number}",
        tags=["models"],
        summary="One model, by each of its parties",
        dependencies=[needs(Permission.MODELS_READ)],
        **document.answers(list[ModelRecord], 404),
    )
    def get(request: Request, number: _Number) -> Response:
        rows = published(services.catalogue, Noun.MODELS, ModelRecord)
        found = [row for row in rows if row.number == number]
        if not found:
            raise NotFound("api_item_unknown")
        return reply(request, found)
