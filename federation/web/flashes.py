"""What the next page says about what has just been done: a text's key and names, in a cookie that only we can make."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final, Literal

import msgspec
from fastapi import Request, Response

from federation.web.cookies import Cookies
from federation.web.csrf import Csrf

SECONDS: Final = 60
_MOST_CHARACTERS: Final = 2_000

Tone = Literal["good", "bad", "note"]


class Flash(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message. key: of the catalogue; values: names and counts that it is filled in with."""

    tone: Tone
    key: str
    values: dict[str, str] = {}


class Flashes:
    """Sets and reads them."""

    def __init__(self, cookies: Cookies, csrf: Csrf) -> None:
        self._cookies, self._csrf = cookies, csrf

    def give(self, response: Response, login: str, flash: Flash) -> None:
        """Have the next page of this login say it."""
        data = msgspec.json.encode(flash)
        packed = base64.urlsafe_b64encode(data).rstrip(b"=").decode()
        self._cookies.give_flash(response, f"{packed}.{self._sign(login, data)}", SECONDS)

    def take(self, request: Request, login: str) -> Flash | None:
        """What there is to say; nothing where the cookie is not one of ours for this login."""
        packed, _, signature = self._cookies.flash(request)[:_MOST_CHARACTERS].partition(".")
        try:
            data = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            if not hmac.compare_digest(signature.encode(), self._sign(login, data).encode()):
                return None
            return msgspec.json.decode(data, type=Flash) if packed else None
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            return None

    def end(self, response: Response) -> None:
        """It has been said."""
        self._cookies.give_flash(response, "", 0)

    def _sign(self, login: str, data: bytes) -> str:
        return self._csrf.sign(b"flash " + login.encode() + b" " + data)
