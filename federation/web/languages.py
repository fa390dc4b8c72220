"""In which language somebody reads: as chosen in the page, as the account says, as the browser asks for."""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection

from privacy.texts import current_language

QUERY: Final = "lang"
COOKIE: Final = "silhouette-language"
COOKIE_SECONDS: Final = 31_536_000
"""A year. The cookie holds the name of a language, and nothing that would tell two readers apart."""
NAMES: Final = {"zh-CN": "中文", "en": "English"}
"""Each language in its own words."""
_MOST_WISHES: Final = 20


def known(name: str) -> str:
    """The language of ours that a name means, or ""."""
    wish = name.strip().lower().replace("_", "-")
    first = wish.split(";", 1)[0].split("-", 1)[0]
    return {"zh": "zh-CN", "en": "en"}.get(first, "")


def language_of(request: HTTPConnection) -> str:
    """The first that is ours: of the query, the cookie, the caller's account, the browser's wishes, the process."""
    caller = request.scope.get("state", {}).get("caller")
    candidates = (
        request.query_params.get(QUERY, ""),
        request.cookies.get(COOKIE, ""),
        caller.language if caller is not None else "",
    )
    chosen = next((found for name in candidates if (found := known(name))), "")
    return chosen or _preferred(request.headers.get("accept-language", "")) or current_language()


def _preferred(wishes: str) -> str:
    """Of `Accept-Language`, in the order of the weights (RFC 9110, 12.5.4)."""
    weighed = []
    for wish in wishes.split(",")[:_MOST_WISHES]:
        name, _, weight = wish.partition(";")
        try:
            weighed.append((-float(weight.strip().removeprefix("q=") or 1), name))
        except ValueError:
            continue
    ours = (found for _, name in sorted(weighed, key=lambda item: item[0]) if (found := known(name)))
    return next(ours, "")
