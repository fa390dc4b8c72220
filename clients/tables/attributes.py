"""Age band, gender and region of people, read to test a model for fairness: never trained on, never sent to anybody.

Names of groups come from the table's cells, so that a cell of few people may say anything: who shows names has to see
to it that enough people share them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from clients.tables.columns import Floats, ages_at, as_numbers, as_text, is_unknown_age
from clients.tables.specs import AGE, GENDER

Places = np.ndarray[Any, np.dtype[np.int64]]

AGE_BANDS: Final = (("18-29", 30), ("30-44", 45), ("45-59", 60), ("60+", None))
"""Names, and the age at which the next band begins; who is younger than 18 is in the first."""
_GENDERS: Final = {
    "female": ("f", "female", "woman", "女", "女性", "2"),
    "male": ("m", "male", "man", "男", "男性", "1"),
}
"""Numbers as in GB/T 2261.1-2003; its 0 and 9 stand for a gender that is not known."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """names, and per row (n,) the place of its own among them, -1 where it is not known. Its repr shows no data."""

    names: tuple[str, ...] = field(repr=False)
    places: Places = field(repr=False)

    def at(self, rows: Places | np.ndarray[Any, np.dtype[np.bool_]]) -> Attribute:
        """The same for some rows, by their places or a mask."""
        return Attribute(self.names, self.places[rows])


def attribute_of(key: str, cells: pd.Series, today: date, *, is_birth_date: bool = False) -> Attribute:
    """An attribute from its column. key: `AGE`, `GENDER` or `REGION`; cells: ages in years unless `is_birth_date`."""
    if key == AGE:
        return _age_bands(ages_at(today, cells) if is_birth_date else as_numbers(cells)[0])
    return _genders(as_text(cells)) if key == GENDER else _named(as_text(cells))


def _age_bands(ages: Floats) -> Attribute:
    starts = [start for _, start in AGE_BANDS if start is not None]
    unknown = is_unknown_age(ages)
    places = np.searchsorted(np.array(starts, dtype=np.float64), np.where(unknown, 0.0, ages), side="right")
    return Attribute(tuple(name for name, _ in AGE_BANDS), np.where(unknown, -1, places).astype(np.int64))


def _genders(cells: Sequence[str | None]) -> Attribute:
    known = {spelling: place for place, one in enumerate(_GENDERS.values()) for spelling in one}
    places = [known.get((cell or "").strip().casefold(), -1) for cell in cells]
    return Attribute(tuple(_GENDERS), np.array(places, dtype=np.int64))


def _named(cells: Sequence[str | None]) -> Attribute:
    texts = [(cell or "").strip() for cell in cells]
    names = sorted(set(texts) - {""})
    known = {name: place for place, name in enumerate(names)} | {"": -1}
    return Attribute(tuple(names), np.array([known[cell] for cell in texts], dtype=np.int64))
