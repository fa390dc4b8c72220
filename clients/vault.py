"""The node's vault: everything it stores, in one SQLite file (or PostgreSQL by URL), sealed with the node's own key.

Values are encrypted with AES-256-GCM under a key file that only the node's user can read; the record's name is
bound as associated data, so a value that is moved to another name does not open. Names are not secret: they hold
job ids and kinds, never an identifier.
"""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import DateTime, LargeBinary, String, create_engine, delete, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from privacy.errors import ConfigInvalid, SealBroken, UnexpectedMessage

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
"""Random 96-bit nonces (NIST SP 800-38D, section 8.2.2): safe for far more than the writes of a node's life."""


class _Base(DeclarativeBase):
    pass


class _Sealed(_Base):
    __tablename__ = "sealed"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
    written: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


class _UsedSession(_Base):
    __tablename__ = "used_session"
    session: Mapped[str] = mapped_column(String(64), primary_key=True)
    used: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


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
        self._engine = create_engine(url or f"sqlite:///{folder / 'vault.sqlite'}", hide_parameters=True)
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

    def put(self, name: str, data: bytes) -> None:
        """Store `data` under `name`, replacing what was there."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, data, name.encode())
        with Session(self._engine) as session, session.begin():
            session.merge(_Sealed(name=name, data=sealed, written=_now()))

    def get(self, name: str) -> bytes | None:
        """What is stored under `name`, or None. Raises `SealBroken` when the file was tampered with."""
        with Session(self._engine) as session:
            record = session.get(_Sealed, name)
        if record is None:
            return None
        try:
            return self._cipher.decrypt(record.data[:NONCE_BYTES], record.data[NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):  # a stump of a record has no whole nonce
            raise SealBroken("vault_broken", name=name) from None

    def names(self, prefix: str = "") -> list[str]:
        """All names that begin with `prefix`, sorted."""
        with Session(self._engine) as session:
            query = select(_Sealed.name).where(_Sealed.name.startswith(prefix, autoescape=True))
            return sorted(session.scalars(query))

    def remove(self, prefix: str) -> None:
        """Forget every record whose name begins with `prefix`."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(_Sealed).where(_Sealed.name.startswith(prefix, autoescape=True)))

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
