"""The consent log of a table: whose latest word on a purpose is yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from clients.tables.columns import Codes, as_codes
from clients.tables.files import Stream, read_columns
from clients.tables.joins import Positions, latest_of
from clients.tables.problems import Problem
from clients.tables.specs import PROVISION, ConsentSpec, TableSpec
from clients.tables.subjects import Funnel, main_reason, normalized
from privacy.identifiers import Identifiers
from privacy.normalization import NormalizedIdentifiers

_UNCLEAR, _YES, _NO = range(3)
_STATUS: Final = {"granted": _YES, "withdrawn": _NO}


@dataclass(frozen=True, slots=True)
class ConsentLog:
    """The statements of all subjects in order of time.

    subjects: (n,) normalised; purpose: (n,) places in `names`; status: (n,) `_YES` or `_NO`.
    """

    subjects: Identifiers = field(repr=False)
    purpose: Codes = field(repr=False)
    status: np.ndarray[Any, np.dtype[np.int8]] = field(repr=False)
    names: tuple[str, ...]

    @property
    def purposes(self) -> list[str]:
        """The purposes about which subjects have stated anything, without `PROVISION`."""
        return sorted({self.names[place] for place in np.unique(self.purpose)} - {PROVISION})

    def exclude(self, purpose: str, subjects: Identifiers, funnel: Funnel) -> None:
        """Keeps the rows whose subject's latest word is yes: for `purpose` and, when the log knows it at all,
        for `PROVISION`, because every federated job provides something to another handler.

        subjects: (n,) per row of the file, different in the rows that remain.
        """
        self._exclude(purpose, subjects, funnel, "no_consent", "consent_withdrawn")
        if purpose != PROVISION and len(self._about(PROVISION)):
            self._exclude(PROVISION, subjects, funnel, "no_provision_consent", "provision_withdrawn")

    def _exclude(
        self, purpose: str, subjects: Identifiers, funnel: Funnel, never: str, withdrawn: str
    ) -> None:
        said = self._about(purpose)
        rows = np.flatnonzero(funnel.remaining)
        latest = latest_of(subjects[rows], self.subjects[said])
        status = np.full(len(subjects), _UNCLEAR, dtype=np.int8)
        found = latest >= 0
        status[rows[found]] = self.status[said[latest[found]]]
        funnel.exclude(withdrawn, status == _NO)
        funnel.exclude(never, status != _YES)

    def _about(self, purpose: str) -> Positions:
        places = [place for place, name in enumerate(self.names) if name == purpose]
        return np.flatnonzero(np.isin(self.purpose, places))


class _ConsentCollector:
    """Consent statements while they are read, batch by batch."""

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._places: dict[str, int] = {}
        self._subjects: list[NormalizedIdentifiers] = []
        self._purpose: list[Codes] = [np.empty(0, np.int32)]
        self._status: list[Any] = [np.empty(0, np.int8)]

    def add(self, batch: Mapping[str, pa.Array]) -> None:
        consents = self._spec.consents
        if consents is None or len(batch) < len(_columns_of(consents)):
            return  # a column is missing: the reading has a problem
        self._subjects.append(normalized(self._spec, batch[consents.id_column]))
        codes, texts = as_codes(batch[consents.purpose_column])
        places = [self._places.setdefault(text, len(self._places)) for text in texts]
        self._purpose.append(np.array(places, np.int32)[codes])
        codes, texts = as_codes(batch[consents.status_column])
        self._status.append(np.array([_STATUS.get(text.lower(), _UNCLEAR) for text in texts], np.int8)[codes])

    def finish(self) -> tuple[NormalizedIdentifiers, ConsentLog]:
        """All subjects, and the statements of those with a usable identifier."""
        found = NormalizedIdentifiers.concatenate(self._subjects)
        purpose, status = np.concatenate(self._purpose), np.concatenate(self._status)
        return found, ConsentLog(
            found.identifiers[found.valid], purpose[found.valid], status[found.valid], tuple(self._places)
        )

    @property
    def unclear(self) -> int:
        return sum(int((status == _UNCLEAR).sum()) for status in self._status)


def _columns_of(consents: ConsentSpec) -> tuple[str, str, str]:
    return consents.id_column, consents.purpose_column, consents.status_column


def read_consents(spec: TableSpec) -> tuple[ConsentLog | None, list[Problem]]:
    """The consent log of a table, or None and why it cannot be used."""
    consents = spec.consents
    if consents is None:
        return None, []
    collector = _ConsentCollector(spec)
    columns = _columns_of(consents)
    reading = read_columns(consents.path, columns, stream=Stream(columns, collector.add))
    if reading.problems or reading.frame is None:
        return None, reading.problems
    subjects, log = collector.finish()
    problems = []
    if collector.unclear:
        values = {"file": consents.path, "column": consents.status_column, "rows": collector.unclear}
        problems.append(Problem("errors.table_consent_status", values))
    if not subjects.valid.any():
        problems.append(
            Problem(
                "errors.table_identifiers_all_bad",
                {
                    "file": consents.path,
                    "column": consents.id_column,
                    "rows": len(subjects),
                    "kind": Problem(f"tables.kinds.{spec.id_kind.value}"),
                    "reason": main_reason(subjects.reasons),
                },
            )
        )
    return (None, problems) if problems else (log, [])
