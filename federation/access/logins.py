"""Logins with a cookie: begun after a proof, looked up at every request, ended by their user or by time.

The cookie is 256 random bits of which the database holds a hash. A login ends after 12 hours, and after 30 minutes in
which nothing came (NIST SP 800-63B 4.2.3, reauthentication at AAL2), with its user's password and with the account.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine, delete, select

from federation.access.noting import Noting
from federation.access.people import Account, Proved, account_of
from federation.access.secret_words import digest_of, new_id, new_secret
from federation.access.tables import Login, User
from federation.database import reading, writing
from federation.pace import utc_now
from privacy.access import Caller, Means
from privacy.errors import NotAuthenticated

LIFE: Final = datetime.timedelta(hours=12)
IDLE: Final = datetime.timedelta(minutes=30)
SEEN_EVERY: Final = datetime.timedelta(minutes=1)
"""How exactly it is known when a login was last used: not every request writes to the database."""


class Logins:
    """The logins of one edge."""

    def __init__(
        self, engine: Engine, noting: Noting, *, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._engine, self._noting, self._now = engine, noting, now

    def begin(self, account: Account) -> tuple[str, Caller]:
        """The cookie of a new login, and who acts with it. account: as `Accounts.verify` or `redeem` has proved it.

        Always a new one: a cookie from before the login is worth nothing. Raises `NotAuthenticated` for an account
        that was disabled, or given another password, in between. An account that nothing has proved (`Accounts.add`)
        is one of which nothing was ended yet.
        """
        generation, by_code = (
            (account.generation, account.by_code) if isinstance(account, Proved) else (0, False)
        )
        secret, name, now = new_secret(), new_id(), self._now()
        with writing(self._engine) as session:
            session.execute(delete(Login).where((Login.expires <= now) | (Login.seen <= now - IDLE)))
            user = session.get(User, account.name, with_for_update=True)
            if user is None or user.disabled or user.generation != generation:
                raise NotAuthenticated("access_login_wrong")
            user.last_login = now
            session.add(
                Login(
                    id=name,
                    digest=digest_of(secret),
                    user=user.name,
                    created=now,
                    seen=now,
                    expires=now + LIFE,
                    by_code=by_code,
                )
            )
            session.flush()
            self._noting.login(user.name)
            return secret, account_of(user).caller(Means.LOGIN, login=name)

    def lookup(self, secret: str) -> Caller:
        """Who acts with a cookie, with the roles that they have now. Raises `NotAuthenticated`."""
        now = self._now()
        with reading(self._engine) as session:
            query = select(Login, User).join(User, Login.user == User.name)
            found = session.execute(query.where(Login.digest == digest_of(secret))).one_or_none()
            if found is None:
                raise NotAuthenticated("access_login_over")
            login, user = found
            if user.disabled or login.expires <= now or login.seen <= now - IDLE:
                raise NotAuthenticated("access_login_over")
            caller = account_of(user).caller(Means.LOGIN, login=login.id)
            is_recent = now - login.seen < SEEN_EVERY
        if not is_recent:
            self._see(caller.login, now)
        return caller

    def is_by_code(self, caller: Caller) -> bool:
        """Whether somebody who is logged in came by a code: they may have no password, or not know it any more."""
        with reading(self._engine) as session:
            login = session.get(Login, caller.login)
            return login is not None and login.user == caller.name and login.by_code

    def end(self, secret: str) -> None:
        """Log out. Nothing happens for a cookie that is worth nothing."""
        with writing(self._engine) as session:
            name = session.scalar(
                delete(Login).where(Login.digest == digest_of(secret)).returning(Login.user)
            )
            if name is not None:
                self._noting.logout(name)

    def _see(self, name: str, now: datetime.datetime) -> None:
        with writing(self._engine) as session:
            login = session.get(Login, name)
            if login is not None:
                login.seen = max(login.seen, now)
