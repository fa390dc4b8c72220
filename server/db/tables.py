"""The coordinator's tables. What a column holds is a name, a number, a state, a signed statement or a time."""

from __future__ import annotations

import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from federation.database import Moment

NAME: Final = 64
"""The longest name of a party, a purpose, a state or a code."""
ACCOUNT: Final = 255
"""The longest name of somebody who acts; an issuer's subject may have so many characters (OpenID Connect Core 5.7)."""
NUMBER: Final = 16
DIGEST: Final = 64

CONVENTION: Final = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has the same name in both databases, so that a migration can name it."""


class Base(DeclarativeBase):
    """The tables of this module."""

    metadata = MetaData(naming_convention=CONVENTION)


class JobRow(Base):
    """A job on its way. data: `encode_job`; expires: until when every party has to have said yes, and it to have begun.

    attempt: how often it was started; record: folder of the present attempt's record; run: Flower's number of the run;
    runner, held_until: which process follows it, and until when another leaves it alone. stopper: who asked to stop it.
    copied: how many lines of the present attempt's record are among the events; events: how many there are in all.
    """

    __tablename__ = "job"
    __table_args__ = (Index("ix_job_state_proposed", "state", "proposed"),)

    number: Mapped[str] = mapped_column(String(NUMBER), primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME))
    purpose: Mapped[str] = mapped_column(String(NAME))
    digest: Mapped[str] = mapped_column(String(DIGEST), index=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    label_holder: Mapped[str] = mapped_column(String(NAME))
    parties: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(NAME))
    proposer: Mapped[str] = mapped_column(String(ACCOUNT))
    proposer_role: Mapped[str] = mapped_column(String(NAME))
    proposed: Mapped[datetime.datetime] = mapped_column(Moment)
    expires: Mapped[datetime.datetime] = mapped_column(Moment)
    attempt: Mapped[int] = mapped_column(Integer, default=0)
    record: Mapped[str] = mapped_column(String(NAME), default="")
    session: Mapped[str] = mapped_column(String(NAME), default="")
    run: Mapped[str] = mapped_column(String(NAME), default="")
    runner: Mapped[str] = mapped_column(String(NAME), default="")
    held_until: Mapped[datetime.datetime | None] = mapped_column(Moment, default=None)
    stopper: Mapped[str] = mapped_column(String(ACCOUNT), default="")
    copied: Mapped[int] = mapped_column(Integer, default=0)
    events: Mapped[int] = mapped_column(Integer, default=0)
    started: Mapped[datetime.datetime | None] = mapped_column(Moment, default=None)
    ended: Mapped[datetime.datetime | None] = mapped_column(Moment, default=None)
    code: Mapped[str] = mapped_column(String(NAME), default="")
    texts: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)


class WordRow(Base):
    """One party's answer to a proposal. signed: as it was sent, with its signature (`federation.proposals`)."""

    __tablename__ = "word"

    job: Mapped[str] = mapped_column(ForeignKey("job.number", ondelete="CASCADE"), primary_key=True)
    party: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    approved: Mapped[bool] = mapped_column(Boolean)
    revision: Mapped[int] = mapped_column(BigInteger)
    by: Mapped[str] = mapped_column(String(NAME))
    made: Mapped[datetime.datetime] = mapped_column(Moment)
    until: Mapped[datetime.datetime] = mapped_column(Moment)
    policy: Mapped[str] = mapped_column(String(DIGEST))
    code: Mapped[str] = mapped_column(String(DIGEST))
    reasons: Mapped[list[str]] = mapped_column(JSON)
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    received: Mapped[datetime.datetime] = mapped_column(Moment)


class EventRow(Base):
    """What happened to a job, numbered from 1 without gaps. attempt, line: where it stands in an attempt's record."""

    __tablename__ = "job_event"
    __table_args__ = (UniqueConstraint("job", "attempt", "line", name="uq_job_event_line"),)

    job: Mapped[str] = mapped_column(ForeignKey("job.number", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(NAME))
    moment: Mapped[datetime.datetime] = mapped_column(Moment)
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    attempt: Mapped[int | None] = mapped_column(Integer, default=None)
    line: Mapped[int | None] = mapped_column(Integer, default=None)


class PublicationRow(Base):
    """A party's newest list of one noun. number: it only grows; signed: as it was sent (`federation.publications`)."""

    __tablename__ = "publication"

    party: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    noun: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    signed: Mapped[bytes] = mapped_column(LargeBinary)
    received: Mapped[datetime.datetime] = mapped_column(Moment)


class IdempotencyRow(Base):
    """The answer to a request that may come again. status: 0 while it is worked on; body: until then by whom."""

    __tablename__ = "idempotency"

    caller: Mapped[str] = mapped_column(String(ACCOUNT), primary_key=True)
    key: Mapped[str] = mapped_column(String(NAME), primary_key=True)
    digest: Mapped[str] = mapped_column(String(DIGEST))
    status: Mapped[int] = mapped_column(Integer, default=0)
    media_type: Mapped[str] = mapped_column(Text, default="")
    body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    created: Mapped[datetime.datetime] = mapped_column(Moment, index=True)
