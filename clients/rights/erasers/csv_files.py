"""Taking people out of a CSV file: every other row stays as it is, byte for byte, whatever the file's encoding.

A row is emptied in place where others are named by their places (`Rule.EMPTY`), otherwise removed. The file is read as
bytes: in UTF-8 and in GB 18030 no part of a longer character looks like a comma, a quote or the end of a line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TextIO

import numpy as np

from clients.rights.erasers.rewriting import rewrite
from clients.rights.erasers.wanted import NOBODY, Integers, Mask, Wanted
from clients.tables.files import ENCODINGS
from privacy.errors import SchemaMismatch

_BYTES: Final = "latin-1"
"""Every byte is a character."""
_BOM: Final = b"\xef\xbb\xbf".decode(_BYTES)
_ROWS_AT_ONCE: Final = 2**15
_ENDS: Final = ("\r\n", "\n", "\r")
_EMPTY_ROW: Final = '""'
"""Of a file with one column: an empty line would not be a row."""


class Rule(Enum):
    """EMPTY: the row keeps its place, and cells of other rows with the identifier are emptied too (a family member's,
    a guarantor's). REMOVE: the row goes. CELLS: only some cells of the row are emptied.
    """

    EMPTY = "empty"
    REMOVE = "remove"
    CELLS = "cells"


@dataclass(frozen=True, slots=True)
class CsvPlan:
    """What is done about rows whose cell in `id_column` names a subject. cells: what `Rule.CELLS` empties."""

    id_column: str
    rule: Rule
    cells: tuple[str, ...] = ()


def erase_from_csv(file: Path, plan: CsvPlan, wanted: Wanted) -> Mask:
    """Write the file anew; which of the subjects were in it. Raises `SchemaMismatch` for a file that is no CSV file, or
    whose header has no such column, and what `rewrite` does.
    """
    found = np.zeros(len(wanted), dtype=np.bool_)

    def write(part: Path) -> bool:
        nonlocal found
        with part.open("w", encoding=_BYTES, newline="") as sink:
            found = _copy(file, plan, wanted, sink)
        return bool(found.any())

    rewrite(file, write)
    return found


def find_in_csv(file: Path, plan: CsvPlan, wanted: Wanted) -> Mask:
    """Which of the subjects `erase_from_csv` would find. Raises `SchemaMismatch`."""
    return _copy(file, plan, wanted, None)


def has_column(file: Path, column: str) -> bool:
    """Whether a CSV file has a column of that name."""
    with file.open(encoding=_BYTES, newline="") as stream:
        _, _, header = _header(file, stream)
    return column in header


def _copy(file: Path, plan: CsvPlan, wanted: Wanted, sink: TextIO | None) -> Mask:
    found = np.zeros(len(wanted), dtype=np.bool_)
    try:
        with file.open(encoding=_BYTES, newline="") as stream:
            bom, raw, header = _header(file, stream)
            if header.count(plan.id_column) != 1:
                raise SchemaMismatch("erase_column_missing", file=file.name, column=plan.id_column)
            if sink is not None:
                sink.write(bom + raw)
            emptied = [header.index(name) for name in plan.cells if name in header]
            sheet = _Sheet(plan.rule, header.index(plan.id_column), len(header), emptied)
            for rows in _blocks(stream):
                edited, named = sheet.edit(rows, wanted)
                found |= named
                if sink is not None:
                    sink.writelines(edited)
    except csv.Error:
        raise SchemaMismatch("table_malformed", file=file.name, line="?") from None
    return wanted.spread(found)


_Row = tuple[str, list[str]]
"""As it stands in the file, with its end of line; and its cells."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    rule: Rule
    id_place: int
    width: int
    emptied: Sequence[int]

    def edit(self, rows: Sequence[_Row], wanted: Wanted) -> tuple[list[str], Mask]:
        """The rows as they are to be, and which subjects were in them."""
        subjects = wanted.of_texts([self._text(cells, self.id_place) for _, cells in rows])
        edited = [raw for raw, _ in rows]
        found = wanted.mask(subjects)
        for place in np.flatnonzero(subjects != NOBODY).tolist():
            edited[place] = self._edited(*rows[place])
            if self.rule is Rule.CELLS and edited[place] == rows[place][0]:
                subjects[place] = NOBODY
        if self.rule is Rule.CELLS:
            found = wanted.mask(subjects)
        if self.rule is Rule.EMPTY:
            found |= self._empty_others(rows, edited, subjects, wanted)
        return edited, found

    def _edited(self, raw: str, cells: list[str]) -> str:
        if self.rule is Rule.REMOVE:
            return ""
        if self.rule is Rule.EMPTY:
            return ("," * (self.width - 1) or _EMPTY_ROW) + _end_of(raw)
        places = [place for place in self.emptied if place < len(cells) and cells[place]]
        return _without_cells(raw, cells, places) if places else raw

    def _empty_others(
        self, rows: Sequence[_Row], edited: list[str], subjects: Integers, wanted: Wanted
    ) -> Mask:
        candidates = [
            (number, place)
            for number, (_, cells) in enumerate(rows)
            if subjects[number] == NOBODY
            for place, cell in enumerate(cells)
            if len(cell) >= wanted.shortest and place != self.id_place
        ]
        about = wanted.of_other_texts([_decoded(rows[number][1][place]) for number, place in candidates])
        by_row: dict[int, list[int]] = {}
        for hit in np.flatnonzero(about != NOBODY).tolist():
            number, place = candidates[hit]
            by_row.setdefault(number, []).append(place)
        for number, places in by_row.items():
            edited[number] = _without_cells(*rows[number], places)
        return wanted.mask(about)

    @staticmethod
    def _text(cells: list[str], place: int) -> str | None:
        return _decoded(cells[place]) if place < len(cells) and cells[place] else None


def _header(file: Path, stream: TextIO) -> tuple[str, str, list[str]]:
    """The byte order mark, the header as it stands in the file, and the names of its columns."""
    bom = stream.read(len(_BOM))
    if bom != _BOM:
        stream.seek(0)
        bom = ""
    raw, cells = next(_rows(stream), ("", []))
    if not cells:
        raise SchemaMismatch("table_empty", file=file.name)
    for encoding in ENCODINGS:
        try:
            return bom, raw, [cell.encode(_BYTES).decode(encoding) for cell in cells]
        except UnicodeDecodeError:
            continue
    raise SchemaMismatch("table_encoding", file=file.name)


def _blocks(stream: TextIO) -> Iterator[list[_Row]]:
    block: list[_Row] = []
    for row in _rows(stream):
        block.append(row)
        if len(block) == _ROWS_AT_ONCE:
            yield block
            block = []
    if block:
        yield block


def _rows(stream: TextIO) -> Iterator[_Row]:
    """The rows from where the stream stands. Raises `csv.Error` for a quote that is never closed."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in stream:
            taken.append(line)
            yield line

    raw = ""
    for cells in csv.reader(lines()):
        raw = "".join(taken)
        taken.clear()
        yield raw, cells
    if len(list(csv.reader([*raw.splitlines(keepends=True), "\n", "end"]))) < 2 and raw:
        raise csv.Error  # the last row's quote has taken in what was put behind it


def _decoded(cell: str) -> str:
    if cell.isascii():
        return cell
    raw = cell.encode(_BYTES)
    try:
        return raw.decode(ENCODINGS[0])
    except UnicodeDecodeError:
        return raw.decode(ENCODINGS[1], "replace")


def _end_of(raw: str) -> str:
    return next((end for end in _ENDS if raw.endswith(end)), "")


def _without_cells(raw: str, cells: list[str], places: Sequence[int]) -> str:
    kept = ["" if place in places else cell for place, cell in enumerate(cells)]
    line = io.StringIO()
    csv.writer(line, lineterminator=_ENDS[0]).writerow(kept)  # it quotes what ends lines, and only that
    return line.getvalue().removesuffix(_ENDS[0]) + _end_of(raw)
