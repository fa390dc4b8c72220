"""Who is in the federation: keys to compare by voice, what each party has published, and enrolling one more."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import FastAPI, Form, Request, Response

from federation.proposals import OPEN_STATES
from federation.publications import Noun
from federation.roster import Enrolment, from_json
from federation.web.guard import needs
from privacy.access import Permission
from privacy.errors import NotFound
from privacy.sealing import PublicIdentity
from server.console.naming import PROCESSING, presence_of
from server.console.services import Console

MOST_CHARACTERS = 20_000
"""Of an enrolment: a name and two public keys."""
SOURCE = "enrolment.json"
_FINGERPRINT_DIGITS = 16


def add_parties(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    def about(party: Enrolment) -> dict[str, Any]:
        status = console.presence.of_parties().get(party.name, "")
        return {
            "name": party.name,
            "fingerprint": PublicIdentity.from_text(party.identity).fingerprint,
            "flower": hashlib.sha256(party.flower_key.encode()).hexdigest()[:_FINGERPRINT_DIGITS],
            "presence": presence_of(status),
        }

    @app.get("/parties", dependencies=[needs(Permission.PARTIES_READ)])
    def parties(request: Request) -> Response:
        datasets = console.publications.of(Noun.DATASETS)
        roster = console.home.roster
        return pages.render(
            request,
            "server.console:parties.html.j2",
            parties=[about(party) for party in roster.parties],
            datasets=datasets,
            url=roster.url,
            fingerprint=PublicIdentity.from_text(roster.coordinator).fingerprint,
        )

    @app.post("/parties", dependencies=[needs(Permission.PARTIES_ENROL)])
    def enrol(
        request: Request,
        enrolment: Annotated[str, Form(max_length=MOST_CHARACTERS)],
        replace: Annotated[str, Form(max_length=3)] = "",
    ) -> Response:
        party = from_json(enrolment.encode(), Enrolment, SOURCE)
        console.home.enrol(party, replace=replace == "yes")
        fingerprint = PublicIdentity.from_text(party.identity).fingerprint
        return pages.lead_on(
            request,
            f"/parties/{party.name}",
            key="console.parties.enrolled",
            party=party.name,
            fingerprint=fingerprint,
        )

    @app.get("/parties/{name}", dependencies=[needs(Permission.PARTIES_READ)])
    def party(request: Request, name: str) -> Response:
        found = next((one for one in console.home.roster.parties if one.name == name), None)
        if found is None:
            raise NotFound("console_party_unknown")
        published = {noun: console.publications.of(noun).get(name) for noun in Noun}
        return pages.render(
            request,
            "server.console:party.html.j2",
            party=about(found),
            datasets=published[Noun.DATASETS],
            purposes=published[Noun.PURPOSES],
            processing=PROCESSING,
            jobs=console.jobs.page(states=tuple(OPEN_STATES), party=name),
        )
