"""Brings a database to the tables of this version, or back. Each way is one transaction, in SQLite as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData
from sqlalchemy.exc import DBAPIError

from federation.access.tables import AccessBase
from federation.database import begin_writing
from privacy.errors import ConfigInvalid
from server.db.tables import Base

LATEST: Final = "head"
EMPTY: Final = "base"
_LOCK: Final = 0x53494C48
"""Of PostgreSQL's advisory locks: two processes that start together do not both migrate."""


def metadata() -> list[MetaData]:
    """All tables of the coordinator's database."""
    return [Base.metadata, AccessBase.metadata]


def configuration_of() -> dict[str, Any]:
    """How Alembic compares and changes tables. Batches: SQLite cannot alter a column."""
    return {
        "target_metadata": metadata(),
        "compare_type": True,
        "render_as_batch": True,
        "transactional_ddl": True,
    }


def upgrade(engine: Engine, revision: str = LATEST) -> None:
    """Go forward to a revision. Raises `ConfigInvalid` for a newer database, or one that cannot be used."""
    with _locked(engine) as connection:
        _refuse_newer(_revision_of(connection))
        command.upgrade(_config(connection), revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Go back to a revision (`base`: no tables); what later tables hold is lost. Raises as `upgrade`."""
    with _locked(engine) as connection:
        _refuse_newer(_revision_of(connection))
        command.downgrade(_config(connection), revision)


def bring_up_to_date(engine: Engine) -> None:
    """What every process does at its start. Raises `ConfigInvalid` for a newer database, or an unusable one."""
    if current(engine) != latest():
        upgrade(engine)


def current(engine: Engine) -> str:
    """The database's revision; empty when it has no tables."""
    with _named(), engine.connect() as connection:
        return _revision_of(connection)


def latest() -> str:
    """The newest revision that this version knows."""
    return _scripts().get_current_head() or ""


def check_known(revision: str) -> None:
    """Raises `ConfigInvalid` for a revision that this version has no step for."""
    if revision not in _revisions() | {EMPTY}:
        raise ConfigInvalid("database_revision_unknown", name=revision)


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("path_separator", "os")
    config.set_main_option(
        "script_location", str(resources.files("server.db") / "migrations").replace("%", "%%")
    )
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revision_of(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _refuse_newer(revision: str) -> None:
    if revision and revision not in _revisions():
        raise ConfigInvalid("database_newer", found=revision, installed=latest())


def _revisions() -> set[str]:
    return {script.revision for script in _scripts().walk_revisions()}


@contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """A transaction that no other process shares."""
    with _named(), engine.begin() as connection:
        begin_writing(connection.exec_driver_sql, engine)
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield connection


@contextmanager
def _named() -> Iterator[None]:
    """Says of a database that cannot be used what is wrong, and nothing of its URL."""
    try:
        yield
    except DBAPIError as problem:
        kind = type(problem.orig).__name__ if problem.orig is not None else type(problem).__name__
        raise ConfigInvalid("database_unreachable", problem=kind) from None
