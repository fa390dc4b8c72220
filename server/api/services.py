"""What the routes and the pages of the console's process stand on, put together once and handed to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from federation.access.office import Access
from federation.web.cookies import Cookies
from federation.web.csrf import Csrf
from federation.web.events import Streams
from federation.web.guard import Guard, bearer_of, is_bearer
from federation.web.idempotency import Storage
from federation.web.limits import LOGINS, RateLimits
from privacy.access import Caller, Permission
from server.accounts import open_access
from server.api.audit_index import AuditIndex
from server.api.catalogue import Catalogue
from server.console.presence import Presence
from server.console.results import Results
from server.db.idempotency import KeptAnswers
from server.home import CoordinatorHome
from server.jobs.desk import Publications
from server.jobs.proposals import Jobs

EDGE: Final = "coordinator"
"""Of which edge the cookies are."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that a route or a page may use; any thread may. Make one a process (`of`).

    publications: parties' lists as they are signed; catalogue: the same, opened once; events: the audit log, indexed;
    kept: answers to requests that may come twice; rates, logins: how often one caller may come, or try a password.
    """

    home: CoordinatorHome
    access: Access
    jobs: Jobs
    publications: Publications
    catalogue: Catalogue
    results: Results
    presence: Presence
    events: AuditIndex
    kept: Storage
    streams: Streams
    cookies: Cookies
    csrf: Csrf
    rates: RateLimits
    logins: RateLimits
    secure: bool = False

    @classmethod
    def of(cls, home: CoordinatorHome, *, secure: bool = False) -> Services:
        """On a home whose database is brought up to date. secure: whether browsers come by https.

        Raises `ConfigInvalid`, `LogUnavailable`, `AuditBroken`.
        """
        access = open_access(home)
        jobs = Jobs(home.database, home, home.audit)
        publications = Publications(home.database, home)
        return cls(
            home=home,
            access=access,
            jobs=jobs,
            publications=publications,
            catalogue=Catalogue(home.database, home, publications),
            results=Results(jobs),
            presence=Presence(home),
            events=AuditIndex(home.audit),
            kept=KeptAnswers(home.database),
            streams=Streams(),
            cookies=Cookies(EDGE, secure=secure),
            csrf=Csrf(home.console_key),
            rates=RateLimits(),
            logins=RateLimits(LOGINS),
            secure=secure,
        )

    @property
    def guard(self) -> Guard:
        """Who may come in, by which proof; what was used and what was refused is in the audit log."""
        return Guard(self._caller_of, self.csrf, self._denied, self._granted, self.rates)

    def _caller_of(self, request: Request) -> Caller | None:
        if is_bearer(request):
            return self.access.caller_of(bearer_of(request))
        secret = self.cookies.session(request)
        return self.access.logins.lookup(secret) if secret else None

    def _denied(self, caller: Caller, permission: Permission, path: str) -> None:
        self.access.noting.denied(caller, permission, place_of(path))

    def _granted(self, caller: Caller, permission: Permission, path: str) -> None:
        self.access.noting.granted(caller, permission, place_of(path))


def place_of(path: str) -> str:
    """A route's path template as a name that the audit log takes."""
    return path.replace("{", "").replace("}", "").strip("/") or "overview"
