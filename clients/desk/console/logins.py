"""Coming in at the desk, and one's own password."""

from __future__ import annotations

from fastapi import FastAPI

from clients.desk.console.services import FIRST, Desk
from federation.access.people import Account
from federation.entrance import Entrance, add_entrance
from federation.web.limits import LOGINS, RateLimits


def add_logins(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    add_entrance(
        app,
        Entrance(
            desk.pages,
            desk.access,
            desk.cookies,
            RateLimits(LOGINS),
            first=FIRST,
            templates="clients.desk.console",
            is_led=_has_none_of_its_own,
        ),
    )


def _has_none_of_its_own(account: Account) -> bool:
    return account.must_change or not account.has_password
