"""What the desk answers when it cannot do what it was asked: RFC 9457, with the article and the remedy.

A problem names a field of the request at most, never what was in it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from federation.web import problems
from federation.web.problems import WHO_MAY, ProblemDetails, field_in
from privacy.errors import SilhouetteError
from privacy.texts import text

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
    "unauthorised": WHO_MAY,
    "no_action": "PIPL 5, 14",
}


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
            return _named("malformed", field_in(str(error)))
        case SilhouetteError():
            return problems.problem_of(error)
    return _named("internal", "")


def _named(code: str, field: str) -> ProblemDetails:
    title, remedy = text(f"desk.title.{code}"), text(f"desk.remedy.{code}")
    return ProblemDetails(_STATUS[code], code, title, remedy, _ARTICLES.get(code, ""), field)
