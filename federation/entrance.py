"""Coming in at an edge's pages by a password or by a code that is good once, setting one's password, leaving."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Form, Request, Response

from federation.access.logins import LIFE
from federation.access.office import Access
from federation.access.passwords import MINIMUM
from federation.access.people import Account
from federation.web.cookies import Cookies
from federation.web.guard import Current, needs_login, open_to_all
from federation.web.languages import language_of
from federation.web.limits import RateLimits, address_of
from federation.web.local_paths import local_path
from federation.web.pages import Pages
from federation.web.problems import problem_of
from privacy.access import Caller
from privacy.errors import AccountInvalid, LoginsLocked, NotAuthenticated, SilhouetteError

_UNPROCESSABLE: Final = 422
_Secret = Annotated[str, Form(max_length=2_000)]


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where the pages of one edge are, and on what they stand.

    first: the page after a login, under which all pages of the edge are; templates: the package of `login.html.j2` and
    `password.html.j2`; is_led: whether somebody is to set a password before anything else.
    """

    pages: Pages
    access: Access
    cookies: Cookies
    rates: RateLimits
    first: str
    templates: str
    is_led: Callable[[Account], bool]

    @property
    def login(self) -> str:
        return self.first + "login"

    @property
    def password(self) -> str:
        return self.first + "password"

    @property
    def logout(self) -> str:
        return self.first + "logout"

    def own(self, wish: str) -> str:
        """A page of this edge: nothing else of this host is led to."""
        found = local_path(wish, self.first)
        return found if found.startswith(self.first) else self.first

    def let_in(self, response: Response, secret: str) -> Response:
        """An answer that logs a browser in."""
        self.cookies.give_session(response, secret, int(LIFE.total_seconds()))
        return response


def add_entrance(app: FastAPI, entrance: Entrance) -> None:
    """The routes."""
    _add_login(app, entrance)
    _add_password(app, entrance)


def _add_login(app: FastAPI, entrance: Entrance) -> None:
    access, pages = entrance.access, entrance.pages
    anybody = open_to_all("before a login nobody has a permission")

    def page(request: Request, target: str, error: SilhouetteError | None = None) -> Response:
        return pages.render(
            request,
            f"{entrance.templates}:login.html.j2",
            200 if error is None else problem_of(error).status,
            target=target,
            message="" if error is None else error.render(language_of(request)),
        )

    @app.get(entrance.login, dependencies=[anybody])
    def login(request: Request) -> Response:
        return page(request, entrance.own(request.query_params.get("next", entrance.first)))

    @app.post(entrance.login, dependencies=[anybody, Depends(entrance.rates.by_address)])
    def log_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)] = "",
        password: _Secret = "",
        code: Annotated[str, Form(max_length=200)] = "",
        target: Annotated[str, Form(alias="next", max_length=2_000)] = entrance.first,
    ) -> Response:
        typed = code.strip()
        try:
            secret, caller = (
                access.log_in_once(typed)
                if typed
                else access.log_in(name.strip(), password, address_of(request))
            )
        except (NotAuthenticated, LoginsLocked) as error:
            return page(request, entrance.own(target), error)
        is_led = entrance.is_led(access.accounts.get(caller.name))
        return entrance.let_in(
            pages.lead_on(request, entrance.password if is_led else entrance.own(target)), secret
        )

    @app.post(entrance.logout, dependencies=[needs_login("everybody may leave")])
    def log_out(request: Request) -> Response:
        access.logins.end(entrance.cookies.session(request))
        response = pages.lead_on(request, entrance.login)
        entrance.cookies.end_session(response)
        return response


def _add_password(app: FastAPI, entrance: Entrance) -> None:
    access, pages, own = entrance.access, entrance.pages, needs_login("it is one's own")

    def page(request: Request, caller: Caller, error: SilhouetteError | None = None) -> Response:
        return pages.render(
            request,
            f"{entrance.templates}:password.html.j2",
            200 if error is None else _UNPROCESSABLE,
            account=access.accounts.get(caller.name),
            needs_old=not access.logins.is_by_code(caller),
            minimum=MINIMUM,
            message="" if error is None else error.render(language_of(request)),
        )

    @app.get(entrance.password, dependencies=[own])
    def password(request: Request, caller: Current) -> Response:
        return page(request, caller)

    @app.post(entrance.password, dependencies=[own, Depends(entrance.rates.by_address)])
    def change_password(
        request: Request, caller: Current, new: _Secret, again: _Secret, old: _Secret = ""
    ) -> Response:
        try:
            if new != again:
                raise AccountInvalid("access_password_differs")
            access.change_password(caller, old, new)
        except (AccountInvalid, NotAuthenticated, LoginsLocked) as error:
            return page(request, caller, error)
        # Setting it has ended every login, this one too.
        secret, _ = access.log_in(caller.name, new)
        return entrance.let_in(pages.lead_on(request, entrance.first), secret)
