"""Making an archive: one file, in which every subject's records are sealed under that subject's own key (PIPL 47).

Whoever deletes a subject destroys its key (`clients.backup.keys`), and no archive tells anything of it any more,
wherever copies of it lie. Everything else is sealed under the archive's key.
Sources. AES-256-GCM, NIST SP 800-38D, with random 96-bit nonces under a subject's key: a few archives each.
What it does not promise. The number of subjects and the size of each one's records can be told by whoever has the
archive's key. A copy of the home is no archive: it holds all the keys.
Cost. On one core, 100,000 subjects with two words, one finished job and its results (35 MB): made in 5 s, restored in
5 s, 420 MiB of memory.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, Engine, select

from clients.backup.finding import column_of
from clients.backup.frames import ARCHIVE_BYTES, MAGIC, FrameWriter, Header, Kind
from clients.backup.gathering import (
    GENERAL_TABLES,
    gather_files,
    gather_records,
    general_files,
    is_general,
    table_rows,
)
from clients.backup.keys import BackupKeys, KnownArchive, SubjectKey
from clients.backup.ledger import LEDGER_FILE
from clients.backup.sections import Section
from clients.consents.rows import Asked
from clients.consents.store import Mask
from clients.consents.writing import change
from clients.home import NodeHome
from clients.rights.store import CaseStore
from clients.vault import NONCE_BYTES, metadata
from federation.files import FolderStore
from federation.line_file import sync_folder
from federation.pace import utc_now
from privacy.errors import ConfigInvalid
from privacy.joining import Tokens

PIECE_BYTES: Final = 1 << 22
"""Of a large file in one frame."""
SUBJECTS_IN_A_FRAME: Final = 2_000
FILE, SEALED, RETENTION = "file:", "sealed", "retention"
ROWS: Final = "rows:"
UNOWNED: Final = "unowned"
"""What a general frame holds: a piece of a file, records of the vault, their periods, a table, items of nobody."""
ROWS_IN_A_FRAME: Final = 20_000

Progress = Callable[[int, int], None]
_encode: Final = msgspec.msgpack.Encoder().encode


class Created(msgspec.Struct, frozen=True):
    """An archive. subjects: who have records in it; bytes: its size."""

    file: str
    archive: str
    created: str
    subjects: int
    bytes: int


def create(
    home: NodeHome,
    file: Path,
    on_progress: Progress = lambda done, total: None,
    now: Callable[[], datetime] = utc_now,
) -> Created:
    """Write an archive of a node; a file that is cut off never has the final name.

    on_progress: told subjects done and subjects in all. Raises `ConfigInvalid` when the file is there already.
    """
    if file.exists():
        raise ConfigInvalid("archive_exists", file=file)
    keys = BackupKeys.of(home.folder)
    header = Header(
        secrets.token_bytes(ARCHIVE_BYTES),
        home.settings.name,
        home.identity.public.fingerprint,
        now().isoformat(timespec="seconds"),
    )
    _remove_cut_off(file.parent)
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with suppress(OSError):  # a file system without locks; nobody removes the part there
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            writer = FrameWriter(stream, header, keys.archive_key(header.archive))
            forget = partial(_forget_deleted, home, keys, now)
            subjects = _write(home, writer, keys, header.archive, forget, on_progress)
            writer.end()
            stream.flush()
            os.fsync(stream.fileno())
            forget(subjects)
            os.link(part, file)  # unlike a replacement, refuses a file that has come meanwhile
    except FileExistsError:
        raise ConfigInvalid("archive_exists", file=file) from None
    finally:
        part.unlink(missing_ok=True)
    sync_folder(file.parent)
    made = Created(str(file), header.archive.hex(), header.created, len(subjects), file.stat().st_size)
    keys.register(KnownArchive(made.archive, made.created, str(file.resolve()), made.subjects, made.bytes))
    return made


def subject_context(archive: bytes, number: bytes) -> bytes:
    """What a subject's records are bound to."""
    return b"silhouette archive subject v1\0" + archive + number


