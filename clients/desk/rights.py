"""What the data holder's own systems ask of the desk about requests of subjects: a thin layer over the door."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clients.desk.requests import read
from clients.desk.subject.sessions import Sessions
from clients.home import NodeHome
from clients.rights import access
from clients.rights.cases import Authority, Case, Correction
from clients.rights.intake import Intake, Request
from clients.rights.store import CaseStore
from clients.rights.views import view
from privacy.errors import ConfigInvalid
from privacy.rights import Requester, RequestKind

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]


class _Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record whose unknown keys are refused."""


class Asked(_Closed, frozen=True):
    """A request of one subject; see `clients.rights.intake.Request`."""

    identifier: Identifier
    kind: RequestKind
    requester: Requester = Requester.SUBJECT
    verified_by: str = ""
    purpose: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,31})?\Z")] = ""
    authority: Authority | None = None
    correction: Correction | None = None


class Proof(_Closed, frozen=True):
    """Who asks has been made sure of: by the code that it was sent, or by the holder's own systems."""

    code: Annotated[str, Meta(max_length=32)] = ""
    verified_by: str = ""


class Subject(_Closed, frozen=True):
    """Whose session it is to be: the subject that is logged in at the holder's own system."""

    identifier: Identifier


class RightsDesk:
    """What each route does with the body of a request."""

    def __init__(self, home: NodeHome, sessions: Sessions) -> None:
        self._home, self._sessions = home, sessions
        self._intake = Intake(home, "api")

    def filed(self, body: bytes) -> dict[str, Any]:
        """code: to be sent to the subject by the holder's own channel, to prove who it is, "" where that is known.
        access: to be given to whoever asks, to look at the case later; "" before it is known who that is."""
        asked = read(body, Asked)
        request = Request(
            kind=asked.kind,
            requester=asked.requester,
            verified_by=asked.verified_by,
            purpose=asked.purpose,
            authority=asked.authority,
            correction=asked.correction,
        )
        made = self._intake.file(request, asked.identifier)
        return {**_plain(view(made.case)), "code": made.code, "access": self._access(made.case)}

    def shown(self, _body: bytes, case: str) -> dict[str, Any]:
        """Raises `ConfigInvalid` for a case that there is not."""
        found = CaseStore(self._home.vault).get(case)
        if found is None:
            raise ConfigInvalid("rights_case_unknown", case=case)
        return _plain(view(found))

    def verified(self, body: bytes, case: str) -> dict[str, Any]:
        """access: as `filed` says, now that who asks is known."""
        proof = read(body, Proof)
        if proof.verified_by:
            known = self._intake.vouch(case, proof.verified_by)
        else:
            known = self._intake.verify(case, proof.code)
        return {**_plain(view(known)), "access": self._access(known)}

    def _access(self, case: Case) -> str:
        """A code opens what is made for the subject, so a stranger who only asks gets none."""
        return access.give(self._home, case.number) if case.record.identified else ""

    def session(self, body: bytes) -> dict[str, Any]:
        """A link for the subject's browser, good once. Raises `IdentifierInvalid`."""
        asked = read(body, Subject)
        link = self._sessions.invite(self._sessions.canonical(asked.identifier))
        return {"link": link.path, "until": link.until}


def _plain(found: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    return plain
