"""/audit/exports: the log as a bundle for an auditor. One person asks, another confirms, the first takes it once."""

from __future__ import annotations

import hashlib
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Request, Response

from federation.audit_log import AuditLog
from federation.web.etags import JSON, canonical
from federation.web.guard import needs
from privacy.access import Caller, Permission
from privacy.texts import text
from server.api.bodies import made_once
from server.api.confirmations import Confirmation
from server.api.documenting import Document
from server.api.services import Services
from server.evidence import bundle

ZIP: Final = "application/zip"


class AskedExport(msgspec.Struct, frozen=True):
    """confirmation: the number that a second person confirms, and under which the bundle is then taken."""

    confirmation: str


def what_of(log: AuditLog) -> str:
    """SHA-256 of what is done: the whole log of this coordinator, by its key, as it is when the bundle is made."""
    statement = {"export": "audit log", "key": log.public.fingerprint}
    return hashlib.sha256(canonical(statement)).hexdigest()


def add_audit_exports(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    home, two = services.home, services.access.two_persons

    @api.post(
        "/audit/exports",
        tags=["audit"],
        summary="Ask for the whole log; a second person has to confirm it",
        **document.answers(AskedExport, status=202, once=True),
    )
    async def ask(request: Request, caller: Annotated[Caller, needs(Permission.AUDIT_EXPORT)]) -> Response:
        def work() -> Response:
            detail = text("api.export_detail", count=home.audit.size)
            number = two.ask(caller, Permission.AUDIT_EXPORT, what_of(home.audit), detail)
            return Response(canonical(AskedExport(number)), 202, media_type=JSON)

        return await made_once(request, services, caller, work)

    @api.post(
        "/audit/exports/{number}",
        tags=["audit"],
        summary="Take the bundle that was confirmed, once",
        **document.answers(bytes, 404, 409, media_type=ZIP),
    )
    def take(number: Confirmation, caller: Annotated[Caller, needs(Permission.AUDIT_EXPORT)]) -> Response:
        two.use(caller, number, Permission.AUDIT_EXPORT, what_of(home.audit))
        name, content = bundle(home, caller.name)
        return Response(content, 200, {"Content-Disposition": f'attachment; filename="{name}"'}, ZIP)
