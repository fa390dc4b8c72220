"""The routes of the subject's page. What a proxy shows to the public is `/s`, `/s/...` and `/q`, over TLS, and no more.

No script, nothing from elsewhere, nothing kept by a browser or a proxy. An identifier stands in no path and no log; the
cookie is a random name of a session in this process's memory.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from clients.desk.handling import body_of
from clients.desk.problems import DeskError, problem_of
from clients.desk.subject.pages import File, SubjectPages
from clients.desk.subject.sessions import LINK_PATH, SESSION_TIME, Session, Sessions
from clients.home import NodeHome
from clients.rights.wording import Wording
from privacy.errors import SilhouetteError

COOKIE: Final = "__Host-silhouette"
MOST_FORM_BYTES: Final = 8_192
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_SEE_OTHER: Final = 303

log = logging.getLogger("silhouette.desk")


class Visit(NamedTuple):
    """One request: its path's last part, its form, its session."""

    part: str
    form: dict[str, str]
    secret: str
    session: Session | None
    t: Wording

    @property
    def known(self) -> Session:
        """Raises `PageError` for whoever has no session."""
        if self.session is None:
            raise PageError("closed")
        return self.session

    @property
    def sent(self) -> Session:
        """The session of a form that was made for it. Raises `PageError`."""
        session = self.known
        if not session.uses(self.form.get("form", "")):
            raise PageError("form_used")
        return session


class PageError(Exception):
    """What a visitor is told. code: "closed" or "form_used"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def add_subject_page(app: FastAPI, home: NodeHome, sessions: Sessions) -> None:
    """The page's routes."""
    routes = _Routes(SubjectPages(home), sessions)
    for method, path, work in (
        ("GET", "/q", routes.code_form),
        ("POST", "/q", routes.code),
        ("GET", "/s", routes.overview),
        ("POST", "/s/ask", routes.ask),
        ("POST", "/s/file", routes.file),
        ("POST", "/s/leave", routes.leave),
        ("GET", "/s/case/{part}", routes.case),
        ("GET", "/s/{part}", routes.landing),
        ("POST", "/s/{part}", routes.enter),
    ):
        app.add_api_route(path, routes.handler(work), methods=[method], include_in_schema=False)


class _Routes:
    """What each route does."""

    def __init__(self, pages: SubjectPages, sessions: Sessions) -> None:
        self._pages, self._sessions = pages, sessions

    # --- ways in

    def landing(self, visit: Visit) -> Response:
        """A link that is only looked at, as programs that check links do, is not used up."""
        if not self._sessions.is_good(visit.part):
            raise PageError("closed")
        return HTMLResponse(self._pages.plain("landing.html.j2", visit.t, action=LINK_PATH + visit.part))

    def enter(self, visit: Visit) -> Response:
        secret = self._sessions.enter(visit.part)
        if secret is None:
            raise PageError("closed")
        return _with_cookie(RedirectResponse("/s", _SEE_OTHER), secret)

    def code_form(self, visit: Visit) -> Response:
        return HTMLResponse(self._pages.plain("code.html.j2", visit.t))

    def code(self, visit: Visit) -> Response:
        number = visit.form.get("case", "").strip().lower()
        self._pages.check(number, visit.form.get("code", ""))
        return _with_cookie(
            RedirectResponse(f"/s/case/{number}", _SEE_OTHER), self._sessions.enter_case(number)
        )

    # --- inside

    def overview(self, visit: Visit) -> Response:
        session = visit.known
        if not session.identifier:
            (number,) = session.cases
            return RedirectResponse(f"/s/case/{number}", _SEE_OTHER)
        return HTMLResponse(self._pages.overview(session, visit.t))

    def ask(self, visit: Visit) -> Response:
        session, form = visit.sent, visit.form
        if not session.identifier:
            raise PageError("closed")
        asked = (form.get(name, "") for name in ("kind", "purpose", "field", "value"))
        return HTMLResponse(self._pages.ask(session, visit.t, *asked))

    def case(self, visit: Visit) -> Response:
        return HTMLResponse(self._pages.case(visit.known, visit.t, visit.part))

    def file(self, visit: Visit) -> Response:
        """The form stays good, so that the other files of the page can be had as well."""
        session, form = visit.known, visit.form
        if form.get("form") != session.form:
            raise PageError("form_used")
        return _download(self._pages.file(session, visit.t, form.get("case", ""), form.get("what", "")))

    def leave(self, visit: Visit) -> Response:
        _ = visit.sent
        self._sessions.leave(visit.secret)
        response = RedirectResponse("/q", _SEE_OTHER)
        response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response

    # --- requests and answers

    def handler(self, work: Callable[[Visit], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            t = Wording("en")
            try:
                visit = await self._visit(request)
                t = visit.t
                response = await run_in_threadpool(work, visit)
            except Exception as error:
                response = self._problem(error, t)
            response.headers.update(HEADERS)
            return response

        return handle

    async def _visit(self, request: Request) -> Visit:
        secret = request.cookies.get(COOKIE, "")
        session = self._sessions.get(secret) if secret else None
        language = _language(request.query_params.get("lang", ""))
        if session is not None and language:
            session.language = language
        chosen = language or (session.language if session else "") or _preferred(request)
        form: dict[str, str] = {}
        if request.method == "POST":
            body = (await body_of(request, MOST_FORM_BYTES)).decode("utf-8", "replace")
            form = {name: values[-1] for name, values in parse_qs(body).items()}
        return Visit(request.path_params.get("part", ""), form, secret, session, Wording(chosen))

    def _problem(self, error: Exception, t: Wording) -> Response:
        if isinstance(error, PageError):
            message, remedy, status = t.told(error.code), t.remedy(error.code), 403
        elif isinstance(error, SilhouetteError):
            message, remedy, status = error.render(t.language), "", problem_of(error).status
        else:
            if not isinstance(error, DeskError):
                # Its message or its frames may hold an identifier: the kind alone is logged.
                log.error("a page failed: %s", type(error).__name__)
            message, remedy, status = (
                t("subject.failed"),
                t.remedy("failed"),
                problem_of(error).status,
            )
        page = self._pages.plain("message.html.j2", t, message=message, remedy=remedy, back=status != 403)
        return HTMLResponse(page, status)


def _language(name: str) -> str:
    """A language of ours, or ""."""
    return "zh-CN" if name.lower().startswith("zh") else "en" if name.lower().startswith("en") else ""


def _preferred(request: Request) -> str:
    """The first of the browser's languages that is ours, else Chinese: the law that the page is for is China's."""
    names = request.headers.get("accept-language", "").split(",")
    return next((found for name in names if (found := _language(name.strip()))), "zh-CN")


def _with_cookie(response: Response, secret: str) -> Response:
    seconds = int(SESSION_TIME.total_seconds())
    response.set_cookie(
        COOKIE, secret, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict"
    )
    return response


def _download(file: File) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)
