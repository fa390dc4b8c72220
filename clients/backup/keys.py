"""A node's keys for archives: one of its own, and one per subject, which its deletion destroys in every archive.

`backup.key` (32 random bytes) is the master: HKDF-SHA256 (RFC 5869) makes of it the key that wraps the subjects' keys,
the key of each archive, and the key of the tags under which subjects are looked up. `backup-keys.sqlite` holds, per
subject that is in any archive, a tag, a random number that names the key in archives, and the wrapped key (AES-256-GCM,
the tag and number bound to it). None of it is ever in an archive: whoever has only an archive has nothing.
What it does not promise. An older copy of these two files opens what has been shredded since. Keep a copy of them apart
from the archives, and replace it after deletions: then the duty to replay (`clients.backup.guard`) is the second lock,
not the only one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple, NoReturn

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from clients.consents.forgetting import is_traced
from clients.vault import BUSY_SECONDS, KEY_BYTES, NONCE_BYTES
from federation.line_file import sync_folder
from privacy.cmac import BatchCmac
from privacy.errors import ConfigInvalid, SealBroken
from privacy.joining import Tokens, dump
from privacy.parameters import TOKEN_BYTES

MASTER_FILE: Final = "backup.key"
KEYS_FILE: Final = "backup-keys.sqlite"
KEY_ID_BYTES: Final = 16
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS subject_keys (
    tag BLOB PRIMARY KEY, number BLOB NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS archives (
    archive TEXT PRIMARY KEY, created TEXT NOT NULL, file TEXT NOT NULL,
    subjects INTEGER NOT NULL, bytes INTEGER NOT NULL);
"""
_ROWS_PER_QUERY: Final = 500


class SubjectKey(NamedTuple):
    """number: what archives call it, 16 random bytes; key: for AES-256-GCM."""

    number: bytes
    key: bytes


class KnownArchive(NamedTuple):
    """One archive that was made here. archive: 32 hexadecimal digits; created: ISO 8601; file: where it was put."""

    archive: str
    created: str
    file: str
    subjects: int
    bytes: int


