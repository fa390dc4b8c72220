"""That a change was asked for by a page of ours: cross-site request forgery (OWASP, CWE-352).

Two checks, of which either would do in a present browser. Where the request comes from: `Sec-Fetch-Site`, which no page
can set, and in its absence `Origin`. And a token that only pages of the login hold: an HMAC of the login's name. A
caller with a bearer token is exempt: no browser sends one by itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from fastapi import Request
from starlette.datastructures import UploadFile

from federation.web.refusing import RequestRefused

FIELD: Final = "csrf"
HEADER: Final = "x-csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_FIELDS: Final = 500
MOST_FILES: Final = 4
_MIN_KEY_BYTES: Final = 32


class Csrf:
    """Makes and checks tokens. key: 32 random bytes at least, the same in every process of an edge."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _MIN_KEY_BYTES:
            raise ValueError("key")
        self._key = key

    def token(self, login: str) -> str:
        """For the pages of a login, by the login's name."""
        return self.sign(f"csrf {login}".encode())

    def sign(self, data: bytes) -> str:
        """An HMAC, as text for a form or a cookie."""
        return base64.urlsafe_b64encode(hmac.digest(self._key, data, hashlib.sha256)).rstrip(b"=").decode()

    async def check(self, request: Request, login: str) -> None:
        """Returns when a change by a logged-in browser comes from a page of its own. Raises `RequestRefused`."""
        if request.method in SAFE_METHODS:
            return
        check_site(request)
        given = request.headers.get(HEADER, "") or await _field_of(request)
        if not hmac.compare_digest(given.encode(), self.token(login).encode()):
            raise RequestRefused("csrf")


def check_site(request: Request) -> None:
    """Returns when a change does not come from a page of somebody else. Raises `RequestRefused`.

    A page of ours sends no referrer, so browsers without fetch metadata call its origin "null": the token decides.
    """
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "null")
    if site is None:
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        is_own = origin in {"null", own}
    else:
        is_own = site == "same-origin"
    if not is_own:
        raise RequestRefused("csrf")


async def _field_of(request: Request) -> str:
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind not in _FORMS:
        return ""
    # Kept with the request: whoever reads the form afterwards gets this one.
    form = await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS)
    given = form.get(FIELD, "")
    return "" if isinstance(given, UploadFile) else given
