"""A Parquet file row by row, so that each row can be sealed under another key, and put together again.

A row is the list of its values in MessagePack; times are whole numbers of their unit and decimals are text meanwhile,
so that nothing is rounded. Nested columns are refused: no job reads them.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from privacy.errors import ConfigInvalid


def rows_of(file: Path) -> tuple[bytes, list[bytes]]:
    """(the schema, one item per row). Raises `ConfigInvalid` for nested columns."""
    table = pq.read_table(file)
    columns = [_plain(file, table.column(place)).to_pylist() for place in range(table.num_columns)]
    encode = msgspec.msgpack.Encoder().encode
    return table.schema.serialize().to_pybytes(), [encode(row) for row in zip(*columns, strict=True)]


def write_rows(file: Path, schema_bytes: bytes, items: dict[int, bytes], count: int | None) -> None:
    """The file again. count: rows that there were, those without an item are empty; None: these are left out."""
    schema = pa.ipc.read_schema(pa.py_buffer(schema_bytes))
    blank = [None] * len(schema)
    places = range(count) if count is not None else sorted(items)
    decode = msgspec.msgpack.Decoder().decode
    rows = [decode(items[place]) if place in items else blank for place in places]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = [_typed(list(values), item.type) for values, item in zip(columns, schema, strict=True)]
    fields = [item.with_nullable(True) for item in schema]
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields, schema.metadata)), file)


def _plain(file: Path, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_nested(kind):
        raise ConfigInvalid("archive_nested", file=file)
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_decimal(kind):
        return column.cast(pa.string())
    if pa.types.is_temporal(kind):
        return column.cast(_whole(kind))
    return column.cast(pa.float32()) if pa.types.is_float16(kind) else column


def _typed(values: list[object], kind: pa.DataType) -> pa.Array:
    wanted = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_decimal(wanted):
        found = pa.array(values, pa.string()).cast(wanted)
    elif pa.types.is_temporal(wanted):
        found = pa.array(values, _whole(wanted)).cast(wanted)
    elif pa.types.is_float16(wanted):
        found = pa.array(values, pa.float32()).cast(wanted)
    else:
        found = pa.array(values, wanted)
    return found.dictionary_encode().cast(kind) if pa.types.is_dictionary(kind) else found


def _whole(kind: pa.DataType) -> pa.DataType:
    return pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
