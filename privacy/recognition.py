"""Which cells are canonical identifiers already: whole columns at a time.

Each recogniser takes cells of one length and says which of them the kind's check would pass unchanged. It may say
no to a good one (that one is then checked by itself) and never says yes to a bad one: tests compare it with
`privacy.identifiers.check_of` on every kind of input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from privacy.digests import DIGEST_CHARACTERS, HEXADECIMAL, IdFormat
from privacy.identifiers import (
    CARD_DIGITS,
    EARLIEST_BIRTH_YEAR,
    LATEST_BIRTH_YEAR,
    MAX_OPAQUE_BYTES,
    MOBILE_PREFIXES,
    RESIDENT_CHECK_CHARACTERS,
    RESIDENT_WEIGHTS,
    USCC_ALPHABET,
    USCC_WEIGHTS,
    IdentifierKind,
)

Texts = NDArray[np.uint8]
"""(n, length): one cell a row."""
Mask = NDArray[np.bool_]

PHONE_DIGITS: Final = 11
CHECKED_CHARACTERS: Final = 18  # of a resident ID and of a unified social credit code

_ZERO, _POINT, _SPACE, _TILDE, _X = (ord(character) for character in "0. ~X")
_NO_VALUE: Final = 255
_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int16)
_DOUBLED: Final = np.array([sum(divmod(2 * digit, 10)) for digit in range(10)], dtype=np.uint8)
_RESIDENT_CHECKS: Final = np.frombuffer(RESIDENT_CHECK_CHARACTERS.encode(), np.uint8)


@dataclass(frozen=True, slots=True)
class Recognizer:
    """lengths: of cells that can be canonical, in bytes; width: of the longest; canonical: see the module."""

    lengths: range
    canonical: Callable[[Texts], Mask]

    @property
    def width(self) -> int:
        return self.lengths[-1]


def recognizer_of(
    kind: IdentifierKind, extra_prefixes: Sequence[str] = (), id_format: IdFormat = IdFormat.PLAIN
) -> Recognizer:
    """The recogniser of a kind of identifier, or of its digests."""
    if id_format is not IdFormat.PLAIN:
        return Recognizer(_only(DIGEST_CHARACTERS[id_format]), _are_hexadecimal)
    match kind:
        case IdentifierKind.PHONE:
            prefixes = (*MOBILE_PREFIXES, *extra_prefixes)
            return Recognizer(_only(PHONE_DIGITS), lambda texts: _are_phones(texts, prefixes))
        case IdentifierKind.RESIDENT_ID:
            return Recognizer(_only(CHECKED_CHARACTERS), _are_resident_ids)
        case IdentifierKind.USCC:
            return Recognizer(_only(CHECKED_CHARACTERS), _are_usccs)
        case IdentifierKind.CARD:
            return Recognizer(CARD_DIGITS, _are_cards)
        case IdentifierKind.OPAQUE:
            return Recognizer(range(1, MAX_OPAQUE_BYTES + 1), _are_plainly_opaque)


def _only(length: int) -> range:
    return range(length, length + 1)


def _are_digits(texts: Texts) -> Mask:
    digits = np.ones(len(texts), dtype=bool)
    for column in texts.T:
        digits &= (column - _byte(_ZERO)) < _byte(10)  # unsigned: what stands before "0" wraps around
    return digits


def _are_phones(texts: Texts, prefixes: Sequence[str]) -> Mask:
    allowed = np.zeros(len(texts), dtype=bool)
    for prefix in prefixes:
        begins = np.ones(len(texts), dtype=bool)
        for column, character in zip(texts.T, prefix.encode(), strict=False):
            begins &= column == _byte(character)
        allowed |= begins
    return allowed & _are_digits(texts)


def _are_resident_ids(texts: Texts) -> Mask:
    digits = texts[:, :-1] - _byte(_ZERO)
    good = _are_digits(texts[:, :-1])
    total = np.zeros(len(texts), dtype=np.int16)
    for column, weight in zip(digits.T, RESIDENT_WEIGHTS, strict=True):
        total += column * _byte(
            weight
        )  # at most 9 * 10: no byte overflows; other characters are refused anyhow
    good &= texts[:, -1] == _RESIDENT_CHECKS[(12 - total) % 11]
    wide = digits[:, 6:14].astype(np.int16)
    year = wide[:, :4] @ np.array([1000, 100, 10, 1], dtype=np.int16)
    month, day = wide[:, 4] * 10 + wide[:, 5], wide[:, 6] * 10 + wide[:, 7]
    is_month = (month >= 1) & (month <= 12)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = _DAYS[np.where(is_month, month, 0)] + ((month == 2) & leap)
    good &= (year >= EARLIEST_BIRTH_YEAR) & (year <= LATEST_BIRTH_YEAR)
    good &= is_month & (day >= 1) & (day <= days)
    return good


def _are_usccs(texts: Texts) -> Mask:
    values = _USCC_VALUES[texts]
    total = values[:, -1].astype(np.int16)
    for column, weight in zip(values.T, USCC_WEIGHTS, strict=False):
        total += column.astype(np.int16) * weight % 31
    good: Mask = (values != _NO_VALUE).all(axis=1) & (total % 31 == 0)
    return good


def _are_cards(texts: Texts) -> Mask:
    good = _are_digits(texts)
    texts = texts[good]
    total = np.zeros(len(texts), dtype=np.int16)
    for place, column in enumerate(texts.T[::-1]):
        digits = column - _byte(_ZERO)
        total += _DOUBLED[digits] if place % 2 else digits
    good[good] = total % 10 == 0
    return good


def _are_plainly_opaque(texts: Texts) -> Mask:
    """Printable ASCII without blanks at the ends and without anything that may be a spreadsheet's ".0"."""
    good: Mask = (texts[:, 0] != _byte(_SPACE)) & (texts[:, -1] != _byte(_SPACE))
    pointed = np.zeros(len(texts), dtype=bool)
    for column in texts.T:
        good &= (column >= _byte(_SPACE)) & (column <= _byte(_TILDE))
        pointed |= column == _byte(_POINT)
    good &= ~(pointed & (texts[:, -1] == _byte(_ZERO)))
    return good


def _are_hexadecimal(texts: Texts) -> Mask:
    good: Mask = _IS_HEXADECIMAL[texts].all(axis=1)
    return good


def _byte(value: int) -> np.uint8:
    return np.uint8(value)


def _table(alphabet: str) -> Texts:
    """Each byte's place in the alphabet, `_NO_VALUE` where it is not in it."""
    values = np.full(256, _NO_VALUE, dtype=np.uint8)
    values[np.frombuffer(alphabet.encode(), np.uint8)] = np.arange(len(alphabet), dtype=np.uint8)
    return values


_USCC_VALUES: Final = _table(USCC_ALPHABET)
_IS_HEXADECIMAL: Final = _table(HEXADECIMAL) != _NO_VALUE
