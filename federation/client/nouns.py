"""Everything at a coordinator that is looked at: lists as iterators, page after page, and single things by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from federation.client.calls import Calls, Query
from federation.client.records import (
    AuditEntry,
    AuditEvent,
    Dataset,
    Model,
    Party,
    Persona,
    Purpose,
    RequestCounts,
    Token,
)
from privacy.errors import NotFound

_Record = TypeVar("_Record")


class Listing(Generic[_Record]):
    """One noun. Iterating gives all of it."""

    path: ClassVar[str]
    kind: type[_Record]

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> Iterator[_Record]:
        """All that this token may see."""
        return self._listed({})

    def __iter__(self) -> Iterator[_Record]:
        return self.list()

    def _listed(self, query: Query) -> Iterator[_Record]:
        return self._calls.pages(self.path, self.kind, query)

    def _at(self, *place: str) -> _Record:
        return self._calls.get("/".join((self.path, *place)), self.kind)


class PartiesListing(Listing[_Record]):
    """What each party has published."""

    def list(self, *, party: str = "") -> Iterator[_Record]:
        """All that this token may see. party: only what this one has published."""
        return self._listed({"party": party})


class Parties(Listing[Party]):
    """The roster: who is enrolled, and who is there now."""

    path, kind = "/parties", Party

    def get(self, name: str) -> Party:
        """One party."""
        return self._at(name)


class Datasets(PartiesListing[Dataset]):
    """What tables the parties have registered: schemas alone."""

    path, kind = "/datasets", Dataset

    def get(self, party: str, name: str) -> Dataset:
        """One table of one party."""
        return self._at(party, name)


class Purposes(PartiesListing[Purpose]):
    """For what the parties' policies let their data be used."""

    path, kind = "/purposes", Purpose

    def get(self, party: str, name: str) -> Purpose:
        """One purpose of one party."""
        return self._at(party, name)


class Models(PartiesListing[Model]):
    """The cards of what was trained, one for each party that has a part of it."""

    path, kind = "/models", Model

    def get(self, number: str) -> list[Model]:
        """One model, by each of its parties."""
        return self._calls.get(f"{self.path}/{number}", list[Model])


class Personas(Listing[Persona]):
    """The segments that finished jobs have released, the newest first."""

    path, kind = "/personas", Persona

    def get(self, job: str) -> Persona:
        """The segments of one job."""
        return self._at(job)


class Requests(PartiesListing[RequestCounts]):
    """How many requests of subjects each party has, by their state."""

    path, kind = "/requests", RequestCounts

    def get(self, party: str) -> RequestCounts:
        """Those of one party. Raises `NotFound` when it has published none."""
        found = next(self.list(party=party), None)
        if found is None:
            raise NotFound("client_nothing_listed", party=party)
        return found


class Audit(Listing[AuditEvent]):
    """The coordinator's own log of events, the newest first."""

    path, kind = "/audit/events", AuditEvent

    def list(self, *, type: str = "", actor: str = "", about: str = "") -> Iterator[AuditEvent]:  # noqa: A002
        """type: of an event, or a family of types; about: a job's digest, a session or an artefact."""
        return self._listed({"type": type, "actor": actor, "about": about})

    def get(self, number: int) -> AuditEntry:
        """One event, as it stands in the log."""
        return self._calls.get(f"{self.path}/{number}", AuditEntry)


class Tokens(Listing[Token]):
    """One's own tokens."""

    path, kind = "/tokens", Token

    def get(self, token: str) -> Token:
        """One, by its id. Raises `NotFound`."""
        for found in self.list():
            if found.id == token:
                return found
        raise NotFound("access_token_unknown")

    def revoke(self, token: str) -> None:
        """End one, by its id."""
        self._calls.delete(f"{self.path}/{token}")
