"""/federation: the coordinator itself, and how much there is of everything."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Annotated

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import APIRouter, Request, Response

from federation.proposals import JobState
from federation.web.etags import reply
from federation.web.guard import needs
from privacy.access import Permission
from privacy.sealing import PublicIdentity
from server.api.documenting import Document
from server.api.services import Services


class Federation(msgspec.Struct, frozen=True):
    """fingerprint: of the coordinator's keys, to compare by voice; certificate: SHA-256 of its certificate (DER), in
    hexadecimal; serving: whether nodes can join now; jobs: how many are in each state."""

    url: str
    fingerprint: str
    certificate: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    version: str
    serving: bool
    parties: int
    jobs: dict[JobState, int]
    events: int


def add_federation(api: APIRouter, services: Services, document: Document) -> None:
    """The route."""

    @api.get(
        "/federation",
        tags=["federation"],
        summary="The coordinator, and how much there is",
        dependencies=[needs(Permission.OVERVIEW_READ)],
        **document.answers(Federation),
    )
    def get(request: Request) -> Response:
        roster = services.home.roster
        certificate = x509.load_pem_x509_certificate(roster.certificate.encode())
        found = Federation(
            url=roster.url,
            fingerprint=PublicIdentity.from_text(roster.coordinator).fingerprint,
            certificate=hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
            version=version("silhouette"),
            serving=services.home.running is not None,
            parties=len(roster.parties),
            jobs=services.jobs.counts(),
            events=services.home.audit.size,
        )
        return reply(request, found)
