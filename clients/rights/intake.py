"""Requests at the door: filed, the identity of who asks verified, or refused with reasons (PIPL 31, 44 to 50).

Identity is made sure of by the holder's own systems (a login, a branch, a call back), or by a one-time code that the
holder sends by its own channel. Until then nothing is looked up: whoever is not who they say learns nothing, not even
whether the identifier is a customer's. Who asks for another shows an authority first; kin of the dead have these rights
unless the dead had arranged otherwise (article 49).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.home import NodeHome
from clients.rights.cases import (
    Authority,
    Case,
    Correction,
    Locators,
    OneTimeCode,
    Record,
    VerifiedBy,
    rejected,
)
from clients.rights.correcting import check_correction
from clients.rights.store import CaseStore
from clients.rights.telling import tell
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.clocks import Refusal, answer_due
from privacy.errors import ConfigInvalid, Denied
from privacy.reasons import Finding, Findings, Reason
from privacy.rights import NEXT_STATES, CaseState, Requester, RequestKind

CODE_DIGITS: Final = 8
CODE_MINUTES: Final = 15
CODE_TRIES: Final = 5
CODES_PER_CASE: Final = 3
"""So a stranger guesses a code with a chance of 15 in 10^8 (our choice)."""
MAX_REQUESTS: Final = 1_000
REFUSALS: Final = (Reason.IDENTITY_UNVERIFIED, Reason.AGENT_AUTHORITY, Reason.STATUTORY_RETENTION)
"""Why an officer may refuse a request."""
_SALT_BYTES: Final = 16
_NUMBER_BYTES: Final = 16
_KINDS_WITH_PURPOSE: Final = frozenset({RequestKind.WITHDRAW})
_VOUCHED: Final = {
    "login": VerifiedBy.LOGIN,
    "branch": VerifiedBy.BRANCH,
    "hotline-callback": VerifiedBy.CALLBACK,
}
"""How the holder's own systems have made sure of who asks."""
VOUCHES: Final = tuple(_VOUCHED)


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is asked. purpose: of a withdrawal, "" for all. verified_by: one of `VOUCHES`, or "": by a code.

    authority: of an agent, a guardian or kin. correction: the field of the table, and what it is to hold.
    """

    kind: RequestKind
    requester: Requester = Requester.SUBJECT
    verified_by: str = ""
    purpose: Annotated[str, Meta(pattern=r"^([a-z][a-z0-9_-]{0,31})?\Z")] = ""
    authority: Authority | None = None
    correction: Correction | None = None


class Filed(NamedTuple):
    """A new case. code: for the holder to send to the subject by its own channel; "" where none is needed."""

    case: Case
    code: str = ""


class Intake:
    """The door of one node. actor: who speaks, for the log ("operator", "api")."""

    def __init__(
        self, home: NodeHome, actor: str = "operator", now: Callable[[], datetime] = utc_now
    ) -> None:
        self.home, self.store = home, CaseStore(home.vault)
        self._actor, self._now = actor, now

    def file(self, request: Request, cell: str) -> Filed:
        """A request about one subject. cell: its identifier in any spelling. Raises as `file_many` does."""
        return self.file_many(request, [cell])[0]

    def file_many(self, request: Request, cells: Sequence[str]) -> list[Filed]:
        """The same request of several subjects, a case for each. Nothing is looked up.

        A request for another without an authority, or where the dead had arranged otherwise, is filed and refused at
        once (`views.refusal_of`). Raises `IdentifierInvalid` for what is no identifier, `ConfigInvalid` for a request
        that does not fit together.
        """
        self._check(request, len(cells))
        findings = _missing_authority(request)
        identifiers = changes_of(self.home, Source.API).identifiers(cells)
        now = self._now()
        due = answer_due(now.astimezone().date())
        filed = []
        for identifier in identifiers.tolist():
            verified = _VOUCHED.get(request.verified_by, VerifiedBy.NOBODY)
            made, code = (None, "") if verified else _new_code(now)
            case = Case(
                number=secrets.token_hex(_NUMBER_BYTES),
                kind=request.kind,
                state=CaseState.RECEIVED,
                requester=request.requester,
                received=now,
                due=due,
                updated=now,
                wake=now,
                record=Record(
                    purpose=request.purpose,
                    identified=bool(verified),
                    verified_by=verified,
                    code=made,
                    authority=request.authority,
                    reached={CaseState.RECEIVED: now},
                ),
                locators=Locators(identifiers=(identifier,), correction=request.correction),
            )
            filed.append(Filed(case, code))
        new = [one.case for one in filed]
        tell(self.home, EventType.DSR_RECEIVED, new, actor=self._actor)
        with self.store.transaction() as connection:
            self.store.add(connection, new)
            if findings:
                return [Filed(self._reject(connection, case, findings)) for case in new]
        return filed

    def verify(self, number: str, code: str) -> Case:
        """The subject has shown its code: the case goes on.

        Raises `Denied` with R-IDENTITY-UNVERIFIED for a wrong code, one that is over, and a case that there is not: the
        same answer. After `CODE_TRIES` wrong ones the code is void, after `CODES_PER_CASE` void ones the case is
        refused.
        """
        now = self._now()
        with self.store.transaction() as connection:
            case = self.store.get(number, connection)
            made = None if case is None else case.record.code
            if case is not None and made is not None and made.tries < CODE_TRIES and now < made.until:
                if hmac.compare_digest(made.digest, _digest(made.salt, code)):
                    record = msgspec.structs.replace(
                        case.record, identified=True, verified_by=VerifiedBy.CODE, code=None
                    )
                    case = msgspec.structs.replace(case, wake=now, record=record)
                    self.store.save(connection, [case])
                    return case
                self._tell_denied(case)
                self._count_try(connection, case, made)
        raise Denied.of([Finding(Reason.IDENTITY_UNVERIFIED)])

    def vouch(self, number: str, verified_by: str) -> Case:
        """The holder's own systems have made sure of who asks. Raises `ConfigInvalid`."""
        if verified_by not in _VOUCHED:
            raise ConfigInvalid("rights_verified_by", known=", ".join(VOUCHES))
        with self.store.transaction() as connection:
            case = self._open_case(number, connection)
            if not case.record.identified:
                by = _VOUCHED[verified_by]
                record = msgspec.structs.replace(case.record, identified=True, verified_by=by, code=None)
                case = msgspec.structs.replace(case, wake=self._now(), record=record)
                self.store.save(connection, [case])
        return case

    def new_code(self, number: str) -> Filed:
        """Another code for a case, in place of the one before.

        Raises `Denied` with R-IDENTITY-UNVERIFIED when the case has had its last one.
        """
        with self.store.transaction() as connection:
            case = self._open_case(number, connection)
            before = case.record.code
            if before is None or case.record.identified or before.made >= CODES_PER_CASE:
                raise Denied.of([Finding(Reason.IDENTITY_UNVERIFIED)])
            made, code = _new_code(self._now(), before.made + 1)
            record = msgspec.structs.replace(case.record, code=made)
            case = msgspec.structs.replace(case, record=record)
            self.store.save(connection, [case])
        return Filed(case, code)

    def reject(self, number: str, reasons: Sequence[Reason]) -> Refusal:
        """Refuse a request, which has not been acted on yet; what the subject is told has code, article, remedy and
        the way to complain (PIPL 50).

        Raises `ConfigInvalid` without a reason, and for a case that does not exist or has gone too far.
        """
        findings = Findings.of(Finding(reason) for reason in reasons)
        refusal = Refusal(number, findings)
        with self.store.transaction() as connection:
            case = self._open_case(number, connection)
            if CaseState.REJECTED not in NEXT_STATES[case.state]:
                raise ConfigInvalid("rights_case_state", case=number)
            self._reject(connection, case, findings)
        self.store.clear_traces()
        return refusal

    def _tell_denied(self, case: Case) -> None:
        self.home.audit.append(
            EventType.ACCESS_DENIED,
            actor=self._actor,
            artefact=case.number,
            reasons=[Reason.IDENTITY_UNVERIFIED],
        )

    def _reject(self, connection: Connection, case: Case, findings: Findings) -> Case:
        now = self._now()
        tell(self.home, EventType.DSR_REJECTED, [case], actor=self._actor, reasons=findings.codes)
        ended = rejected(case, findings, now)
        self.store.save(connection, [ended])
        return ended

    def _count_try(self, connection: Connection, case: Case, made: OneTimeCode) -> None:
        tried = msgspec.structs.replace(made, tries=made.tries + 1)
        if tried.tries >= CODE_TRIES and tried.made >= CODES_PER_CASE:
            self._reject(connection, case, Findings.of([Finding(Reason.IDENTITY_UNVERIFIED)]))
            return
        record = msgspec.structs.replace(case.record, code=tried)
        self.store.save(connection, [msgspec.structs.replace(case, record=record)])

    def _open_case(self, number: str, connection: Connection) -> Case:
        case = self.store.get(number, connection)
        if case is None:
            raise ConfigInvalid("rights_case_unknown", case=number)
        if case.is_ended or case.origin:
            raise ConfigInvalid("rights_case_state", case=number)
        return case

    def _check(self, request: Request, subjects: int) -> None:
        if not 1 <= subjects <= MAX_REQUESTS:
            raise ConfigInvalid("rights_subjects", most=MAX_REQUESTS)
        if request.verified_by and request.verified_by not in _VOUCHED:
            raise ConfigInvalid("rights_verified_by", known=", ".join(VOUCHES))
        if request.purpose and request.kind not in _KINDS_WITH_PURPOSE:
            raise ConfigInvalid("rights_purpose")
        if (request.correction is not None) != (request.kind is RequestKind.CORRECT):
            raise ConfigInvalid("rights_correction_needed")
        if request.correction is not None:
            check_correction(self.home.settings.table, request.correction)
        if request.requester is Requester.SUBJECT and request.authority is not None:
            raise ConfigInvalid("rights_authority_of_subject")


def _missing_authority(request: Request) -> Findings:
    """Why somebody may not ask for another; nothing where they may."""
    authority = request.authority
    if request.requester is Requester.SUBJECT:
        return Findings()
    is_kin = request.requester is Requester.KIN
    if authority is None or (is_kin and authority.arranged_otherwise):
        return Findings.of([Finding(Reason.AGENT_AUTHORITY)])
    return Findings()


def _new_code(now: datetime, made: int = 1) -> tuple[OneTimeCode, str]:
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
    salt = secrets.token_bytes(_SALT_BYTES)
    until = now + timedelta(minutes=CODE_MINUTES)
    return OneTimeCode(salt=salt, digest=_digest(salt, code), until=until, made=made), code


def _digest(salt: bytes, code: str) -> bytes:
    return hashlib.sha256(salt + code.encode()).digest()
