"""Looking for somebody in every file of a node, after a deletion or at any time: the negative look-up (PIPL 47).

Raw bytes of every file, databases and their logs among them; Parquet files as text; what is in gzip, bzip2, xz and zip
files; the vault's sealed records, opened. What the audit log calls a subject is not looked for: it stays in the log,
and leads to nobody once the subject's key is gone (`clients.consents.subjects`).
What it does not promise. It does not see through encryption that is not this node's, nor what was compressed otherwise
or nested more than `DEEPEST` times. A value that PostgreSQL keeps for a node is its operator's to look for.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clients.consents.rows import as_bytes
from clients.consents.subjects import kind_label
from clients.home import NodeHome
from clients.rights.located import NOWHERE, Located
from clients.rights.locating import locate
from clients.rights.needles import Kind, Needles, Search, of_identifiers, of_names
from privacy.errors import SchemaMismatch

PART_BYTES: Final = 2**26
DEEPEST: Final = 3
LARGEST_UNPACKED: Final = 2**30
"""A packed file that holds more is said not to have been read."""
_PARQUET: Final = b"PAR1"
_ZIP: Final = b"PK\x03\x04"
_UNPACK: Final[dict[bytes, Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
"""By how a file begins."""
_BROKEN: Final = (
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
)
"""What reading a packed file raises that is broken, has a password, or is too large."""


class Trace(msgspec.Struct, frozen=True, order=True):
    """Where something of somebody was found, and what kind of thing; never the thing itself.

    within: the column, the member of an archive, or the vault's record; empty for the file as it is.
    """

    file: str
    within: str
    kind: str


def traces(folder: Path, needles: Needles) -> list[Trace]:
    """What is in the files of a folder, at any depth, each kind once for each place, in order."""
    search = Search(needles)
    found: set[Trace] = set()
    for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
        if file.is_file():
            found |= traces_in(file, search)
    return sorted(found)


def traces_in(file: Path, search: Search) -> set[Trace]:
    """What is in one file."""
    found: set[Trace] = set()
    try:
        with file.open("rb") as stream:
            start = stream.read(max(map(len, (*_UNPACK, _ZIP, _PARQUET))))
        for part in _parts(file, search.longest):
            found |= {Trace(str(file), "", kind) for kind in search.kinds_in(part)}
        if _is_packed(start):
            for within, content in _unpacked(file.read_bytes(), "", DEEPEST):
                found |= {Trace(str(file), within, kind) for kind in search.kinds_in(content)}
    except _BROKEN:
        found.add(Trace(str(file), "", Kind.UNREAD))
    return found


def traces_at(home: NodeHome, subjects: Sequence[Located]) -> list[Trace]:
    """What a node has of these subjects, in its home, in its registered files, and in its vault."""
    needles = needles_of(home, subjects)
    found = set(traces(home.folder, needles))
    spec, search = home.settings.table, Search(needles)
    for path in (spec.path, *(() if spec.consents is None else (spec.consents.path,))):
        if Path(path).is_file():
            found |= traces_in(Path(path), search)
    for name in home.vault.names():
        content = home.vault.held([name]).get(name, b"")
        found |= {Trace("vault", name, kind) for kind in search.kinds_in(content)}
    return sorted(found)


def needles_of(home: NodeHome, subjects: Sequence[Located]) -> Needles:
    """Everything that these subjects may be called at a node."""
    found = of_names((one.token for one in subjects), Kind.TOKEN)
    found |= of_names((name.ref for one in subjects for name in one.shared), Kind.REFERENCE)
    return found | of_identifiers(one.identifier for one in subjects)


def subjects_of(home: NodeHome, identifiers: Sequence[bytes]) -> list[Located]:
    """Subjects by their canonical identifiers: where they are still, or by name alone where the table cannot tell."""
    try:
        return locate(home, identifiers)
    except SchemaMismatch:
        named = np.array(identifiers, dtype=np.bytes_)
        tokens = as_bytes(home.consents.tokens(kind_label(home.settings.table), named))
        return [
            Located(identifier=identifier, token=token, row=NOWHERE)
            for identifier, token in zip(identifiers, tokens, strict=True)
        ]


def _parts(file: Path, overlap: int) -> Iterator[bytes]:
    """A file in parts, each of which begins with the end of the one before."""
    with file.open("rb") as stream:
        end = b""
        while part := stream.read(PART_BYTES):
            yield end + part
            end = part[-overlap:]


def _is_packed(start: bytes) -> bool:
    return start.startswith((*_UNPACK, _ZIP, _PARQUET))


def _unpacked(data: bytes, within: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """What is inside of a packed file, and inside of that. Raises one of `_BROKEN`."""
    for name, content in _layer(data):
        place = f"{within}/{name}" if within else name
        yield place, content
        if depth > 1 and _is_packed(content):
            yield from _unpacked(content, place, depth - 1)


def _layer(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(_PARQUET):
        with pq.ParquetFile(io.BytesIO(data)) as parquet:
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group)
                for name in table.column_names:
                    yield name, "\n".join(map(str, table[name].to_pylist())).encode()
        return
    if data.startswith(_ZIP):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.infolist():
                with archive.open(member) as stream:
                    yield member.filename, _limited(stream.read(LARGEST_UNPACKED + 1))
        return
    for start, unpack in _UNPACK.items():
        if data.startswith(start):
            with unpack(io.BytesIO(data), "rb") as stream:
                yield "unpacked", _limited(stream.read(LARGEST_UNPACKED + 1))


def _limited(content: bytes) -> bytes:
    if len(content) > LARGEST_UNPACKED:
        raise EOFError
    return content
