"""What the desk's pages stand on, put together once for a node."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from clients.audiences.standing import fewest_members
from clients.desk.accounts import open_access
from clients.home import NodeHome
from federation.access.office import Access
from federation.publications import rounded
from federation.web.cookies import Cookies
from federation.web.csrf import Csrf
from federation.web.pages import NavItem, Pages
from federation.web.statics import Statics
from privacy.access import Permission

FIRST: Final = "/desk/"
LOGIN: Final = "/desk/login"
KEY_BYTES: Final = 32
NAV: Final = (
    NavItem(FIRST, "desk.nav.overview", Permission.OVERVIEW_READ),
    NavItem("/desk/approvals", "desk.nav.approvals", Permission.APPROVALS_READ),
    NavItem("/desk/table", "desk.nav.table", Permission.TABLES_READ),
    NavItem("/desk/fields", "desk.nav.fields", Permission.FIELDS_CLASSIFY),
    NavItem("/desk/purposes", "desk.nav.purposes", Permission.PURPOSES_READ),
    NavItem("/desk/consents", "desk.nav.consents", Permission.CONSENTS_READ),
    NavItem("/desk/requests", "desk.nav.requests", Permission.REQUESTS_READ),
    NavItem("/desk/results", "desk.nav.results", Permission.PERSONAS_READ),
    NavItem("/desk/audiences", "desk.nav.audiences", Permission.AUDIENCES_READ),
    NavItem("/desk/models", "desk.nav.models", Permission.MODELS_READ),
    NavItem("/desk/retention", "desk.nav.retention", Permission.RETENTION_READ),
    NavItem("/desk/keys", "desk.nav.keys", Permission.KEYS_READ),
    NavItem("/desk/audit", "desk.nav.audit", Permission.AUDIT_READ),
    NavItem("/desk/confirmations", "desk.nav.confirmations", Permission.OVERVIEW_READ),
    NavItem("/desk/users", "desk.nav.users", Permission.USERS_READ),
    NavItem("/desk/password", "desk.nav.password", None),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that a page may ask."""

    home: NodeHome
    access: Access
    pages: Pages
    cookies: Cookies
    csrf: Csrf
    statics: Statics

    @classmethod
    def of(cls, home: NodeHome, access: Access | None = None) -> Desk:
        """The desk of a node, on loopback and so without TLS.

        The key of its forms lives as long as the process: a page from before a restart is to be loaded again.
        """
        name = home.settings.name
        cookies, csrf = Cookies(f"desk-{name}", secure=False), Csrf(secrets.token_bytes(KEY_BYTES))
        statics = Statics()
        pages = Pages("desk.site", name, NAV, cookies, csrf, statics, logout="/desk/logout", home=FIRST)
        return cls(home, access or open_access(home), pages, cookies, csrf, statics)

    @property
    def k_min(self) -> int:
        """Fewer people than these are not counted on any page."""
        return fewest_members(self.home)

    def people(self, count: int) -> int | None:
        """A number of people as a page may show it: rounded down to a multiple of k_min; None for too few."""
        return rounded(count, self.k_min) or None

    def refresh(self) -> None:
        """Read `node.toml` anew: it has just been written."""
        self.home.__dict__.pop("settings", None)


async def _form_of(request: Request) -> FormData:
    return await request.form()


Form = Annotated[FormData, Depends(_form_of)]
"""A parameter: what a page's form says, for forms whose fields depend on what is shown."""


def word(form: FormData, name: str) -> str:
    """One field as text, without blanks around it; "" where it is missing or a file."""
    found = form.get(name, "")
    return "" if isinstance(found, UploadFile) else found.strip()
