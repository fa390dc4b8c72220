"""The log as a bundle for an auditor: asked for by one person, confirmed by another, then taken once."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request, Response

from federation.audit_bundle import export
from federation.web.etags import canonical
from federation.web.guard import needs
from federation.web.languages import language_of
from privacy.access import Caller, Permission
from privacy.texts import text
from server.console.services import Console
from server.evidence import documents, keys

_EXPORT = Permission.AUDIT_EXPORT


def what_of(console: Console) -> str:
    """SHA-256 of what is done: the whole log of this coordinator, by its key, as it is when the bundle is made."""
    statement = {"export": "audit log", "key": console.home.audit.public.fingerprint}
    return hashlib.sha256(canonical(statement)).hexdigest()


def add_export(app: FastAPI, console: Console) -> None:
    """The routes."""

    @app.post("/audit/export")
    def ask(request: Request, caller: Annotated[Caller, needs(_EXPORT)]) -> Response:
        detail = text("console.export.detail", language=language_of(request), count=console.home.audit.size)
        number = console.access.two_persons.ask(caller, _EXPORT, what_of(console), detail)
        return console.pages.lead_on(request, "/confirmations", "note", "console.export.asked", number=number)

    @app.post("/audit/export/{number}")
    def take(number: str, caller: Annotated[Caller, needs(_EXPORT)]) -> Response:
        console.access.two_persons.use(caller, number, _EXPORT, what_of(console))
        folder = console.home.folder
        with tempfile.TemporaryDirectory() as place:
            file = export(console.home.audit, Path(place), documents(folder), keys(folder), actor=caller.name)
            content, name = file.read_bytes(), file.name
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, headers, "application/zip")
