"""Correcting one cell of the holder's own table (PIPL 46): everything else in the file stays as it is, byte for byte.

The new file is complete and on the disk before it takes the place of the old one.
"""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from clients.home import NodeHome
from clients.rights.cases import Correction
from clients.rights.erasers.rewriting import rewrite
from clients.rights.located import Located
from clients.tables.specs import TableSpec
from privacy.errors import ConfigInvalid
from privacy.normalization import Cells, normalize
from privacy.rights import Artefact, Outcome, Result

READ_ONLY: Final = "rights.outcome.read_only"
MOVED: Final = "rights.outcome.row_moved"
_MARK: Final = "\ufeff"
_LONGEST_VALUE: Final = 64


class _RowMoved(Exception):
    """The row is another's now."""


def check_correction(spec: TableSpec, correction: Correction) -> None:
    """Raises `ConfigInvalid` for a field that is not registered, or a value that is no number."""
    if correction.field not in {field.name for field in spec.fields}:
        raise ConfigInvalid("rights_correction_field", file=spec.path)
    try:
        is_number = len(correction.value) <= _LONGEST_VALUE and math.isfinite(float(correction.value))
    except ValueError:
        is_number = False
    if not is_number:
        raise ConfigInvalid("rights_correction_value", column=correction.field)


def correct(home: NodeHome, subject: Located, correction: Correction) -> Outcome | None:
    """Replace the cell; None when it holds the value now. Doing it again changes nothing."""
    spec = home.settings.table
    file = Path(spec.path)
    if subject.row < 0 or not file.exists():
        return Outcome(artefact=Artefact.FEATURE, result=Result.NOT_FOUND)

    def write(part: Path) -> bool:
        is_parquet = file.suffix.lower() == ".parquet"
        new = (_parquet if is_parquet else _csv)(file, spec, subject, correction)
        if new is None:
            raise _RowMoved
        part.write_bytes(new)
        return new != file.read_bytes()

    try:
        rewrite(file, write)
    except _RowMoved:
        return Outcome(artefact=Artefact.FEATURE, result=Result.FAILED, reason=MOVED)
    except OSError:
        return Outcome(artefact=Artefact.FEATURE, result=Result.UNSUPPORTED, reason=READ_ONLY)
    return None


def _csv(file: Path, spec: TableSpec, subject: Located, correction: Correction) -> bytes | None:
    data = file.read_bytes()
    try:
        encoding, text = "utf-8", data.decode("utf-8")
    except UnicodeDecodeError:
        encoding, text = "gb18030", data.decode("gb18030")
    lines = list(io.StringIO(text, newline=""))
    reader = csv.reader(lines)
    header = [name.removeprefix(_MARK) for name in next(reader, [])]
    row, first = -1, reader.line_num
    for record in reader:
        row += bool(record)
        if row == subject.row and record:
            cells = [*record, *[""] * (len(header) - len(record))]
            if not _is(spec, subject, cells[header.index(spec.id_column)]):
                return None
            cells[header.index(correction.field)] = correction.value
            ending = lines[reader.line_num - 1]
            ending = ending[len(ending.rstrip("\r\n")) :]
            line = io.StringIO(newline="")
            csv.writer(line, lineterminator=ending).writerow(cells)
            lines[first : reader.line_num] = [line.getvalue()]
            return "".join(lines).encode(encoding)
        first = reader.line_num
    return None


def _parquet(file: Path, spec: TableSpec, subject: Located, correction: Correction) -> bytes | None:
    table = pq.read_table(file)
    if subject.row >= len(table):
        return None
    if not _is(spec, subject, str(table.column(spec.id_column)[subject.row].as_py())):
        return None
    place = table.schema.get_field_index(correction.field)
    kind = table.schema.field(place).type
    values = table.column(place).to_pylist()
    number = float(correction.value)
    values[subject.row] = int(number) if pa.types.is_integer(kind) else number
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values[subject.row] = correction.value
    changed = table.set_column(place, table.schema.field(place), pa.array(values, kind))
    out = io.BytesIO()
    pq.write_table(changed, out)
    return out.getvalue()


def _is(spec: TableSpec, subject: Located, cell: str) -> bool:
    found = normalize(spec.id_kind, Cells.of([cell]), spec.extra_prefixes, spec.id_format)
    return bool(found.valid[0]) and bytes(found.identifiers[0]) == subject.identifier
