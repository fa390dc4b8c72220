"""Coming in at the console, and one's own password."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI

from federation.access.people import Account
from federation.entrance import Entrance, add_entrance
from server.console.services import Console

_FIRST: Final = "/"


def add_logins(app: FastAPI, console: Console) -> None:
    """The routes."""
    add_entrance(
        app,
        Entrance(
            console.pages,
            console.access,
            console.cookies,
            console.rates,
            first=_FIRST,
            templates="server.console",
            is_led=_is_new,
        ),
    )


def _is_new(account: Account) -> bool:
    return account.must_change
