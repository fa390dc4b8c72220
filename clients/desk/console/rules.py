"""What holds at this node: its purposes and policy, what goes when, and its keys' fingerprints."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final, NamedTuple

from fastapi import FastAPI, Request, Response

from clients.desk.console.services import Desk
from clients.gate.policy import active_policy
from clients.gate.retention import AUDIENCES, COPIES, RESULTS
from clients.home import NodeHome
from clients.rights.duties import read_duties
from federation.pace import today
from federation.roster import Enrolment, from_json
from federation.web.guard import needs
from privacy.access import Permission
from privacy.errors import Denied
from privacy.policy import Policy

_KEPT: Final = {"results": RESULTS, "audiences": AUDIENCES, "copies": COPIES, "jobs": "job/"}
"""What is counted on the page (`desk.kept.<name>` in the texts), and how its records begin."""


class Kept(NamedTuple):
    """How many records of a kind there are, and how many of them the next sweep removes."""

    name: str
    records: int
    over: int


class PartyKey(NamedTuple):
    """Somebody's public keys, by their fingerprint."""

    party: str
    fingerprint: str


def add_rules(app: FastAPI, desk: Desk) -> None:
    """The routes."""
    home = desk.home

    @app.get("/desk/purposes", dependencies=[needs(Permission.PURPOSES_READ)])
    def purposes(request: Request) -> Response:
        return desk.pages.render(
            request, "clients.desk.console:purposes.html.j2", policy=policy_or_none(home), today=today()
        )

    @app.get("/desk/retention", dependencies=[needs(Permission.RETENTION_READ)])
    def retention(request: Request) -> Response:
        over = set(home.vault.expired())
        kept = []
        for name, prefix in _KEPT.items():
            names = home.vault.names(prefix)
            kept.append(Kept(name, len(names), len(over.intersection(names))))
        return desk.pages.render(
            request,
            "clients.desk.console:retention.html.j2",
            spec=home.settings.table,
            policy=policy_or_none(home),
            kept=kept,
            duties=read_duties(home),
        )

    @app.get("/desk/keys", dependencies=[needs(Permission.KEYS_READ)])
    def keys(request: Request) -> Response:
        file = home.enrolment_file
        enrolment = from_json(file.read_bytes(), Enrolment, file.name)
        own = home.settings.name
        others = home.roster.identities(own) if home.roster_file.exists() else {}
        return desk.pages.render(
            request,
            "clients.desk.console:keys.html.j2",
            own=PartyKey(own, home.identity.public.fingerprint),
            transport=hashlib.sha256(enrolment.flower_key.encode()).hexdigest(),
            made=datetime.fromtimestamp(file.stat().st_mtime, UTC),
            others=[PartyKey(party, key.fingerprint) for party, key in sorted(others.items())],
        )


def policy_or_none(home: NodeHome) -> Policy | None:
    """The policy in force, or None."""
    try:
        return active_policy(home)
    except Denied:
        return None
