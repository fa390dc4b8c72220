"""Tokens with which programs come in, in the name of somebody with an account and with no more than their roles."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from sqlalchemy import Engine, delete, func, select

from federation.access.noting import Noting
from federation.access.people import account_of, find, roles_of
from federation.access.secret_words import digest_of, new_id, new_secret
from federation.access.tables import Login, Token, User
from federation.database import reading, writing
from federation.pace import utc_now
from privacy.access import Caller, Means, Role
from privacy.errors import AccessDenied, AccountInvalid, NotAuthenticated, NotFound

PREFIX: Final = "slt_"
"""By which a token is known, also to programs that look for secrets in code."""
MOST_DAYS: Final = 365
MOST_TOKENS: Final = 20
"""Of one user."""
LABEL_LENGTH: Final = 80


class TokenRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a token: everything but itself."""

    id: str
    label: str
    roles: tuple[Role, ...]
    created: datetime.datetime
    expires: datetime.datetime


class Tokens:
    """The tokens of one edge."""

    def __init__(
        self, engine: Engine, noting: Noting, *, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._engine, self._noting, self._now = engine, noting, now

    def issue(self, caller: Caller, label: str, roles: Iterable[str], days: int) -> tuple[TokenRecord, str]:
        """A new token of the caller, shown this once. days: 1 to `MOST_DAYS`.

        Raises `AccessDenied` for roles that the caller lacks and for a caller who is not logged in here: no token makes
        itself a longer life. Raises `AccountInvalid` for a label or a number of days that cannot be.
        """
        if caller.means is not Means.LOGIN:
            raise AccessDenied("access_token_by_login")
        wanted = roles_of(roles)
        if not wanted or not frozenset(wanted) <= caller.roles:
            raise AccessDenied("access_token_roles")
        if not 1 <= days <= MOST_DAYS:
            raise AccountInvalid("access_token_days", most=MOST_DAYS)
        if not 1 <= len(label) <= LABEL_LENGTH or not label.isprintable():
            raise AccountInvalid("access_token_label", most=LABEL_LENGTH)
        secret, now = PREFIX + new_secret(), self._now()
        token = Token(
            id=new_id(), digest=digest_of(secret), user=caller.name, label=label, roles=list(wanted), created=now,
            expires=now + datetime.timedelta(days=days),
        )  # fmt: skip
        with writing(self._engine) as session:
            user = find(session, caller.name)
            login = session.get(Login, caller.login)  # it may have been ended since it was looked up
            if user.disabled or user.must_change or login is None or login.user != user.name:
                raise AccessDenied("access_token_by_login")
            session.execute(delete(Token).where(Token.expires <= now))
            own = select(func.count()).select_from(Token).where(Token.user == caller.name)
            if (session.scalar(own) or 0) >= MOST_TOKENS:
                raise AccountInvalid("access_token_many", most=MOST_TOKENS)
            session.add(token)
            session.flush()
            self._noting.token_changed(caller.name, token.id, "token-issued")
            return _record_of(token), secret

    def lookup(self, secret: str) -> Caller:
        """Who acts with a token: its roles, of those that its user still has. Raises `NotAuthenticated`."""
        with reading(self._engine) as session:
            query = select(Token, User).join(User, Token.user == User.name)
            found = session.execute(query.where(Token.digest == digest_of(secret))).one_or_none()
            if found is None or found[1].disabled or found[0].expires <= self._now():
                raise NotAuthenticated("access_bearer_unknown")
            token, user = found
            return account_of(user).caller(Means.TOKEN, roles=roles_of(token.roles))

    def of(self, name: str) -> list[TokenRecord]:
        """Somebody's tokens that still hold, the newest first."""
        query = select(Token).where(Token.user == name, Token.expires > self._now())
        with reading(self._engine) as session:
            return [
                _record_of(token) for token in session.scalars(query.order_by(Token.created.desc(), Token.id))
            ]

    def revoke(self, caller: Caller, token: str) -> None:
        """End one of the caller's own tokens, by its id. Raises `NotFound`, also for somebody else's."""
        with writing(self._engine) as session:
            own = delete(Token).where(Token.id == token, Token.user == caller.name)
            if session.scalar(own.returning(Token.id)) is None:
                raise NotFound("access_token_unknown")
            self._noting.token_changed(caller.name, token, "token-revoked")


def _record_of(token: Token) -> TokenRecord:
    return TokenRecord(token.id, token.label, roles_of(token.roles), token.created, token.expires)
