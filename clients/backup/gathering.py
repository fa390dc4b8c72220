"""What of a node goes into an archive, and which part of it belongs to which subject.

Of a subject: its row of the table's file and its lines of the consent log, its lines of result files, its words,
states, restrictions and salt in the consent store, its row in the records of finished jobs, its place among those whose
data went abroad, its open requests. About nobody: settings, keys of the node's vault, policy, models, the audit log,
requests that have ended, used sessions.
Left out, because it is made anew or would name people outside of their own records: what a rerun goes on from, counts
of a day's answers, Paillier keys, parts of models in shards, audiences, copies for subjects, proposed jobs and what was
said to them (the log has it, and it is to be said again), and letters; of those only the ids of the ones that have
come, so that none is taken in again.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
from sqlalchemy import Connection, Table, select

from clients.backup.finding import Column
from clients.backup.parquet_rows import rows_of
from clients.backup.sections import Form, Plan, Section, blank_of, lines_of
from clients.backup.suppression import tombstones
from clients.consents import tables as consent_tables
from clients.consents.rows import as_bytes, as_tokens
from clients.consents.subjects import kind_label
from clients.context import PAILLIER_RECORD, UNFINISHED
from clients.finished import (
    HANDLE,
    OF_ROWS,
    PER_ROW,
    SEGMENTS,
    TRAIN_ROWS,
    is_named,
    per_row,
    read_handle,
    read_tokens,
)
from clients.gate.abroad import ABROAD
from clients.home import NodeHome
from clients.rights.cases import Locators
from clients.rights.outbox_tables import had as letters_had
from clients.rights.store import CaseStore
from clients.rights.tables import cases, kept, tasks
from clients.tables.files import Stream, read_columns
from clients.tables.problems import refuse
from clients.tables.subjects import normalized
from clients.vault import metadata
from federation.files import FolderStore
from privacy.errors import ConfigInvalid, SealBroken
from privacy.joining import Tokens, dump
from privacy.normalization import NormalizedIdentifiers
from privacy.parameters import TOKEN_BYTES

FILES: Final = ("node.toml", "enrolment.json", "federation.json", "vault.key", "deletions.jsonl")
FOLDERS: Final = ("audit", "results")
TABLE, CONSENTS = "table", "consents"
LEFT_OUT: Final = (
    UNFINISHED,
    "answered/",
    "alerts/",
    "backup/",
    "erasing/",
    "rights/opening/",
    "copies/",
    "audiences/",
    "proposals/",
    "proposed/",
    "words/",
    "published/",
)
LEFT_OUT_OF_JOBS: Final = (PAILLIER_RECORD, "shards", "enterprise")
GENERAL_TABLES: Final = (
    consent_tables.clock, consent_tables.needs, consent_tables.notices, consent_tables.imports, tombstones,
    metadata.tables["used_session"], letters_had, kept, tasks,
)  # fmt: skip
_ROW: Final = "row"
_IDENTIFIER: Final = "identifier"
_encode: Final = msgspec.msgpack.Encoder().encode


def subject_tables() -> list[Table]:
    """The tables of the consent store with a row per subject."""
    found = [table for name, table in metadata.tables.items() if name.startswith("consent_")]
    return [table for table in found if "token" in table.c]


def gather_files(home: NodeHome, column: Column) -> Iterator[Section]:
    """The sections of files. column: `column_of` the home."""
    yield from _table(home, column)
    yield from _consent_log(home)
    for file in sorted(home.results.rglob("*.csv")):
        yield from _results(home, file, column)


def gather_records(
    home: NodeHome, connection: Connection, column: Column, requests: CaseStore
) -> Iterator[Section]:
    """The sections of the vault's database. connection: within whose transaction nobody changes the consent store."""
    yield _requests(home, connection, requests)
    for table in subject_tables():
        yield _store_rows(connection, table)
    for session in sorted({name.split("/")[1] for name in home.vault.names("job/")}):
        yield from _job(home, session, column)
    for name in home.vault.names(ABROAD):
        people = np.frombuffer(home.vault.held([name])[name], np.uint64).reshape(-1, 2)
        plan = Plan(form=Form.PEOPLE, name=name, count=len(people))
        yield Section.of(plan, people, [one.tobytes() for one in people])


