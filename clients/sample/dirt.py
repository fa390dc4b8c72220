"""What real files look like: misspelled identifiers, gaps, impossible ages, free text, canaries.

All identifiers are impossible on purpose: phones begin with 12 (no mobile number does) and resident IDs with
the unassigned region 99, so none can belong to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from privacy.identifiers import luhn_check_digit, resident_check_character

PHONE_PREFIX: Final = "12"
SNAPSHOT: Final = date(2026, 1, 1)
"""The day the synthetic files were written: ages hold on this day."""

FORMATTED_PHONES: Final = 0.05
BROKEN_PHONES: Final = 0.002
MISSING_CELLS: Final = 0.04
IMPOSSIBLE_AGES: Final = 0.005
FREE_TEXT: Final = 0.10
FREE_TEXT_WITH_IDENTIFIERS: Final = 0.02

_WIDE: Final = str.maketrans("0123456789", "０１２３４５６７８９")
_SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda phone: f"+86{phone}",
    lambda phone: f"+86 {phone}",
    lambda phone: f"0086{phone}",
    lambda phone: f"86-{phone}",
    lambda phone: f"0{phone}",
    lambda phone: f"{phone[:3]} {phone[3:7]} {phone[7:]}",
    lambda phone: f"{phone[:3]}-{phone[3:7]}-{phone[7:]}",
    lambda phone: phone.translate(_WIDE),
    lambda phone: f" {phone} ",
)
_BREAKAGES: Final[tuple[Callable[[str], str], ...]] = (
    lambda phone: "",
    lambda phone: phone[:-1],
    lambda phone: f"{phone[:3]}****{phone[7:]}",
    lambda phone: f"020{phone[3:]}",
)
_IMPOSSIBLE_AGES: Final = (-1, 150, 199, 999)
_IMPOSSIBLE_BIRTHS: Final = ("1800-01-01", "2099-12-31", "0000-00-00")
_REMARKS: Final = ("老客户", "prefers e-mail", "投诉已处理", "VIP", "called twice, no answer")
_CARD_BODY: Final = "999999001234567"  # no issuer has this number range
_REMARKS_WITH_IDENTIFIERS: Final = (
    "联系电话 {phone}", "ID {resident_id}, please call back",
    f"转账卡号 {_CARD_BODY}{luhn_check_digit(_CARD_BODY)}",
    "mail c{tail}@example.com",
)  # fmt: skip


def draw_phones(count: int, rng: np.random.Generator) -> list[str]:
    """`count` different phone numbers of the sample range."""
    numbers = rng.choice(10**9, size=count, replace=False)
    return [f"{PHONE_PREFIX}{number:09d}" for number in numbers]


def birth_dates(ages: Sequence[int], rng: np.random.Generator) -> list[date]:
    """A birth date for each age in whole years on `SNAPSHOT`."""
    days = rng.integers(1, 365, len(ages))
    return [
        SNAPSHOT.replace(year=SNAPSHOT.year - age) - timedelta(days=int(day))
        for age, day in zip(ages, days, strict=True)
    ]


def resident_ids(births: Sequence[date], female: Sequence[bool]) -> list[str]:
    """Well-formed resident IDs of the unassigned region 99, different for each person.

    Digits 15 to 17 are odd for men and even for women (GB 11643); 500 persons share a county code.
    """
    ids = []
    for person, (born, is_female) in enumerate(zip(births, female, strict=True)):
        county, serial = divmod(person, 500)
        body = f"99{county % 10_000:04d}{born:%Y%m%d}{2 * serial + (not is_female):03d}"
        ids.append(body + resident_check_character(body))
    return ids


def misspell_phones(
    column: pd.Series[Any], rng: np.random.Generator
) -> tuple[pd.Series[Any], dict[str, int]]:
    """The column with 5 % unusual spellings and 0.2 % unreadable ones, and the counts of both."""
    lot = rng.random(len(column))
    broken = lot < BROKEN_PHONES
    formatted = ~broken & (lot < BROKEN_PHONES + FORMATTED_PHONES)
    values = column.tolist()
    _change(values, np.flatnonzero(formatted), _SPELLINGS, rng)
    _change(values, np.flatnonzero(broken), _BREAKAGES, rng)
    counts = {"formatted_phones": int(formatted.sum()), "broken_phones": int(broken.sum())}
    return pd.Series(values, index=column.index, dtype="str"), counts


def drop_cells(
    frame: pd.DataFrame, columns: Sequence[str], rng: np.random.Generator, share: float = MISSING_CELLS
) -> int:
    """Empties this share (4 %) of the cells of `columns`, in place; returns how many."""
    gaps = rng.random((len(frame), len(columns))) < share
    for position, column in enumerate(columns):
        # Int64 keeps whole numbers whole in the file although the column has gaps.
        whole = frame[column].dtype.kind == "i"
        values = frame[column].astype("Int64") if whole else frame[column]
        frame[column] = values.mask(gaps[:, position])
    return int(gaps.sum())


def spoil_ages(frame: pd.DataFrame, rng: np.random.Generator) -> int:
    """Makes 0.5 % of the ages or birth dates impossible, in place; returns how many."""
    spoiled = rng.random(len(frame)) < IMPOSSIBLE_AGES
    if "age" in frame:
        frame.loc[spoiled, "age"] = rng.choice(_IMPOSSIBLE_AGES, int(spoiled.sum()))
    else:
        frame.loc[spoiled, "birth_date"] = rng.choice(_IMPOSSIBLE_BIRTHS, int(spoiled.sum()))
    return int(spoiled.sum())


def remarks(phones: Sequence[str], ids: Sequence[str], rng: np.random.Generator) -> list[str]:
    """A free-text cell per row: mostly empty, some chatter, some with identifiers in it."""
    lot = rng.random(len(phones))
    choice = rng.integers(0, 1000, len(phones))
    cells = []
    for phone, resident_id, share, pick in zip(phones, ids, lot, choice, strict=True):
        if share < FREE_TEXT_WITH_IDENTIFIERS:
            template = _REMARKS_WITH_IDENTIFIERS[pick % len(_REMARKS_WITH_IDENTIFIERS)]
            cells.append(template.format(phone=phone, resident_id=resident_id, tail=phone[-6:]))
        else:
            cells.append(_REMARKS[pick % len(_REMARKS)] if share < FREE_TEXT else "")
    return cells


def plant_canaries(
    frame: pd.DataFrame, party: str, numeric_column: str, rng: np.random.Generator
) -> dict[str, Any]:
    """Marks one row with a unique string (in `remark`) and another with a unique number, in place.

    A leak test looks for both wherever the party's data must not turn up. The number has six decimals, which
    no honest cell has, and the size of an ordinary cell, so that no range check removes it.
    """
    text_row, number_row = rng.choice(len(frame), 2, replace=False)
    marker = f"CANARY-{party.upper()}-{rng.bytes(8).hex()}"
    middle = float(frame[numeric_column].median())
    fraction = 10 * int(rng.integers(10_000, 100_000)) + int(rng.integers(1, 10))
    number = round(int(middle * 2) + fraction / 1e6, 6)
    frame.loc[text_row, "remark"] = marker
    frame.loc[number_row, numeric_column] = number
    return {"text": marker, "number": number, "number_column": numeric_column}


def _change(
    values: list[str], rows: Any, ways: Sequence[Callable[[str], str]], rng: np.random.Generator
) -> None:
    for row, way in zip(rows, rng.integers(0, len(ways), len(rows)), strict=True):
        values[row] = ways[way](values[row])
