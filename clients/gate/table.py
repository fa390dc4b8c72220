"""What the gate does while a table is read: the file as a whole, its rows, its columns, its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NoReturn

import numpy as np
import pandas as pd

from clients.consents.store import ConsentStore
from clients.consents.subjects import kind_label
from clients.gate.rows import RowRules
from clients.tables import CustomerTable, FunnelStep, TableSpec
from clients.tables.columns import FieldValues, Floats, Mask, as_cells, as_numbers
from clients.tables.files import as_arrow, read_columns
from clients.tables.problems import refuse
from clients.tables.subjects import Funnel
from privacy import scanner
from privacy.catalog import Catalog
from privacy.consent import STEP_REASONS
from privacy.decision import Terms
from privacy.identifiers import Identifiers
from privacy.joining import Tokens
from privacy.minimization import minimise
from privacy.policy import Missing
from privacy.reasons import Finding, Findings, Reason

SAMPLE_ROWS: Final = 1_000
"""Rows of the columns that no job reads which are looked at for what may not lie in the file at all."""

Refuse = Callable[[Findings], NoReturn]


def check_file(spec: TableSpec, catalog: Catalog, refuse_with: Refuse) -> None:
    """Card verification numbers, track data and other C3 data end the load before a row is read for the job.

    The names of all columns count, and the first `SAMPLE_ROWS` values of each (JR/T 0171: C3). Raises `SchemaMismatch`
    for a file that cannot be read.
    """
    reading = read_columns(spec.path, None, limit=SAMPLE_ROWS)
    refuse(spec.path, reading.problems)
    if reading.frame is None:
        return
    found = []
    for name in reading.columns:
        named = catalog.classify(name)
        cells = reading.frame[name]
        is_secret = named is not None and named.is_c3
        if is_secret or scanner.holds_secrets(as_cells(as_arrow(cells))):
            found.append(Finding(Reason.FIELD_PROHIBITED, name))
    if found:
        refuse_with(Findings.of(found))


class TableRules:
    """`clients.tables.loading.Rules` of one job. `refuse_with` logs and raises."""

    def __init__(
        self,
        spec: TableSpec,
        terms: Terms,
        store: ConsentStore,
        now: datetime,
        refuse_with: Refuse,
        smallest: int,
    ) -> None:
        """smallest: rows that a bucket of minimised values has at least."""
        self.columns: tuple[str, ...] = ()
        if spec.retain_until_column is not None:
            self.columns = (spec.retain_until_column,)
        self.applied: dict[str, int] = {}
        self._spec, self._terms, self._store = spec, terms, store
        self._refuse, self._smallest = refuse_with, smallest
        self._rows = RowRules(spec, terms, store, now)
        self.children: Mask = np.empty(0, np.bool_)
        """(rows of the file,): for whom a guardian speaks; known when `exclude` has been called."""
        self.blank: dict[str, Mask] = {}
        """By column, (rows of the file,): whose value the job does not see; known when `exclude` has been called."""
        self._found: list[Finding] = []
        self._dropped: set[str] = set()
        self._blank_steps: list[str] = []
        self._funnel = Funnel(0)

    def exclude(self, frame: pd.DataFrame, identifiers: Identifiers, funnel: Funnel) -> None:
        before = len(funnel.excluded)
        self._funnel = funnel
        tokens = self._store.tokens(kind_label(self._spec), identifiers)
        children = self.children = self._rows.exclude_by_age(frame, funnel)
        self._rows.exclude_by_state(tokens, funnel)
        self._rows.exclude_by_retention(frame, funnel)
        self._rows.exclude_by_consent(tokens, children, funnel)
        for name in self._terms.field_needs:
            if name in frame:
                self._exclude_for_field(name, tokens, funnel)
        if not funnel.remaining.any():
            steps = funnel.excluded[before:]
            self._refuse(Findings.of(Finding(STEP_REASONS[step.reason]) for step in steps if step.rows))

    def _exclude_for_field(self, name: str, tokens: Tokens, funnel: Funnel) -> None:
        """Sensitive columns: rows leave, or the column does, or single cells, as the purpose says (28, 29)."""
        lacking = self._rows.lacking(tokens, self._terms.field_needs[name], funnel)
        everybody = sum((rows for _, rows in lacking), np.zeros(funnel.total, np.bool_))
        how = self._terms.purpose.when_separate_consent_is_missing
        if how is Missing.DROP_FIELD:
            if lacking:
                self._dropped.add(name)
        elif how is Missing.BLANK_CELLS:
            self.blank[name] = everybody
            self._blank_steps += [step for step, _ in lacking]
            if not (funnel.remaining & ~everybody).any():
                self._dropped.add(name)
        elif funnel.remaining.any() and not (funnel.remaining & ~everybody).any():
            self._refuse(Findings.of(Finding(STEP_REASONS[step], name) for step, _ in lacking))
        else:
            for step, rows in lacking:
                funnel.exclude(step, rows)

    def inspect(self, name: str, cells: pd.Series, column: FieldValues) -> None:
        """What the values are, whatever the column is called (`privacy.scanner`)."""
        if column.largest < scanner.SHORTEST_IDENTIFIER:
            return
        numeric = pd.api.types.is_numeric_dtype(cells)
        text = None if numeric else as_cells(as_arrow(cells))
        seen = scanner.scan_column(text, as_numbers(cells)[0], self._spec.extra_prefixes)
        for reason in scanner.verdict(seen, self._terms.classes[name]):
            self._found.append(Finding(reason, name))

    def confirm(self) -> None:
        if self._found:
            self._refuse(Findings.of(self._found))

    def minimise(self, name: str, values: Floats) -> Floats:
        if name in self.blank:
            values = np.where(self.blank[name][self._funnel.remaining], np.nan, values)
        result = minimise(values, self._terms.treatments[name], self._smallest)
        self.applied[result.kind] = self.applied.get(result.kind, 0) + 1
        return result.values

    def without_dropped(self, table: CustomerTable) -> CustomerTable:
        """The table without the columns whose separate consents are missing."""
        return table.keeping([name for name in table.fields if name not in self._dropped])

    def codes(self, funnel: Sequence[FunnelStep]) -> tuple[str, ...]:
        """The reasons for which rows, or single values of theirs, were left out."""
        steps = [step.reason for step in funnel if step.rows and step.reason in STEP_REASONS]
        codes = (STEP_REASONS[step].value for step in [*steps, *self._blank_steps])
        return tuple(dict.fromkeys(codes))