def general_files(home: NodeHome) -> Iterator[tuple[str, bytes]]:
    """Files about nobody, by their path in the home."""
    store = FolderStore(home.folder)
    for name in [*FILES, *(name for folder in FOLDERS for name in store.names(f"{folder}/"))]:
        data = None if name == "audit/lock" else store.get(name)
        if data is not None and not _has_rows(home.folder / name):
            yield name, data


def is_general(record: str) -> bool:
    """Whether a record of the vault goes into the archive as it is."""
    parts = record.split("/")
    if parts[0] == "job" and len(parts) > 2:
        return parts[2] not in (*OF_ROWS, *LEFT_OUT_OF_JOBS)
    return not record.startswith((*LEFT_OUT, ABROAD))


def table_rows(connection: Connection, table: Table) -> list[bytes]:
    """A table's rows, each a list of its values in the order of the columns."""
    return [_encode(tuple(row)) for row in connection.execute(select(table))]


def _table(home: NodeHome, column: Column) -> Iterator[Section]:
    spec = home.settings.table
    if Path(spec.path).exists():
        yield _file(Path(spec.path), TABLE, column, keeps_places=True)


def _consent_log(home: NodeHome) -> Iterator[Section]:
    spec = home.settings.table
    if spec.consents is None or not Path(spec.consents.path).exists():
        return
    parts: list[NormalizedIdentifiers] = []
    name = spec.consents.id_column

    def collect(batch: Any) -> None:
        if name in batch:
            cells: pa.Array = batch[name]
            parts.append(normalized(spec, cells))

    reading = read_columns(spec.consents.path, [name], stream=Stream((name,), collect))
    refuse(spec.consents.path, reading.problems)
    found = NormalizedIdentifiers.concatenate(parts)
    identifiers = np.where(found.valid, found.identifiers, b"")
    tokens = home.consents.tokens(kind_label(spec), identifiers)
    yield _file(Path(spec.consents.path), CONSENTS, Column(identifiers, tokens), keeps_places=False)


def _file(file: Path, name: str, column: Column, *, keeps_places: bool) -> Section:
    """A registered file: the name keeps its suffix, by which it is read."""
    name += file.suffix.lower()
    if file.suffix.lower() == ".parquet":
        head, items = rows_of(file)
        plan = Plan(
            form=Form.PARQUET, name=name, count=len(items), head=head, blank=b"\0" if keeps_places else b""
        )
        made = Section.of(plan, column.tokens, items)
        return Section(plan, column.tokens, column.holds, made.data, made.starts)
    content = file.read_bytes()
    head, starts = lines_of(content)
    if len(starts) - 1 != len(column.tokens):
        raise ConfigInvalid("archive_rows", file=file, rows=len(starts) - 1, expected=len(column.tokens))
    blank = blank_of(head, len(_cells(head))) if keeps_places else b""
    plan = Plan(form=Form.LINES, name=name, count=len(column.tokens), head=head, blank=blank)
    return Section(plan, column.tokens, column.holds, content, starts)


def _results(home: NodeHome, file: Path, column: Column) -> Iterator[Section]:
    if not _has_rows(file):
        return
    content = file.read_bytes()
    head, starts = lines_of(content)
    names = _cells(head)
    found = csv.reader(content[starts[0] :].decode().splitlines(keepends=True))
    lines = [line for line in found if line]
    if len(starts) - 1 != len(lines):
        raise ConfigInvalid("archive_rows", file=file, rows=len(starts) - 1, expected=len(lines))
    if _IDENTIFIER in names:
        at = names.index(_IDENTIFIER)
        people = np.array([line[at].encode() for line in lines] or [b""], np.bytes_)[: len(lines)]
        owners = home.consents.tokens(kind_label(home.settings.table), people)
        is_owned = people != b""
    else:  # a place means somebody only in the file that the job has read
        at = names.index(_ROW)
        owners, is_owned = _owners(column, np.array([int(line[at]) for line in lines], np.int64))
    name = file.relative_to(home.folder).as_posix()
    plan = Plan(form=Form.LINES, name=name, count=len(lines), head=head)
    yield Section(plan, owners, is_owned, content, starts)


def _store_rows(connection: Connection, table: Table) -> Section:
    place = list(table.c.keys()).index("token")
    rows = [tuple(row) for row in connection.execute(select(table))]
    plan = Plan(form=Form.ROWS, name=str(table.name), count=len(rows))
    return Section.of(plan, as_tokens([row[place] for row in rows]), [_encode(row) for row in rows])


