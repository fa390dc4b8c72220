"""Cells to the types that models and matching want: text, numbers, ages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from clients.tables.specs import FieldSpec
from privacy.normalization import Cells

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Codes = np.ndarray[Any, np.dtype[np.int32]]

OLDEST_AGE: Final = 120
_EXACT_INTEGERS: Final = 2**53


@dataclass(frozen=True, slots=True)
class FieldValues:
    """One field before its transform: float64, NaN where missing, unreadable or out of range; and the counts.

    largest: of the numbers as they stand in the file, by size; 0 where there are none.
    """

    values: Floats
    missing: int
    not_numeric: int
    out_of_range: int
    largest: float = 0.0

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return int(np.isfinite(self.values).sum())

    @property
    def is_constant(self) -> bool:
        """Whether all rows that have a value have the same."""
        present = self.values[np.isfinite(self.values)]
        return len(present) > 0 and bool((present == present[0]).all())


def as_text(cells: pd.Series) -> list[str | None]:
    """The cells as text, None for empty ones; whole numbers without a decimal point."""
    if cells.dtype.kind == "f":
        numbers = cells.to_numpy(dtype=np.float64)
        whole = _are_whole(numbers)
        return [
            None if np.isnan(number) else str(int(number)) if is_whole else repr(float(number))
            for number, is_whole in zip(numbers, whole, strict=True)
        ]
    empty = cells.isna().to_numpy()
    return [None if is_empty else str(cell) for cell, is_empty in zip(cells.tolist(), empty, strict=True)]


def as_cells(column: pa.Array) -> Cells:
    """A batch of a column as text, by its buffers; whole numbers without a decimal point."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return as_cells(column.dictionary_decode())
    if pa.types.is_floating(kind):
        numbers = column.to_numpy(zero_copy_only=False).astype(np.float64)
        if not (np.isnan(numbers) | _are_whole(numbers)).all():
            return Cells.of(as_text(pd.Series(numbers)))
        column = pa.array(np.where(np.isnan(numbers), 0, numbers).astype(np.int64), mask=np.isnan(numbers))
    elif not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        return Cells.of(as_text(column.to_pandas()))
    text = column.cast(pa.large_string())
    _, offsets, data = text.buffers()
    return Cells(
        np.frombuffer(b"" if data is None else data, np.uint8),
        np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1],
        text.is_null().to_numpy(zero_copy_only=False),
    )


def as_codes(column: pa.Array) -> tuple[Codes, list[str]]:
    """A batch of a column with few different values: (n,) places in the list of these; a gap reads "" in it."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    encoded = column.dictionary_encode(null_encoding="mask")
    texts = [(cell or "").strip() for cell in as_text(encoded.dictionary.to_pandas())]
    codes: Codes = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    return codes, [*texts, ""]


def as_numbers(cells: pd.Series) -> tuple[Floats, Mask]:
    """The cells as float64 with NaN for empty ones, and a mask of the cells that are no numbers."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(dtype=np.float64, na_value=np.nan), np.zeros(len(cells), dtype=bool)
    if pd.api.types.is_datetime64_any_dtype(cells):
        return np.full(len(cells), np.nan), cells.notna().to_numpy()
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return numbers, np.isnan(numbers) & cells.notna().to_numpy()


def convert(field: FieldSpec, cells: pd.Series) -> FieldValues:
    """Checks the range of a field. What a trainer sees is transformed afterwards (`transformed`)."""
    values, not_numeric = as_numbers(cells)
    outside = np.isinf(values)
    if field.minimum is not None:
        outside |= values < field.minimum
    if field.maximum is not None:
        outside |= values > field.maximum
    if field.transform == "log1p":
        outside |= values <= -1.0  # log1p has no value there
    missing = int(np.isnan(values).sum() - not_numeric.sum())
    largest = float(np.abs(values[~np.isnan(values)]).max(initial=0.0))
    values = np.where(outside, np.nan, values)
    return FieldValues(values, missing, int(not_numeric.sum()), int(outside.sum()), largest)


def transformed(field: FieldSpec, values: Floats) -> Floats:
    """The values as its registration asks for them; the gate has minimised them before, in the field's own units."""
    return np.log1p(values) if field.transform == "log1p" else values


def ages_at(today: date, births: pd.Series) -> Floats:
    """Ages in whole years on `today`, NaN for dates that are no ISO 8601 dates (1990-12-31 or 19901231)."""
    if not pd.api.types.is_datetime64_any_dtype(births):
        births = pd.Series(as_text(births), index=births.index, dtype="str")
        births = pd.to_datetime(births, errors="coerce", format="ISO8601", utc=True)
    parts = births.dt
    before_birthday = (parts.month > today.month) | ((parts.month == today.month) & (parts.day > today.day))
    ages = today.year - parts.year - before_birthday
    numbers: Floats = ages.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(births.isna().to_numpy(), np.nan, numbers)


def is_unknown_age(ages: Floats) -> Mask:
    """Ages that cannot be: missing, negative, or above 120."""
    unknown: Mask = ~((ages >= 0) & (ages <= OLDEST_AGE))
    return unknown


def _are_whole(numbers: Floats) -> Mask:
    """Numbers that are integers for certain: above 2^53 a float64 may stand for several."""
    whole: Mask = np.isfinite(numbers) & (np.abs(numbers) < _EXACT_INTEGERS) & (numbers == np.trunc(numbers))
    return whole


def _is_text(kind: pa.DataType) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(test(kind) for test in tests)
