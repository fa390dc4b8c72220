"""What the coordinator has against a request, as an error of the family that it belongs to, with what to do about it.

The coordinator says it as RFC 9457 problem details. A command line ends with the family's exit status; a program
catches the family (`privacy.errors.NotFound`) or all of them (`Answered`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from privacy.errors import (
    AccessDenied,
    ConfigInvalid,
    NotAuthenticated,
    NotFound,
    Refused,
    SilhouetteError,
    StateConflict,
)
from privacy.texts import text

_ACCESS_CODES: Final = frozenset({"access_denied", "forbidden", "csrf"})
"""Of a 403 that is about the caller's roles, and not about a rule or a job."""


class ProblemDetails(msgspec.Struct, frozen=True):
    """What went wrong. code: stable; article: of the law that demands it; field: of the request, as a path."""

    status: int
    code: str
    title: str
    remedy: str
    article: str = ""
    field: str = ""


class Answered(SilhouetteError):
    """The coordinator's own words about a request; `problem` has them in parts."""

    problem: ProblemDetails

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return self.problem.remedy


class LoginNeeded(Answered, NotAuthenticated):
    """401: there is no token, or it is not good any more."""


class NotPermitted(Answered, AccessDenied):
    """403: the token's roles do not give this."""


class RefusedByRule(Answered, Refused):
    """403: a rule forbids it; `problem.code` is the reason's, `problem.article` the law's."""


class NotThere(Answered, NotFound):
    """404: there is no such thing, or not for this caller."""


class InTheWay(Answered, StateConflict):
    """409, 412 and 428: it cannot be done in the present state."""


class NotTaken(Answered, ConfigInvalid):
    """Every other 4xx: the request is not what the coordinator takes; `problem.field` says where."""


class TooMany(Answered):
    """429: more requests than the coordinator takes."""


class Unable(Answered):
    """5xx: the coordinator cannot, and perhaps later can."""


_NO_PERMISSION: Final = 403
_KINDS: Final[dict[int, type[Answered]]] = {
    401: LoginNeeded,
    404: NotThere,
    409: InTheWay,
    412: InTheWay,
    428: InTheWay,
    429: TooMany,
}
_OUR_FAULT: Final = range(400, 500)


def error_of(status: int, content: bytes) -> Answered:
    """The error of an answer whose status is none of success."""
    problem = _problem_in(status, content)
    error = _kind_of(problem)("client_answered", message=problem.title, details=problem.remedy)
    error.problem = problem
    return error


def _problem_in(status: int, content: bytes) -> ProblemDetails:
    try:
        problem = msgspec.json.decode(content, type=ProblemDetails)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        title = text("client.problem.title", status=status)
        return ProblemDetails(status, "internal", title, text("client.problem.remedy"))
    return msgspec.structs.replace(problem, status=status)


def _kind_of(problem: ProblemDetails) -> type[Answered]:
    if problem.status == _NO_PERMISSION:
        return NotPermitted if problem.code in _ACCESS_CODES else RefusedByRule
    if problem.status in _KINDS:
        return _KINDS[problem.status]
    return NotTaken if problem.status in _OUR_FAULT else Unable
