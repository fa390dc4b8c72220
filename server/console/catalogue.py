"""What the parties have published: schemas, purposes, models' cards, audiences, counts of requests. Never a row."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response

from federation.proposals import JobState
from federation.publications import Audiences, Datasets, Models, Noun, Purposes, Requests
from federation.web.guard import needs
from privacy.access import Permission
from privacy.errors import NotFound
from privacy.rights import ENDED, CaseState
from server.console import naming
from server.console.services import Console
from server.jobs.views import JobView

_SEARCHED = 50
"""Among so many of the newest done jobs is the one looked for that trained a model."""


def add_catalogue(app: FastAPI, console: Console) -> None:
    """The routes."""
    _add_datasets(app, console)
    _add_models(app, console)
    pages, publications = console.pages, console.publications

    @app.get("/purposes", dependencies=[needs(Permission.PURPOSES_READ)])
    def purposes(request: Request) -> Response:
        lists = publications.of(Noun.PURPOSES)
        rows = [
            (party, item)
            for party, found in lists.items()
            if isinstance(found, Purposes)
            for item in found.items
        ]
        rows.sort(key=lambda row: (row[1].name, row[0]))
        return pages.render(
            request,
            "server.console:purposes.html.j2",
            rows=rows,
            lists=lists,
            bases=naming.BASES,
            treatments=naming.TREATMENTS,
            processing=naming.PROCESSING,
        )

    @app.get("/audiences", dependencies=[needs(Permission.AUDIENCES_READ)])
    def audiences(request: Request) -> Response:
        lists = publications.of(Noun.AUDIENCES)
        rows = [
            (party, item)
            for party, found in lists.items()
            if isinstance(found, Audiences)
            for item in found.items
        ]
        return pages.render(request, "server.console:audiences.html.j2", rows=rows, lists=lists)

    @app.get("/requests", dependencies=[needs(Permission.REQUESTS_READ)])
    def requests(request: Request) -> Response:
        lists = {
            party: found
            for party, found in publications.of(Noun.REQUESTS).items()
            if isinstance(found, Requests)
        }
        return pages.render(
            request,
            "server.console:requests.html.j2",
            lists=lists,
            states=naming.CASES,
            columns=[(party, "n", "") for party in lists],
            open_states=[state for state in CaseState if state not in ENDED],
            totals={state: sum(found.items.get(state, 0) for found in lists.values()) for state in CaseState},
        )


def _add_datasets(app: FastAPI, console: Console) -> None:
    @app.get("/datasets", dependencies=[needs(Permission.DATASETS_READ)])
    def datasets(request: Request) -> Response:
        lists = console.publications.of(Noun.DATASETS)
        rows = [
            (party, item, found.made)
            for party, found in lists.items()
            if isinstance(found, Datasets)
            for item in found.items
        ]
        silent = [party.name for party in console.home.roster.parties if party.name not in lists]
        return console.pages.render(request, "server.console:datasets.html.j2", rows=rows, silent=silent)

    @app.get("/datasets/{party}/{name}", dependencies=[needs(Permission.DATASETS_READ)])
    def dataset(request: Request, party: str, name: str) -> Response:
        found = console.publications.of(Noun.DATASETS).get(party)
        items = found.items if isinstance(found, Datasets) else ()
        item = next((one for one in items if one.name == name), None)
        if found is None or item is None:
            raise NotFound("console_dataset_unknown")
        return console.pages.render(
            request,
            "server.console:dataset.html.j2",
            party=party,
            dataset=item,
            made=found.made,
            sensitivities=naming.SENSITIVITIES,
        )


def _add_models(app: FastAPI, console: Console) -> None:
    @app.get("/models", dependencies=[needs(Permission.MODELS_READ)])
    def models(request: Request) -> Response:
        lists = console.publications.of(Noun.MODELS)
        rows = [
            (party, item)
            for party, found in lists.items()
            if isinstance(found, Models)
            for item in found.items
        ]
        rows.sort(key=lambda row: row[1].trained, reverse=True)
        return console.pages.render(
            request,
            "server.console:models.html.j2",
            rows=rows,
            states=naming.MODEL_STATES,
            methods=naming.METHODS,
        )

    @app.get("/models/{number}", dependencies=[needs(Permission.MODELS_READ)])
    def model(request: Request, number: str) -> Response:
        cards = {
            party: item
            for party, found in console.publications.of(Noun.MODELS).items()
            if isinstance(found, Models)
            for item in found.items
            if item.number == number
        }
        if not cards:
            raise NotFound("console_model_unknown")
        return console.pages.render(
            request,
            "server.console:model.html.j2",
            number=number,
            states=naming.MODEL_STATES,
            methods=naming.METHODS,
            cards=cards,
            card=next(iter(cards.values())),
            job=_job_of(console, number),
        )


def _job_of(console: Console, number: str) -> JobView | None:
    """The job that trained a model, where it is among the newest."""
    for job in console.jobs.page(states=[JobState.DONE], limit=_SEARCHED):
        report = console.results.report(job) or {}
        trained = [report.get(part) or {} for part in ("risk", "scorecard")]
        if any(part.get("model") == number for part in trained):
            return job
    return None