def _requests(home: NodeHome, connection: Connection, requests: CaseStore) -> Section:
    """Requests of subjects: an open one is its subject's own, and so is one that has ended while its row is kept; any
    other that has ended names nobody any more.

    One of which it cannot be told whose it is (another party's, before it is scoped) is left out.
    """
    rows = {row.number: tuple(row) for row in connection.execute(select(cases).order_by(cases.c.number))}
    found = requests.many(list(rows), connection)
    owners, is_owned, kept = [], [], []
    for number, row in rows.items():
        case = found.get(number)
        locators = None if case is None else case.locators
        tokens = set() if locators is None else _tokens_in(home, locators)
        if case is not None and (locators is None or len(tokens) == 1):
            owners.append(next(iter(tokens), bytes(TOKEN_BYTES)))
            is_owned.append(bool(tokens))
            kept.append(_encode(row))
    made = Section.of(Plan(form=Form.ROWS, name=str(cases.name), count=len(kept)), as_tokens(owners), kept)
    return Section(made.plan, made.owners, np.array(is_owned, np.bool_), made.data, made.starts)


def _tokens_in(home: NodeHome, locators: Locators) -> set[bytes]:
    tokens = {one.token for one in locators.located}
    if locators.identifiers:
        identifiers = np.array(locators.identifiers, np.bytes_)
        tokens |= set(as_bytes(home.consents.tokens(kind_label(home.settings.table), identifiers)))
    return tokens


def _job(home: NodeHome, session: str, column: Column) -> Iterator[Section]:
    """The rows of a finished job: place, reference, token, whether it trains, and what each other record says of it."""
    prefix = f"job/{session}/"
    stored = home.vault.held([prefix + name for name in OF_ROWS])
    held = {name.removeprefix(prefix): data for name, data in stored.items()}
    if HANDLE not in held:
        return
    rows, refs = read_handle(held[HANDLE])
    trains = np.zeros(len(rows), np.bool_)
    if TRAIN_ROWS in held:
        trains[np.frombuffer(held[TRAIN_ROWS], np.int64)] = True
    tokens = read_tokens(held[HANDLE])
    token_bytes = np.frombuffer(dump(tokens), np.uint8)
    parts = [
        rows[:, None].view(np.uint8),
        refs,
        token_bytes.reshape(-1, TOKEN_BYTES),
        trains[:, None].view(np.uint8),
    ]
    numbers = [name for name in (*PER_ROW, SEGMENTS) if name in held]
    for name in numbers:
        values = per_row(name, held[name])
        if len(values) != len(rows):
            raise SealBroken("vault_broken", name=prefix + name)
        parts.append(np.ascontiguousarray(values)[:, None].view(np.uint8))
    packed = np.concatenate([np.ascontiguousarray(part).reshape(len(rows), -1) for part in parts], axis=1)
    about = {
        "refs": refs.shape[1],
        "trains": TRAIN_ROWS in held,
        "numbers": numbers,
        "segments": _without_people(held.get(SEGMENTS)),
    }
    plan = Plan(form=Form.JOB, name=session, count=len(rows), head=msgspec.msgpack.encode(about))
    owners, is_owned = _owners(column, rows)
    named = is_named(tokens)
    owners[named], is_owned[named] = tokens[named], True
    starts = np.arange(len(rows) + 1, dtype=np.int64) * packed.shape[1]
    yield Section(plan, owners, is_owned, packed.tobytes(), starts)


def _without_people(segments: bytes | None) -> bytes:
    if segments is None:
        return b""
    return msgspec.msgpack.encode(msgspec.msgpack.decode(segments) | {"assignments": b""})


def _owners(column: Column, rows: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[Tokens, Any]:
    """Whose the rows with these places in the file are."""
    inside = (rows >= 0) & (rows < len(column.tokens))
    owners = np.zeros((len(rows), 2), np.uint64)
    owners[inside] = column.tokens[rows[inside]]
    is_owned = inside.copy()
    is_owned[inside] = column.holds[rows[inside]]
    return owners, is_owned


def _has_rows(file: Path) -> bool:
    """Whether it is a CSV file with a line per row of the table."""
    if file.suffix != ".csv":
        return False
    with file.open("rb") as stream:
        return _ROW in _cells(stream.readline())


def _cells(head: bytes) -> list[str]:
    return next(csv.reader([head.decode("utf-8-sig", "replace")]), [])
