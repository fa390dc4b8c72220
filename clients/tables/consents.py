"""Reading the consent log of a table: every cell that is not understood is a problem, and then nothing is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from clients.tables.columns import Codes, as_codes
from clients.tables.consent_log import ConsentLog
from clients.tables.files import Stream, read_columns
from clients.tables.joins import Positions
from clients.tables.needs import PARTS, Needs, combined, is_notice
from clients.tables.problems import Problem
from clients.tables.specs import ConsentSpec, TableSpec
from clients.tables.subjects import main_reason, normalized
from clients.tables.times import NO_MOMENT, Moments, as_moments, moment
from privacy.normalization import NormalizedIdentifiers

_UNCLEAR, _YES, _NO = range(3)
_STATUS: Final = {"granted": _YES, "withdrawn": _NO}


class _Collector:
    """The words of a log while it is read, batch by batch."""

    def __init__(self, spec: TableSpec, consents: ConsentSpec, at: datetime) -> None:
        self._spec, self._consents, self._now = spec, consents, moment(at)
        self._columns = _columns_of(consents)
        self._needs = Needs()
        self._notices: dict[str, int] = {}
        self._subjects: list[NormalizedIdentifiers] = []
        self._words: list[tuple[Any, ...]] = []
        self._rows = 0
        self.faults: Counter[str] = Counter()
        """Rows by the part of a word that is wrong."""

    def add(self, batch: Mapping[str, pa.Array]) -> None:
        if not set(self._columns.values()) <= set(batch):
            return  # a column is missing: the reading has a problem
        cells = {part: batch[column] for part, column in self._columns.items()}
        self._subjects.append(normalized(self._spec, cells["id"]))
        status = self._status_of(cells["status"])
        notice = self._notice_of(cells.get("notice"), len(status))
        stated = self._moments_of("stated", cells, len(status))
        until = self._moments_of("until", cells, len(status))
        self.faults["future"] += int((stated > self._now).sum())
        row, need = self._needs_of(cells, len(status))
        self._words.append((row + self._rows, need, status[row], notice[row], stated[row], until[row]))
        self._rows += len(status)

    def finish(self) -> tuple[NormalizedIdentifiers, ConsentLog]:
        """All subjects, row by row, and the words of those with a usable identifier."""
        found = NormalizedIdentifiers.concatenate(self._subjects)
        row, need, status, notice, stated, until = (
            np.concatenate(part) for part in zip(*self._words, strict=True)
        )
        if not found.valid.all():
            kept = found.valid[row]
            row, need, status, notice, stated, until = (
                part[kept] for part in (row, need, status, notice, stated, until)
            )
        is_one_to_one = len(row) == len(found) and bool((row == np.arange(len(row))).all())
        subjects = found.identifiers if is_one_to_one else found.identifiers[row]
        needs, notices = tuple(self._needs.known), tuple(self._notices)
        unusable = int((~found.valid).sum())
        return found, ConsentLog(
            subjects, need, status == _YES, notice, stated, until, needs, notices, len(found), unusable
        )

    def unknown_notices(self, known: Collection[str]) -> int:
        """Rows that name a notice which is not among the known ones."""
        unknown = [place for notice, place in self._notices.items() if notice not in known]
        return sum(int(np.isin(words[3], unknown).sum()) for words in self._words)

    def _status_of(self, column: pa.Array) -> np.ndarray[Any, np.dtype[np.int8]]:
        codes, texts = as_codes(column)
        status = np.array([_STATUS.get(text.lower(), _UNCLEAR) for text in texts], np.int8)[codes]
        self.faults["status"] += int((status == _UNCLEAR).sum())
        return status

    def _notice_of(self, column: pa.Array | None, rows: int) -> Codes:
        codes, texts = _no_cells(rows) if column is None else as_codes(column)
        named = [text or self._consents.notice for text in texts]
        wrong = np.array([not is_notice(text) for text in named])
        self.faults["notice"] += int(wrong[codes].sum())
        places = [self._notices.setdefault(text, len(self._notices)) for text in named]
        return np.array(places, np.int32)[codes]

    def _moments_of(self, part: str, cells: Mapping[str, pa.Array], rows: int) -> Moments:
        if part not in cells:
            return np.full(rows, NO_MOMENT, np.int64)
        moments, bad = as_moments(cells[part], is_end=part == "until")
        self.faults[part] += int(bad.sum())
        return moments

    def _needs_of(self, cells: Mapping[str, pa.Array], rows: int) -> tuple[Positions, Codes]:
        """(k,) rows and (k,) places of needs: a row once for each recipient, not at all where it is faulty."""
        codes, combinations = combined(
            [as_codes(cells[part]) if part in cells else _no_cells(rows) for part in PARTS]
        )
        found = [self._needs.of(cells) for cells in combinations]
        for fault, times in zip(found, np.bincount(codes, minlength=len(found)).tolist(), strict=True):
            if isinstance(fault, str):
                self.faults[fault] += times
        places = [() if isinstance(item, str) else item for item in found]
        counts = np.array([len(item) for item in places], np.int64)
        starts = np.cumsum(counts) - counts
        each = counts[codes]
        row = np.repeat(np.arange(rows), each)
        within = np.arange(len(row)) - np.repeat(np.cumsum(each) - each, each)
        flat = np.array([place for item in places for place in item], np.int32)
        return row, flat[starts[codes[row]] + within]


def _no_cells(rows: int) -> tuple[Codes, list[str]]:
    """A column that the file does not have."""
    return np.zeros(rows, np.int32), [""]


def _columns_of(consents: ConsentSpec) -> dict[str, str]:
    """The columns of a log by what they say."""
    columns = {
        "id": consents.id_column,
        "status": consents.status_column,
        "purpose": consents.purpose_column,
        "kind": consents.kind_column,
        "scope": consents.scope_column,
        "recipient": consents.recipient_column,
        "notice": consents.notice_column,
        "stated": consents.stated_column,
        "until": consents.until_column,
    }
    return {part: column for part, column in columns.items() if column is not None}


def read_consents(
    spec: TableSpec, at: datetime | None = None, known_notices: Collection[str] | None = None
) -> tuple[ConsentLog | None, list[Problem]]:
    """The consent log of a table, or None and why it cannot be used.

    at: the present moment; no word is from after it. known_notices: None accepts a notice of any name.
    """
    consents = spec.consents
    if consents is None:
        return None, []
    collector = _Collector(spec, consents, at or datetime.now(UTC))
    columns = list(dict.fromkeys(_columns_of(consents).values()))
    reading = read_columns(consents.path, columns, stream=Stream(columns, collector.add))
    if reading.problems or reading.frame is None:
        return None, reading.problems
    subjects, log = collector.finish()
    problems = _problems_of(consents, collector, known_notices)
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


def _problems_of(
    consents: ConsentSpec, collector: _Collector, known_notices: Collection[str] | None
) -> list[Problem]:
    """A problem per part of a word that is wrong in some row."""
    columns = _columns_of(consents)
    faults = collector.faults.copy()
    if known_notices is not None and not faults["notice"]:
        faults["unknown_notice"] = collector.unknown_notices(known_notices)

    def values(fault: str, part: str) -> dict[str, Any]:
        column = columns.get(part, consents.purpose_column)
        return {"file": consents.path, "column": column, "rows": faults[fault]}

    possible = [
        Problem("errors.table_consent_status", values("status", "status")),
        Problem("errors.consent_purpose", values("purpose", "purpose")),
        Problem("errors.consent_kind", values("kind", "kind")),
        Problem("errors.consent_scope_cells", values("scope", "scope")),
        Problem("errors.consent_recipient", values("recipient", "recipient")),
        Problem("errors.consent_notice", values("notice", "notice")),
        Problem("errors.consent_notice_unknown", values("unknown_notice", "notice")),
        Problem("errors.consent_time", values("stated", "stated")),
        Problem("errors.consent_time", values("until", "until")),
        Problem("errors.consent_future", values("future", "stated")),
    ]
    return [problem for problem in possible if problem.values["rows"]]
