"""Identifiers and names of firms that cannot exist, and the dirt of enterprise files: lighter than that of people's.

A unified social credit code (GB 32100-2015) is: 9 for the registration authority, 1 for a firm, six digits of the
region, nine of the organisation code (GB 11714-1997, with a check character of its own), and a check character. The
region here is 990000, which is assigned to no place, so no firm has such a code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from privacy.identifiers import uscc_check_character

USCC_PREFIX: Final = "91990000"
FORMATTED_CODES: Final = 0.04
BROKEN_CODES: Final = 0.002
MISSING_CELLS: Final = 0.02
FREE_TEXT: Final = 0.10

_ORGANISATION_WEIGHTS: Final = (3, 7, 9, 10, 5, 8, 4, 2)
_WIDE: Final = str.maketrans(
    "0123456789ABCDEFGHJKLMNPQRTUWXY", "０１２３４５６７８９ＡＢＣＤＥＦＧＨＪＫＬＭＮＰＱＲＴＵＷＸＹ"
)
_SPELLINGS: Final[tuple[Callable[[str], str], ...]] = (
    lambda code: f"{code[:8]} {code[8:17]} {code[17:]}",
    lambda code: f"{code[:8]}-{code[8:]}",
    lambda code: code.translate(_WIDE),
    lambda code: f" {code} ",
)
_BREAKAGES: Final[tuple[Callable[[str], str], ...]] = (
    lambda code: "",
    lambda code: code[:-1],
    lambda code: f"{code[:8]}****{code[12:]}",
    lambda code: code[:10] + ("1" if code[10] == "0" else "0") + code[11:],
)
_NAME_WORDS: Final = ("星", "禾", "澜", "柏", "屿", "岚", "筑", "朔", "澄", "曜", "穗", "翎")
_NAME_TRADES: Final = ("控股集团", "科技", "制造")
"""By type of firm."""
_REMARKS: Final = ("续贷客户", "site visit done", "资料齐全", "new management", "回访未接通")


def draw_codes(count: int, rng: np.random.Generator) -> list[str]:
    """`count` different well-formed unified social credit codes of the unassigned region."""
    numbers = rng.choice(10**8, size=count, replace=False)
    bodies = [USCC_PREFIX + _organisation_code(f"{number:08d}") for number in numbers]
    return [body + uscc_check_character(body) for body in bodies]


def _organisation_code(digits: str) -> str:
    """Eight digits and their check character: GB 11714-1997, section 4.2."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, _ORGANISATION_WEIGHTS, strict=True))
    return digits + "0123456789X"[-total % 11]


def invent_names(types: Sequence[int], rng: np.random.Generator) -> list[str]:
    """A different name for each firm, marked as an example (示例). Two firms of one pair of words differ by number."""
    words = rng.integers(0, len(_NAME_WORDS), (len(types), 2))
    return [
        f"示例{_NAME_WORDS[first]}{_NAME_WORDS[second]}{number + 1}号{_NAME_TRADES[kind]}有限公司"
        for number, (kind, (first, second)) in enumerate(zip(types, words, strict=True))
    ]


def misspell_codes(column: pd.Series[Any], rng: np.random.Generator) -> tuple[pd.Series[Any], dict[str, int]]:
    """The column with 4 % unusual spellings and 0.2 % unreadable ones, and the counts of both."""
    lot = rng.random(len(column))
    broken = lot < BROKEN_CODES
    formatted = ~broken & (lot < BROKEN_CODES + FORMATTED_CODES)
    values = column.tolist()
    for rows, ways in ((formatted, _SPELLINGS), (broken, _BREAKAGES)):
        places = np.flatnonzero(rows)
        for row, way in zip(places, rng.integers(0, len(ways), len(places)), strict=True):
            values[row] = ways[way](values[row])
    counts = {"formatted_codes": int(formatted.sum()), "broken_codes": int(broken.sum())}
    return pd.Series(values, index=column.index, dtype="str"), counts


def remarks(count: int, rng: np.random.Generator) -> list[str]:
    """A free-text cell per row: mostly empty."""
    lot, choice = rng.random(count), rng.integers(0, len(_REMARKS), count)
    return [_REMARKS[pick] if share < FREE_TEXT else "" for share, pick in zip(lot, choice, strict=True)]
