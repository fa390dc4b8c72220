"""The audit explorer: what has happened here, the proof that an event is in the log, and the bundle for an auditor."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

from fastapi import FastAPI, Query, Request, Response

from clients import evidence
from clients.desk.console.requests import download
from clients.desk.console.second_person import CONFIRMATIONS, may_now, standing, what_of
from clients.desk.console.services import Desk
from federation.audit_bundle import export
from federation.web.guard import Current, needs
from federation.web.languages import language_of
from privacy.access import Permission
from privacy.audit import Event, EventType
from privacy.errors import NotFound
from privacy.merkle import leaf_hash, verify_inclusion
from privacy.texts import text

_LIST: Final = "/desk/audit"
ON_A_PAGE: Final = 50
_MOST_SEQ: Final = 1 << 53
FAMILIES: Final = sorted({kind.value.split(".")[0] for kind in EventType})


def add_audit(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home
    what = what_of("audit.export", home.settings.name)

    @app.get(_LIST, dependencies=[needs(Permission.AUDIT_READ)])
    def list_page(
        request: Request,
        caller: Current,
        family: Annotated[str, Query(max_length=32)] = "",
        before: Annotated[int, Query(ge=0, le=_MOST_SEQ)] = _MOST_SEQ,
    ) -> Response:
        log = home.audit
        found: list[Event] = []
        for event in log.newest_first(before):
            if not family or event.type.value.split(".")[0] == family:
                found.append(event)
            if len(found) > ON_A_PAGE:
                break
        shown = found[:ON_A_PAGE]
        return desk.pages.render(
            request,
            "clients.desk.console:audit.html.j2",
            events=shown,
            next=shown[-1].seq if len(found) > ON_A_PAGE else "",
            families=FAMILIES,
            family=family,
            size=log.size,
            standing=standing(desk, caller, Permission.AUDIT_EXPORT, what),
        )

    @app.get(_LIST + "/{seq}", dependencies=[needs(Permission.AUDIT_READ)])
    def one_page(request: Request, seq: int) -> Response:
        log = home.audit
        if not 0 <= seq < log.size:
            raise NotFound("desk_event_unknown")
        signed = log.checkpoint()
        (line,) = log.lines(seq, seq + 1)
        leaf, path = leaf_hash(line), log.inclusion(seq, signed.size)
        # Done here as anybody can do it elsewhere; what does not fit is an error, and never a page that says so softly.
        verify_inclusion(leaf, seq, signed.size, signed.root, path)
        return desk.pages.render(
            request,
            "clients.desk.console:event.html.j2",
            event=Event.parse(line),
            line=line.decode(),
            leaf=leaf.hex(),
            path=[step.hex() for step in path],
            signed=signed,
        )

    @app.post(_LIST + "/export", dependencies=[needs(Permission.AUDIT_EXPORT)])
    def give_out(request: Request, caller: Current) -> Response:
        detail = text("desk.second.audit", language=language_of(request), name=home.settings.name)
        if not may_now(desk, caller, Permission.AUDIT_EXPORT, what, detail):
            return desk.pages.lead_on(request, CONFIRMATIONS, "note", "desk.second.asked")
        documents, keys = evidence.documents(home.folder), evidence.keys(home.folder)
        with TemporaryDirectory(dir=home.folder) as folder:
            file = export(home.audit, Path(folder) / "audit.zip", documents, keys, actor=caller.name)
            content = file.read_bytes()
        return download(content, "application/zip", f"audit-{home.settings.name}.zip")
