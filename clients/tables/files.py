"""Opening CSV and Parquet files: header, encoding, chosen columns. Every fault becomes a `Problem`."""

from __future__ import annotations

import csv
import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from clients.tables.columns import Mask
from clients.tables.problems import Problem

ENCODINGS: Final = ("utf-8-sig", "gb18030")
"""Tried in this order. UTF-8 refuses what is not UTF-8; GB 18030 (with GBK and GB 2312 inside) comes second,
because it reads almost anything."""

BATCH_ROWS: Final = 2**18
"""Rows read at a time: some ten MiB of a narrow table."""
_PARQUET_BUFFER_BYTES: Final = 2**20
_UNCLOSED_QUOTE_ROW: Final = re.compile(r"\brow (\d+)")


Progress = Callable[[int, int], None]
"""Called with the rows done so far, and the rows of the file, 0 where these are not known."""


def no_progress(rows_done: int, rows_total: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Columns that are handed over in batches of at most `BATCH_ROWS` rows instead of being kept in the frame.

    each: called with every batch of those that the file has, as Arrow arrays; CSV cells as text.
    """

    columns: Sequence[str]
    each: Callable[[Mapping[str, pa.Array]], None]
    on_progress: Progress = no_progress


@dataclass(slots=True)
class Reading:
    """What was read of one file.

    columns: the names of all columns in the file; rows: data rows read; frame: the wanted columns that exist and
    are not streamed, CSV cells as text; None when the file cannot be read at all. deleted: (rows,), where no column of
    the file has anything: what is left of a row whose person was deleted (`clients.rights.erasers.features`).
    """

    columns: tuple[str, ...] = ()
    rows: int = 0
    frame: pd.DataFrame | None = None
    encoding: str | None = None
    problems: list[Problem] = field(default_factory=list)
    deleted: Mask = field(default_factory=lambda: np.zeros(0, dtype=np.bool_))

    @property
    def notes(self) -> tuple[Problem, ...]:
        """What the holder should know although nothing is wrong."""
        if self.encoding in (None, ENCODINGS[0]):
            return ()
        return (Problem("tables.notes.read_as", {"encoding": self.encoding}),)


def read_columns(
    path: str, wanted: Sequence[str] | None, limit: int | None = None, stream: Stream | None = None
) -> Reading:
    """Reads the wanted columns (None: all) of a file, or of its first `limit` rows.

    stream: what to do with some of them while reading; it has seen only part of a file that turns out unreadable.
    Blank lines of a CSV file do not count as rows.
    """
    file = Path(path)
    reading = Reading()
    suffix = file.suffix.lower()
    stream = stream or Stream((), lambda batch: None)
    if file.is_dir():
        reading.problems.append(Problem("errors.table_is_folder", {"file": path}))
    elif not file.exists():
        reading.problems.append(Problem("errors.table_not_found", {"file": path}))
    elif suffix == ".csv":
        reading = _read_csv(file, wanted, limit, stream)
    elif suffix == ".parquet":
        _read_parquet(file, wanted, limit, stream, reading)
    else:
        reading.problems.append(Problem("errors.table_suffix", {"file": path}))
    if reading.frame is not None and not reading.problems and not reading.rows:
        reading.problems.append(Problem("errors.table_empty", {"file": path}))
        reading.frame = None
    return reading


def _read_csv(file: Path, wanted: Sequence[str] | None, limit: int | None, stream: Stream) -> Reading:
    for encoding in ENCODINGS:
        reading = Reading(encoding=encoding)
        try:
            # Reads all lines (or `limit`), so that a wrong encoding shows before anything has been streamed.
            with file.open(encoding=encoding, newline="") as lines:
                rows = csv.reader(lines)
                reading.columns = tuple(next(rows, ()))
                total, overlong, blank = _survey(rows, len(reading.columns), limit)
            present = _present(file, wanted, reading)
            if overlong and present:
                values = {"file": str(file), "rows": len(overlong), "line": overlong[0]}
                reading.problems.append(Problem("errors.table_rows_too_long", values))
                present = []
            if present:
                _read_csv_rows(file, present, limit, stream, reading, total)
                reading.deleted = _mask_of(blank, reading.rows)
        except UnicodeDecodeError:
            continue
        except (pd.errors.ParserError, csv.Error) as error:
            row = _UNCLOSED_QUOTE_ROW.search(str(error))  # counted from 0
            line = int(row[1]) + 1 if row else "?"
            reading.problems.append(Problem("errors.table_malformed", {"file": str(file), "line": line}))
        except OSError:
            reading.problems.append(Problem("errors.table_unreadable", {"file": str(file)}))
        return reading
    return Reading(problems=[Problem("errors.table_encoding", {"file": str(file)})])


def _read_csv_rows(
    file: Path, present: list[str], limit: int | None, stream: Stream, reading: Reading, total: int
) -> None:
    kept = []
    with pd.read_csv(
        file, usecols=present, dtype=str, encoding=reading.encoding, index_col=False, nrows=limit,
        chunksize=BATCH_ROWS,
    ) as chunks:  # fmt: skip
        for chunk in chunks:
            stream.each({name: as_arrow(chunk[name]) for name in stream.columns if name in chunk})
            kept.append(chunk.drop(columns=[name for name in stream.columns if name in chunk]))
            reading.rows += len(chunk)
            stream.on_progress(reading.rows, total)
    reading.frame = pd.concat(kept) if kept else pd.DataFrame()
    reading.frame.index = pd.RangeIndex(reading.rows)


def as_arrow(cells: pd.Series) -> pa.Array:
    """A column of pandas as one Arrow array; NaN in text is a gap."""
    column = pa.array(cells, from_pandas=True)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _survey(rows: Iterable[list[str]], width: int, limit: int | None) -> tuple[int, list[int], list[int]]:
    """How many rows there are, the lines that have more cells than the header, and the places of rows without anything.

    pandas would cut them off in silence, and an unquoted comma (1,234.50) shifts every cell to its right.
    Empty cells at the end do no harm.
    """
    total = 0
    overlong = []
    blank = []
    for number, row in enumerate(islice(rows, limit), start=2):
        if row and not any(row):
            blank.append(total)
        total += bool(row)
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            overlong.append(number)
    return total, overlong, blank


def _mask_of(places: Sequence[int], rows: int) -> Mask:
    mask = np.zeros(rows, dtype=np.bool_)
    mask[[place for place in places if place < rows]] = True
    return mask


def _read_parquet(
    file: Path, wanted: Sequence[str] | None, limit: int | None, stream: Stream, reading: Reading
) -> None:
    batch_rows = min(limit or BATCH_ROWS, BATCH_ROWS)
    try:
        # A buffer of its own per column: a row group is never in memory as a whole.
        with pq.ParquetFile(file, buffer_size=_PARQUET_BUFFER_BYTES) as parquet:
            reading.columns = tuple(parquet.schema_arrow.names)
            present = _present(file, wanted, reading)
            if not present:
                return
            streamed = [name for name in stream.columns if name in present]
            kept = []
            total = parquet.metadata.num_rows
            for batch in parquet.iter_batches(batch_rows, columns=present):
                if limit is not None and reading.rows >= limit:
                    break
                batch = batch.slice(0, None if limit is None else limit - reading.rows)  # noqa: PLW2901
                stream.each({name: batch.column(name) for name in streamed})
                kept.append(batch.drop_columns(streamed))
                reading.rows += len(batch)
                stream.on_progress(reading.rows, total)
            if len(present) > len(streamed):
                schema = pa.schema(
                    [parquet.schema_arrow.field(name) for name in present if name not in streamed]
                )
                table = pa.Table.from_batches([batch.select(schema.names) for batch in kept], schema)
                reading.frame = table.to_pandas(ignore_metadata=True)
            else:
                reading.frame = pd.DataFrame(index=pd.RangeIndex(reading.rows))
            reading.deleted = _mask_of(_blank_rows(parquet), reading.rows)
    except (pa.ArrowException, OSError):
        reading.problems.append(Problem("errors.table_parquet", {"file": str(file)}))


def _blank_rows(parquet: pq.ParquetFile) -> list[int]:
    """The places of rows without anything; only row groups are read whose columns all have gaps."""
    blank: list[int] = []
    start = 0
    for number in range(parquet.num_row_groups):
        group = parquet.metadata.row_group(number)
        statistics = [group.column(column).statistics for column in range(group.num_columns)]
        if all(one is None or not one.has_null_count or one.null_count for one in statistics):
            gaps = [column.is_null().to_numpy() for column in parquet.read_row_group(number).columns]
            blank += (np.flatnonzero(np.all(gaps, axis=0)) + start).tolist()
        start += group.num_rows
    return blank


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
