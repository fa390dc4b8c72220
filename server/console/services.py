"""What the console's pages stand on, put together once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from federation.access.office import Access
from federation.web.cookies import Cookies
from federation.web.events import Streams
from federation.web.limits import RateLimits
from federation.web.pages import NavItem, Pages
from federation.web.statics import Statics
from privacy.access import Permission
from server.console.presence import Presence
from server.console.results import Results
from server.home import CoordinatorHome
from server.jobs.proposals import Jobs

if TYPE_CHECKING:
    from server.api.catalogue import Catalogue
    from server.api.services import Services

NAV: Final = (
    NavItem("/", "console.nav.overview", Permission.OVERVIEW_READ),
    NavItem("/jobs", "console.nav.jobs", Permission.JOBS_READ),
    NavItem("/parties", "console.nav.parties", Permission.PARTIES_READ),
    NavItem("/datasets", "console.nav.datasets", Permission.DATASETS_READ),
    NavItem("/purposes", "console.nav.purposes", Permission.PURPOSES_READ),
    NavItem("/matches", "console.nav.matches", Permission.MATCHES_READ),
    NavItem("/models", "console.nav.models", Permission.MODELS_READ),
    NavItem("/personas", "console.nav.personas", Permission.PERSONAS_READ),
    NavItem("/audiences", "console.nav.audiences", Permission.AUDIENCES_READ),
    NavItem("/requests", "console.nav.requests", Permission.REQUESTS_READ),
    NavItem("/audit", "console.nav.audit", Permission.AUDIT_READ),
    NavItem("/confirmations", "console.nav.confirmations", Permission.OVERVIEW_READ),
    NavItem("/users", "console.nav.users", Permission.USERS_READ),
    NavItem("/tokens", "console.nav.tokens", Permission.TOKENS_MANAGE),
    NavItem("/password", "console.nav.password", None),
)


@dataclass(frozen=True, slots=True)
class Console:
    """Everything that a page may ask. publications: the parties' lists, each opened once."""

    home: CoordinatorHome
    access: Access
    jobs: Jobs
    publications: Catalogue
    results: Results
    presence: Presence
    streams: Streams
    cookies: Cookies
    rates: RateLimits
    pages: Pages

    @classmethod
    def of(cls, services: Services, pages: Pages) -> Console:
        """On what the process has put together already. pages: of `make_pages`."""
        return cls(
            home=services.home,
            access=services.access,
            jobs=services.jobs,
            publications=services.catalogue,
            results=services.results,
            presence=services.presence,
            streams=services.streams,
            cookies=services.cookies,
            rates=services.logins,
            pages=pages,
        )


def make_pages(services: Services, statics: Statics) -> Pages:
    """The pages' frame, with the files that they load."""
    owner = urlsplit(services.home.roster.url).hostname or ""
    return Pages("console.site", owner, NAV, services.cookies, services.csrf, statics)
