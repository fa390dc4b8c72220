"""/parties: who is in the roster, with fingerprints to compare by voice; admitting a party, or its new keys."""

from __future__ import annotations

import hashlib
import threading
from typing import Annotated

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from fastapi import APIRouter, Request, Response

from federation.roster import Enrolment, from_json, to_json
from federation.web.etags import JSON, canonical, must_match, reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging
from privacy.access import Caller, Permission
from privacy.errors import ConfigInvalid, NotFound, StateConflict
from privacy.sealing import PublicIdentity
from server.api.bodies import body_of, made_once
from server.api.documenting import Document
from server.api.lists import NamePath, page_of
from server.api.services import Services

_SOURCE = "enrolment.json"
_EXAMPLE = {"name": "bank", "identity": "two keys of 32 bytes, base64", "flower_key": "a P-384 key, PEM"}


class PartyRecord(msgspec.Struct, frozen=True):
    """fingerprint: of the keys that sign and open; flower_key: SHA-256 of the key that its SuperNode has, in
    hexadecimal; node: "online", "offline", or "unknown" while nothing serves."""

    name: str
    fingerprint: str
    flower_key: str
    node: str


def add_parties(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    changing = threading.Lock()

    def listed_parties() -> list[PartyRecord]:
        nodes = services.presence.of_parties()
        return [_record(party, nodes.get(party.name, "unknown")) for party in services.home.roster.parties]

    def find(name: str) -> PartyRecord:
        for found in listed_parties():
            if found.name == name:
                return found
        raise NotFound("api_party_unknown")

    @api.get(
        "/parties",
        tags=["parties"],
        summary="Everybody in the roster",
        dependencies=[needs(Permission.PARTIES_READ)],
        **document.answers(Page[PartyRecord]),
    )
    def listed(request: Request, paging: Paging) -> Response:
        return page_of(request, paging, listed_parties(), lambda row: (row.name,), str)

    @api.post(
        "/parties",
        tags=["parties"],
        summary="Admit a party by its enrolment; every party then needs the new roster",
        **document.answers(PartyRecord, status=201, once=True, body=Enrolment, example=_EXAMPLE),
    )
    async def enrol(
        request: Request,
        caller: Annotated[Caller, needs(Permission.PARTIES_ENROL)],
        wanted: Annotated[Enrolment, body_of(Enrolment)],
    ) -> Response:
        def work() -> Response:
            check_enrolment(wanted)
            with changing:
                if any(party.name == wanted.name for party in services.home.roster.parties):
                    raise StateConflict("api_party_known", party=wanted.name)
                services.home.enrol(wanted)
            return Response(canonical(find(wanted.name)), 201, media_type=JSON)

        return await made_once(request, services, caller, work)

    @api.get(
        "/parties/{name}",
        tags=["parties"],
        summary="One party",
        dependencies=[needs(Permission.PARTIES_READ)],
        **document.answers(PartyRecord, 404),
    )
    def get(request: Request, name: NamePath) -> Response:
        return reply(request, find(name))

    @api.put(
        "/parties/{name}",
        tags=["parties"],
        summary="Replace a party's keys, which it has lost or changed",
        dependencies=[needs(Permission.PARTIES_ENROL)],
        **document.answers(PartyRecord, 404, matched=True, body=Enrolment, example=_EXAMPLE),
    )
    def replace(
        request: Request, name: NamePath, wanted: Annotated[Enrolment, body_of(Enrolment)]
    ) -> Response:
        with changing:
            must_match(request, find(name))
            check_enrolment(wanted)
            if wanted.name != name:
                raise ConfigInvalid("api_party_other", party=name)
            services.home.enrol(wanted, replace=True)
        return reply(request, find(name))


def check_enrolment(enrolment: Enrolment) -> None:
    """Raises `ConfigInvalid` for keys that are none: they would stop everybody's coordinator, not only this party."""
    from_json(to_json(enrolment), Enrolment, _SOURCE)
    try:
        key = load_pem_public_key(enrolment.flower_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ConfigInvalid("api_flower_key", party=enrolment.name)


def _record(party: Enrolment, node: str) -> PartyRecord:
    fingerprint = PublicIdentity.from_text(party.identity).fingerprint
    return PartyRecord(party.name, fingerprint, hashlib.sha256(party.flower_key.encode()).hexdigest(), node)
