"""What a column's values are, whatever its name says (PIPL 4, 28; JR/T 0171-2020).

A label can be wrong: a column called `income` may hold telephone numbers. The scanner counts values that have the form
of an identifier, and a share of them that chance does not explain overrides the label. It never returns a value.
What it does not find: identifiers that were hashed or cut, card verification numbers without their leading zeros, a few
identifiers among many other values. Fields are numbers, so text that is no number (addresses, e-mail, remarks, phones
written with hyphens) never gets as far as this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np

from privacy.catalog import FieldClass
from privacy.identifiers import MOBILE_PREFIXES, IdentifierKind
from privacy.normalization import Cells
from privacy.reasons import Reason
from privacy.recognition import Mask, Recognizer, recognizer_of

Floats = np.ndarray[Any, np.dtype[np.float64]]

RESIDENT_ID_SHARE: Final = 0.005
"""Of random 18-digit numbers one in 1,300 has a date in its place (a float64 shows no more), and one in 15,000 the
right check character too: one in 200 is no chance."""
PHONE_SHARE: Final = 0.2
"""Amounts may lie between 13 and 20 thousand million by chance, but hardly a fifth of a column, and as whole numbers:
a column of money in fen would need customers of 130 to 200 million yuan."""
CARD_SHARE: Final = 0.2
"""One long number in ten passes Luhn by chance, so at least half of the long ones have to, and be a fifth of all."""
LUHN_SHARE: Final = 0.5
FEW: Final = 3
"""Fewer hits than this say nothing, whatever their share."""

_PHONE_DIGITS: Final = 11
_COUNTRY_CODE: Final = 86 * 10**_PHONE_DIGITS
"""What +86 before a phone number adds to it."""
SHORTEST_IDENTIFIER: Final = 1e10
"""A column without any number so large, by size, holds no identifier."""
_CARDS: Final = (10**12, 10**19)
_EXACT_INTEGERS: Final = 2.0**53
_CARD_LENGTHS: Final = range(13, 20)
_LENGTHS: Final = frozenset({_PHONE_DIGITS, *_CARD_LENGTHS})
"""ISO/IEC 7812 knows cards of 12 digits too; no bank in China issues them."""
_RESIDENT_IDS: Final = (10**17, 10**18)
_YEARS: Final = (1900, 2100)

_TRACK: Final = re.compile(rb"%?B\d{13,19}\^|;?\d{13,19}=\d{4}")
"""ISO/IEC 7813: the begin of track 1 or 2 of a magnetic stripe."""
_THREE_DIGITS: Final = re.compile(rb"\d{3}")
_CODE_SHARE: Final = 0.98
_FEWEST_CODES: Final = 100
_DISTINCT_SHARE: Final = 0.6
"""Of the different values that as many draws from 1,000 would give: area and branch codes repeat far more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How many of `present` values look like what; `long`: whole numbers as long as a card's."""

    present: int = 0
    resident_ids: int = 0
    phones: int = 0
    long: int = 0
    cards: int = 0


def scan_column(cells: Cells | None, values: Floats, extra_prefixes: Sequence[str] = ()) -> Seen:
    """A column as it stands in the file: its cells, None for a column of numbers, and (n,) float64 as they are read.

    Text is looked at both ways, because a cell reads as the number of a phone in many spellings ("13812345678.0",
    "+86138...", "1.38E+10"), but only as text are the digits of the longer identifiers exact.
    """
    read = scan_numbers(values, extra_prefixes)
    if cells is None:
        return read
    text = scan_text(cells, extra_prefixes)
    of_cards = max(text, read, key=lambda seen: seen.cards)
    return Seen(
        max(text.present, read.present),
        max(text.resident_ids, read.resident_ids),
        max(text.phones, read.phones),
        of_cards.long,
        of_cards.cards,
    )


