"""The cookies of an edge. What a login is worth stands in the edge's database; the cookie is only its name's secret.

On https: `__Host-`, so that no other host and no plain connection can set it (draft-ietf-httpbis-rfc6265bis, 4.1.3).
On loopback without TLS browsers refuse that, so the names are plain there; and since cookies know no ports, every edge
on a machine has names of its own.
"""

from __future__ import annotations

from typing import Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

from federation.web import languages


class Cookies:
    """Sets and reads them. edge: the name of the party or the coordinator; secure: whether browsers come by https."""

    def __init__(self, edge: str, *, secure: bool) -> None:
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self._session, self._flash = f"{prefix}silhouette-{edge}", f"{prefix}silhouette-{edge}-said"

    @property
    def secure(self) -> bool:
        """Whether browsers come by https."""
        return self._secure

    def session(self, request: HTTPConnection) -> str:
        """The secret of a login, or ""."""
        return request.cookies.get(self._session, "")

    def give_session(self, response: Response, secret: str, seconds: int) -> None:
        """Log a browser in. `Strict`: no other site can lead into a page that is logged in."""
        self._set(response, self._session, secret, seconds, "strict")

    def end_session(self, response: Response) -> None:
        """Log a browser out."""
        self._set(response, self._session, "", 0, "strict")

    def flash(self, request: HTTPConnection) -> str:
        """What the next page is to say, as it was set, or ""."""
        return request.cookies.get(self._flash, "")

    def give_flash(self, response: Response, value: str, seconds: int) -> None:
        """Have the next page say something; 0 seconds: nothing any more."""
        self._set(response, self._flash, value, seconds, "lax")

    def give_language(self, response: Response, language: str) -> None:
        """Remember a language, for all edges on this host."""
        self._set(response, languages.COOKIE, language, languages.COOKIE_SECONDS, "lax")

    def _set(
        self, response: Response, name: str, value: str, seconds: int, same_site: Literal["lax", "strict"]
    ) -> None:
        response.set_cookie(
            name, value, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite=same_site
        )
