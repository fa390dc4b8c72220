"""How routes say what they answer, for the OpenAPI document: records are msgspec structs, as everywhere in this code.

The same structs that parties sign and that the database gives are what is answered; a second set of models of another
library would be one to keep equal. Their JSON Schema is msgspec's own.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import Response

from federation.web.etags import JSON
from federation.web.problems import MEDIA_TYPE, ProblemDetails
from federation.web.refusing import STATUS

REFERENCE: Final = "#/components/schemas/{name}"
_ALWAYS: Final = (401, 403, 422, 429, 500, 503)
"""What any route may answer: no login, no permission, malformed, too many, broken, and what may be over in a while."""
_WITH_BODY: Final = (408, 413, 415)
_MEANINGS: Final = {
    200: "Done",
    201: "Made",
    202: "Waits for a second person",
    204: "Done; there is nothing to say",
    304: "Not changed since",
    401: "Nobody is logged in, or the proof is worth nothing",
    403: "Not permitted, or refused by a rule",
    404: "Not there, or not for this caller",
    408: "The body came too slowly",
    409: "Not in this state, or the same request is still being worked on",
    412: "Changed since it was seen",
    413: "The body is too large",
    415: "The body is not JSON",
    422: "Malformed, or cannot be done with these values",
    428: "`If-Match` is missing",
    429: "Too many requests",
    500: "Unforeseen",
    503: "Not now; the same request may succeed later",
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request gets the first answer again, for a day.",
    "schema": {"type": "string", "minLength": 16, "maxLength": 64, "pattern": r"^[\x21-\x7e]{16,64}$"},
}
_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The `ETag` of what is to be changed, as it was seen.",
    "schema": {"type": "string"},
}


class Document:
    """Collects, route by route, which records there are."""

    def __init__(self) -> None:
        self._kinds: dict[Any, None] = {ProblemDetails: None}

    def answers(
        self,
        kind: Any = None,
        *others: int,
        status: int = 200,
        body: Any = None,
        example: Any = None,
        media_type: str = JSON,
        once: bool = False,
        matched: bool = False,
    ) -> dict[str, Any]:
        """A route's keyword arguments. kind: what it answers; others: statuses of problems beside the usual ones.

        body: what it is sent, with an example; once: whether it takes an `Idempotency-Key`; matched: whether it
        demands `If-Match`.
        """
        problems = {*_ALWAYS, *others, *((409,) if once else ()), *((412, 428) if matched else ())}
        if body is not None:
            problems |= set(_WITH_BODY)
        responses = {code: _problem(code) for code in sorted(problems)}
        responses[status] = {"description": _MEANINGS[status]}
        if kind is not None:
            responses[status]["content"] = {media_type: {"schema": self.schema(kind)}}
        if status == 200 and media_type == JSON and not once:
            responses[304] = {"description": _MEANINGS[304]}
        extra: dict[str, Any] = {}
        if body is not None:
            content: dict[str, Any] = {"schema": self.schema(body)}
            if example is not None:
                content["example"] = example
            extra["requestBody"] = {"required": True, "content": {JSON: content}}
        parameters = [*([_KEY] if once else ()), *([_MATCH] if matched else ())]
        if parameters:
            extra["parameters"] = parameters
        return {
            "status_code": status,
            "responses": responses,
            "response_class": Response,
            "openapi_extra": extra,
        }

    def schema(self, kind: Any) -> dict[str, Any]:
        """A kind's place in the document, or itself where it is no record."""
        self._kinds[kind] = None
        (found,), _ = msgspec.json.schema_components([kind], ref_template=REFERENCE)
        return found

    def components(self) -> dict[str, Any]:
        """The JSON Schema of every record, by name."""
        _, found = msgspec.json.schema_components(list(self._kinds), ref_template=REFERENCE)
        return dict(found)


def _problem(status: int) -> dict[str, Any]:
    codes = [code for code, found in STATUS.items() if found == status]
    return {
        "description": _MEANINGS[status],
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": REFERENCE.format(name=ProblemDetails.__name__)},
                "example": {"status": status, "code": codes[0], "title": "...", "remedy": "..."},
            }
        },
    }
