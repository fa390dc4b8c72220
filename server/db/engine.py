"""How the coordinator's database is opened: a SQLite file of the home, or PostgreSQL by URL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event, func, make_url, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

from privacy.errors import ConfigInvalid

URL_VARIABLE: Final = "SILHOUETTE_DATABASE_URL"
FILE: Final = "coordinator.sqlite"
BUSY_SECONDS: Final = 30.0
"""How long a write waits for another process's (SQLite's busy timeout)."""
_DRIVERS: Final = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
"""What may stand before `://`, and the driver that is installed for it (psycopg 3)."""
_SECRETS: Final = frozenset({"password", "passfile", "sslpassword"})
"""What PostgreSQL would also take from a URL's query, where nothing hides it."""


def database_url(folder: Path, url: str = "", url_file: str = "") -> str:
    """The URL in force: of the environment, else of the file, else of the settings, else the home's own file.

    url, url_file: as `coordinator.json` has them; a relative file is in the home. Raises `ConfigInvalid` for a URL
    that cannot be read, and for a password in the settings.
    """
    if given := os.environ.get(URL_VARIABLE):
        return _checked(given, URL_VARIABLE).render_as_string(hide_password=False)
    if url_file:
        file = folder / url_file
        if not file.exists():
            raise ConfigInvalid("file_missing", file=file)
        return _checked(file.read_text("utf-8").strip(), "database_url_file").render_as_string(
            hide_password=False
        )
    if not url:
        return f"sqlite:///{folder.resolve() / FILE}"
    if _checked(url, "database_url").password is not None:
        raise ConfigInvalid("database_url_password", name=URL_VARIABLE)
    return url


def open_database(url: str) -> Engine:
    """An engine that any thread may use. Raises `ConfigInvalid` for a URL of another kind of database."""
    checked = _checked(url, "database_url")
    if checked.get_backend_name() != "sqlite":
        return create_engine(checked, hide_parameters=True, pool_pre_ping=True)
    if checked.database:
        _make_private(Path(checked.database))
    engine = create_engine(checked, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")

    return engine


def exclusively(session: Session, lock: int) -> None:
    """Until the end of this transaction nobody else has this lock; SQLite has one writer at a time anyway."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(lock)))


def _checked(url: str, name: str) -> URL:
    """The URL with the driver that is installed. name: where it was written."""
    try:
        found = make_url(url)
    except (ArgumentError, ValueError):  # the latter's text holds a part of what was no port
        raise ConfigInvalid("database_url_invalid", name=name) from None
    if found.drivername not in _DRIVERS or not _SECRETS.isdisjoint(found.query):
        raise ConfigInvalid("database_url_invalid", name=name)
    return found.set(drivername=_DRIVERS[found.drivername])


def _make_private(file: Path) -> None:
    """Only its owner reads it, from the first byte on; SQLite gives its journals the same permissions."""
    if not file.exists():
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:  # another process has been faster
            return
        except OSError as problem:
            raise ConfigInvalid("database_unreachable", problem=type(problem).__name__) from None
