"""What an edge answers when it cannot do what it was asked: RFC 9457, with the article and the remedy.

A problem names a field of the request at most, never what was in it. Of an error that is not ours nothing is said, and
only its kind is logged: its message and its frames may hold what nobody may read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from federation.web.languages import language_of
from federation.web.refusing import STATUS, BodyBroken, RequestRefused
from privacy.errors import (
    AccessDenied,
    Denied,
    InputError,
    LoginsLocked,
    LogUnavailable,
    NotAuthenticated,
    NotFound,
    Refused,
    SecondPersonMissing,
    SilhouetteError,
    StateConflict,
)
from privacy.reasons import ARTICLES, Reason
from privacy.texts import text

MEDIA_TYPE: Final = "application/problem+json"
NO_LOGIN: Final = 401
WHO_MAY: Final = "PIPL 51"
"""Article 51: operations by whoever has the authority, and measures against access without it."""
_ARTICLES: Final = {
    **dict.fromkeys(("unauthorised", "forbidden"), WHO_MAY),
    "consent_scope": "PIPL 13, 23, 29, 31",
    "consent_notice_needed": "PIPL 14, 17",
    "consent_law_missing": "PIPL 47",
    "consent_review": "PIPL 47",
    "consent_reason": "PIPL 47",
}
_STATUS_OF: Final[tuple[tuple[type[SilhouetteError], int], ...]] = (
    (NotFound, 404),
    (StateConflict, 409),
    (InputError, 422),
    (NotAuthenticated, 401),
    (LoginsLocked, 429),
    (LogUnavailable, 503),
    (Refused, 403),
    (SilhouetteError, 503),
)
"""The first that fits: what the caller can put right, what a rule forbids, and what may be over in a while."""
_CODE_OF_STATUS: Final = {
    400: "malformed",
    401: "unauthorised",
    403: "forbidden",
    404: "not_found",
    405: "method",
    409: "conflict",
    413: "too_large",
    415: "media_type",
    429: "too_many",
    503: "unavailable",
}
"""What FastAPI itself refuses."""
_FIELD: Final = re.compile(r" - at `(\$[^`]*)`")
"""As msgspec ends its messages; a key that somebody invented may stand before it."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_-]{0,39}")
"""A name of a field of ours. A key that somebody invented may be an identifier, and is not repeated."""

log = logging.getLogger("silhouette.web")


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457, of type about:blank. code: stable; article: what demands it; field: of the request, as a JSON path, or
    the place and name of a parameter (`query.limit`)."""

    status: int
    code: str
    title: str
    remedy: str
    article: str = ""
    field: str = ""


PageOfProblem = Callable[[Request, ProblemDetails], Awaitable[Response] | Response]
"""How a browser is shown one."""


def problem_of(error: Exception, language: str | None = None) -> ProblemDetails:
    """What another program may hear of an error; of one that is not ours, nothing."""
    match error:
        case SilhouetteError():
            return _of_ours(error, language)
        case RequestRefused():
            code, field = error.code, error.field
        case msgspec.MsgspecError():
            code, field = "malformed", field_in(str(error))
        case RequestValidationError():
            code, field = "malformed", _place_of(error.errors())
        case HTTPException():
            code, field = _CODE_OF_STATUS.get(error.status_code, "internal"), ""
        case _:
            code, field = "internal", ""
    return named(code, field, language)


def named(code: str, field: str = "", language: str | None = None) -> ProblemDetails:
    """The problem of a code of `refusing.STATUS`."""
    title = text(f"web.title.{code}", language=language)
    remedy = text(f"web.remedy.{code}", language=language)
    return ProblemDetails(STATUS[code], code, title, remedy, _ARTICLES.get(code, ""), field)


def field_in(message: str) -> str:
    """The JSON path that a message of msgspec names, or ""."""
    found = _FIELD.findall(message)
    return found[-1] if found else ""


def answer(problem: ProblemDetails, headers: Mapping[str, str] | None = None) -> Response:
    """The problem as an HTTP response."""
    return Response(msgspec.json.encode(problem), problem.status, headers, MEDIA_TYPE)


def install(
    app: FastAPI,
    page: PageOfProblem | None = None,
    is_page: Callable[[Request], bool] = lambda request: False,
) -> None:
    """Answer everything that goes wrong in the application with a problem; to a page's caller with `page`."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = problem_of(error, language_of(request))
        if problem.code == "internal":
            log.error("a request failed: %s", type(error).__name__)
        headers = dict(getattr(error, "headers", None) or {})
        if problem.status == NO_LOGIN:
            headers.setdefault("WWW-Authenticate", 'Bearer realm="silhouette"')
        if page is None or not is_page(request):
            return answer(problem, headers)
        try:
            found = page(request, problem)
            shown = found if isinstance(found, Response) else await found
        except Exception as broken:
            log.error("a problem's page failed: %s", type(broken).__name__)
            return answer(problem, headers)
        shown.headers.update(headers)
        return shown

    for kind in (
        RequestRefused,
        msgspec.MsgspecError,
        RequestValidationError,
        HTTPException,
        SilhouetteError,
    ):
        app.add_exception_handler(kind, handle)
    app.add_middleware(_Unforeseen, handle=handle)


class _Unforeseen:
    """Keeps an error that nobody foresaw from the server's log, which would write down its message and frames."""

    def __init__(self, app: ASGIApp, handle: Callable[[Request, Exception], Awaitable[Response]]) -> None:
        self._app, self._handle = app, handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except BodyBroken:
            raise
        except Exception as error:
            if scope["type"] != "http" or started:
                log.error("an answer broke off: %s", type(error).__name__)
                raise ConnectionAbortedError from None
            response = await self._handle(Request(scope), error)
            await response(scope, receive, send)


def _of_ours(error: SilhouetteError, language: str | None) -> ProblemDetails:
    status = next(status for kind, status in _STATUS_OF if isinstance(error, kind))
    code, article = error.key, _article_of(error)
    if isinstance(error, Denied):
        codes = error.findings.codes
        code, article = codes[0] if codes else error.code, "; ".join(ARTICLES[Reason(one)] for one in codes)
    title = error.render(language)
    can_wait = status in {429, 503}
    remedy = text("web.remedy.later" if can_wait else "web.remedy.again", language=language)
    return ProblemDetails(status, code, title, remedy, article, field_in(title))


def _article_of(error: SilhouetteError) -> str:
    if isinstance(error, Refused) and error.reason is not None:
        return ARTICLES[error.reason]
    if isinstance(error, AccessDenied | NotAuthenticated | LoginsLocked | SecondPersonMissing):
        return WHO_MAY
    return _ARTICLES.get(error.key, "")


def _place_of(errors: Sequence[Any]) -> str:
    """Where the first of FastAPI's complaints lies, without a name that is not ours."""
    place = [*errors[0]["loc"]] if errors else []
    if not place:
        return ""
    names = [f"[{part}]" if isinstance(part, int) else f".{_known(part)}" for part in place[1:]]
    if place[0] != "body":
        return "".join([str(place[0]), *names])
    is_broken = errors[0]["type"] == "json_invalid"
    return "$" if is_broken else "".join(["$", *names])


def _known(part: object) -> str:
    return part if isinstance(part, str) and _NAME.fullmatch(part) else "*"
