"""The accounts of one edge: who is there, as what, and whether a password is theirs.

Rules. An unknown, a disabled and a passwordless account cost the same work as a known one and get the same answer.
After five failures from one place in a quarter of an hour no password is looked at. A new password, or a disabled
account, ends every login, token and code of the account. Nobody changes their own roles. A change is in the audit log
before it is made.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from argon2 import Parameters
from sqlalchemy import Engine, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.access.lockout import MOST_FAILURES, Lockout
from federation.access.noting import UNKNOWN, Noting
from federation.access.passwords import PROFILE, Hashing, check_password
from federation.access.people import (
    Account,
    Proved,
    account_of,
    check_language,
    find,
    is_user_name,
    proved,
    roles_of,
)
from federation.access.secret_words import digest_of, new_code
from federation.access.tables import Code, Login, Token, User
from federation.database import reading, writing
from federation.pace import utc_now
from privacy.errors import AccessDenied, AccountInvalid, NotAuthenticated

CODE_LIFE: Final = datetime.timedelta(minutes=15)


class Accounts:
    """The accounts in a database whose tables are there. `profile`: argon2's parameters; key: `Lockout`'s."""

    def __init__(
        self,
        engine: Engine,
        noting: Noting,
        *,
        now: Callable[[], datetime.datetime] = utc_now,
        profile: Parameters = PROFILE,
        key: bytes | None = None,
    ) -> None:
        self._engine, self._noting, self._now = engine, noting, now
        self._hashing, self._lockout = Hashing(profile), Lockout(engine, key)

    # --- looking

    def all(self) -> list[Account]:
        """Every account, by name."""
        with reading(self._engine) as session:
            return [account_of(user) for user in session.scalars(select(User).order_by(User.name))]

    def get(self, name: str) -> Account:
        """One account. Raises `NotFound`."""
        with reading(self._engine) as session:
            return account_of(find(session, name))

    # --- changing

    def add(
        self,
        name: str,
        roles: Iterable[str],
        *,
        by: str,
        password: str = "",
        language: str = "",
        must_change: bool = False,
    ) -> Account:
        """A new account. password: "" for one that comes in by a code (`one_time`) first. Raises `AccountInvalid`."""
        if not is_user_name(name):
            raise AccountInvalid("access_name_invalid")
        stored = self._stored(name, password) if password else ""
        with writing(self._engine) as session:
            if session.get(User, name) is not None:
                raise AccountInvalid("access_name_taken", name=name)
            user = User(
                name=name, password=stored, roles=list(roles_of(roles)), language=check_language(language),
                disabled=False, must_change=must_change, created=self._now(), last_login=None, generation=0,
            )  # fmt: skip
            session.add(user)
            try:
                session.flush()
            except IntegrityError:  # somebody else has been faster
                raise AccountInvalid("access_name_taken", name=name) from None
            self._noting.user_changed(by, name, "added", roles_of(user.roles))
            return account_of(user)

    def set_roles(self, name: str, roles: Iterable[str], *, by: str) -> None:
        """Give other roles; what is open takes them on at once. Raises `AccessDenied` for one's own, `NotFound`."""
        if name == by:
            raise AccessDenied("access_own_roles")
        with self._changing(name, by, "roles") as (_, user):
            user.roles = list(roles_of(roles))

    def set_language(self, name: str, language: str, *, by: str) -> None:
        """In which language the pages are. Raises `AccountInvalid`, `NotFound`."""
        with self._changing(name, by, "language") as (_, user):
            user.language = check_language(language)

    def set_password(self, name: str, password: str, *, by: str) -> None:
        """Another password; one that somebody else has set must be changed first. Ends all that is open.

        Whoever sets their own has proved the old one before. Raises `AccountInvalid`, `NotFound`.
        """
        stored = self._stored(name, password)
        with self._changing(name, by, "password") as (session, user):
            user.password, user.must_change = stored, name != by
            self._lockout.forget_name(session, name)
            _end_all(session, user)

    def disable(self, name: str, *, by: str) -> None:
        """Nobody comes in with it any more. It is kept: the audit log names it. Raises `NotFound`."""
        with self._changing(name, by, "disabled") as (session, user):
            user.disabled = True
            _end_all(session, user)

    def enable(self, name: str, *, by: str) -> None:
        """The opposite of `disable`. Raises `NotFound`."""
        with self._changing(name, by, "enabled") as (_, user):
            user.disabled = False

    def end_all(self, name: str, *, by: str) -> None:
        """End every login, token and code of an account. Raises `NotFound`."""
        with self._changing(name, by, "ended") as (session, user):
            _end_all(session, user)

    # --- coming in

    def verify(self, name: str, password: str, *, address: str = "", login: str = "") -> Proved:
        """Whose password it is. Raises `NotAuthenticated`, which does not say what was wrong, or `LoginsLocked`.

        address: from where it comes; login: of somebody who is logged in already, instead.
        """
        user = self._known(name)
        counted = self._lockout.blind(name) if user is None else user.name
        attempt = self._lockout.begin(counted, login or address, self._now(), is_in=bool(login))
        stored = "" if user is None else user.password
        if not self._hashing.matches(stored, password) or user is None or user.disabled:
            stage = "locked" if attempt.failures == MOST_FAILURES else "password"
            self._noting.login_failed(UNKNOWN if user is None else user.name, stage)
            raise NotAuthenticated("access_login_wrong")
        renewed = self._hashing.hash(password) if self._hashing.is_old(stored) else stored
        with writing(self._engine) as session:
            current = find(session, name)
            if current.password != stored or current.disabled:  # changed while it was verified
                raise NotAuthenticated("access_login_wrong")
            self._lockout.forget(session, attempt)
            current.password = renewed
            return proved(current)

    def one_time(self, name: str, *, by: str) -> str:
        """A code with which somebody comes in once, within a quarter of an hour. An older one is void.

        Raises `NotFound`, `AccountInvalid` for a disabled account.
        """
        code = new_code()
        with self._changing(name, by, "code") as (session, user):
            if user.disabled:
                raise AccountInvalid("access_user_disabled", name=name)
            session.execute(delete(Code).where(Code.user == name))
            session.add(Code(digest=digest_of(code), user=name, expires=self._now() + CODE_LIFE))
        return code

    def redeem(self, code: str) -> Proved:
        """Whose code it is; it is used up. Raises `NotAuthenticated` for one that is unknown, used or too old."""
        digest, now = digest_of(code), self._now()
        with writing(self._engine) as session:
            session.execute(delete(Code).where(Code.expires <= now))
            name = session.scalar(delete(Code).where(Code.digest == digest).returning(Code.user))
            user = None if name is None else session.get(User, name)
            account = None if user is None or user.disabled else proved(user, by_code=True)
        if account is None:
            self._noting.login_failed(UNKNOWN, "code")
            raise NotAuthenticated("access_code_wrong")
        return account

    # --- inside

    def _stored(self, name: str, password: str) -> str:
        check_password(password, name)
        return self._hashing.hash(password)

    def _known(self, name: str) -> User | None:
        with reading(self._engine) as session:
            return session.get(User, name) if is_user_name(name) else None

    @contextmanager
    def _changing(self, name: str, by: str, what: str) -> Iterator[tuple[Session, User]]:
        with writing(self._engine) as session:
            user = find(session, name)
            yield session, user
            session.flush()
            self._noting.user_changed(by, name, what, roles_of(user.roles))


def _end_all(session: Session, user: User) -> None:
    """What is open, and what has been proved and is about to open."""
    user.generation += 1
    for table in (Login, Token, Code):
        session.execute(delete(table).where(table.user == user.name))
