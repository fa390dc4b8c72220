"""Pages of console and desk: one layout, one set of parts, one way to fill them in.

    {% extends "federation.web:layout.html.j2" %}
    {% from "federation.web:parts.html.j2" import table, badge with context %}
    {% from "federation.web:forms.html.j2" import form, field with context %}
    {% set title = t('console.jobs.title') %}
    {% block main %} ... {% endblock %}

A template sees `t` (`wording.Wording`), `caller`, `csrf`, `here` (the path), `query`, `link(**changes)` (this page with
another query), `static(name)`, `may(permission)`, `flash`, and what its route gives it. What it does not see raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from fastapi import Request, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from federation.web.cookies import Cookies
from federation.web.csrf import Csrf
from federation.web.flashes import Flash, Flashes, Tone
from federation.web.languages import NAMES, QUERY, known, language_of
from federation.web.local_paths import changed
from federation.web.problems import ProblemDetails
from federation.web.statics import Statics
from federation.web.wording import Wording
from privacy.access import Caller, Permission

_FOLDER: Final = "templates"
_SEE_OTHER: Final = 303


@dataclass(frozen=True, slots=True)
class NavItem:
    """A page in the navigation. key: of its text; permission: without it the page is not named; None: for everybody."""

    path: str
    key: str
    permission: Permission | None


class Pages:
    """The pages of one edge. site: the key of its name; owner: the party or coordinator it belongs to.

    logout: where its form to leave goes to; home: its first page.
    """

    def __init__(
        self,
        site: str,
        owner: str,
        nav: Sequence[NavItem],
        cookies: Cookies,
        csrf: Csrf,
        statics: Statics,
        logout: str = "/logout",
        home: str = "/",
    ) -> None:
        self._site, self._owner, self._nav, self._logout, self._home = site, owner, tuple(nav), logout, home
        self._cookies, self._csrf, self._statics = cookies, csrf, statics
        self._flashes = Flashes(cookies, csrf)

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """A page, or the part of one that htmx asks for: `package:file` is looked up in the package's templates."""
        caller: Caller | None = request.scope.get("state", {}).get("caller")
        login = caller.login if caller is not None else ""
        flash = self._flashes.take(request, login)
        wording = Wording(language_of(request))
        page = environment().get_template(template).render(
            t=wording,
            languages=NAMES,
            caller=caller,
            csrf=self._csrf.token(login) if login else "",
            site=wording(self._site),
            owner=self._owner,
            nav=[item for item in self._nav if _may(caller, item.permission)],
            logout=self._logout,
            home=self._home,
            here=request.url.path,
            query=request.query_params,
            link=partial(_link, request),
            static=self._statics.url,
            may=partial(_may, caller),
            is_part=request.headers.get("hx-request") == "true",
            flash=flash,
            **values,
        )  # fmt: skip
        response = HTMLResponse(page, status)
        if flash is not None:
            self._flashes.end(response)
        chosen = known(request.query_params.get(QUERY, ""))
        if chosen:
            self._cookies.give_language(response, chosen)
        return response

    def problem(self, request: Request, problem: ProblemDetails) -> Response:
        """What a browser is shown when it cannot be done (`problems.PageOfProblem`)."""
        return self.render(request, "federation.web:problem.html.j2", problem.status, problem=problem)

    def lead_on(
        self, request: Request, path: str, tone: Tone = "good", key: str = "", **values: object
    ) -> Response:
        """After a change: go on to another page, which says what was done. key: of that text."""
        response: Response = RedirectResponse(path, _SEE_OTHER)
        if request.headers.get("hx-request") == "true":
            response = Response(headers={"HX-Redirect": path})
        if key:
            caller: Caller | None = request.scope.get("state", {}).get("caller")
            said = Flash(tone, key, {name: str(value) for name, value in values.items()})
            self._flashes.give(response, caller.login if caller is not None else "", said)
        return response


@cache
def environment() -> Environment:
    """Everything is escaped, and a name that nobody gave is an error."""
    return Environment(
        loader=FunctionLoader(_load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def _load(name: str) -> str | None:
    package, _, file = name.partition(":")
    source = resources.files(package) / _FOLDER / file
    return source.read_text("utf-8") if source.is_file() else None


def _link(request: Request, **changes: object) -> str:
    return changed(request.url.path, request.url.query, changes)


def _may(caller: Caller | None, permission: Permission | str | None) -> bool:
    """Whether somebody may; without a login nothing, not even what is for everybody who is logged in."""
    return caller is not None and (permission is None or caller.may(Permission(permission)))
