"""The node's vault: everything it stores, in one SQLite file (or PostgreSQL by URL), sealed with the node's own key.

Values are encrypted with AES-256-GCM under a key file that only the node's user can read; the record's name is
bound as associated data, so a value that is moved to another name does not open. Names are not secret: they hold
job ids and kinds, never an identifier.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    String,
    create_engine,
    delete,
    event,
    false,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from privacy.errors import ConfigInvalid, Denied, SealBroken, UnexpectedMessage
from privacy.reasons import Finding, Reason

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""Random 96-bit nonces (NIST SP 800-38D, section 8.2.2): safe for far more than the writes of a node's life."""
HEAD_BYTES: Final = NONCE_BYTES + 4
"""Of a sealed value: no two begin alike."""
BUSY_SECONDS: Final = 30.0
"""How long a write waits for another process's (SQLite's busy timeout)."""
SEALED_TABLE: Final = "sealed"


Change = Callable[[Mapping[str, bytes]], Mapping[str, bytes | None]]
"""From what is stored under some names to what is to be there; None removes a record, one that is left out stays."""


class _Base(DeclarativeBase):
    pass


class _Sealed(_Base):
    __tablename__ = SEALED_TABLE
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    written: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


class _Retention(_Base):
    """Until when a record may be read (PIPL 19); a record that is not listed stays until it is removed."""

    __tablename__ = "retention"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    expires: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


class _UsedSession(_Base):
    __tablename__ = "used_session"
    session: Mapped[str] = mapped_column(String(64), primary_key=True)
    used: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


metadata: Final[MetaData] = _Base.metadata
"""The tables of a vault's database; other modules add theirs."""


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    """SQLite gives back what was stored in UTC, without saying so."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _connect(url: str) -> Engine:
    """The engine of a vault. SQLite: one process may write while others read, and what is deleted is overwritten."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, hide_parameters=True)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA secure_delete = ON")

    return engine


class Shelf:
    """A vault's records under one prefix: what a protocol role keeps for a rerun (`federation.roles.Store`)."""

    def __init__(self, vault: Vault, prefix: str) -> None:
        self._vault, self._prefix = vault, prefix

    def get(self, name: str) -> bytes | None:
        return self._vault.get(self._prefix + name)

    def put(self, name: str, data: bytes) -> None:
        self._vault.put(self._prefix + name, data)

    def names(self, prefix: str) -> list[str]:
        return [name.removeprefix(self._prefix) for name in self._vault.names(self._prefix + prefix)]

    def remove(self, name: str) -> None:
        self._vault.remove(self._prefix + name)

    def clear(self) -> None:
        self._vault.remove(self._prefix)


