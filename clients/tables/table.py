"""What a job sees of a table: columns as numbers, and whose rows they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from clients.tables.attributes import Attribute
from clients.tables.columns import Floats
from clients.tables.problems import Problem
from clients.tables.subjects import FunnelStep
from federation.roles import View
from privacy.errors import SchemaMismatch
from privacy.identifiers import Identifiers

Labels = np.ndarray[Any, np.dtype[np.int8]]


@dataclass(frozen=True, slots=True)
class CustomerTable:
    """The rows one job may use, in the order of the file.

    identifiers: canonical and unique, one per row, in the format the job matches on; own_identifiers: the same as the
        table spells them (the same array, unless the job matches on digests of a table of plain ones).
    rows: their positions among the file's data rows, from 0.
    label: 0 or 1 per row, None when it was not asked for or the table has none.
    funnel: from `rows_in_file` over every reason for exclusion to `eligible`; the reasons add up.
    attributes: by `clients.tables.attributes` key, what a model may be tested for fairness by; empty where no job asks.
    out_of_range: rows by field whose value was set to NaN because the registration forbids it.

    Its repr shows no data.
    """

    file: str
    purpose: str
    fields: tuple[str, ...]
    funnel: tuple[FunnelStep, ...]
    out_of_range: Mapping[str, int]
    notes: tuple[Problem, ...]
    identifiers: Identifiers = field(repr=False)
    own_identifiers: Identifiers = field(repr=False)
    rows: np.ndarray[Any, np.dtype[np.int64]] = field(repr=False)
    values: Floats = field(repr=False)
    label: Labels | None = field(repr=False)
    attributes: Mapping[str, Attribute] = field(repr=False, default_factory=dict)

    def __len__(self) -> int:
        return len(self.identifiers)

    def without(self, places: np.ndarray[Any, np.dtype[np.int64]]) -> CustomerTable:
        """The table without some of its rows, by their places in it."""
        stays = np.ones(len(self), dtype=np.bool_)
        stays[places] = False
        return replace(
            self,
            identifiers=self.identifiers[stays],
            own_identifiers=self.own_identifiers[stays],
            rows=self.rows[stays],
            values=self.values[stays],
            label=None if self.label is None else self.label[stays],
            attributes={key: attribute.at(stays) for key, attribute in self.attributes.items()},
        )

    def keeping(self, fields: Sequence[str]) -> CustomerTable:
        """The table with these columns alone."""
        if tuple(fields) == self.fields:
            return self
        places = [self.fields.index(name) for name in fields]
        return replace(self, fields=tuple(fields), values=self.values[:, places])

    def view(self, fields: Sequence[str] | None = None) -> View:
        """The named fields (None: all loaded ones) as float64, NaN for missing.

        Raises `SchemaMismatch` for a field that was not loaded.
        """
        wanted = self.fields if fields is None else tuple(fields)
        for name in wanted:
            if name not in self.fields:
                raise SchemaMismatch("table_field_unregistered", file=self.file, column=name)
        return View(wanted, self.values[:, [self.fields.index(name) for name in wanted]])
