"""The OpenAPI document: made once from the routes' own declarations, behind a login, without a page from elsewhere."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi

from federation.web.csrf import HEADER
from federation.web.etags import reply
from federation.web.guard import Needs, Open, needs_login, walk
from privacy.access import Permission
from server.api.documenting import Document

DESCRIPTION: Final = """\
What the coordinator of a federation knows: parties, what they publish, jobs and what they released. Never a row.

A program sends a token as `Authorization: Bearer`; a browser's login is a cookie, and its changes carry the header \
`x-csrf`. What is refused is `application/problem+json` (RFC 9457) with a stable `code`, the article that demands it, \
and what to do. Lists come in pages: `next` is the `cursor` of the following one. What creates or starts something \
takes an `Idempotency-Key`; what changes something demands `If-Match`.\
"""
_SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of one's own (`slt_...`), or a JWT of the issuer that the coordinator names.",
    },
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "silhouette-coordinator",
        "description": f"A login at the console; on https the name begins with `__Host-`. Changes carry `{HEADER}`.",
    },
}
PATH: Final = "/openapi.json"


def add_openapi(api: APIRouter, document: Document) -> None:
    """The route of the document."""

    @api.get(
        PATH,
        tags=["openapi"],
        dependencies=[needs_login("everybody who works here may know what there is")],
        summary="This document",
        **document.answers(dict[str, Any]),
    )
    def openapi(request: Request) -> Response:
        return reply(request, request.app.state.openapi_document)


def document_of(app: FastAPI, document: Document) -> dict[str, Any]:
    """The document of an application whose routes are all there."""
    found = get_openapi(
        title=app.title,
        version=version("silhouette"),
        description=DESCRIPTION,
        routes=app.routes,
    )
    components = found.setdefault("components", {})
    components["schemas"] = document.components()
    components["securitySchemes"] = dict(_SCHEMES)
    found["security"] = [{name: []} for name in _SCHEMES]
    for method, path, declaration in walk(app):
        operation = found["paths"].get(path, {}).get(method.lower())
        if operation is None:
            continue
        if isinstance(declaration, Permission):
            operation["x-permission"] = declaration.value
        elif isinstance(declaration, Needs | Open):
            operation["description"] = f"{operation.get('description', '')}\n\n{declaration.reason}".strip()
            if isinstance(declaration, Open):
                operation["security"] = []
    return found
