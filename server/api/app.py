"""The application of the console's process: the interface for programs and, beside it, the pages for people.

    app = create_api(Services.of(home))    # /api/v1 alone
    app = create_app(Services.of(home))    # with the pages

A noun's routes are `add_<noun>(api, services, document)` in a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, FastAPI

from federation.web.edge import protect
from federation.web.statics import Statics
from server.api.documenting import Document
from server.api.federation import add_federation
from server.api.jobs import add_jobs
from server.api.logins import add_logins
from server.api.me import add_me
from server.api.openapi import add_openapi
from server.api.services import Services

PREFIX: Final = "/api/v1"
TITLE: Final = "Silhouette coordinator"
_NOUNS: Final[tuple[Callable[[APIRouter, Services, Document], None], ...]] = (
    add_federation,
    add_me,
    add_logins,
    add_jobs,
)


def create_api(services: Services) -> FastAPI:
    """The interface for programs alone."""
    app = _with_api(services)
    protect(app, services.guard, secure=services.secure)
    return app


def create_app(services: Services) -> FastAPI:
    """The interface for programs, and the console's pages."""
    from server.console.app import add_console
    from server.console.services import STATIC, make_pages

    app, statics = _with_api(services), Statics((STATIC,))
    pages = make_pages(services, statics)
    statics.add_to(app)
    add_console(app, services, pages)
    protect(app, services.guard, secure=services.secure, pages=pages)
    return app


def _with_api(services: Services) -> FastAPI:
    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    api, document = APIRouter(prefix=PREFIX), Document()
    for add in _NOUNS:
        add(api, services, document)
    add_openapi(app, api, document)
    app.include_router(api)
    return app