def scan_numbers(values: Floats, extra_prefixes: Sequence[str] = ()) -> Seen:
    """(n,) float64, NaN for missing. Numbers under `SHORTEST_IDENTIFIER` are none; the others are looked at.

    extra_prefixes: see `privacy.identifiers.check_of`.
    """
    finite = np.isfinite(values)
    present = int(finite.sum())
    large = values[finite & (np.abs(values) >= SHORTEST_IDENTIFIER)]
    whole = large[large == np.trunc(large)]
    if not len(whole):
        return Seen(present)
    are_phones = _are_phones(whole, extra_prefixes)
    phones = int(are_phones.sum())
    born = np.floor(whole / 1e8) % 1e4  # digits 7 to 10; a float64 holds these exactly
    as_id = (whole >= _RESIDENT_IDS[0]) & (whole < _RESIDENT_IDS[1])
    month, day = np.floor(whole / 1e6) % 100, np.floor(whole / 1e4) % 100
    dated = as_id & (born >= _YEARS[0]) & (born < _YEARS[1])
    dated &= (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    long = (whole >= _CARDS[0]) & (whole < _CARDS[1]) & ~dated & ~are_phones
    exact = whole[long & (whole < _EXACT_INTEGERS)].astype(np.int64)
    cards = _luhn(exact) + int((long & (whole >= _EXACT_INTEGERS)).sum())  # digits are lost: counted as cards
    return Seen(present, int(dated.sum()), phones, int(long.sum()), cards)


def _are_phones(whole: Floats, extra_prefixes: Sequence[str]) -> Mask:
    """Mobile numbers, with or without the country code."""
    found = np.zeros(len(whole), np.bool_)
    for prefix in (*MOBILE_PREFIXES, *extra_prefixes):
        span = 10 ** (_PHONE_DIGITS - len(prefix))
        for first in (int(prefix) * span, _COUNTRY_CODE + int(prefix) * span):
            found |= (whole >= first) & (whole < first + span)
    return found


def scan_text(cells: Cells, extra_prefixes: Sequence[str] = ()) -> Seen:
    """Cells as text: only those of an identifier's length are looked at. extra_prefixes: as for numbers."""
    lengths = np.diff(cells.offsets)
    lengths[cells.missing] = 0
    found = {
        kind: _recognized(cells, lengths, recognizer_of(kind, extra_prefixes))
        for kind in (IdentifierKind.RESIDENT_ID, IdentifierKind.PHONE, IdentifierKind.CARD)
    }
    long = int(np.isin(lengths, list(_CARD_LENGTHS)).sum())
    return Seen(
        int((lengths > 0).sum()),
        found[IdentifierKind.RESIDENT_ID],
        found[IdentifierKind.PHONE],
        long - found[IdentifierKind.RESIDENT_ID],
        found[IdentifierKind.CARD],
    )


def _recognized(cells: Cells, lengths: np.ndarray[Any, Any], recognizer: Recognizer) -> int:
    total = 0
    for length in sorted(_LENGTHS.intersection(recognizer.lengths)):
        rows = np.flatnonzero(lengths == length)
        if len(rows):
            total += int(recognizer.canonical(cells.of_length(rows, length)).sum())
    return total


def _luhn(numbers: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """How many pass the check of ISO/IEC 7812-1."""
    total = np.zeros(len(numbers), np.int64)
    rest, place = numbers.copy(), 0
    while (rest > 0).any():
        digits = rest % 10
        doubled = 2 * digits
        total += np.where(doubled > 9, doubled - 9, doubled) if place % 2 else digits
        rest, place = rest // 10, place + 1
    return int((total % 10 == 0).sum())


def verdict(seen: Seen, field_class: FieldClass) -> tuple[Reason, ...]:
    """Why the column may not be used after all; empty when its values do not contradict its class."""
    shares = (
        (seen.resident_ids, RESIDENT_ID_SHARE * seen.present, "resident_id"),
        (seen.phones, PHONE_SHARE * seen.present, "phone"),
        (seen.cards, max(CARD_SHARE * seen.present, LUHN_SHARE * seen.long), "card_number"),
    )
    for count, least, key in shares:
        if count >= FEW and count > least and field_class.key != key:
            return (Reason.FIELD_PROHIBITED,)
    return ()


def holds_secrets(cells: Cells) -> bool:
    """Whether a column is card verification numbers or magnetic track data: what may not lie in a file at all.

    Verification numbers: three digits nearly everywhere, spread over all thousand of them, zeros in front included.
    """
    data, places = cells.data.tobytes(), cells.offsets.tolist()
    texts = (data[start:end].strip() for start, end in pairwise(places))
    filled = [
        text for text, missing in zip(texts, cells.missing.tolist(), strict=True) if text and not missing
    ]
    if any(_TRACK.match(text) for text in filled):
        return True
    codes = [text for text in filled if _THREE_DIGITS.fullmatch(text)]
    if len(codes) < _FEWEST_CODES or len(codes) < _CODE_SHARE * len(filled):
        return False
    expected = 1000 * (1 - (1 - 1 / 1000) ** len(codes))
    first_digits = {text[:1] for text in codes}
    return len(set(codes)) >= _DISTINCT_SHARE * expected and len(first_digits) == len("0123456789")
