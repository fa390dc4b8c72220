"""An archive into a new home: whole for everybody whose key is there, and nothing of anybody whose key was destroyed.

The home is built beside its place and gets its name at the end. It is marked until its ledger of deletions has been
compared with the coordinator's (`clients.backup.guard`): keys may have been restored from a copy as well.
"""

from __future__ import annotations

import secrets
import shutil
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, DateTime, Table, delete, insert

from clients.backup.archive import FILE, RETENTION, ROWS, SEALED, UNOWNED, Progress, subject_context
from clients.backup.frames import FrameReader, Kind
from clients.backup.gathering import CONSENTS, FOLDERS, GENERAL_TABLES, TABLE, subject_tables
from clients.backup.guard import mark_behind
from clients.backup.keys import BackupKeys
from clients.backup.parquet_rows import write_rows
from clients.backup.sections import Form, Plan, restored_lines
from clients.consents.rows import insert_rows
from clients.finished import HANDLE, PER_ROW, SEGMENTS, TRAIN_ROWS, handle_of, record_name
from clients.home import NodeHome, NodeSettings
from clients.rights.tables import cases
from clients.vault import KEY_BYTES, NONCE_BYTES, metadata
from federation.files import read_toml, write_secret
from privacy import joining
from privacy.errors import ConfigInvalid, SealBroken
from privacy.parameters import TOKEN_BYTES

TABLES_FOLDER: Final = "table"
"""Where a restored home has its copies of the registered files."""
_decode: Final = msgspec.msgpack.Decoder().decode

Items = defaultdict[int, dict[int, bytes]]
"""By section: items by place."""


class Restored(msgspec.Struct, frozen=True):
    """subjects: whose records are back; left_out: whose keys had been destroyed."""

    home: str
    node: str
    created: str
    subjects: int
    left_out: int


