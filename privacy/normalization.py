"""Whole columns of identifiers to their canonical spelling, millions of rows a second.

One rule, two speeds: cells that are canonical as they stand are recognised in bulk (`privacy.recognition`), every
other cell goes through its kind's check by itself (`privacy.identifiers`). The outcome is the check's for each cell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.digests import IdFormat, digest_check
from privacy.identifiers import (
    Check,
    IdentifierKind,
    IdentifierReason,
    Identifiers,
    check_of,
)
from privacy.recognition import Mask, Recognizer, Texts, recognizer_of

_ROWS_AT_ONCE: Final = 2**17
"""Keeps the temporary arrays at a few MiB."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A column of text as it stands in a file: UTF-8, one cell after the other (the layout of Arrow).

    data: (m,) uint8. offsets: (n + 1,) int64, cell i is data[offsets[i]:offsets[i + 1]]. missing: (n,).
    """

    data: NDArray[np.uint8] = field(repr=False)
    offsets: NDArray[np.int64] = field(repr=False)
    missing: Mask = field(repr=False)

    @classmethod
    def of(cls, values: Sequence[str | None]) -> Cells:
        """Cells of a list in which None stands for a missing one."""
        encoded = [b"" if value is None else value.encode("utf-8", "surrogatepass") for value in values]
        offsets = np.fromiter(accumulate(map(len, encoded), initial=0), np.int64, len(encoded) + 1)
        missing = np.fromiter((value is None for value in values), np.bool_, len(values))
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets, missing)

    def __len__(self) -> int:
        return len(self.missing)

    def part(self, start: int, stop: int) -> Cells:
        """Rows start to stop, without copying text."""
        return Cells(self.data, self.offsets[start : stop + 1], self.missing[start:stop])

    def of_length(self, rows: NDArray[np.int64], length: int) -> Texts:
        """(k, length): the bytes of these rows, which all have `length` bytes."""
        # One window per byte of the data, overlapping: NumPy then copies each chosen cell in one piece.
        windows: Identifiers = np.ndarray(
            (len(self.data) - length + 1,), f"S{length}", self.data, strides=(1,)
        )
        return windows[self.offsets[rows]].view(np.uint8).reshape(len(rows), length)


@dataclass(frozen=True, slots=True)
class NormalizedIdentifiers:
    """A column after normalisation. Its repr shows no data.

    identifiers: (n,), empty where there is none. valid: (n,), where there is one. reasons: refusals by reason.
    respelled: (r,) int64, valid rows whose cell read otherwise than the identifier, in order; spellings: (r,) int64,
    equal for equal cells and, but for a chance of 2**-64, different for different ones; within this process only.
    """

    identifiers: Identifiers = field(repr=False)
    valid: Mask = field(repr=False)
    reasons: Mapping[str, int]
    respelled: NDArray[np.int64] = field(repr=False)
    spellings: NDArray[np.int64] = field(repr=False)

    @classmethod
    def concatenate(cls, parts: Sequence[NormalizedIdentifiers]) -> NormalizedIdentifiers:
        """The parts of one column, one under the other."""
        starts = accumulate((len(part) for part in parts), initial=0)
        reasons: Counter[str] = Counter()
        for part in parts:
            reasons.update(part.reasons)
        return cls(
            np.concatenate([np.empty(0, "S1"), *(part.identifiers for part in parts)]),
            np.concatenate([np.empty(0, np.bool_), *(part.valid for part in parts)]),
            reasons,
            np.concatenate(
                [np.empty(0, np.int64), *(p.respelled + at for p, at in zip(parts, starts, strict=False))]
            ),
            np.concatenate([np.empty(0, np.int64), *(part.spellings for part in parts)]),
        )

    def __len__(self) -> int:
        return len(self.valid)


def normalize(
    kind: IdentifierKind,
    cells: Cells,
    extra_prefixes: Sequence[str] = (),
    id_format: IdFormat = IdFormat.PLAIN,
) -> NormalizedIdentifiers:
    """The canonical spelling of every cell, in order.

    extra_prefixes: see `privacy.identifiers.check_of`; id_format: what the cells hold, identifiers or digests of them.

    Raises `IdentifierInvalid` when an extra prefix is not 2 to 7 digits.
    """
    plain_check = check_of(kind, extra_prefixes)
    check = plain_check if id_format is IdFormat.PLAIN else digest_check(id_format)
    recognizer = recognizer_of(kind, extra_prefixes, id_format)
    return NormalizedIdentifiers.concatenate(
        [
            _normalize(check, recognizer, cells.part(start, min(start + _ROWS_AT_ONCE, len(cells))))
            for start in range(0, len(cells), _ROWS_AT_ONCE)
        ]
    )


def _normalize(check: Check, recognizer: Recognizer, cells: Cells) -> NormalizedIdentifiers:
    lengths = np.diff(cells.offsets)
    lengths[cells.missing] = 0
    longest = min(int(lengths.max(initial=1)), recognizer.width)
    # Kinds of one length keep their width in every part; opaque ones take no more room than they need.
    identifiers = np.zeros(len(cells), f"S{max(longest, recognizer.lengths[0])}")
    valid = np.zeros(len(cells), dtype=bool)
    for length in np.flatnonzero(np.bincount(lengths)).tolist():
        if length in recognizer.lengths:
            rows = np.flatnonzero(lengths == length)
            texts = cells.of_length(rows, length)
            good = recognizer.canonical(texts)
            if not good.all():
                rows, texts = rows[good], texts[good]
            identifiers[rows] = texts.view(f"S{length}").ravel()
            valid[rows] = True
    rest = np.flatnonzero(~valid & ~cells.missing)
    found = _check_each(check, cells, rest)
    if found.rows:
        width = max(identifiers.dtype.itemsize, *map(len, found.canonical))
        identifiers = identifiers.astype(f"S{width}", copy=False)
        identifiers[found.rows] = found.canonical
        valid[found.rows] = True
    missing = int(cells.missing.sum())
    reasons = found.reasons + Counter({IdentifierReason.MISSING.value: missing})
    respelled = np.array(found.respelled, dtype=np.int64)
    return NormalizedIdentifiers(
        identifiers, valid, +reasons, respelled, np.array(found.spellings, dtype=np.int64)
    )


@dataclass(slots=True)
class _Found:
    """Of cells checked one by one: rows with an identifier and these, refusals, and rows spelled otherwise."""

    rows: list[int] = field(default_factory=list)
    canonical: list[bytes] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    respelled: list[int] = field(default_factory=list)
    spellings: list[int] = field(default_factory=list)


def _check_each(check: Check, cells: Cells, rows: NDArray[np.int64]) -> _Found:
    found = _Found()
    data = cells.data.data
    starts, stops = cells.offsets[rows].tolist(), cells.offsets[rows + 1].tolist()
    for row, start, stop in zip(rows.tolist(), starts, stops, strict=True):
        value = _decode(data[start:stop])
        canonical, reason = check(value)
        if canonical is None:
            found.reasons[str(reason)] += 1
            continue
        found.rows.append(row)
        found.canonical.append(canonical.encode())
        if canonical != value:
            found.respelled.append(row)
            # Python keys the hashes of texts afresh in every process (SipHash).
            found.spellings.append(hash(value))
    return found


def _decode(cell: memoryview) -> str:
    try:
        return str(cell, "utf-8", "surrogatepass")
    except UnicodeDecodeError:  # a file may call bytes text that are none; they become what no check passes
        return str(cell, "utf-8", "surrogateescape")
