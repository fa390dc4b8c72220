"""Cells of a consent log to what they are about: purpose, kind, scope, recipient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from clients.tables.columns import Codes
from privacy.consent import ConsentKind, Need, Statement, check_scope
from privacy.errors import ConfigInvalid

PARTS: Final = ("purpose", "kind", "scope", "recipient")
_SEPARATOR: Final = ";"
_WELL_FORMED: Final[Mapping[str, Any]] = {"purpose": "purpose", "granted": True}


class Needs:
    """Every need that a log speaks of, by its place; a combination of cells is looked at once."""

    def __init__(self) -> None:
        self.known: dict[Need, int] = {}
        self._seen: dict[tuple[str, ...], tuple[int, ...] | str] = {}

    def of(self, cells: Sequence[str]) -> tuple[int, ...] | str:
        """The places of the needs that one row's cells name, in the order of `PARTS`, one for each recipient; or which
        part of them is at fault."""
        key = tuple(cells)
        if key not in self._seen:
            self._seen[key] = self._look_at(*key)
        return self._seen[key]

    def _look_at(self, purpose: str, kind: str, scope: str, recipients: str) -> tuple[int, ...] | str:
        parties = [party.strip() for party in recipients.split(_SEPARATOR) if party.strip()]
        needs = []
        for party in dict.fromkeys(parties or [""]):
            given = {
                "purpose": purpose,
                "kind": kind.lower() or ConsentKind.GENERAL.value,
                "scope": scope,
                "recipient": party,
            }
            fault = _fault_of(given)
            if fault:
                return fault
            needs.append(msgspec.convert({**_WELL_FORMED, **given}, Statement).need)
        return tuple(self.known.setdefault(need, len(self.known)) for need in needs)


def _fault_of(given: Mapping[str, str]) -> str:
    for part, value in given.items():
        try:
            msgspec.convert({**_WELL_FORMED, part: value}, Statement)
        except msgspec.ValidationError:
            return part
    try:
        check_scope(msgspec.convert({**_WELL_FORMED, **given}, Statement))
    except ConfigInvalid:
        return "scope"
    return ""


def is_notice(text: str) -> bool:
    """Whether a cell has the form of a notice's id."""
    try:
        msgspec.convert({**_WELL_FORMED, "notice": text}, Statement)
    except msgspec.ValidationError:
        return False
    return bool(text)


def combined(columns: Sequence[tuple[Codes, list[str]]]) -> tuple[Codes, list[tuple[str, ...]]]:
    """Several columns of few different values as one: (n,) places in a list of combinations."""
    key = np.zeros(len(columns[0][0]), np.int64)
    for codes, texts in columns:
        key = key * len(texts) + codes
    different, places = np.unique(key, return_inverse=True)
    combinations = []
    for number in different.tolist():
        cells, rest = [], number
        for _, texts in reversed(columns):
            rest, place = divmod(rest, len(texts))
            cells.append(texts[place])
        combinations.append(tuple(reversed(cells)))
    return places.astype(np.int32), combinations
