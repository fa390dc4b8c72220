"""The coordinator's log: found by filters, read event by event, and proved to be in what was signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

from fastapi import FastAPI, Query, Request, Response

from federation.audit_log import AuditLog
from federation.messages import COORDINATOR
from federation.web.guard import needs
from federation.web.paging import make_cursor, read_cursor
from privacy.access import Permission
from privacy.audit import Event
from privacy.checkpoints import Checkpoint
from privacy.errors import NotFound, SilhouetteError
from privacy.merkle import root_from_inclusion
from server.console.naming import FAMILIES
from server.console.services import Console

SHOWN: Final = 50
MOST_READ: Final = 5_000
"""Events that one page looks through; the next page goes on from there, so no filter makes a page slow."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events somebody looks for; what is empty does not matter."""

    family: str = ""
    actor: str = ""
    about: str = ""
    since: str = ""
    until: str = ""

    def takes(self, event: Event) -> bool:
        """Whether an event is one of them."""
        day = event.time[:10]
        return (
            (not self.family or event.type.value.startswith(self.family + "."))
            and (not self.actor or event.actor == self.actor)
            and (not self.about or self.about in {event.artefact, event.job, event.session, event.stage})
            and (not self.since or day >= self.since)
            and (not self.until or day <= self.until)
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is in what was signed. path: hashes from the leaf upward; root: where they lead to."""

    checkpoint: Checkpoint
    leaf: str
    path: tuple[str, ...]
    root: str
    in_tree: bool
    is_signed: bool
    witnesses: tuple[tuple[str, bool], ...]


def newest(log: AuditLog, wanted: Filter, before: int) -> tuple[list[Event], int]:
    """(events before this number that are wanted, the newest first; where the next page begins, 0 at the end)."""
    found: list[Event] = []
    for event in log.newest_first(before):
        if wanted.takes(event):
            found.append(event)
        if len(found) == SHOWN or before - event.seq >= MOST_READ:
            return found, event.seq
    return found, 0


def prove(console: Console, seq: int) -> Proof:
    """The proof for an event against the newest checkpoint that covers it. Raises `NotFound`."""
    log = console.home.audit
    if not 0 <= seq < log.size:
        raise NotFound("console_event_unknown")
    covering = [(made, signed) for made, signed in log.checkpoints() if made.size > seq]
    cosigned = [pair for pair in covering if pair[1]]
    checkpoint, signatures = (cosigned or covering or [(log.checkpoint(), ())])[-1]
    leaf, path = log.leaf(seq), log.inclusion(seq, checkpoint.size)
    root = root_from_inclusion(leaf, seq, checkpoint.size, path)
    keys = console.home.roster.identities(without=COORDINATOR)
    witnesses = tuple(
        (one.witness, one.witness in keys and _holds(partial(one.verify, keys[one.witness], checkpoint)))
        for one in signatures
    )
    return Proof(
        checkpoint,
        leaf.hex(),
        tuple(part.hex() for part in path),
        root.hex(),
        root == checkpoint.root,
        _holds(partial(checkpoint.verify, log.public)),
        witnesses,
    )


def add_audit(app: FastAPI, console: Console) -> None:
    """The routes."""
    pages = console.pages

    @app.get("/audit", dependencies=[needs(Permission.AUDIT_READ)])
    def audit(
        request: Request,
        family: Annotated[str, Query(max_length=20)] = "",
        actor: Annotated[str, Query(max_length=60)] = "",
        about: Annotated[str, Query(max_length=130)] = "",
        since: Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = "",
        until: Annotated[str, Query(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = "",
        cursor: Annotated[str, Query(max_length=100)] = "",
    ) -> Response:
        log, wanted = console.home.audit, Filter(family, actor.strip(), about.strip(), since, until)
        size = log.size
        before = min(size, int(read_cursor(cursor, (int,))[0])) if cursor else size
        events, following = newest(log, wanted, before)
        return pages.render(
            request,
            "server.console:audit.html.j2",
            events=events,
            next=make_cursor((following,)) if following else "",
            wanted=wanted,
            families=FAMILIES,
            size=size,
            waiting=[
                one
                for one in console.access.two_persons.waiting(request.state.caller)
                if one.permission is Permission.AUDIT_EXPORT
            ],
        )

    @app.get("/audit/{seq}", dependencies=[needs(Permission.AUDIT_READ)])
    def event(request: Request, seq: int) -> Response:
        proof = prove(console, seq)
        found = next(iter(console.home.audit.events(seq, seq + 1)))
        return pages.render(
            request,
            "server.console:event.html.j2",
            event=found,
            line=found.canonical().decode(),
            proof=proof,
            has_before=seq > 0,
            has_after=seq + 1 < console.home.audit.size,
        )


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except SilhouetteError:
        return False
    return True
