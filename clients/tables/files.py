"""Opening CSV and Parquet files: header, encoding, chosen columns. Every fault becomes a `Problem`."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clients.tables.columns import as_numbers, as_text
from clients.tables.problems import Problem, refuse
from privacy.identifiers import IdentifierKind, normalize

ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Tried in this order. UTF-8 refuses what is not UTF-8; GB 18030 (with GBK and GB 2312 inside) comes second,
because it reads almost anything."""

SCHEMA_SAMPLE_ROWS: Final = 1000
_LIKELY: Final = 0.8
_LIKELY_KINDS: Final = (
    IdentifierKind.PHONE, IdentifierKind.RESIDENT_ID, IdentifierKind.USCC, IdentifierKind.CARD,
)  # fmt: skip
_UNCLOSED_QUOTE_ROW: Final = re.compile(r"\brow (\d+)")


@dataclass(slots=True)
class Reading:
    """What was read of one file.

    columns: the names of all columns in the file; frame: the wanted ones that exist, CSV cells as text;
    None when the file cannot be read at all.
    """

    columns: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    encoding: str | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What the holder should know although nothing is wrong."""
        if self.encoding in (None, ENCODINGS[0]):
            return ()
        return (Problem("tables.notes.read_as", {"encoding": self.encoding}),)


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


def read_columns(path: str, wanted: Sequence[str] | None, limit: int | None = None) -> Reading:
    """Reads the wanted columns (None: all) of a file, or of its first `limit` rows.

    Blank lines of a CSV file do not count as rows.
    """
    file = Path(path)
    reading = Reading()
    suffix = file.suffix.lower()
    if file.is_dir():
        reading.problems.append(Problem("errors.table_is_folder", {"file": path}))
    elif not file.exists():
        reading.problems.append(Problem("errors.table_not_found", {"file": path}))
    elif suffix == ".csv":
        _read_csv(file, wanted, limit, reading)
    elif suffix == ".parquet":
        _read_parquet(file, wanted, limit, reading)
    else:
        reading.problems.append(Problem("errors.table_suffix", {"file": path}))
    if reading.frame is not None and not reading.problems and reading.frame.empty:
        reading.problems.append(Problem("errors.table_empty", {"file": path}))
        reading.frame = None
    return reading


def _read_csv(file: Path, wanted: Sequence[str] | None, limit: int | None, reading: Reading) -> None:
    for encoding in ENCODINGS:
        attempt = Reading(encoding=encoding)
        try:
            with file.open(encoding=encoding, newline="") as lines:
                rows = csv.reader(lines)
                attempt.columns = tuple(next(rows, ()))
                overlong = _overlong_rows(rows, len(attempt.columns), limit)
            present = _present(file, wanted, attempt)
            if overlong and present:
                values = {"file": str(file), "rows": len(overlong), "line": overlong[0]}
                attempt.problems.append(Problem("errors.table_rows_too_long", values))
                present = []
            if present:
                attempt.frame = pd.read_csv(
                    file, usecols=present, dtype=str, encoding=encoding, index_col=False, nrows=limit
                )
        except UnicodeDecodeError:
            continue
        except (pd.errors.ParserError, csv.Error) as error:
            row = _UNCLOSED_QUOTE_ROW.search(str(error))  # counted from 0
            line = int(row[1]) + 1 if row else "?"
            attempt.problems.append(Problem("errors.table_malformed", {"file": str(file), "line": line}))
        except OSError:
            attempt.problems.append(Problem("errors.table_unreadable", {"file": str(file)}))
        reading.columns, reading.frame = attempt.columns, attempt.frame
        reading.encoding, reading.problems = encoding, attempt.problems
        return
    reading.problems.append(Problem("errors.table_encoding", {"file": str(file)}))


def _overlong_rows(rows: Iterable[list[str]], width: int, limit: int | None) -> list[int]:
    """The lines that have more cells than the header.

    pandas would cut them off in silence, and an unquoted comma (1,234.50) shifts every cell to its right.
    Empty cells at the end do no harm.
    """
    return [
        number
        for number, row in enumerate(islice(rows, limit), start=2)
        if len(row) > width and any(cell.strip() for cell in row[width:])
    ]


def _read_parquet(file: Path, wanted: Sequence[str] | None, limit: int | None, reading: Reading) -> None:
    try:
        with pq.ParquetFile(file) as parquet:
            reading.columns = tuple(parquet.schema_arrow.names)
            present = _present(file, wanted, reading)
            if not present:
                return
            if limit is None:
                table = parquet.read(columns=present)
            else:
                batches = parquet.iter_batches(batch_size=limit, columns=present)
                first = next(batches, None)
                table = pa.Table.from_batches([] if first is None else [first], parquet.schema_arrow)
            reading.frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError):
        reading.problems.append(Problem("errors.table_parquet", {"file": str(file)}))


def _present(file: Path, wanted: Sequence[str] | None, reading: Reading) -> list[str]:
    """The wanted columns that the header has. Adds a problem for each that it has not, or has twice."""
    columns = reading.columns
    name = str(file)
    if not columns:
        reading.problems.append(Problem("errors.table_empty", {"file": name}))
        return []
    repeated = {column for column, uses in Counter(columns).items() if uses > 1}
    # A file without a header row shows its first customer as column names: only registered names are printed.
    for column in dict.fromkeys(wanted or ()):
        if column in repeated:
            reading.problems.append(Problem("errors.table_column_repeated", {"file": name, "column": column}))
    if wanted is None:
        if repeated:
            reading.problems.append(
                Problem("errors.table_columns_repeated", {"file": name, "count": len(repeated)})
            )
        return [] if reading.problems else list(columns)
    if len(columns) == 1 and any(mark in columns[0] for mark in ";\t|") and columns[0] not in wanted:
        reading.problems.append(Problem("errors.table_delimiter", {"file": name}))
        return []
    for column in dict.fromkeys(wanted):
        if column not in columns:
            reading.problems.append(_missing_column(name, column, columns))
    return [column for column in dict.fromkeys(wanted) if column in columns and column not in repeated]


def _missing_column(file: str, column: str, columns: Sequence[str]) -> Problem:
    folded = {name.strip().casefold(): name for name in columns}
    near = difflib.get_close_matches(column.strip().casefold(), folded, n=1, cutoff=0.6)
    if near:
        values = {"file": file, "column": column, "nearest": folded[near[0]]}
        return Problem("errors.table_column_missing_near", values)
    return Problem("errors.table_column_missing", {"file": file, "column": column, "count": len(columns)})


def _column_schema(cells: pd.Series, name: str, extra_prefixes: Sequence[str]) -> ColumnSchema:
    missing = float(cells.isna().mean()) if len(cells) else 1.0
    if missing == 1.0:
        return ColumnSchema(name, "empty", 1.0)
    filled = cells.dropna()
    if pd.api.types.is_datetime64_any_dtype(filled):
        return ColumnSchema(name, "date", missing)
    looks_like = _likely_kind(as_text(filled), extra_prefixes)
    numbers, unreadable = as_numbers(filled)
    if not unreadable.any() and len(numbers):
        return ColumnSchema(name, "number", missing, looks_like)
    dates = pd.to_datetime(filled.astype("str"), errors="coerce", format="ISO8601")
    return ColumnSchema(name, "date" if dates.notna().all() else "text", missing, looks_like)


def _likely_kind(values: list[str | None], extra_prefixes: Sequence[str]) -> IdentifierKind | None:
    shares = {
        kind: 1 - sum(normalize(kind, values, extra_prefixes).reasons.values()) / len(values)
        for kind in _LIKELY_KINDS
    }
    best = max(shares, key=lambda kind: shares[kind])
    return best if shares[best] >= _LIKELY else None
