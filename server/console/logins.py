"""Coming in by a password or by a code that is good once, setting one's password, leaving."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Form, Request, Response

from federation.access.logins import LIFE
from federation.access.passwords import MINIMUM
from federation.web.guard import Current, needs_login, open_to_all
from federation.web.languages import language_of
from federation.web.limits import address_of
from federation.web.local_paths import local_path
from federation.web.problems import problem_of
from privacy.access import Caller
from privacy.errors import AccountInvalid, LoginsLocked, NotAuthenticated, SilhouetteError
from server.console.services import Console

_UNAUTHORISED = 401
_UNPROCESSABLE = 422


def add_logins(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages, access = console.pages, console.access
    rates = console.rates

    def login_page(request: Request, target: str, error: SilhouetteError | None = None) -> Response:
        status = 200 if error is None else problem_of(error).status
        message = "" if error is None else error.render(language_of(request))
        return pages.render(request, "server.console:login.html.j2", status, target=target, message=message)

    def enter(secret: str, caller: Caller, request: Request, target: str) -> Response:
        must_change = access.accounts.get(caller.name).must_change
        response = pages.lead_on(request, "/password" if must_change else local_path(target))
        console.cookies.give_session(response, secret, int(LIFE.total_seconds()))
        return response

    @app.get("/login", dependencies=[open_to_all("before a login nobody has a permission")])
    def login(request: Request) -> Response:
        return login_page(request, local_path(request.query_params.get("next", "/")))

    @app.post(
        "/login",
        dependencies=[open_to_all("before a login nobody has a permission"), Depends(rates.by_address)],
    )
    def log_in(
        request: Request,
        name: Annotated[str, Form(max_length=200)] = "",
        password: Annotated[str, Form(max_length=2_000)] = "",
        code: Annotated[str, Form(max_length=200)] = "",
        target: Annotated[str, Form(alias="next", max_length=2_000)] = "/",
    ) -> Response:
        try:
            typed = code.strip()
            secret, caller = (
                access.log_in_once(typed)
                if typed
                else access.log_in(name.strip(), password, address_of(request))
            )
        except (NotAuthenticated, LoginsLocked) as error:
            return login_page(request, local_path(target), error)
        return enter(secret, caller, request, target)

    @app.post("/logout", dependencies=[needs_login("everybody may leave")])
    def log_out(request: Request) -> Response:
        access.logins.end(console.cookies.session(request))
        response = pages.lead_on(request, "/login")
        console.cookies.end_session(response)
        return response

    def password_page(request: Request, caller: Caller, error: SilhouetteError | None = None) -> Response:
        account = access.accounts.get(caller.name)
        return pages.render(
            request,
            "server.console:password.html.j2",
            200 if error is None else _UNPROCESSABLE,
            account=account,
            needs_old=not access.logins.is_by_code(caller),
            minimum=MINIMUM,
            message="" if error is None else error.render(language_of(request)),
        )

    @app.get("/password", dependencies=[needs_login("it is one's own")])
    def password(request: Request, caller: Current) -> Response:
        return password_page(request, caller)

    @app.post("/password", dependencies=[needs_login("it is one's own"), Depends(rates.by_address)])
    def change_password(
        request: Request,
        caller: Current,
        new: Annotated[str, Form(max_length=2_000)],
        again: Annotated[str, Form(max_length=2_000)],
        old: Annotated[str, Form(max_length=2_000)] = "",
    ) -> Response:
        try:
            if new != again:
                raise AccountInvalid("console_password_differs")
            access.change_password(caller, old, new)
        except (AccountInvalid, NotAuthenticated, LoginsLocked) as error:
            return password_page(request, caller, error)
        # Setting it has ended every login, this one too.
        secret, _ = access.log_in(caller.name, new)
        response = pages.lead_on(request, "/")
        console.cookies.give_session(response, secret, int(LIFE.total_seconds()))
        return response
