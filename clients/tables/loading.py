"""Loading the rows and columns that one job may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

import numpy as np
import pandas as pd

from clients.tables.attributes import attribute_of
from clients.tables.columns import FieldValues, Floats, as_numbers, convert, transformed
from clients.tables.files import Progress, no_progress
from clients.tables.problems import Problem, refuse
from clients.tables.specs import FieldSpec, TableSpec
from clients.tables.subjects import (
    Funnel,
    exclude_by_age,
    exclude_unusable,
    main_reason,
    read_subjects,
)
from clients.tables.table import CustomerTable
from federation import pace
from privacy.digests import IdFormat, hash_identifiers
from privacy.errors import ConfigInvalid
from privacy.identifiers import Identifiers


class Rules(Protocol):
    """What the gate has a say in while a table is loaded (`clients.gate`)."""

    columns: tuple[str, ...]
    """Columns that the rules need beside those of the job."""

    def exclude(self, frame: pd.DataFrame, identifiers: Identifiers, funnel: Funnel) -> None:
        """Excludes the rows that may not be used. Raises `Denied` when nobody is left or no column may be read."""
        ...

    def inspect(self, name: str, cells: pd.Series, column: FieldValues) -> None:
        """Looks at what a column really holds, whatever its name says."""
        ...

    def confirm(self) -> None:
        """Raises `Denied` when `inspect` has found what may not be there."""
        ...

    def minimise(self, name: str, values: Floats) -> Floats:
        """A column of the rows that remain, as a trainer may see it."""
        ...


def load(
    spec: TableSpec,
    purpose: str,
    fields: Sequence[str],
    *,
    with_label: bool = True,
    tested: Mapping[str, str] | None = None,
    id_format: str = IdFormat.PLAIN,
    today: date | None = None,
    on_progress: Progress = no_progress,
    rules: Rules | None = None,
) -> CustomerTable:
    """Reads a table for one purpose: only the columns needed, only the rows allowed.

    A row is excluded for the first of: a bad identifier, being a repetition (a subject's last row stays), what the
    rules exclude, and a missing label. Without rules, which is for looking at a file and not for jobs, rows under age
    or of unknown age are excluded as the registration says.

    with_label: False leaves the label column unread, for jobs that need none.
    tested: columns to test a model for fairness by, by attribute, see `TableSpec.tested_columns`.
    id_format: what the job matches on, see `IdFormat`: a table of plain identifiers hashes its own for that.
    today: the day on which ages from birth dates are taken; default the current one.
    on_progress: called with the rows read so far and those in the file (0: not known).

    Raises `SchemaMismatch` with all problems of the table at once, `ConfigInvalid` when the table holds digests that
    are not what the job matches on.
    """
    job_format = IdFormat(id_format)
    if spec.id_format not in {IdFormat.PLAIN, job_format}:
        values = {"file": spec.path, "column": spec.id_column, "found": spec.id_format.value}
        raise ConfigInvalid("table_id_format", **values, expected=job_format.value)
    registered = {item.name: item for item in spec.fields}
    unknown = [name for name in dict.fromkeys(fields) if name not in registered]
    problems = [
        Problem("errors.table_field_unregistered", {"file": spec.path, "column": name}) for name in unknown
    ]
    chosen = [registered[name] for name in dict.fromkeys(fields) if name in registered]
    label_column = spec.label_column if with_label else None

    more = () if rules is None else rules.columns
    asked = tested or {}
    wanted = list(dict.fromkeys([*other_columns(spec, chosen, label_column), *more, *asked.values()]))
    reading, found = read_subjects(spec, wanted, on_progress)
    problems += reading.problems
    if reading.frame is None:
        refuse(spec.path, problems)
    frame = reading.frame if reading.frame is not None else pd.DataFrame()

    funnel = Funnel(reading.rows)
    is_counted = False
    if found is not None:
        exclude_unusable(found, funnel, reading.deleted)
        bad_identifiers = identifier_problems(spec, funnel)
        problems += bad_identifiers
        is_counted = not bad_identifiers
        if rules is None:
            exclude_by_age(spec, frame, today or pace.today(), funnel)
        elif not problems:  # a file that cannot be used is said to be so before anybody is asked about
            rules.exclude(frame, found.identifiers, funnel)
    labels = None
    if label_column is not None and label_column in frame:
        labels, label_problems = read_label(spec.path, label_column, frame[label_column], funnel)
        problems += label_problems

    # Where nobody is left, the columns are checked over all rows, so that one run finds all problems.
    rows = np.flatnonzero(funnel.remaining)
    checked = frame.iloc[rows] if len(rows) else frame
    columns = {item.name: convert(item, checked[item.name]) for item in chosen if item.name in frame}
    for name, column in columns.items():
        problems += field_problems(spec.path, name, column.not_numeric, column.present, column.is_constant)
        if rules is not None:
            rules.inspect(name, checked[name], column)
    if is_counted and not len(rows):
        problems.append(_nobody(spec.path, purpose, funnel))
    if rules is not None:
        rules.confirm()  # what may not be there at all is more than what cannot be used
    refuse(spec.path, problems)
    own = np.empty(0, "S1") if found is None else found.identifiers[rows]
    seen = {
        item.name: transformed(item, _minimised(rules, item.name, columns[item.name].values))
        for item in chosen
        if item.name in columns
    }
    return CustomerTable(
        file=spec.path,
        purpose=purpose,
        fields=tuple(columns),
        funnel=funnel.steps,
        out_of_range={name: column.out_of_range for name, column in columns.items()},
        notes=reading.notes,
        identifiers=own if spec.id_format is job_format else hash_identifiers(own, job_format),
        own_identifiers=own,
        rows=rows.astype(np.int64),
        values=np.column_stack(list(seen.values()) or [np.empty((len(rows), 0))]),
        label=None if labels is None else labels[rows].astype(np.int8),
        attributes={
            key: attribute_of(
                key,
                frame[column].iloc[rows],
                today or pace.today(),
                is_birth_date=column == spec.birth_date_column,
            )
            for key, column in asked.items()
            if column in frame
        },
    )


def other_columns(spec: TableSpec, fields: Sequence[FieldSpec], label_column: str | None) -> list[str]:
    """The columns to read besides the identifiers, each once."""
    others = (label_column, spec.age_column, spec.birth_date_column)
    wanted = [item.name for item in fields] + [name for name in others if name is not None]
    return list(dict.fromkeys(wanted))


def identifier_problems(spec: TableSpec, funnel: Funnel) -> list[Problem]:
    """A problem when no row has a usable identifier. To be called right after `exclude_unusable`."""
    if funnel.remaining.any():
        return []
    prefix = "identifier_"
    reasons = {
        step.reason.removeprefix(prefix): step.rows
        for step in funnel.excluded
        if step.reason.startswith(prefix)
    }
    if not any(reasons.values()):  # everybody was deleted
        return [Problem("errors.table_empty", {"file": spec.path})]
    values = {
        "file": spec.path,
        "column": spec.id_column,
        "rows": funnel.total,
        "kind": Problem(f"tables.kinds.{spec.id_kind.value}"),
        "reason": main_reason(reasons),
    }
    return [Problem("errors.table_identifiers_all_bad", values)]


def read_label(file: str, column: str, cells: pd.Series, funnel: Funnel) -> tuple[Floats, list[Problem]]:
    """The label as float64; excludes rows without one. Anything but 0, 1 and nothing is a problem."""
    labels, not_numeric = as_numbers(cells)
    wrong = not_numeric | ~(np.isnan(labels) | (labels == 0) | (labels == 1))
    funnel.exclude("label_missing", np.isnan(labels))
    if not wrong.any():
        return labels, []
    return labels, [Problem("errors.table_label", {"file": file, "column": column, "rows": int(wrong.sum())})]


def field_problems(
    file: str, column: str, not_numeric: int, present: int, is_constant: bool
) -> list[Problem]:
    """What makes a column unusable for any model."""
    if not_numeric:
        return [Problem("errors.table_not_numeric", {"file": file, "column": column, "rows": not_numeric})]
    if not present:
        return [Problem("errors.table_field_empty", {"file": file, "column": column})]
    if is_constant and present > 1:
        return [Problem("errors.table_field_constant", {"file": file, "column": column, "rows": present})]
    return []


def _nobody(file: str, purpose: str, funnel: Funnel) -> Problem:
    main = max(funnel.excluded, key=lambda step: step.rows)
    values = {"file": file, "purpose": purpose, "rows": main.rows, "total": funnel.total}
    return Problem("errors.table_no_rows", values | {"reason": Problem(f"tables.funnel.{main.reason}")})


def _minimised(rules: Rules | None, name: str, values: Floats) -> Floats:
    return values if rules is None else rules.minimise(name, values)
