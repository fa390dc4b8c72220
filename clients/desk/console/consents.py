"""Consents: how many people have said what, never who; one person by the identifier that an officer types.

The identifier is in the body of one request and then in this process's memory, under a random name that the page holds:
it is in no address, no page, no title and no log. Looking somebody up is in the log before anything is shown.
"""

from __future__ import annotations

import secrets
import threading
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

from fastapi import FastAPI, Form, Request, Response

from clients.consents.changes import Changes, restriction_of
from clients.consents.node import bring_in_for_withdrawal, changes_of
from clients.consents.subjects import kind_label
from clients.consents.tables import Restriction, Source
from clients.desk.console.rules import policy_or_none
from clients.desk.console.services import Desk
from federation.pace import utc_now
from federation.web.guard import Current, needs
from privacy.access import Caller, Permission
from privacy.audit import EventType
from privacy.consent import Need
from privacy.errors import NotFound

_LIST: Final = "/desk/consents"
LOOK_TIME: Final = timedelta(minutes=10)
MOST_LOOKED: Final = 1_000
_NAME_BYTES: Final = 16
_REVIEW_DAYS: Final = 90
"""How long "too hard to delete" may stand (`clients.consents.changes.TECHNICAL_DAYS`)."""


class Coverage(NamedTuple):
    """One need, and how many people have said yes to it; None: too few to tell."""

    need: Need
    people: int | None


class Looked:
    """Whom an officer has just looked up, for a few minutes and for that login alone."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str, datetime]] = {}
        self._lock = threading.Lock()

    def keep(self, caller: Caller, identifier: str) -> str:
        """A name for the page's forms."""
        name, now = secrets.token_urlsafe(_NAME_BYTES), utc_now()
        with self._lock:
            self._held = {key: one for key, one in self._held.items() if one[2] > now}
            while len(self._held) >= MOST_LOOKED:
                del self._held[next(iter(self._held))]
            self._held[name] = (caller.login, identifier, now + LOOK_TIME)
        return name

    def get(self, caller: Caller, name: str) -> str:
        """The identifier again. Raises `NotFound` for another's login and after the time."""
        with self._lock:
            login, identifier, until = self._held.get(name, ("", "", utc_now()))
        if not login or login != caller.login or utc_now() >= until:
            raise NotFound("desk_look_over")
        return identifier


def add_consents(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home, looked = desk.home, Looked()

    def changes() -> Changes:
        return changes_of(home, Source.API)

    def show(request: Request, caller: Caller, identifier: str, done: str = "") -> Response:
        _note_look(desk, caller, identifier)
        (found,) = changes().held([identifier])
        policy = policy_or_none(home)
        return desk.pages.render(
            request,
            "clients.desk.console:consent.html.j2",
            found=found,
            subject=looked.keep(caller, identifier),
            restrictions=[*Restriction],
            purposes=() if policy is None else policy.purposes,
            review=utc_now().date() + timedelta(days=_REVIEW_DAYS),
            done=done,
        )

    @app.get(_LIST, dependencies=[needs(Permission.CONSENTS_READ)])
    def coverage(request: Request) -> Response:
        now, store = utc_now(), home.consents
        found = [Coverage(need, desk.people(store.people(now, need))) for need in store.needs()]
        return desk.pages.render(
            request,
            "clients.desk.console:consents.html.j2",
            coverage=found,
            everybody=desk.people(store.people(now)),
            k_min=desk.k_min,
            now=now,
        )

    @app.post(_LIST + "/lookup", dependencies=[needs(Permission.CONSENTS_CHANGE)])
    def look_up(
        request: Request, caller: Current, identifier: Annotated[str, Form(max_length=200)]
    ) -> Response:
        return show(request, caller, identifier.strip())

    @app.post(_LIST + "/withdraw", dependencies=[needs(Permission.CONSENTS_CHANGE)])
    def withdraw(
        request: Request,
        caller: Current,
        subject: Annotated[str, Form(max_length=100)],
        purpose: Annotated[str, Form(max_length=32)] = "",
    ) -> Response:
        identifier = looked.get(caller, subject)
        found = changes()
        try:
            bring_in_for_withdrawal(home)
        finally:  # a file that cannot be read holds up no word
            found.withdraw(found.identifiers([identifier]), purpose or None)
        return show(request, caller, identifier, "desk.consents.withdrawn")

    @app.post(_LIST + "/restrict", dependencies=[needs(Permission.CONSENTS_CHANGE)])
    def restrict(
        request: Request,
        caller: Current,
        subject: Annotated[str, Form(max_length=100)],
        reason: Annotated[str, Form(max_length=20)],
        law: Annotated[str, Form(max_length=200)] = "",
    ) -> Response:
        identifier, why = looked.get(caller, subject), restriction_of(reason)
        found = changes()
        is_technical = why is Restriction.TECHNICAL
        review = utc_now().astimezone().date() + timedelta(days=_REVIEW_DAYS) if is_technical else None
        found.restrict(found.identifiers([identifier]), why, law.strip(), review)
        return show(request, caller, identifier, "desk.consents.restricted")

    @app.post(_LIST + "/lift", dependencies=[needs(Permission.CONSENTS_CHANGE)])
    def lift(
        request: Request,
        caller: Current,
        subject: Annotated[str, Form(max_length=100)],
        reason: Annotated[str, Form(max_length=20)],
    ) -> Response:
        identifier, found = looked.get(caller, subject), changes()
        found.lift(found.identifiers([identifier]), restriction_of(reason))
        return show(request, caller, identifier, "desk.consents.lifted")


def _note_look(desk: Desk, caller: Caller, identifier: str) -> None:
    """Into the log, under the subject's reference where the store knows the subject. Raises `IdentifierInvalid`."""
    home = desk.home
    identifiers = changes_of(home, Source.API).identifiers([identifier])
    tokens = home.consents.tokens(kind_label(home.settings.table), identifiers)
    is_known = bool(home.consents.known(tokens).all())
    home.audit.append(
        EventType.ACCESS_GRANTED,
        actor=caller.name,
        stage=Permission.CONSENTS_READ.value,
        artefact="lookup",
        sref=home.consents.srefs(tokens, "lookup", utc_now().year)[0] if is_known else "",
    )
