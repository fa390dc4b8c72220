"""Taking people out of a Parquet file, which is always written anew: row groups, compression and metadata stay.

The file's schema then allows gaps in every column. Nothing of what was taken out stays in the statistics of columns.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from clients.rights.erasers.csv_files import Rule
from clients.rights.erasers.rewriting import rewrite
from clients.rights.erasers.wanted import NOBODY, Integers, Mask, Wanted
from clients.tables.columns import as_cells
from privacy.errors import SchemaMismatch

_CODECS: Final = {"UNCOMPRESSED": "NONE"}
"""What `ParquetWriter` calls them."""


def erase_from_parquet(file: Path, id_column: str, rule: Rule, wanted: Wanted) -> Mask:
    """As `erase_from_csv`. Raises `SchemaMismatch` for a file that is no Parquet file or has no such column."""
    found = np.zeros(len(wanted), dtype=np.bool_)

    def write(part: Path) -> bool:
        nonlocal found
        found = _copy(file, id_column, rule, wanted, part)
        return bool(found.any())

    if find_in_parquet(file, id_column, rule, wanted).any():
        rewrite(file, write)
    return found


def find_in_parquet(file: Path, id_column: str, rule: Rule, wanted: Wanted) -> Mask:
    """Which of the subjects `erase_from_parquet` would find. Raises `SchemaMismatch`."""
    return _copy(file, id_column, rule, wanted, None)


def _copy(file: Path, id_column: str, rule: Rule, wanted: Wanted, part: Path | None) -> Mask:
    found = np.zeros(len(wanted), dtype=np.bool_)
    try:
        with pq.ParquetFile(file) as parquet:
            names = parquet.schema_arrow.names
            if names.count(id_column) != 1:
                raise SchemaMismatch("erase_column_missing", file=file.name, column=id_column)
            writer = None if part is None else _writer(parquet, part)
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group)
                edited, named = _edit(table, id_column, rule, wanted)
                found |= named
                if writer is not None:
                    writer.write_table(edited.cast(writer.schema), row_group_size=max(len(edited), 1))
            if writer is not None:
                writer.close()
    except pa.ArrowException:
        raise SchemaMismatch("table_parquet", file=file.name) from None
    return wanted.spread(found)


def _writer(parquet: pq.ParquetFile, part: Path) -> pq.ParquetWriter:
    old = parquet.schema_arrow
    schema = pa.schema([field.with_nullable(True) for field in old], metadata=old.metadata)
    codecs: Any = "snappy"
    if parquet.num_row_groups:
        group = parquet.metadata.row_group(0)
        columns = [group.column(number) for number in range(group.num_columns)]
        codecs = {one.path_in_schema: _CODECS.get(one.compression, one.compression) for one in columns}
    return pq.ParquetWriter(part, schema, compression=codecs)


def _edit(table: pa.Table, id_column: str, rule: Rule, wanted: Wanted) -> tuple[pa.Table, Mask]:
    subjects = wanted.of_cells(as_cells(_whole(table[id_column])))
    gone = subjects != NOBODY
    found = wanted.mask(subjects)
    if rule is Rule.REMOVE:
        return (table.filter(pa.array(~gone)) if gone.any() else table), found
    columns = []
    for field in table.schema:
        column = table[field.name]
        empty = gone
        if field.name != id_column:
            about = _about(column, wanted)
            about[gone] = NOBODY
            found |= wanted.mask(about)
            empty = gone | (about != NOBODY)
        columns.append(_with_gaps(column, empty) if empty.any() else column)
    return pa.table(columns, schema=_nullable(table.schema)), found


def _about(column: pa.ChunkedArray, wanted: Wanted) -> Integers:
    """(n,): whom each cell of another column names."""
    found = np.full(len(column), NOBODY, dtype=np.int64)
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        cells = as_cells(_whole(column))
        places = np.flatnonzero(~cells.missing & (np.diff(cells.offsets) >= wanted.shortest))
        texts = _whole(column).take(pa.array(places)).to_pylist()
        found[places] = wanted.of_other_texts([str(text) for text in texts])
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.to_numpy()
        places = np.flatnonzero(np.isin(values, wanted.numbers()))
        found[places] = wanted.of_texts([str(int(value)) for value in values[places]])
    return found


def _whole(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _with_gaps(column: pa.ChunkedArray, empty: Mask) -> pa.ChunkedArray:
    return column.take(pa.array(np.arange(len(column)), mask=empty))


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema], metadata=schema.metadata)
