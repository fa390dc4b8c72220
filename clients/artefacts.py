"""What later stages of a job need of earlier ones, at one party."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from clients.finished import handle_of
from privacy.joining import Tokens

Integers = np.ndarray[Any, np.dtype[np.int64]]


class Artefacts:
    """What later stages need of earlier ones, for the matched rows that are still in the job.

    A row that leaves (its consent was withdrawn) leaves all of it. Places among the matched rows as they first were
    stay the same at all parties whatever leaves later.
    """

    def __init__(self) -> None:
        self.n_segments = 0
        self.model: Any = None
        self.bins: Any = None
        """This party's part of the bins of a scorecard."""
        self.selection: Any = None
        """Which of them stay."""
        self.scorecard: Any = None
        """This party's part of the scorecard itself."""
        self.training: tuple[Any, Integers] | None = None
        """The role that trains, and `places` when it began: what goes on when rows leave meanwhile."""
        self.match(np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.uint8))

    def match(self, rows: Integers, subject_refs: np.ndarray[Any, Any]) -> None:
        """The result of the matching: own row, and what the project calls the subject, per aligned row."""
        self._rows, self._subject_refs = rows, subject_refs
        self._stays = np.ones(len(rows), dtype=bool)
        self._segments: Integers | None = None
        self._in_training = np.zeros(len(rows), dtype=bool)
        self._columns: dict[str, pd.Series[Any]] = {}

    @property
    def rows(self) -> Integers:
        """(n,) own row per aligned row."""
        return self._rows[self._stays]

    @property
    def places(self) -> Integers:
        """(n,) first place of every aligned row."""
        return np.flatnonzero(self._stays)

    def handle(self, file_rows: Integers, tokens: Tokens) -> bytes:
        """The rows and their subject references, as they are stored: by `file_rows`, the place of each own row in its
        file, which stays the same however many rows may be loaded another time. tokens: of each own row's subject.
        """
        rows, refs = file_rows[self.rows], self._subject_refs[self._stays]
        return handle_of(rows, refs, tokens[self.rows])

    @property
    def segments(self) -> Integers | None:
        """(n,) cluster per aligned row; None before any were found."""
        return None if self._segments is None else self._segments[self._stays]

    @segments.setter
    def segments(self, found: Integers) -> None:
        self._segments = np.full(len(self._rows), -1, dtype=np.int64)
        self._segments[self._stays] = found

    @property
    def columns(self) -> dict[str, pd.Series[Any]]:
        """Results per aligned row, by name: what this party's own people get."""
        return {name: column[self._stays].reset_index(drop=True) for name, column in self._columns.items()}

    def put_columns(self, found: pd.DataFrame) -> None:
        """Keep results, one row per aligned row."""
        found.index = pd.Index(self.places)
        whole = found.reindex(np.arange(len(self._rows)))
        self._columns |= {str(name): whole[name] for name in whole.columns}

    @property
    def train_rows(self) -> Integers:
        """Aligned places of the rows that train, increasing."""
        return np.flatnonzero(self._in_training[self._stays])

    @train_rows.setter
    def train_rows(self, places: Integers) -> None:
        self._in_training[:] = False
        self._in_training[np.flatnonzero(self._stays)[places]] = True

    def places_of(self, own_rows: Integers) -> Integers:
        """First places of those own rows that are still in the job, increasing."""
        return np.flatnonzero(self._stays & np.isin(self._rows, own_rows))

    def rows_at(self, places: Integers) -> Integers:
        """Own rows at these first places."""
        return self._rows[places]

    def drop(self, places: Integers) -> None:
        """Rows leave, by their first places."""
        self._stays[places] = False

    def __len__(self) -> int:
        return len(self._rows)
