"""Everything about access at one edge, put together on its database and its audit log."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from argon2 import Parameters
from sqlalchemy import Engine

from federation.access.accounts import Accounts
from federation.access.logins import Logins
from federation.access.noting import Noting
from federation.access.oidc import Issuer
from federation.access.passwords import PROFILE
from federation.access.tokens import PREFIX, Tokens
from federation.access.two_persons import TwoPersons
from federation.audit_log import AuditLog
from federation.pace import utc_now
from privacy.access import Caller, Means, Permission
from privacy.errors import AccessDenied, NotAuthenticated


@dataclass(frozen=True, slots=True)
class Access:
    """One edge's access. issuer: None where only accounts come in."""

    accounts: Accounts
    logins: Logins
    tokens: Tokens
    two_persons: TwoPersons
    noting: Noting
    issuer: Issuer | None = None

    @classmethod
    def of(
        cls,
        engine: Engine,
        log: AuditLog,
        issuer: Issuer | None = None,
        *,
        now: Callable[[], datetime.datetime] = utc_now,
        profile: Parameters = PROFILE,
        key: bytes | None = None,
    ) -> Access:
        """On a database that has the tables (`federation.access.tables`). key: of `Lockout`."""
        noting = Noting(log)
        return cls(
            Accounts(engine, noting, now=now, profile=profile, key=key),
            Logins(engine, noting, now=now),
            Tokens(engine, noting, now=now),
            TwoPersons(engine, noting, now=now),
            noting,
            issuer,
        )

    def log_in(self, name: str, password: str, address: str = "") -> tuple[str, Caller]:
        """A new login by password: its cookie, and who acts. address: from where.

        Raises `NotAuthenticated`, `LoginsLocked`.
        """
        return self.logins.begin(self.accounts.verify(name, password, address=address))

    def log_in_once(self, code: str) -> tuple[str, Caller]:
        """A new login by a code that is good once. Raises `NotAuthenticated`."""
        return self.logins.begin(self.accounts.redeem(code))

    def change_password(self, caller: Caller, present: str, new: str) -> None:
        """Somebody who is logged in changes their own password; all that they have open ends.

        present: the password that it replaces, which whoever came by a code need not have.
        Raises `AccessDenied`, `AccountInvalid`, `NotAuthenticated`, `LoginsLocked`.
        """
        if caller.means is not Means.LOGIN:
            raise AccessDenied("access_token_by_login")
        if not self.logins.is_by_code(caller):
            self.accounts.verify(caller.name, present, login=caller.login)
        self.accounts.set_password(caller.name, new, by=caller.name)

    def caller_of(self, bearer: str) -> Caller:
        """Who calls with a bearer token, ours or the issuer's. Raises `NotAuthenticated`."""
        if bearer.startswith(PREFIX):
            return self.tokens.lookup(bearer)
        if self.issuer is None:
            raise NotAuthenticated("access_bearer_unknown")
        return self.issuer.lookup(bearer)

    def check(self, caller: Caller, permission: Permission, artefact: str = "") -> None:
        """Returns when the caller may, and it is in the log. Raises `AccessDenied`, and that is in it too."""
        if not caller.may(permission):
            self.noting.denied(caller, permission, artefact)
            raise AccessDenied("access_denied", name=permission.value)
        self.noting.granted(caller, permission, artefact)
