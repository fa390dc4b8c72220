"""An edge's access on a database of its own, with a clock that tests move and hashes that cost nothing."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine

from federation.access.office import Access
from federation.access.passwords import TESTING_ONLY
from federation.access.tables import AccessBase
from federation.audit_log import AuditLog
from privacy.access import Caller, Means, Role
from privacy.audit import Event, EventType
from privacy.sealing import Identity

PASSWORD = "eine ganze Reihe Schafe"
START = datetime.datetime(2026, 3, 2, 9, 0, tzinfo=datetime.UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime.datetime:
        return self.moment

    def move(self, **time: float) -> None:
        self.moment += datetime.timedelta(**time)


class Scene:
    """Access with its clock, its log and its database."""

    def __init__(self, folder: Path, engine: Engine | None = None, issuer: Any = None) -> None:
        self.engine = engine or create_engine(f"sqlite:///{folder / 'access.sqlite'}")
        AccessBase.metadata.create_all(self.engine)
        self.clock = Clock()
        self.log = AuditLog(folder / "audit", "bank", Identity.generate())
        self.access = Access.of(self.engine, self.log, issuer, now=self.clock, profile=TESTING_ONLY)
        self.accounts = self.access.accounts

    def add(self, name: str, *roles: Role, password: str = PASSWORD) -> None:
        self.accounts.add(name, roles or (Role.MODELLER,), by="ada-admin", password=password)

    def log_in(self, name: str, password: str = PASSWORD) -> tuple[str, Caller]:
        return self.access.log_in(name, password)

    def events(self, *kinds: EventType) -> list[Event]:
        return [event for event in self.log.events() if not kinds or event.type in kinds]

    def written(self) -> bytes:
        """Everything that is on the disk: the log's files and, for SQLite, the database's."""
        files = [file for file in self.log.folder.rglob("*") if file.is_file()]
        if self.engine.url.database and self.engine.dialect.name == "sqlite":
            files += list(Path(self.engine.url.database).parent.glob("access.sqlite*"))
        return b"".join(file.read_bytes() for file in files)


def caller(name: str, *roles: Role, means: Means = Means.LOGIN) -> Caller:
    return Caller(name, frozenset(roles), means, "login")
