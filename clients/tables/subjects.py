"""Which rows a job may use, and why not the others: identifiers, duplicates, age."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from clients.tables.columns import Floats, Mask, ages_at, as_cells, as_numbers, is_unknown_age
from clients.tables.files import Progress, Reading, Stream, no_progress, read_columns
from clients.tables.joins import repeated
from clients.tables.problems import Problem, refuse
from clients.tables.specs import TableSpec
from privacy.identifiers import IdentifierReason, Identifiers
from privacy.normalization import NormalizedIdentifiers, normalize


class FunnelStep(NamedTuple):
    """`reason` is a code with a label in the texts (`tables.funnel.<reason>`)."""

    reason: str
    rows: int


@dataclass(slots=True)
class Funnel:
    """From the rows of a file to those a job may use; an excluded row counts once, under its first reason."""

    total: int
    remaining: Mask = field(init=False)
    excluded: list[FunnelStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remaining = np.ones(self.total, dtype=bool)

    def exclude(self, reason: str, rows: Mask) -> None:
        self.excluded.append(FunnelStep(reason, int((self.remaining & rows).sum())))
        self.remaining &= ~rows

    def exclude_identifiers(self, reasons: Mapping[str, int], valid: Mask) -> None:
        """The first step, whose reasons are counted already."""
        self.excluded += [
            FunnelStep(f"identifier_{reason}", rows) for reason, rows in sorted(reasons.items())
        ]
        self.remaining &= valid

    @property
    def steps(self) -> tuple[FunnelStep, ...]:
        eligible = FunnelStep("eligible", int(self.remaining.sum()))
        return (FunnelStep("rows_in_file", self.total), *self.excluded, eligible)


def read_subjects(
    spec: TableSpec, columns: Sequence[str], on_progress: Progress = no_progress
) -> tuple[Reading, NormalizedIdentifiers | None]:
    """Reads the table's other `columns`, and its identifiers normalised while they are read; None where the file
    has no such column or cannot be read."""
    parts: list[NormalizedIdentifiers] = []

    def collect(batch: Mapping[str, pa.Array]) -> None:
        if spec.id_column in batch:
            parts.append(normalized(spec, batch[spec.id_column]))

    stream = Stream((spec.id_column,), collect, on_progress)
    reading = read_columns(spec.path, [spec.id_column, *columns], stream=stream)
    if reading.frame is None or not parts:
        return reading, None
    return reading, NormalizedIdentifiers.concatenate(parts)


def identifiers_by_place(spec: TableSpec) -> Identifiers:
    """(n,) canonical identifiers by place in the table's file, empty where the cell holds none; none where the file is
    gone. Raises `SchemaMismatch` for a table that cannot be read.
    """
    if not Path(spec.path).exists():
        return np.empty(0, dtype="S1")
    reading, found = read_subjects(spec, [])
    if found is None:
        refuse(spec.path, reading.problems)
        return np.empty(0, dtype="S1")
    return np.where(found.valid, found.identifiers, b"")


def normalized(spec: TableSpec, cells: pa.Array) -> NormalizedIdentifiers:
    """A batch of an identifier column, of the table or of its consent log, as the registration describes it."""
    return normalize(spec.id_kind, as_cells(cells), spec.extra_prefixes, spec.id_format)


def exclude_unusable(identifiers: NormalizedIdentifiers, funnel: Funnel, deleted: Mask | None = None) -> None:
    """Excludes rows without an identifier, and all but the last row of each subject.

    deleted: (n,) rows without anything, see `Reading`; these are no faults of the file.
    """
    reasons = Counter(identifiers.reasons)
    if deleted is not None and deleted.any():
        reasons[IdentifierReason.MISSING.value] -= int(deleted.sum())
        funnel.exclude("deleted", deleted)
    funnel.exclude_identifiers(+reasons, identifiers.valid)
    is_repeated = np.zeros(len(identifiers), dtype=bool)
    # Rows without an identifier repeat one another, which excludes none of them twice.
    is_repeated[repeated(identifiers.identifiers)] = True
    funnel.exclude("duplicate", is_repeated)


def ages_of(spec: TableSpec, frame: pd.DataFrame, today: date) -> Floats | None:
    """(n,) ages in years as the table tells them, NaN where it does not; None for a table without ages."""
    if spec.age_column is not None and spec.age_column in frame:
        ages, _ = as_numbers(frame[spec.age_column])
        return ages
    if spec.birth_date_column is not None and spec.birth_date_column in frame:
        return ages_at(today, frame[spec.birth_date_column])
    return None


def exclude_by_age(spec: TableSpec, frame: pd.DataFrame, today: date, funnel: Funnel) -> None:
    """Excludes rows below the minimum age, and rows of unknown age unless the table keeps them."""
    ages = ages_of(spec, frame, today)
    if ages is None:
        return
    unknown = is_unknown_age(ages)
    funnel.exclude("under_age", ~unknown & (ages < spec.minimum_age))
    if not spec.keep_unknown_age:
        funnel.exclude("age_unknown", unknown)


def main_reason(reasons: Mapping[str, int]) -> Problem:
    """The label of the most frequent reason."""
    return Problem(f"tables.funnel.identifier_{max(reasons, key=lambda reason: reasons[reason])}")