def _write(
    home: NodeHome,
    writer: FrameWriter,
    keys: BackupKeys,
    archive: bytes,
    forget: Callable[[Tokens], Mask],
    on_progress: Progress,
) -> Tokens:
    """Everything; returns the subjects, each once. forget: `_forget_deleted`."""
    engine = home.consents.engine
    # Before all else: a later one would say that people are deleted who are in what is gathered.
    ledger = FolderStore(home.folder).get(LEDGER_FILE) or b""
    column, requests = column_of(home), CaseStore(home.vault)
    sections = list(gather_files(home, column))
    with change(engine) as (connection, _):  # nobody says a word between the first table and the last
        sections += gather_records(home, connection, column, requests)
        general = list(_general(home, connection, engine))
    writer.write(Kind.SECTIONS, _encode([section.plan for section in sections]))
    for name, content in general:
        writer.write(Kind.GENERAL, _encode((name, content)))
    for name, content in general_files(home):
        data = ledger if name == LEDGER_FILE else content
        for start in range(0, max(1, len(data)), PIECE_BYTES):
            writer.write(Kind.GENERAL, _encode((FILE + name, data[start : start + PIECE_BYTES])))
    for number, section in enumerate(sections):
        _write_unowned(writer, number, section)
    return _write_subjects(writer, keys, archive, sections, forget, on_progress)


def _general(home: NodeHome, connection: Connection, engine: Engine) -> Iterator[tuple[str, bytes]]:
    sealed, retention = metadata.tables["sealed"], metadata.tables["retention"]
    for name in filter(is_general, home.vault.names()):
        row = connection.execute(select(sealed).where(sealed.c.name == name)).first()
        if row is not None:
            yield SEALED, _encode([tuple(row)])
    yield RETENTION, _encode([tuple(row) for row in connection.execute(select(retention))])
    for table in GENERAL_TABLES:
        rows = table_rows(connection, table)
        for start in range(0, len(rows), ROWS_IN_A_FRAME):
            yield ROWS + table.name, _encode(rows[start : start + ROWS_IN_A_FRAME])


def _write_unowned(writer: FrameWriter, number: int, section: Section) -> None:
    """Rows that name nobody: those without a valid identifier, and those that were emptied by a deletion."""
    places = np.flatnonzero(~section.is_owned).tolist()
    for start in range(0, len(places), ROWS_IN_A_FRAME):
        items = [(number, place, section.item(place)) for place in places[start : start + ROWS_IN_A_FRAME]]
        writer.write(Kind.GENERAL, _encode((UNOWNED, _encode(items))))


def _write_subjects(
    writer: FrameWriter,
    keys: BackupKeys,
    archive: bytes,
    sections: Sequence[Section],
    forget: Callable[[Tokens], Mask],
    on_progress: Progress,
) -> Tokens:
    """Every subject's items of all sections, sealed together under its own key; none of those who were deleted."""
    owned = [np.flatnonzero(section.is_owned) for section in sections]
    owners = [section.owners[places] for section, places in zip(sections, owned, strict=True)]
    asked = Asked(np.concatenate([np.empty((0, 2), np.uint64), *owners]))
    subjects = asked.distinct
    whose = asked.spread(np.arange(len(subjects)))
    numbers = np.repeat(np.arange(len(sections)), [len(places) for places in owned])
    places = np.concatenate([np.empty(0, np.int64), *owned])
    order = np.argsort(whose, kind="stable")
    bounds = np.searchsorted(whose[order], np.arange(len(subjects) + 1))
    living = np.flatnonzero(~forget(subjects))
    for start in range(0, len(living), SUBJECTS_IN_A_FRAME):
        block = living[start : start + SUBJECTS_IN_A_FRAME].tolist()
        made = keys.make(subjects[block])
        sealed = []
        for subject, key in zip(block, made, strict=True):
            mine = order[bounds[subject] : bounds[subject + 1]]
            items = [
                (number, place, sections[number].item(place))
                for number, place in zip(numbers[mine].tolist(), places[mine].tolist(), strict=True)
            ]
            sealed.append((key.number, _sealed(key, archive, _encode(items))))
        writer.write(Kind.SUBJECTS, _encode(sealed))
        on_progress(start + len(block), len(living))
    return subjects[living]


def _sealed(key: SubjectKey, archive: bytes, content: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.key).encrypt(nonce, content, subject_context(archive, key.number))


def _forget_deleted(home: NodeHome, keys: BackupKeys, now: Callable[[], datetime], subjects: Tokens) -> Mask:
    """(n,): who was deleted, also while the archive was made, and so has no key that opens it."""
    is_gone = home.consents.suppression.stand(subjects, now())
    if is_gone.any():
        keys.destroy(subjects[is_gone])
    return is_gone


def _remove_cut_off(folder: Path) -> None:
    """Parts of archives that a killed process has left; whoever still writes one holds its lock."""
    for part in folder.glob("*.????????.part"):
        with suppress(OSError), part.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if stream.read(len(MAGIC)) == MAGIC:
                part.unlink()