class Vault:
    """Sealed records by name. `url` is a SQLAlchemy URL; the default is `vault.sqlite` in the node's folder."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        key_file = folder / "vault.key"
        if not key_file.exists():
            raise ConfigInvalid("home_missing", folder=folder)
        key = key_file.read_bytes()
        if len(key) != KEY_BYTES:
            raise SealBroken("vault_broken", name=key_file.name)
        self._cipher = AESGCM(key)
        self._engine = _connect(url or f"sqlite:///{folder / 'vault.sqlite'}")
        _Base.metadata.create_all(self._engine)

    @classmethod
    def create(cls, folder: Path, url: str | None = None) -> Vault:
        """Make the key file and an empty vault. Raises `ConfigInvalid` when there is a key already."""
        key_file = folder / "vault.key"
        try:
            descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise ConfigInvalid("home_exists", folder=folder) from None
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
        return cls(folder, url)

    @property
    def engine(self) -> Engine:
        """The database, for tables that hold no secret in clear."""
        return self._engine

    def put(self, name: str, data: bytes, *, days: float | None = None) -> None:
        """Store `data` under `name`, replacing what was there. days: for how long; None: until it is removed."""
        with Session(self._engine) as session, session.begin():
            session.merge(self._sealed(name, data))
            if days is not None:
                session.merge(_Retention(name=name, expires=_now() + datetime.timedelta(days=days)))

    def keep(self, name: str, data: bytes) -> bytes:
        """What is stored under `name`, which is `data` when there was nothing: of two processes, one stores it."""
        kept = self.get(name)
        if kept is None:
            with contextlib.suppress(IntegrityError), Session(self._engine) as session, session.begin():
                session.add(self._sealed(name, data))
            kept = self.get(name)
        if kept is None:
            raise SealBroken("vault_broken", name=name)
        return kept

    def _sealed(self, name: str, data: bytes) -> _Sealed:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _Sealed(
            name=name, data=nonce + self._cipher.encrypt(nonce, data, name.encode()), written=_now()
        )

    def get(self, name: str) -> bytes | None:
        """What is stored under `name`, or None.

        Raises `SealBroken` when the file was tampered with, `Denied` for a record whose time is over, whether or not it
        has been removed yet.
        """
        with Session(self._engine) as session:
            record, limit = session.get(_Sealed, name), session.get(_Retention, name)
        if record is None:
            return None
        if limit is not None and _in_utc(limit.expires) <= _now():
            raise Denied.of([Finding(Reason.RETENTION_EXPIRED, name.rpartition("/")[2])])
        return self._open(record)

    def _open(self, record: _Sealed) -> bytes:
        nonce, sealed = record.data[:NONCE_BYTES], record.data[NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, record.name.encode())
        except (InvalidTag, ValueError):  # a stump of a record has no whole nonce
            raise SealBroken("vault_broken", name=record.name) from None

    def held(self, names: Sequence[str]) -> dict[str, bytes]:
        """What is stored under these names, whether or not its time is over: to look for what has to be deleted.

        Raises `SealBroken`.
        """
        with Session(self._engine) as session:
            found = session.scalars(select(_Sealed).where(_Sealed.name.in_(names)))
            return {record.name: self._open(record) for record in found}

    def edit(self, names: Sequence[str], change: Change) -> list[bytes]:
        """Change records in one transaction between which no other writer comes.

        Records whose time is over are changed too, and nobody's time grows longer. Returns the beginnings of the sealed
        values that are no longer there: by them what the database's files still hold of these can be found
        (`clients.consents.forgetting.clear_traces`). Raises `SealBroken`, and then nothing has changed.
        """
        old: list[bytes] = []
        with Session(self._engine) as session, session.begin():
            # The first statement is a write: on SQLite that keeps other writers out until the end.
            session.execute(update(_Sealed).where(false()).values(written=_Sealed.written))
            found = session.scalars(select(_Sealed).where(_Sealed.name.in_(names)).with_for_update())
            records = {record.name: record for record in found}
            plain = {name: self._open(record) for name, record in records.items()}
            for name, data in change(plain).items():
                if data == plain[name]:
                    continue
                old.append(records[name].data[:HEAD_BYTES])
                if data is None:
                    session.delete(records[name])
                    session.execute(delete(_Retention).where(_Retention.name == name))
                else:
                    records[name].data = self._sealed(name, data).data
        return old

    def names(self, prefix: str = "") -> list[str]:
        """All names that begin with `prefix`, sorted."""
        with Session(self._engine) as session:
            query = select(_Sealed.name).where(_Sealed.name.startswith(prefix, autoescape=True))
            return sorted(session.scalars(query))

    def remove(self, prefix: str) -> None:
        """Forget every record whose name begins with `prefix`."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(_Sealed).where(_Sealed.name.startswith(prefix, autoescape=True)))
            session.execute(delete(_Retention).where(_Retention.name.startswith(prefix, autoescape=True)))

    def remove_one(self, name: str) -> None:
        """Forget the record of exactly that name."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(_Sealed).where(_Sealed.name == name))
            session.execute(delete(_Retention).where(_Retention.name == name))

    def expired(self) -> list[str]:
        """The names of records whose time is over, sorted."""
        with Session(self._engine) as session:
            query = select(_Sealed.name).join(_Retention, _Sealed.name == _Retention.name)
            return sorted(session.scalars(query.where(_Retention.expires <= _now())))

    def remove_older(self, prefix: str, seconds: float) -> None:
        """Forget the records under `prefix` that were written longer ago."""
        limit = _now() - datetime.timedelta(seconds=seconds)
        old = _Sealed.name.startswith(prefix, autoescape=True) & (_Sealed.written < limit)
        with Session(self._engine) as session, session.begin():
            session.execute(delete(_Sealed).where(old))

    def use_session(self, session_name: str) -> None:
        """Mark a session as used. Raises `UnexpectedMessage` when it was used before: a replay."""
        with Session(self._engine) as session, session.begin():
            if session.get(_UsedSession, session_name) is not None:
                raise UnexpectedMessage("session_replayed")
            session.add(_UsedSession(session=session_name, used=_now()))

    def close(self) -> None:
        """Release the database."""
        self._engine.dispose()
