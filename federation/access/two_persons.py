"""Dual control: what takes two persons is done when a second one has confirmed exactly that (PIPL 51).

Rules. Whoever asks has the permission. The second one has it too, is another person than the asker, and answers within
24 hours. The asker then does it, once, within 24 hours of the answer, with the same permission on the same digest. The
second one, where there is an account, still has to be one who may. Time is looked at when something is done, so nothing
has to run for a request to lapse.
What it does not promise. Two accounts of one person are two persons to it; who has which is for the administrator.
"""

from __future__ import annotations

import datetime
import re
import secrets
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from federation.access.noting import Noting
from federation.access.people import ISSUER_PREFIX, account_of, is_user_name
from federation.access.tables import Pending, User
from federation.database import reading, writing
from federation.pace import utc_now
from privacy.access import TWO_PERSONS, Caller, Means, Permission
from privacy.audit import is_name
from privacy.errors import AccessDenied, NotFound, SecondPersonMissing

LIFE: Final = datetime.timedelta(hours=24)
DETAIL_LENGTH: Final = 1000
_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_NUMBER_LENGTH: Final = 8
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class Answer(StrEnum):
    """What a second person has said."""

    NONE = ""
    YES = "yes"
    NO = "no"


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody asked for. detail: for the people who decide; names and counts, nobody's data."""

    number: str
    permission: Permission
    what: str
    detail: str
    asker: str
    asked: datetime.datetime
    second: str
    answer: Answer
    answered: datetime.datetime | None
    used: datetime.datetime | None

    def is_over(self, now: datetime.datetime) -> bool:
        """Whether nothing can come of it any more."""
        late = now >= (self.answered or self.asked) + LIFE
        return late or self.used is not None or self.answer is Answer.NO


class TwoPersons:
    """What waits for second persons at one edge."""

    def __init__(
        self, engine: Engine, noting: Noting, *, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._engine, self._noting, self._now = engine, noting, now

    def ask(self, caller: Caller, permission: Permission, what: str, detail: str) -> str:
        """The number under which a second person finds it. what: SHA-256 of exactly what will be done.

        Raises `AccessDenied` for a caller without the permission; `ValueError` for a permission that takes one person.
        """
        if permission not in TWO_PERSONS or not _DIGEST.fullmatch(what) or len(detail) > DETAIL_LENGTH:
            raise ValueError("permission, digest or detail")
        self._check_may(caller, permission)
        with writing(self._engine) as session:
            pending = Pending(
                number=_new_number(), permission=permission.value, what=what, detail=detail, asker=caller.name,
                asked=self._now(), second="", answer=Answer.NONE.value, answered=None, used=None,
            )  # fmt: skip
            session.add(pending)
            session.flush()
            self._noting.asked(caller.name, pending.number, permission, what)
            return pending.number

    def confirm(self, caller: Caller, number: str) -> Request:
        """A second person says yes. Raises `NotFound`, `AccessDenied`, `SecondPersonMissing`."""
        with writing(self._engine) as session:
            pending = self._answer(session, caller, number, Answer.YES)
            if _person(caller.name) == _person(pending.asker):
                raise SecondPersonMissing("second_same_person")
            session.flush()
            self._noting.confirmed(caller.name, number, Permission(pending.permission), pending.what)
            return _request_of(pending)

    def refuse(self, caller: Caller, number: str) -> Request:
        """A second person says no, or the asker takes it back. Raises `NotFound`, `AccessDenied`,
        `SecondPersonMissing`."""
        with writing(self._engine) as session:
            pending = self._answer(session, caller, number, Answer.NO)
            session.flush()
            self._noting.refused(caller.name, number, Permission(pending.permission), pending.what)
            return _request_of(pending)

    def use(self, caller: Caller, number: str, permission: Permission, what: str) -> None:
        """Returns when the caller may do it now, this once. Raises `NotFound`, `AccessDenied`, `SecondPersonMissing`.

        permission, what: of what is about to be done, computed anew.
        """
        with writing(self._engine) as session:
            pending = _find(session, number)
            self._check_may(caller, permission)
            if (pending.permission, pending.what, pending.asker) != (permission.value, what, caller.name):
                raise SecondPersonMissing("second_other")
            if pending.answer == Answer.NO:
                raise SecondPersonMissing("second_refused")
            if pending.answered is None:
                raise SecondPersonMissing("second_not_yet")
            if pending.used is not None:
                raise SecondPersonMissing("second_used")
            if self._now() >= pending.answered + LIFE:
                raise SecondPersonMissing("second_too_late")
            _check_second(session, pending.second, permission)
            pending.used = self._now()
            session.flush()
            self._noting.used(caller.name, number, permission, what)

    def get(self, caller: Caller, number: str) -> Request:
        """One request, for those who may confirm it. Raises `NotFound`, also where the caller has no say."""
        with reading(self._engine) as session:
            found = _request_of(_find(session, number))
        if not caller.may(found.permission):
            raise NotFound("second_unknown")
        return found

    def waiting(self, caller: Caller) -> list[Request]:
        """What the caller may answer or, after a yes, use; the oldest first."""
        now = self._now()
        query = select(Pending).where(Pending.asked > now - 2 * LIFE).order_by(Pending.asked, Pending.number)
        with reading(self._engine) as session:
            found = [_request_of(pending) for pending in session.scalars(query)]
        return [one for one in found if caller.may(one.permission) and not one.is_over(now)]

    def _answer(self, session: Session, caller: Caller, number: str, answer: Answer) -> Pending:
        pending = _find(session, number)
        self._check_may(caller, Permission(pending.permission))
        if pending.answered is not None:
            raise SecondPersonMissing("second_answered")
        if self._now() >= pending.asked + LIFE:
            raise SecondPersonMissing("second_too_late")
        pending.second, pending.answer, pending.answered = caller.name, answer.value, self._now()
        return pending

    def _check_may(self, caller: Caller, permission: Permission) -> None:
        if not caller.may(permission):
            self._noting.denied(caller, permission)
            raise AccessDenied("access_denied", name=permission.value)


def _find(session: Session, number: str) -> Pending:
    pending = session.get(Pending, number, with_for_update=True)
    if pending is None:
        raise NotFound("second_unknown")
    return pending


def _check_second(session: Session, second: str, permission: Permission) -> None:
    """Whoever confirmed may have been sent away since. Of an issuer's users and of a terminal nothing is known here."""
    if not is_user_name(second):
        return
    user = session.get(User, second)
    if user is None or user.disabled or not account_of(user).caller(Means.LOGIN).may(permission):
        raise SecondPersonMissing("second_gone")


def _person(name: str) -> str:
    """An account and an issuer's user of the same name count as one person."""
    return name.removeprefix(ISSUER_PREFIX)


def _new_number() -> str:
    """One that the audit log takes as a name: without a long run of digits."""
    while True:
        number = "C-" + "".join(secrets.choice(_LETTERS) for _ in range(_NUMBER_LENGTH))
        if is_name(number):
            return number


def _request_of(pending: Pending) -> Request:
    return Request(
        pending.number, Permission(pending.permission), pending.what, pending.detail, pending.asker, pending.asked,
        pending.second, Answer(pending.answer), pending.answered, pending.used,
    )  # fmt: skip