class BackupKeys:
    """The two files in `folder`. Refuses to be pickled; its `repr` shows no key.

    Raises `ConfigInvalid` without them.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / MASTER_FILE
        if not file.exists() or not (folder / KEYS_FILE).exists():
            raise ConfigInvalid("backup_keys_missing", folder=folder)
        master = file.read_bytes()
        if len(master) != KEY_BYTES:
            raise SealBroken("vault_broken", name=MASTER_FILE)
        self.folder, self._master = folder, master
        self._wrap = AESGCM(self._derived(b"subject keys"))
        self._tags = self._derived(b"tags")

    def __repr__(self) -> str:
        return "BackupKeys(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")

    @classmethod
    def of(cls, folder: Path) -> BackupKeys:
        """Those of a home, made when they are not there."""
        file = folder / MASTER_FILE
        if not file.exists():
            part = file.with_suffix(f".{secrets.token_hex(4)}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
                os.fsync(stream.fileno())
            try:
                os.link(part, file)  # of two processes, one makes it
            except FileExistsError:
                pass
            finally:
                part.unlink()
            sync_folder(folder)
        # Only a new file: closing one that is in use takes SQLite's locks from it (`clients.consents.forgetting`).
        with suppress(FileExistsError):
            os.close(os.open(folder / KEYS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return cls(folder)

    @staticmethod
    def exist(folder: Path) -> bool:
        """Whether any archive was ever begun here."""
        return (folder / MASTER_FILE).exists() and (folder / KEYS_FILE).exists()

    def copy_to(self, folder: Path) -> None:
        """The same keys for a restored home."""
        descriptor = os.open(folder / MASTER_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(self._master)
        os.close(os.open(folder / KEYS_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with self._connected() as own:
            other = sqlite3.connect(folder / KEYS_FILE)
            try:
                own.backup(other)
            finally:
                other.close()

    def archive_key(self, archive: bytes) -> bytes:
        """The key of everything in one archive that is about nobody in particular. archive: its 16 random bytes."""
        return self._derived(b"archive\0" + archive)

    # --- subjects

    def make(self, tokens: Tokens) -> list[SubjectKey]:
        """Each subject's key, a new one where there is none yet. tokens: (n, 2), each once."""
        tags = self._tags_of(tokens)
        with self._connected() as connection:
            found = _stored(connection, tags)
            new = [(tag, *self._wrapped(tag)) for tag in tags if tag not in found]
            connection.executemany("INSERT INTO subject_keys VALUES (?, ?, ?)", new)
            found |= {tag: (number, wrapped) for tag, number, wrapped in new}
        return [self._unwrapped(tag, *found[tag]) for tag in tags]

    def by_number(self) -> Iterator[SubjectKey]:
        """All keys that have not been destroyed."""
        with self._connected() as connection:
            rows = connection.execute("SELECT tag, number, wrapped FROM subject_keys").fetchall()
        for tag, number, wrapped in rows:
            yield self._unwrapped(tag, number, wrapped)

    def have(self, tokens: Tokens) -> NDArray[np.bool_]:
        """(n,): whose records in archives can still be opened."""
        tags = self._tags_of(tokens)
        with self._connected() as connection:
            found = _stored(connection, tags)
        return np.array([tag in found for tag in tags], np.bool_)

    def destroy(self, tokens: Tokens) -> NDArray[np.bool_]:
        """(n,): whose keys there were; they are gone from the file and its pages when this returns."""
        tags = self._tags_of(tokens)
        with self._connected() as connection:
            found = _stored(connection, tags)
            connection.executemany("DELETE FROM subject_keys WHERE tag = ?", [(tag,) for tag in found])
        needles = [needle for tag, (number, wrapped) in found.items() for needle in (tag, number, wrapped)]
        if needles and is_traced(self.folder / KEYS_FILE, needles):
            with self._connected() as connection:
                connection.execute("VACUUM")
        return np.array([tag in found for tag in tags], np.bool_)

    # --- archives

    def register(self, archive: KnownArchive) -> None:
        """Remember an archive that is whole."""
        with self._connected() as connection:
            connection.execute("INSERT OR REPLACE INTO archives VALUES (?, ?, ?, ?, ?)", archive)

    def archives(self) -> list[KnownArchive]:
        """All that were made here, the oldest first."""
        with self._connected() as connection:
            rows = connection.execute("SELECT * FROM archives ORDER BY created").fetchall()
        return [KnownArchive(*row) for row in rows]

    def _derived(self, info: bytes) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"silhouette backup v1\0" + info).derive(
            self._master
        )

    def _tags_of(self, tokens: Tokens) -> list[bytes]:
        rows = np.frombuffer(dump(tokens), np.uint8).reshape(-1, TOKEN_BYTES)
        data = BatchCmac(self._tags).digest_rows(rows).tobytes()
        return [data[start : start + TOKEN_BYTES] for start in range(0, len(data), TOKEN_BYTES)]

    def _wrapped(self, tag: bytes) -> tuple[bytes, bytes]:
        number, nonce = secrets.token_bytes(KEY_ID_BYTES), secrets.token_bytes(NONCE_BYTES)
        return number, nonce + self._wrap.encrypt(nonce, secrets.token_bytes(KEY_BYTES), tag + number)

    def _unwrapped(self, tag: bytes, number: bytes, wrapped: bytes) -> SubjectKey:
        try:
            key = self._wrap.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], tag + number)
        except (InvalidTag, ValueError):
            raise SealBroken("vault_broken", name=KEYS_FILE) from None
        return SubjectKey(number, key)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.folder / KEYS_FILE, timeout=BUSY_SECONDS)
        try:
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_TABLES)
            with connection:
                yield connection
        finally:
            connection.close()


def _stored(connection: sqlite3.Connection, tags: Sequence[bytes]) -> dict[bytes, tuple[bytes, bytes]]:
    found: dict[bytes, tuple[bytes, bytes]] = {}
    for start in range(0, len(tags), _ROWS_PER_QUERY):
        part = tags[start : start + _ROWS_PER_QUERY]
        marks = ",".join("?" * len(part))
        query = f"SELECT tag, number, wrapped FROM subject_keys WHERE tag IN ({marks})"  # noqa: S608 (marks alone)
        found |= {tag: (number, wrapped) for tag, number, wrapped in connection.execute(query, part)}
    return found
