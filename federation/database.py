"""How both edges keep moments and take transactions in their databases, SQLite or PostgreSQL."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import DateTime, Dialect, Engine
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeDecorator


class Moment(TypeDecorator[datetime.datetime]):
    """A moment with its time zone. SQLite gives back what was stored in UTC, without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        return None if value is None else value.astimezone(datetime.UTC)

    def process_result_value(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=datetime.UTC)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session for queries."""
    with Session(engine) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A transaction: it is in the database when this ends, or has not happened.

    SQLite lets one writer in at a time, from its first look on; in PostgreSQL lock the rows that decide
    (`with_for_update`).
    """
    with Session(engine, expire_on_commit=False) as session, session.begin():
        begin_writing(session.connection().exec_driver_sql, engine)
        yield session


def begin_writing(execute: Callable[[str], object], engine: Engine) -> None:
    """Take SQLite's only place for a writer now: one that has read before could not take it without an error."""
    if engine.dialect.name == "sqlite":
        execute("BEGIN IMMEDIATE")
