"""A health check of a customer table for its holder: all problems, nothing refused, no values shown."""

from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import numpy as np

from clients.tables.columns import convert
from clients.tables.consents import read_consents
from clients.tables.files import Progress, Reading, no_progress
from clients.tables.joins import repetitions
from clients.tables.loading import field_problems, identifier_problems, other_columns, read_label
from clients.tables.problems import Problem
from clients.tables.specs import TableSpec
from clients.tables.subjects import Funnel, exclude_by_age, exclude_unusable, read_subjects
from privacy.digests import IdFormat
from privacy.normalization import NormalizedIdentifiers


class FieldReport(msgspec.Struct, frozen=True):
    """One field over all rows of the file."""

    name: str
    missing_share: float
    not_numeric: int
    out_of_range: int


class TableReport(msgspec.Struct, frozen=True):
    """What is in a table and what is wrong with it.

    respelled: rows whose identifier reads otherwise in the file than after normalisation. collisions: subjects that the
    file spells in more than one way, which only normalisation shows to be the same. deleted: rows that are empty since
    their subject was deleted.
    usable_rows: rows with a good identifier, not repeated, of age; what general consent then leaves, going by the file
    alone, is in `eligible` by purpose, what it takes in `excluded_no_consent`. Both are empty without a consent log. A
    job may leave fewer: it goes by the consent store, and asks for separate consents too.
    label_missing: rows without a label, of all rows; None for a table without a label column.
    """

    file: str
    encoding: str | None = None
    rows: int = 0
    columns: tuple[str, ...] = ()
    valid_identifiers: int = 0
    bad_identifiers: dict[str, int] = {}
    respelled: int = 0
    deleted: int = 0
    duplicates: int = 0
    collisions: int = 0
    under_age: int = 0
    age_unknown: int = 0
    usable_rows: int = 0
    eligible: dict[str, int] = {}
    excluded_no_consent: dict[str, int] = {}
    label_missing: int | None = None
    fields: tuple[FieldReport, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()

    @property
    def is_usable(self) -> bool:
        return not self.problems


def validate(
    spec: TableSpec, *, today: date | None = None, on_progress: Progress = no_progress
) -> TableReport:
    """Checks a table against its registration over all rows. Never raises for what is wrong with the file."""
    columns = [*other_columns(spec, spec.fields, spec.label_column), *spec.tested_columns.values()]
    reading, found = read_subjects(spec, list(dict.fromkeys(columns)), on_progress)
    problems = list(reading.problems)
    now = datetime.now(UTC)
    consents, consent_problems = read_consents(spec, now)
    problems += consent_problems
    notes = (*reading.notes, *_format_notes(spec), *_deleted_notes(spec, reading))
    frame = reading.frame
    if frame is None:
        return TableReport(
            spec.path,
            reading.encoding,
            columns=reading.columns,
            problems=tuple(problems),
            notes=notes,
        )

    funnel = Funnel(reading.rows)
    eligible: dict[str, int] = {}
    if found is not None:
        exclude_unusable(found, funnel, reading.deleted)
        problems += identifier_problems(spec, funnel)
        exclude_by_age(spec, frame, today or now.astimezone().date(), funnel)
        for purpose in [] if consents is None else consents.purposes:
            allowed = Funnel(reading.rows)
            allowed.remaining = funnel.remaining.copy()
            if consents is not None:
                consents.exclude(purpose, found.identifiers, allowed, now)
            eligible[purpose] = int(allowed.remaining.sum())
    label_missing = None
    if spec.label_column is not None and spec.label_column in frame:
        labels, label_problems = read_label(
            spec.path, spec.label_column, frame[spec.label_column], Funnel(reading.rows)
        )
        problems += label_problems
        label_missing = int(np.isnan(labels).sum())
    fields = []
    for field in spec.fields:
        if field.name in frame:
            column = convert(field, frame[field.name])
            problems += field_problems(
                spec.path, field.name, column.not_numeric, column.present, column.is_constant
            )
            share = column.missing / reading.rows
            fields.append(FieldReport(field.name, share, column.not_numeric, column.out_of_range))

    counts = dict(funnel.excluded)
    prefix = "identifier_"
    bad = {reason.removeprefix(prefix): rows for reason, rows in counts.items() if reason.startswith(prefix)}
    usable = int(funnel.remaining.sum())
    return TableReport(
        file=spec.path,
        encoding=reading.encoding,
        rows=reading.rows,
        columns=reading.columns,
        valid_identifiers=reading.rows - sum(bad.values()) - counts.get("deleted", 0)
        if found is not None
        else 0,
        bad_identifiers=bad,
        respelled=0 if found is None else len(found.respelled),
        collisions=0 if found is None else collisions(found),
        deleted=counts.get("deleted", 0),
        duplicates=counts.get("duplicate", 0),
        under_age=counts.get("under_age", 0),
        age_unknown=counts.get("age_unknown", 0),
        usable_rows=usable,
        eligible=eligible,
        excluded_no_consent={purpose: usable - rows for purpose, rows in eligible.items()},
        label_missing=label_missing,
        fields=tuple(fields),
        problems=tuple(problems),
        notes=notes,
    )


def collisions(found: NormalizedIdentifiers) -> int:
    """Subjects whose rows do not all spell the identifier alike."""
    spelling = np.zeros(len(found), dtype=np.int64)  # 0: as the identifier
    spelling[found.respelled] = found.spellings
    before, after = repetitions(found.identifiers)
    differs = after[(spelling[before] != spelling[after]) & found.valid[after]]
    return len(np.unique(found.identifiers[differs]))


def _deleted_notes(spec: TableSpec, reading: Reading) -> tuple[Problem, ...]:
    rows = int(reading.deleted.sum())
    return (Problem("tables.notes.deleted", {"file": spec.path, "rows": rows}),) if rows else ()


def _format_notes(spec: TableSpec) -> tuple[Problem, ...]:
    if spec.id_format is IdFormat.PLAIN:
        return ()
    values = {"column": spec.id_column, "format": spec.id_format.value}
    return (Problem("tables.notes.hashed_identifiers", values),)
