"""What an account is outside the database, and which names and roles it may have."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy.orm import Session

from federation.access.noting import TERMINAL, UNKNOWN
from federation.access.tables import User
from privacy.access import Caller, Means, Permission, Role
from privacy.audit import is_name
from privacy.errors import AccountInvalid, NotFound
from privacy.texts import LANGUAGES

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
ISSUER_PREFIX: Final = "oidc-"
"""Before the names of those whom an issuer vouches for: no account is mistaken for one of them."""
RESERVED: Final = frozenset(
    {
        *(TERMINAL, UNKNOWN, "node", "driver", "api", "relay", "log", "runner", "policy", "coordinator"),
        *("subject", "system", "desk", "console", "nobody"),
    }
)
"""Actors of the audit log that are no persons."""


class Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody with an account. has_password: False for one who only comes in by codes that are good once."""

    name: str
    roles: tuple[Role, ...]
    language: str
    disabled: bool
    must_change: bool
    has_password: bool
    created: datetime.datetime
    last_login: datetime.datetime | None

    def caller(self, means: Means, *, login: str = "", roles: Iterable[Role] | None = None) -> Caller:
        """Who acts with it. roles: fewer than all. Until a password that has to be changed is, they may do nothing."""
        held = frozenset(self.roles) if roles is None else frozenset(self.roles) & frozenset(roles)
        nothing = frozenset[Permission]() if self.must_change else None
        return Caller(self.name, held, means, login, self.language, granted=nothing)


class Proved(Account, frozen=True, forbid_unknown_fields=True):
    """An account whose owner has just been proved. generation: the proof holds while the account's is the same."""

    generation: int = 0
    by_code: bool = False


def proved(user: User, *, by_code: bool = False) -> Proved:
    """The account of a row, proved by its password or by a code."""
    return Proved(**msgspec.structs.asdict(account_of(user)), generation=user.generation, by_code=by_code)


def account_of(user: User) -> Account:
    """What a row says, without the hash."""
    return Account(
        user.name, roles_of(user.roles), user.language, user.disabled, user.must_change, bool(user.password),
        user.created, user.last_login,
    )  # fmt: skip


def roles_of(names: Iterable[str]) -> tuple[Role, ...]:
    """Roles by their names, sorted. Raises `AccountInvalid` for an unknown one."""
    try:
        return tuple(sorted({Role(name) for name in names}))
    except ValueError:
        raise AccountInvalid("access_role_unknown", known=", ".join(Role)) from None


def find(session: Session, name: str) -> User:
    """The row of a user, locked until the transaction ends. Raises `NotFound`."""
    user = session.get(User, name, with_for_update=True) if is_user_name(name) else None
    if user is None:
        raise NotFound("access_user_unknown")
    return user


def is_user_name(name: str) -> bool:
    """Whether an account could be called so: the audit log takes it as an actor, and as nobody else's."""
    free = name not in RESERVED and not name.startswith(ISSUER_PREFIX)
    return free and _NAME.fullmatch(name) is not None and is_name(name)


def check_language(language: str) -> str:
    """One of ours, or "" for the edge's own. Raises `AccountInvalid`."""
    if language and language not in LANGUAGES:
        raise AccountInvalid("access_language_unknown", known=", ".join(LANGUAGES))
    return language
