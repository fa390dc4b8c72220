"""A quick look at a file: names, types and likely identifiers of its columns, by its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import pandas as pd

from clients.tables.columns import as_cells, as_numbers
from clients.tables.files import as_arrow, read_columns
from clients.tables.problems import refuse
from privacy.identifiers import IdentifierKind
from privacy.normalization import Cells, normalize

SCHEMA_SAMPLE_ROWS: Final = 1000
_LIKELY: Final = 0.8
_LIKELY_KINDS: Final = (
    IdentifierKind.PHONE, IdentifierKind.RESIDENT_ID, IdentifierKind.USCC, IdentifierKind.CARD,
)  # fmt: skip


class ColumnSchema(msgspec.Struct, frozen=True):
    """One column at a quick look; `looks_like` guesses the identifier kind most of its values have."""

    name: str
    type: Literal["number", "text", "date", "empty"]
    missing_share: float
    looks_like: IdentifierKind | None = None


class TableSchema(msgspec.Struct, frozen=True):
    """A file at a quick look, judged by its first rows (`sampled_rows`)."""

    file: str
    encoding: str | None
    sampled_rows: int
    columns: tuple[ColumnSchema, ...]


def read_schema(path: str, extra_prefixes: Sequence[str] = ()) -> TableSchema:
    """Column names and types from the first 1,000 rows. Raises `SchemaMismatch` for an unreadable file."""
    reading = read_columns(path, None, limit=SCHEMA_SAMPLE_ROWS)
    refuse(path, reading.problems)
    frame = reading.frame if reading.frame is not None else pd.DataFrame()
    columns = tuple(_column_schema(frame[name], name, extra_prefixes) for name in reading.columns)
    return TableSchema(path, reading.encoding, len(frame), columns)


def _column_schema(cells: pd.Series, name: str, extra_prefixes: Sequence[str]) -> ColumnSchema:
    missing = float(cells.isna().mean()) if len(cells) else 1.0
    if missing == 1.0:
        return ColumnSchema(name, "empty", 1.0)
    filled = cells.dropna()
    if pd.api.types.is_datetime64_any_dtype(filled):
        return ColumnSchema(name, "date", missing)
    looks_like = _likely_kind(as_cells(as_arrow(filled)), extra_prefixes)
    numbers, unreadable = as_numbers(filled)
    if not unreadable.any() and len(numbers):
        return ColumnSchema(name, "number", missing, looks_like)
    dates = pd.to_datetime(filled.astype("str"), errors="coerce", format="ISO8601")
    return ColumnSchema(name, "date" if dates.notna().all() else "text", missing, looks_like)


def _likely_kind(cells: Cells, extra_prefixes: Sequence[str]) -> IdentifierKind | None:
    shares = {
        kind: 1 - sum(normalize(kind, cells, extra_prefixes).reasons.values()) / len(cells)
        for kind in _LIKELY_KINDS
    }
    best = max(shares, key=lambda kind: shares[kind])
    return best if shares[best] >= _LIKELY else None
