"""Getting a token for a program by a name and a password, which are then forgotten."""

from __future__ import annotations

import platform

import httpx
import msgspec

from federation.client.calls import Calls
from federation.client.records import Me, Token

DAYS = 30
"""How long a token of the command line holds when nobody says otherwise."""
_LABEL_LENGTH = 64


class _Issued(msgspec.Struct, frozen=True):
    record: Token
    token: str


def token_of(
    http: httpx.Client, name: str, password: str, *, language: str, days: int = DAYS
) -> tuple[str, Token]:
    """Log in, have a token with all one's roles issued, log out again.

    Raises `NotAuthenticated` for a wrong password, and `AccessDenied` for an account whose password must be changed
    first, in the console.
    """
    calls = Calls(http, "", language)
    # Once: a second try with a wrong password would count as another one.
    answer = calls.raw("POST", "/logins", body={"name": name, "password": password}, tries=1)
    me = msgspec.json.decode(answer, type=Me)
    proof = {"x-csrf": me.csrf}
    try:
        wanted = {"label": _label(), "roles": me.roles, "days": days}
        issued = msgspec.json.decode(
            calls.raw("POST", "/tokens", body=wanted, tries=1, headers=proof), type=_Issued
        )
    finally:
        calls.raw("DELETE", "/logins/current", tries=1, headers=proof)
        http.cookies.clear()
    return issued.token, issued.record


def _label() -> str:
    """By what somebody tells their tokens apart."""
    machine = "".join(letter for letter in platform.node() if letter.isprintable())
    return f"silhouette login ({machine})"[:_LABEL_LENGTH]
