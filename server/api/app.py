"""The application of the console's process: the interface for programs and, beside it, the pages for people.

    app = create_api(Services.of(home))    # /api/v1 alone
    app = create_app(Services.of(home))    # with the pages

A noun's routes are `add_<noun>(api, services, document)` in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from federation.web.edge import protect
from federation.web.statics import Statics
from server.api.audiences import add_audiences
from server.api.audit import add_audit
from server.api.audit_exports import add_audit_exports
from server.api.confirmations import add_confirmations
from server.api.datasets import add_datasets
from server.api.documenting import Document
from server.api.federation import add_federation
from server.api.job_events import add_job_events
from server.api.jobs import add_jobs
from server.api.logins import add_logins
from server.api.matches import add_matches
from server.api.me import add_me
from server.api.models import add_models
from server.api.openapi import add_openapi, document_of
from server.api.parties import add_parties
from server.api.personas import add_personas
from server.api.purposes import add_purposes
from server.api.requests import add_requests
from server.api.runs import add_runs
from server.api.services import Services
from server.api.tokens import add_tokens
from server.api.users import add_users

PREFIX: Final = "/api/v1"
TITLE: Final = "Silhouette coordinator"
_NOUNS: Final[tuple[Callable[[APIRouter, Services, Document], None], ...]] = (
    add_federation,
    add_me,
    add_logins,
    add_parties,
    add_datasets,
    add_purposes,
    add_matches,
    add_jobs,
    add_job_events,
    add_runs,
    add_models,
    add_personas,
    add_audiences,
    add_requests,
    add_audit,
    add_audit_exports,
    add_users,
    add_tokens,
    add_confirmations,
)


def create_api(services: Services) -> FastAPI:
    """The interface for programs alone."""
    app = _with_api(services)
    protect(app, services.guard, secure=services.secure)
    return app


def create_app(services: Services) -> FastAPI:
    """The interface for programs, and the console's pages."""
    from server.console.app import add_console
    from server.console.services import make_pages

    app, statics = _with_api(services), Statics()
    pages = make_pages(services, statics)
    statics.add_to(app)
    add_console(app, services, pages)
    protect(app, services.guard, secure=services.secure, pages=pages)
    return app


def _with_api(services: Services) -> FastAPI:
    app = FastAPI(
        title=TITLE,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation,
    )
    api, document = APIRouter(prefix=PREFIX), Document()
    for add in _NOUNS:
        add(api, services, document)
    add_openapi(api, document)
    app.include_router(api)
    app.state.openapi_document = document_of(app, document)
    return app


def _operation(route: APIRoute) -> str:
    """What generated clients call it: noun and verb."""
    return "_".join([*map(str, route.tags[:1]), route.name])
