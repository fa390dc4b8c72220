"""What the routes and the pages of the console's process stand on, put together once and handed to each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import Request

from federation.access.office import Access
from federation.access.recent import RecentCallers
from federation.web.cookies import Cookies
from federation.web.csrf import SAFE_METHODS, Csrf
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
    kept: answers to requests that may come twice; rates, logins: how often one caller may come, or try a password;
    recent: who has just come in.
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
    recent: RecentCallers
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
            recent=RecentCallers(home.database),
            secure=secure,
        )

    @property
    def guard(self) -> Guard:
        """Who may come in, by which proof; what was used and what was refused is in the audit log."""
        return Guard(
            self._caller_of,
            self.csrf,
            self._denied,
            self._granted,
            self.rates,
            recall=self._recall,
            is_noted=self._is_noted,
        )

    def _caller_of(self, request: Request) -> Caller | None:
        bearer, cookie, changes = bearer_of(request), self.cookies.session(request), self.recent.changes
        if is_bearer(request):
            caller = self.access.caller_of(bearer)
        elif cookie:
            caller = self.access.logins.lookup(cookie)
        else:
            return None
        self.recent.keep(self._proof_of(request), caller, changes)
        return caller

    def _recall(self, request: Request) -> Caller | None:
        """Only for looking: whoever changes something is looked up."""
        return self.recent.find(self._proof_of(request)) if request.method in SAFE_METHODS else None

    def _proof_of(self, request: Request) -> str:
        """By what a request is known: a token is none in a cookie, nor the other way round."""
        if is_bearer(request):
            return f"bearer {bearer_of(request)}"
        return f"cookie {self.cookies.session(request)}"

    def _is_noted(self, caller: Caller, permission: Permission, path: str) -> bool:
        return self.access.noting.is_told(caller, permission, place_of(path))

    def _denied(self, caller: Caller, permission: Permission, path: str) -> None:
        self.access.noting.denied(caller, permission, place_of(path))

    def _granted(self, caller: Caller, permission: Permission, path: str) -> None:
        self.access.noting.granted(caller, permission, place_of(path))


def place_of(path: str) -> str:
    """A route's path template as a name that the audit log takes."""
    return path.replace("{", "").replace("}", "").strip("/") or "overview"
