"""/audit: the coordinator's own log. Events, signed checkpoints, and proofs that anybody can check without us."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response

from federation.web.etags import reply
from federation.web.guard import needs
from federation.web.paging import Page, Paging, add_link
from privacy.access import Permission
from privacy.audit import MAX_NUMBER, Event, EventType
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import NotFound
from privacy.merkle import root_from_inclusion
from server.api.audit_index import Wish
from server.api.documenting import Document
from server.api.services import Services

Number = Annotated[int, Path(ge=0, le=MAX_NUMBER)]
_Wanted = Annotated[int, Query(ge=0, le=MAX_NUMBER)]
_Size = Annotated[
    int | None, Query(ge=1, le=MAX_NUMBER, description="Over how many events; as many as there are.")
]
_NAME: Final = "^[A-Za-z0-9._:/+-]{0,128}$"
_Type = Annotated[
    str, Query(pattern=_NAME, description="A type of events, or a family: what stands before its point.")
]
_Actor = Annotated[str, Query(pattern=_NAME, description="Who acted.")]
_About = Annotated[str, Query(pattern=_NAME, description="A job's digest, a session or an artefact.")]
TYPES: Final = frozenset(EventType) | frozenset(kind.partition(".")[0] for kind in EventType)


class AuditEntry(msgspec.Struct, frozen=True):
    """An event with its line in the log (RFC 8785), whose hash `leaf` the log's tree holds: SHA-256 of 0x00 and it."""

    event: Event
    line: str
    leaf: str


class Witness(msgspec.Struct, frozen=True):
    """Somebody else's signature under a checkpoint, in hexadecimal."""

    witness: str
    time: str
    signature: str


class CheckpointRecord(msgspec.Struct, frozen=True):
    """What the log was when it was signed. text: what is signed, under the domain "silhouette checkpoint v1"."""

    origin: str
    size: int
    root: str
    time: str
    key: str
    text: str
    signature: str
    witnesses: tuple[Witness, ...]


class Inclusion(msgspec.Struct, frozen=True):
    """That an event is among the first `size` (RFC 9162, 2.1.3): `hashes` lead from `leaf` to `root`."""

    event: int
    size: int
    leaf: str
    root: str
    hashes: tuple[str, ...]


class Consistency(msgspec.Struct, frozen=True):
    """That the first `old` events are the beginning of the first `new` ones (RFC 9162, 2.1.4)."""

    old: int
    new: int
    hashes: tuple[str, ...]


def add_audit(api: APIRouter, services: Services, document: Document) -> None:
    """The routes."""
    log, index = services.home.audit, services.events
    may = needs(Permission.AUDIT_READ)

    @api.get(
        "/audit/events",
        tags=["audit"],
        summary="Events, the newest first",
        dependencies=[may],
        **document.answers(Page[Event]),
    )
    def events(
        request: Request,
        paging: Paging,
        type: _Type = "",  # noqa: A002
        actor: _Actor = "",
        about: _About = "",
    ) -> Response:
        before = paging.after(int)
        if type and type not in TYPES:
            page: Page[Event] = Page([])
        else:
            found = index.find(Wish(type, actor, about), int(before[0]) if before else None, paging.limit + 1)
            page = paging.page(found, lambda event: (event.seq,))
        response = reply(request, page)
        add_link(request, response, page)
        return response

    @api.get(
        "/audit/events/{number}",
        tags=["audit"],
        summary="One event, as it stands in the log",
        dependencies=[may],
        **document.answers(AuditEntry, 404),
    )
    def event(request: Request, number: Number) -> Response:
        lines = list(log.lines(number, number + 1))
        if not lines:
            raise NotFound("api_event_unknown")
        return reply(
            request, AuditEntry(Event.parse(lines[0]), lines[0].decode("utf-8"), log.leaf(number).hex())
        )

    @api.get(
        "/audit/checkpoints/latest",
        tags=["audit"],
        summary="The last checkpoint, with its witnesses' signatures",
        dependencies=[may],
        **document.answers(CheckpointRecord, 404),
    )
    def latest(request: Request) -> Response:
        made = log.checkpoints()
        if not made:
            raise NotFound("api_checkpoint_missing")
        return reply(request, _checkpoint(*made[-1]))

    @api.post(
        "/audit/checkpoints",
        tags=["audit"],
        summary="Sign what the log is now; the last one again when there is no new event",
        dependencies=[may],
        **document.answers(CheckpointRecord, status=201),
    )
    def sign(request: Request) -> Response:
        made = log.checkpoint()
        signed = next((others for one, others in reversed(log.checkpoints()) if one.size == made.size), ())
        return reply(request, _checkpoint(made, signed), 201)

    @api.get(
        "/audit/proofs/inclusion",
        tags=["audit"],
        summary="The proof that an event is in the log",
        dependencies=[may],
        **document.answers(Inclusion, 404),
    )
    def inclusion(request: Request, event: _Wanted, size: _Size = None) -> Response:
        over = size or log.size
        try:
            path, leaf = log.inclusion(event, over), log.leaf(event)
        except IndexError:
            raise NotFound("api_event_unknown") from None
        root = root_from_inclusion(leaf, event, over, path)
        return reply(
            request, Inclusion(event, over, leaf.hex(), root.hex(), tuple(one.hex() for one in path))
        )

    @api.get(
        "/audit/proofs/consistency",
        tags=["audit"],
        summary="The proof that the log has only grown",
        dependencies=[may],
        **document.answers(Consistency, 404),
    )
    def consistency(request: Request, old: _Wanted, new: _Size = None) -> Response:
        over = new or log.size
        try:
            path = log.consistency(old, over)
        except IndexError:
            raise NotFound("api_event_unknown") from None
        return reply(request, Consistency(old, over, tuple(one.hex() for one in path)))


def _checkpoint(made: Checkpoint, signed: tuple[Cosignature, ...]) -> CheckpointRecord:
    return CheckpointRecord(
        origin=made.origin,
        size=made.size,
        root=made.root.hex(),
        time=made.time,
        key=made.key,
        text=made.body().decode(),
        signature=made.signature.hex(),
        witnesses=tuple(Witness(one.witness, one.time, one.signature.hex()) for one in signed),
    )
