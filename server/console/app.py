"""The console's pages, added to an application that is protected (`federation.web.edge`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI

from federation.web.pages import Pages
from server.console.audit import add_audit
from server.console.catalogue import add_catalogue
from server.console.confirmations import add_confirmations
from server.console.export import add_export
from server.console.job import add_job
from server.console.jobs import add_jobs
from server.console.live import add_live
from server.console.logins import add_logins
from server.console.overview import add_overview
from server.console.parties import add_parties
from server.console.personas import add_personas
from server.console.proposing import add_proposing
from server.console.quality import add_quality
from server.console.services import Console
from server.console.tokens import add_tokens
from server.console.users import add_users

if TYPE_CHECKING:
    from server.api.services import Services


def add_console(app: FastAPI, services: Services, pages: Pages) -> None:
    """All pages. pages: of `make_pages`, which also shows what cannot be done (`protect`).

    What has a fixed name comes before what takes a name from the address.
    """
    console = Console.of(services, pages)
    for add in (
        add_logins,
        add_overview,
        add_parties,
        add_catalogue,
        add_proposing,
        add_live,
        add_jobs,
        add_job,
        add_quality,
        add_personas,
        add_export,
        add_audit,
        add_confirmations,
        add_users,
        add_tokens,
    ):
        add(app, console)
