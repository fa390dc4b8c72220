"""This party's results about its own customers: numbers of segments, never a small one; the file with two persons.

Models: the cards of what this party has a part of, and giving a part out, with two persons.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from fastapi import FastAPI, Request, Response

from clients.desk.console.requests import download
from clients.desk.console.second_person import CONFIRMATIONS, Standing, may_now, standing, what_of
from clients.desk.console.services import Desk
from clients.forgetting.cards import card_of, cards
from clients.forgetting.releasing import release, view
from clients.gate.retention import RESULTS
from clients.home import NodeHome
from clients.results import CUSTOMERS, read_people
from federation.pace import today
from federation.web.figures import Figure, bars
from federation.web.guard import Current, needs
from federation.web.languages import language_of
from privacy.access import Caller, Permission
from privacy.errors import NotFound
from privacy.texts import text

_LIST: Final = "/desk/results"
_ONE: Final = "/desk/results/{name}"
_MODELS: Final = "/desk/models"
_PLACE: Final = "row"
SEGMENT: Final = "segment"


class Result(NamedTuple):
    """One folder of results. people, and each segment's: rounded down to a multiple of k_min, None for too few."""

    name: str
    columns: tuple[str, ...]
    people: int | None
    segments: dict[str, int | None]


def names_of(home: NodeHome) -> list[str]:
    """Folders of results whose time is not over, by name."""
    over = set(home.vault.expired())
    folders = home.results.iterdir() if home.results.is_dir() else ()
    return sorted(
        folder.name
        for folder in folders
        if (folder / CUSTOMERS).exists() and RESULTS + folder.name not in over
    )


def folder_named(home: NodeHome, name: str) -> Path:
    """One of them. Raises `NotFound`, also for one whose time is over."""
    if name not in names_of(home):
        raise NotFound("desk_results_unknown")
    return home.results / name


def result_of(desk: Desk, name: str) -> Result:
    """Its numbers. Raises `NotFound`."""
    found = read_people(folder_named(desk.home, name) / CUSTOMERS, _PLACE)
    if found is None:
        raise NotFound("desk_results_unknown")
    sizes = Counter(found[SEGMENT].tolist() if SEGMENT in found else [])
    segments = {segment: desk.people(count) for segment, count in sorted(sizes.items())}
    return Result(name, tuple(found.columns), desk.people(len(found)), segments)


def add_results(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    @app.get(_LIST, dependencies=[needs(Permission.PERSONAS_READ)])
    def list_page(request: Request) -> Response:
        found = [result_of(desk, name) for name in names_of(home)]
        return desk.pages.render(
            request, "clients.desk.console:results.html.j2", found=found, k_min=desk.k_min
        )

    @app.get(_ONE, dependencies=[needs(Permission.PERSONAS_READ)])
    def one_page(request: Request, caller: Current, name: str) -> Response:
        found = result_of(desk, name)
        return desk.pages.render(
            request,
            "clients.desk.console:result.html.j2",
            found=found,
            figure=_figure(found, language_of(request)),
            standing=standing(desk, caller, Permission.RESULTS_DECRYPT, _customers(home, name)),
            k_min=desk.k_min,
        )

    @app.post(_ONE + "/customers", dependencies=[needs(Permission.RESULTS_DECRYPT)])
    def customers(request: Request, caller: Current, name: str) -> Response:
        folder = folder_named(home, name)
        detail = text("desk.second.customers", language=language_of(request), name=name)
        if not may_now(desk, caller, Permission.RESULTS_DECRYPT, _customers(home, name), detail):
            return desk.pages.lead_on(request, CONFIRMATIONS, "note", "desk.second.asked")
        return download((folder / CUSTOMERS).read_bytes(), "text/csv; charset=utf-8", CUSTOMERS)

    @app.get(_MODELS, dependencies=[needs(Permission.MODELS_READ)])
    def models(request: Request, caller: Current) -> Response:
        day = today()
        found = [(view(home, card, day), _release_of(desk, caller, card.digest)) for card in cards(home)]
        return desk.pages.render(request, "clients.desk.console:models.html.j2", found=found)

    @app.post(_MODELS + "/{number}/release", dependencies=[needs(Permission.MODELS_RELEASE)])
    def give_out(request: Request, caller: Current, number: str) -> Response:
        card = card_of(home, number)
        detail = text("desk.second.model", language=language_of(request), name=card.job)
        what = what_of("models.release", card.digest)
        if not may_now(desk, caller, Permission.MODELS_RELEASE, what, detail):
            return desk.pages.lead_on(request, CONFIRMATIONS, "note", "desk.second.asked")
        made = msgspec.json.encode(release(home, card, today()))
        return download(made, "application/json", f"model-{card.number}.json")


def _release_of(desk: Desk, caller: Caller, digest: str) -> Standing:
    return standing(desk, caller, Permission.MODELS_RELEASE, what_of("models.release", digest))


def _customers(home: NodeHome, name: str) -> str:
    return what_of("results.customers", home.settings.name, name)


def _figure(found: Result, language: str) -> Figure | None:
    if not found.segments:
        return None
    people = text("desk.results.people", language=language)
    axis = text("desk.results.segment", language=language)
    title = text("desk.results.sizes", language=language)
    return bars("segments", title, [*found.segments], {people: [*found.segments.values()]}, axis)
