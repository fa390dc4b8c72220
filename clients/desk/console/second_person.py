"""What takes two persons, on the page where it is done: asked for, waiting, ready to be done once."""

from __future__ import annotations

import hashlib
from typing import Final, Literal, NamedTuple

import msgspec

from clients.desk.console.services import Desk
from federation.access.two_persons import Answer
from privacy.access import Caller, Permission

CONFIRMATIONS: Final = "/desk/confirmations"


class Standing(NamedTuple):
    """How far the caller's own request for exactly this is."""

    state: Literal["none", "waiting", "ready"] = "none"
    number: str = ""
    second: str = ""


def what_of(*parts: str) -> str:
    """SHA-256 of what will be done: the act first, then what it is done to."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def standing(desk: Desk, caller: Caller, permission: Permission, what: str) -> Standing:
    """The caller's last request for this, if it can still come to something."""
    if not caller.may(permission):
        return Standing()
    own = [
        one
        for one in desk.access.two_persons.waiting(caller)
        if (one.permission, one.what, one.asker) == (permission, what, caller.name)
    ]
    ready = next((one for one in own if one.answer is Answer.YES), None)
    if ready is not None:
        return Standing("ready", ready.number, ready.second)
    return Standing("waiting", own[-1].number) if own else Standing()


def may_now(desk: Desk, caller: Caller, permission: Permission, what: str, detail: str) -> bool:
    """Whether it is done now, this once; where nobody has been asked yet, a second person is asked.

    detail: for that person; names and counts, nobody's data. Raises `AccessDenied`, `SecondPersonMissing`.
    """
    found = standing(desk, caller, permission, what)
    if found.state == "ready":
        desk.access.two_persons.use(caller, found.number, permission, what)
        return True
    if found.state == "none":
        desk.access.two_persons.ask(caller, permission, what, detail)
    return False
