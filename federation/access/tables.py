"""What an edge's database keeps about those who work with it. No secret is in clear.

The coordinator makes these tables by its migrations, a node by `make_tables` in its vault's database.
"""

from __future__ import annotations

import datetime
from typing import Final

from sqlalchemy import JSON, BigInteger, Engine, ForeignKey, Insert, MetaData, String, Text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from federation.database import Moment

NAME_LENGTH: Final = 48
"""Of an actor of the audit log (`privacy.audit`)."""
DIGEST_LENGTH: Final = 64
"""SHA-256 in hexadecimal digits."""
ID_LENGTH: Final = 32
_CONSTRAINTS: Final = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
"""Names that are the same in every database, so that migrations can name them."""


class AccessBase(DeclarativeBase):
    """The tables of this package."""

    metadata = MetaData(naming_convention=_CONSTRAINTS)


class User(AccessBase):
    """Somebody with an account. password: an argon2 hash with its parameters and salt; "" for none.

    generation: how often everything that was open has been ended.
    """

    __tablename__ = "access_user"
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    password: Mapped[str] = mapped_column(String(200))
    roles: Mapped[list[str]] = mapped_column(JSON)
    language: Mapped[str] = mapped_column(String(8))
    disabled: Mapped[bool]
    must_change: Mapped[bool]
    created: Mapped[datetime.datetime] = mapped_column(Moment)
    last_login: Mapped[datetime.datetime | None] = mapped_column(Moment)
    generation: Mapped[int] = mapped_column(default=0)


class Login(AccessBase):
    """A cookie's session. digest: SHA-256 of the cookie; by_code: whether it began with a code, not a password."""

    __tablename__ = "access_login"
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), unique=True)
    user: Mapped[str] = mapped_column(ForeignKey(User.name), index=True)
    created: Mapped[datetime.datetime] = mapped_column(Moment)
    seen: Mapped[datetime.datetime] = mapped_column(Moment)
    expires: Mapped[datetime.datetime] = mapped_column(Moment)
    by_code: Mapped[bool] = mapped_column(default=False)


class Token(AccessBase):
    """A program's way in, in a user's name. roles: of the user's, those that it may use."""

    __tablename__ = "access_token"
    id: Mapped[str] = mapped_column(String(ID_LENGTH), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), unique=True)
    user: Mapped[str] = mapped_column(ForeignKey(User.name), index=True)
    label: Mapped[str] = mapped_column(String(80))
    roles: Mapped[list[str]] = mapped_column(JSON)
    created: Mapped[datetime.datetime] = mapped_column(Moment)
    expires: Mapped[datetime.datetime] = mapped_column(Moment)


class Code(AccessBase):
    """A login that is good once. digest: SHA-256 of the code."""

    __tablename__ = "access_code"
    digest: Mapped[str] = mapped_column(String(DIGEST_LENGTH), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey(User.name), index=True)
    expires: Mapped[datetime.datetime] = mapped_column(Moment)


class Failure(AccessBase):
    """How many logins failed under a name, or under a blinded name and place, in one minute (counted from 1970)."""

    __tablename__ = "access_failure"
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    minute: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    count: Mapped[int]


class Pending(AccessBase):
    """What one person asked for and a second has to confirm. what: SHA-256 of exactly that; detail: for people."""

    __tablename__ = "access_pending"
    number: Mapped[str] = mapped_column(String(16), primary_key=True)
    permission: Mapped[str] = mapped_column(String(40))
    what: Mapped[str] = mapped_column(String(DIGEST_LENGTH))
    detail: Mapped[str] = mapped_column(Text)
    asker: Mapped[str] = mapped_column(String(NAME_LENGTH))
    asked: Mapped[datetime.datetime] = mapped_column(Moment, index=True)
    second: Mapped[str] = mapped_column(String(NAME_LENGTH))
    answer: Mapped[str] = mapped_column(String(16))
    answered: Mapped[datetime.datetime | None] = mapped_column(Moment)
    used: Mapped[datetime.datetime | None] = mapped_column(Moment)


def make_tables(engine: Engine) -> None:
    """Make what is not there yet, where no migration does."""
    try:
        AccessBase.metadata.create_all(engine)
    except DatabaseError:  # another process has just made them
        AccessBase.metadata.create_all(engine)


def count_one(session: Session, name: str, minute: int, step: int = 1) -> None:
    """One more failure (or, with a step of -1, one less), also when another process counts at the same time."""
    values = {"name": name, "minute": minute, "count": max(step, 0)}
    more = {"count": Failure.count + step}
    key = ["name", "minute"]
    statement: Insert
    if session.get_bind().dialect.name == "postgresql":
        statement = (
            postgresql.insert(Failure).values(values).on_conflict_do_update(index_elements=key, set_=more)
        )
    else:
        statement = sqlite.insert(Failure).values(values).on_conflict_do_update(index_elements=key, set_=more)
    session.execute(statement)
