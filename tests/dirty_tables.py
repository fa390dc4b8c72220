"""Tables as they come out of real systems, with the clean truth beside every row.

`clean_ids` draws subjects, `dirty_party` writes one party's table over some of them: repeated rows, other
spellings, breakages that must be refused, empty cells. The column `truth` says which subject a row is about
(missing where its identifier is broken beyond recovery), so that plain pandas on `truth` is the expectation:
`expected(frame)` is what a party must load, and merges of several of those are what a federation must find.

Nothing here calls the code under test: check digits are computed from the standards' sums on their own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd

PHONE_PREFIX = "12"  # no mobile number begins so; register tables with extra_prefixes=(PHONE_PREFIX,)
REPEATED, RESPELLED, BROKEN, EMPTY = 0.05, 0.10, 0.02, 0.01

_WIDE = {ord(character): chr(ord(character) + 0xFEE0) for character in "0123456789+ABCDEFGHJKLMNPQRTUWXY"}
_MOD_11 = "10X98765432"  # GB 11643: the check character of each remainder of the weighted sum
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"

Spelling = Callable[[str], str | None]


def clean_ids(rng: np.random.Generator, count: int, kind: str = "phone") -> list[str]:
    """`count` different canonical identifiers of a kind ("phone", "resident_id", "uscc", "card", "opaque")."""
    numbers = rng.choice(10**9, size=count, replace=False).tolist()
    return [_MAKERS[kind](number) for number in numbers]


def dirty_party(rng: np.random.Generator, truth_ids: list[str], kind: str = "phone") -> pd.DataFrame:
    """A party's rows over `truth_ids`, shuffled: columns `id` (as it stands in the file), `truth`, `x`.

    Each subject has a row, one in twenty has another one, and of all rows one in ten is spelled differently,
    2 % are broken and 1 % empty. `x` is the row's number, to see which of a subject's rows stayed.
    """
    subjects = np.array(truth_ids, dtype=object)
    repeats = rng.choice(subjects, size=int(REPEATED * len(subjects)))
    truth = rng.permutation(np.concatenate([subjects, repeats]))
    cells = truth.copy()
    lot = rng.random(len(truth))
    empty = lot < EMPTY
    broken = (lot >= EMPTY) & (lot < EMPTY + BROKEN)
    respelled = (lot >= EMPTY + BROKEN) & (lot < EMPTY + BROKEN + RESPELLED)
    for rows, ways in ((empty, _GAPS), (broken, BREAKAGES[kind]), (respelled, SPELLINGS[kind])):
        places = np.flatnonzero(rows)
        for row, way in zip(places, rng.integers(0, len(ways), len(places)), strict=True):
            cells[row] = ways[way](cells[row])
    truth[empty | broken] = None
    return pd.DataFrame({"id": cells, "truth": truth, "x": np.arange(len(truth), dtype=np.float64)})


def expected(frame: pd.DataFrame) -> pd.DataFrame:
    """What a party must load: the rows with a subject, the last of each, in the order of the file."""
    return frame.dropna(subset="truth").drop_duplicates("truth", keep="last")


def _phone(number: int) -> str:
    return f"{PHONE_PREFIX}{number:09d}"


def _resident_id(number: int) -> str:
    born = date(1930, 1, 1) + timedelta(days=number // 1_000 % 36_500)
    body = f"99{number // 36_500_000:04d}{born:%Y%m%d}{number % 1_000:03d}"
    return body + _MOD_11[sum(int(a) * b for a, b in zip(body, _WEIGHTS, strict=True)) % 11]


def _uscc(number: int) -> str:
    body = f"91990000{number:09d}"
    return body + _USCC[-sum(int(a) * pow(3, i, 31) for i, a in enumerate(body)) % 31]


def _card(number: int) -> str:
    body = f"999999{number:09d}"
    doubled = [int(a) * (1 if i % 2 else 2) for i, a in enumerate(reversed(body))]
    return body + str(-sum(a // 10 + a % 10 for a in doubled) % 10)


_MAKERS: dict[str, Callable[[int], str]] = {
    "phone": _phone, "resident_id": _resident_id, "uscc": _uscc, "card": _card, "opaque": lambda n: f"C-{n:09d}",
}  # fmt: skip

_GAPS: tuple[Spelling, ...] = (lambda _: None, lambda _: "", lambda _: "  ")


def _wide(value: str) -> str:
    return value.translate(_WIDE)


def _grouped(mark: str) -> Spelling:
    return lambda value: mark.join(value[start : start + 4] for start in range(0, len(value), 4))


_ANY_KIND: tuple[Spelling, ...] = (
    _wide,
    _grouped(" "),
    _grouped("-"),
    lambda value: f" {value}\u3000",
    lambda value: f"\ufeff{value}\u200b",
)

SPELLINGS: dict[str, tuple[Spelling, ...]] = {
    "phone": (
        *_ANY_KIND,
        lambda phone: f"+86{phone}",
        lambda phone: f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]}",
        lambda phone: f"0086{phone}",
        lambda phone: f"86-{phone}",
        lambda phone: f"0{phone}",
        lambda phone: f"(+86){phone}",
        lambda phone: f"{phone}.0",
        lambda phone: _wide(f"+86{phone}"),
    ),
    "resident_id": (*_ANY_KIND, str.lower, lambda value: f"{value[:6]} {value[6:14]} {value[14:].lower()}"),
    "uscc": (*_ANY_KIND, lambda value: f"{value[:8]}-{value[8:]}"),
    "card": (*_ANY_KIND, lambda card: f"{card}.0"),
    "opaque": (lambda value: f" {value}", lambda value: f"{value}\t", lambda value: f"\u3000{value} "),
}
"""Other spellings of the same identifier."""


def _other_check(value: str) -> str:
    return value[:-1] + ("1" if value[-1] != "1" else "2")


_ANY_KIND_BROKEN: tuple[Spelling, ...] = (
    lambda value: value[:-1],
    lambda value: f"{value[:3]}****{value[7:]}",
    lambda value: f"{value[:-1]}😀",
    lambda value: f"{value[:5]}\x07{value[6:]}",
)

BREAKAGES: dict[str, tuple[Spelling, ...]] = {
    "phone": (
        *_ANY_KIND_BROKEN,
        lambda phone: f"020{phone[3:]}",
        lambda phone: f"+1{phone}",
        lambda phone: f"{phone}9",
        lambda phone: "1.2E+10",
    ),
    "resident_id": (*_ANY_KIND_BROKEN, _other_check, lambda value: value[:10] + "0231" + value[14:]),
    "uscc": (*_ANY_KIND_BROKEN, _other_check, lambda value: "O" + value[1:]),
    "card": (*_ANY_KIND_BROKEN[1:], _other_check, lambda card: card[:9], lambda card: f"{card}12345"),
    "opaque": (lambda value: "\u3000", lambda value: " \t "),
}
"""What no reader may take for an identifier."""