def restore(
    file: Path,
    target: Path,
    keys_folder: Path,
    audit_log: Path | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Restored:
    """Make the home `target` of an archive.

    keys_folder: with the two files of `BackupKeys`, best the latest ones. audit_log: a newer folder `audit` of the same
    node, in place of the archive's. on_progress: told bytes read and bytes in all. Raises `ConfigInvalid` when the
    target exists, or the file is no archive; `SealBroken` when it was altered or cut off, or the keys are another's.
    """
    if target.exists():
        raise ConfigInvalid("home_exists", folder=target)
    if not file.exists():
        raise ConfigInvalid("file_missing", file=file)
    keys = BackupKeys(keys_folder)
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(mode=0o700, parents=True)
        done = _Restoring(part, target, keys).read(file, on_progress)
        if audit_log is not None:
            shutil.rmtree(part / "audit", ignore_errors=True)
            shutil.copytree(audit_log, part / "audit")
        keys.copy_to(part)
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return done


class _Restoring:
    """One archive into one folder."""

    def __init__(self, folder: Path, target: Path, keys: BackupKeys) -> None:
        self._folder, self._target, self._keys = folder, target, keys
        self._plans: list[Plan] = []
        self._items: Items = defaultdict(dict)
        self._general: list[tuple[str, list[Any]]] = []

    def read(self, file: Path, on_progress: Progress) -> Restored:
        opened = left_out = 0
        size = file.stat().st_size
        by_number = {key.number: key.key for key in self._keys.by_number()}
        with file.open("rb") as stream:
            reader = FrameReader(stream)
            header = reader.header
            for kind, content in reader.frames(self._keys.archive_key(header.archive)):
                if kind is Kind.SECTIONS:
                    self._plans = msgspec.msgpack.decode(content, type=list[Plan])
                elif kind is Kind.GENERAL:
                    self._take(*_decode(content))
                else:
                    for number, sealed in _decode(content):
                        key = by_number.get(number)
                        if key is None:
                            left_out += 1
                        else:
                            self._add(_opened(key, sealed, subject_context(header.archive, number)))
                            opened += 1
                on_progress(stream.tell(), size)
        self._write()
        return Restored(str(self._target), header.node, header.created, opened, left_out)

    def _take(self, name: str, content: bytes) -> None:
        """A general frame. A file's pieces come in order."""
        if name.startswith(FILE):
            self._append(name.removeprefix(FILE), content)
        elif name == UNOWNED:
            self._add(content)
        else:
            self._general.append((name, _decode(content)))

    def _add(self, content: bytes) -> None:
        for number, place, item in _decode(content):
            self._items[number][place] = item

    def _append(self, name: str, content: bytes) -> None:
        file = self._inside(name)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            write_secret(file, b"")
        with file.open("ab") as stream:
            stream.write(content)

    def _inside(self, name: str) -> Path:
        file = (self._folder / name).resolve()
        if not file.is_relative_to(self._folder.resolve()):
            raise SealBroken("archive_broken")
        return file

    # --- when all has been read

    def _write(self) -> None:
        if len((self._folder / "vault.key").read_bytes()) != KEY_BYTES:
            raise SealBroken("archive_broken")
        home = NodeHome(self._folder)
        home.write_settings(self._settings())
        (self._folder / "logs").mkdir()
        for folder in FOLDERS:
            (self._folder / folder).mkdir(mode=0o700, exist_ok=True)
        with home.consents.engine.begin() as connection:
            self._fill(connection)
        for number, plan in enumerate(self._plans):
            self._write_section(home, plan, self._items[number])
        self._limit(home)
        if home.roster_file.exists():
            mark_behind(home)
        home.vault.close()

    def _settings(self) -> NodeSettings:
        """Those of the archive, with this home's database and files."""
        settings = read_toml(self._folder / "node.toml", NodeSettings)
        spec = settings.table
        folder = self._target.resolve() / TABLES_FOLDER
        for plan in self._plans:
            if plan.name.startswith(TABLE + "."):
                spec = msgspec.structs.replace(spec, path=str(folder / plan.name))
            elif plan.name.startswith(CONSENTS + ".") and spec.consents is not None:
                consents = msgspec.structs.replace(spec.consents, path=str(folder / plan.name))
                spec = msgspec.structs.replace(spec, consents=consents)
        return msgspec.structs.replace(settings, table=spec, database="")

    def _fill(self, connection: Connection) -> None:
        """The tables, in place of the fresh ones."""
        fresh = {table.name: table for table in (*GENERAL_TABLES, metadata.tables["sealed"])}
        for table in fresh.values():
            connection.execute(delete(table))
        for name, rows in self._general:
            if name == SEALED:
                _insert(connection, fresh["sealed"], rows)
            elif name.startswith(ROWS) and name.removeprefix(ROWS) in fresh:
                _insert(connection, fresh[name.removeprefix(ROWS)], [_decode(row) for row in rows])
        tables = {table.name: table for table in (*subject_tables(), cases)}
        for number, plan in enumerate(self._plans):
            if plan.form is Form.ROWS and plan.name in tables:
                table, items = tables[plan.name], self._items.pop(number, {})
                columns = zip(*map(_decode, items.values()), strict=True)
                if items:  # a hundred thousand and more: without SQLAlchemy's conversion of each row
                    insert_rows(connection, table, dict(zip(table.c.keys(), columns, strict=True)))

    def _write_section(self, home: NodeHome, plan: Plan, items: dict[int, bytes]) -> None:
        if plan.form is Form.JOB:
            _write_job(home, plan, [items[place] for place in sorted(items)])
        elif plan.form is Form.PEOPLE:
            home.vault.put(plan.name, b"".join(items[place] for place in sorted(items)))
        elif plan.form is not Form.ROWS:
            name = plan.name if "/" in plan.name else f"{TABLES_FOLDER}/{plan.name}"
            file = self._inside(name)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(file, b"")
            if plan.form is Form.LINES:
                file.write_bytes(restored_lines(plan, items))
            else:
                write_rows(file, plan.head, items, plan.count if plan.blank else None)

    def _limit(self, home: NodeHome) -> None:
        """Until when each record may be read."""
        names = set(home.vault.names())
        for name, rows in self._general:
            if name == RETENTION:
                with home.consents.engine.begin() as connection:
                    _insert(
                        connection, metadata.tables["retention"], [row for row in rows if row[0] in names]
                    )


def _opened(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise SealBroken("archive_broken") from None


def _insert(connection: Connection, table: Table, rows: Sequence[Sequence[Any]]) -> None:
    columns = list(table.c)
    times = [place for place, column in enumerate(columns) if isinstance(column.type, DateTime)]
    plain = []
    for row in rows:
        values = list(row)
        for place in times:
            if isinstance(values[place], str):
                values[place] = datetime.fromisoformat(values[place])
        plain.append(dict(zip((column.name for column in columns), values, strict=True)))
    if plain:
        connection.execute(insert(table), plain)


def _write_job(home: NodeHome, plan: Plan, items: Sequence[bytes]) -> None:
    """The records of a finished job, without the rows that are gone."""
    about = _decode(plan.head)
    layout = [
        ("row", "<i8"),
        ("ref", "u1", (about["refs"],)),
        ("token", "u1", (TOKEN_BYTES,)),
        ("trains", "?"),
    ]
    layout += [
        (name, np.dtype(np.int64 if name == SEGMENTS else PER_ROW[name]).str) for name in about["numbers"]
    ]
    packed = np.frombuffer(b"".join(items), np.dtype(layout))
    tokens = joining.tokens_of(packed["token"])
    records = {HANDLE: handle_of(packed["row"], packed["ref"], tokens)}
    if about["trains"]:
        records[TRAIN_ROWS] = np.flatnonzero(packed["trains"]).tobytes()
    for name in about["numbers"]:
        values = np.ascontiguousarray(packed[name]).tobytes()
        if name == SEGMENTS:
            values = msgspec.msgpack.encode(_decode(about["segments"]) | {"assignments": values})
        records[name] = values
    for name, data in records.items():
        home.vault.put(record_name(plan.name, name), data)
