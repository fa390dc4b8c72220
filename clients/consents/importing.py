"""A consent log into the store: the file's latest words, compared with what holds, block by block.

A file is used as a whole or not at all: every cell is understood before anything is written. An unchanged file is not
read again, an unchanged word writes nothing. Writing happens in short transactions, so that a withdrawal by another
process waits for a second at the most; an import that is cut off is simply done again.
Cost. On one core, 3 million words of a million subjects in a CSV file: 25 to 40 s into SQLite the first time, 12 s when
nearly all are known; 0.55 GiB. PostgreSQL takes some ten thousand words a second.
What it does not do. A subject that a newer file no longer names keeps its last word: only a word withdraws.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

import msgspec
import numpy as np
from sqlalchemy import insert, select

from clients.consents.rows import BLOCK_ROWS
from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.consents.tables import Source, imports
from clients.consents.writing import Words, Written, change, need_code, notice_code, write
from clients.tables.consent_log import ConsentLog
from clients.tables.consents import read_consents
from clients.tables.problems import refuse
from clients.tables.specs import TableSpec
from clients.tables.times import moment
from privacy import joining
from privacy.consent import Need


class ImportReport(msgspec.Struct, frozen=True):
    """What an import did.

    is_unchanged: the file is as it was at its last import, and was not read. rows: in the file; unusable: rows among
    them without a valid identifier, which are left out. words: latest words, one per subject and need; granted,
    withdrawn: those that the store did not hold; outweighed: those that a word in the store outweighs, being later or
    having a time.
    """

    is_unchanged: bool = False
    rows: int = 0
    unusable: int = 0
    words: int = 0
    granted: int = 0
    withdrawn: int = 0
    outweighed: int = 0


def import_consents(
    store: ConsentStore, spec: TableSpec, at: datetime, known_notices: Collection[str] | None = None
) -> ImportReport:
    """Bring the store up to date with the consent log of a table, where it has one.

    known_notices: the ids that the policy has; None accepts any. Raises `SchemaMismatch` with every problem of the
    file, and then nothing is imported.
    """
    if spec.consents is None:
        return ImportReport()
    digest = _digest_of(spec, known_notices)
    file = hashlib.sha256(str(Path(spec.consents.path).resolve()).encode()).digest()
    if digest is not None and digest == _last_digest(store, file):
        return ImportReport(is_unchanged=True)
    log, problems = read_consents(spec, at, known_notices)
    refuse(spec.consents.path, problems)
    if log is None or digest is None:
        return ImportReport()
    report = _write(store, kind_label(spec), log, at)
    with change(store.engine) as (connection, version):
        connection.execute(
            insert(imports).values(
                file=file, digest=digest, read=moment(at), words=report.words, version=version - 1
            )
        )
    return report


def _write(store: ConsentStore, label: str, log: ConsentLog, at: datetime) -> ImportReport:
    tokens = store.tokens(label, log.subjects)
    codes = _notice_codes(store, log)
    words, total = 0, Written()
    for need in log.needs:
        latest = _latest(log, need, tokens, codes)
        deleted = store.suppression.since(latest.tokens, at)
        latest = latest.at((deleted == 0) | (latest.stated > deleted))  # an old word brings nobody back
        words += len(latest)
        for start in range(0, len(latest), BLOCK_ROWS):
            block = latest.at(slice(start, start + BLOCK_ROWS))
            with change(store.engine) as (connection, version):
                code = need_code(connection, need)
                written = write(connection, version, code, block, Source.FILE, is_given_here=False)
            total = total.plus(written)
    return ImportReport(False, log.rows, log.unusable, words, *total)


def _notice_codes(store: ConsentStore, log: ConsentLog) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    with change(store.engine) as (connection, _):
        return np.array([notice_code(connection, notice) for notice in log.notices], np.int64)


def _latest(
    log: ConsentLog, need: Need, tokens: joining.Tokens, codes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Words:
    """Every subject's last word on a need, in the order of the tokens."""
    said = log.about(need)
    # Equal tokens keep their order in the sort: the last of a run is the word that holds.
    ordered, order = joining.sort(tokens[said])
    is_last = np.ones(len(ordered), np.bool_)
    is_last[:-1] = ~joining.repeats(ordered)
    words = said[order[is_last]]
    return Words(
        ordered[is_last], log.granted[words], codes[log.notice[words]], log.stated[words], log.until[words]
    )


def _digest_of(spec: TableSpec, known_notices: Collection[str] | None) -> bytes | None:
    """SHA-256 over the file and everything that decides how it is read; None where it cannot be opened."""
    registration = msgspec.json.encode(
        (spec.consents, spec.id_kind, spec.id_format, spec.extra_prefixes), order="deterministic"
    )
    notices = b"" if known_notices is None else msgspec.json.encode(sorted(known_notices))
    start = hashlib.sha256(registration + b"\0" + notices).digest()
    try:
        with Path(spec.consents.path if spec.consents else "").open("rb") as stream:
            return hashlib.file_digest(stream, lambda: hashlib.sha256(start)).digest()
    except OSError:
        return None


def _last_digest(store: ConsentStore, file: bytes) -> bytes | None:
    query = select(imports.c.digest).where(imports.c.file == file).order_by(imports.c.number.desc()).limit(1)
    with store.engine.connect() as connection:
        digest: bytes | None = connection.execute(query).scalar_one_or_none()
    return digest
