"""What the desk answers when it cannot do what it was asked: RFC 9457, with the article and the remedy.

A problem names a field of the request at most, never what was in it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from fastapi import Response

from privacy.errors import Denied, InputError, SilhouetteError
from privacy.reasons import ARTICLES, Reason
from privacy.texts import text

MEDIA_TYPE: Final = "application/problem+json"
_FIELD: Final = re.compile(r"`(\$[^`]*)`")
_STATUS: Final = {
    "unauthorised": 401,
    "not_found": 404,
    "slow": 408,
    "too_large": 413,
    "malformed": 422,
    "no_action": 422,
    "internal": 500,
}
_ARTICLES: Final = {
    "unauthorised": "PIPL 51",
    "no_action": "PIPL 5, 14",
    "consent_scope": "PIPL 13, 23, 29, 31",
    "consent_notice_needed": "PIPL 14, 17",
    "consent_law_missing": "PIPL 47",
    "consent_review": "PIPL 47",
    "consent_reason": "PIPL 47",
}


class ProblemDetails(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457, of type about:blank. code: stable; article: what demands it; field: of the request, as a JSON path."""

    status: int
    code: str
    title: str
    remedy: str
    article: str = ""
    field: str = ""


class DeskError(Exception):
    """A request that is refused by the desk itself. code: a key of `_STATUS`."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(code)
        self.code, self.field = code, field


def problem_of(error: Exception) -> ProblemDetails:
    """What another program may hear of an error; of one that is not ours, nothing."""
    match error:
        case DeskError():
            return _named(error.code, error.field)
        case msgspec.MsgspecError():
            found = _FIELD.search(str(error))
            return _named("malformed", found[1] if found else "")
        case Denied():
            codes = error.findings.codes
            articles = "; ".join(ARTICLES[Reason(code)] for code in codes)
            return ProblemDetails(
                403, codes[0] if codes else error.code, error.render(), text("desk.remedy.again"), articles
            )
        case InputError():
            return ProblemDetails(
                422, error.key, error.render(), text("desk.remedy.again"), _ARTICLES.get(error.key, "")
            )
        case SilhouetteError():
            return ProblemDetails(
                503, error.key, error.render(), text("desk.remedy.later"), _ARTICLES.get(error.key, "")
            )
    return _named("internal", "")


def answer(problem: ProblemDetails) -> Response:
    """The problem as an HTTP response."""
    return Response(msgspec.json.encode(problem), problem.status, media_type=MEDIA_TYPE)


def _named(code: str, field: str) -> ProblemDetails:
    title, remedy = text(f"desk.title.{code}"), text(f"desk.remedy.{code}")
    return ProblemDetails(_STATUS[code], code, title, remedy, _ARTICLES.get(code, ""), field)
