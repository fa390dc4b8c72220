"""What stands before the routes of an edge, put together in the one right order."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import FastAPI

from federation.web.guard import Guard
from federation.web.headers import SecurityHeaders
from federation.web.limits import BodyLimit, RateHeaders, RateLimits
from federation.web.pages import Pages


def protect(
    app: FastAPI,
    guard: Guard,
    *,
    secure: bool,
    pages: Pages | None = None,
    most_by_prefix: Mapping[str, int] | None = None,
    by_address: RateLimits | None = None,
) -> None:
    """Limits, headers, problems and permissions. Call it once, before the application is served.

    secure: whether browsers come by https; pages: how they are told of problems; most_by_prefix: bytes of a body.
    """
    guard.install(app, None if pages is None else pages.problem)
    # The last one added is the outermost: what a limit refuses has the headers too.
    app.add_middleware(BodyLimit, most_by_prefix=most_by_prefix)
    app.add_middleware(RateHeaders, rates=by_address)
    app.add_middleware(SecurityHeaders, secure=secure)
