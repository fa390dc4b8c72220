"""Customer identifiers: one canonical spelling, and a reason for each that has none.

Two parties match only what they spell the same way, so both normalise before they blind. Checks are of form
only: a well-formed number need not exist, and nothing here compares with a clock, so that two parties always
agree about the same string.

Sources: phones, YD/T numbering (11 digits, 1[3-9]...); resident ID, GB 11643-1999 with ISO/IEC 7064 MOD 11-2;
unified social credit code, GB 32100-2015; cards, ISO/IEC 7812-1 annex B (Luhn).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

import numpy as np

from privacy.errors import IdentifierInvalid

Identifiers = np.ndarray[Any, np.dtype[np.bytes_]]
"""(n,) of dtype `S<width>`: canonical spellings in UTF-8, padded with zero bytes; no spelling holds a zero byte."""


class IdentifierKind(StrEnum):
    """What a subject is known by."""

    PHONE = "phone"
    RESIDENT_ID = "resident_id"
    USCC = "uscc"
    CARD = "card"
    OPAQUE = "opaque"


class IdentifierReason(StrEnum):
    """Why a value is no identifier of its kind. The codes are stable: reports and texts refer to them."""

    MISSING = "missing"
    NOT_DIGITS = "not_digits"
    """A character outside the kind's alphabet (a mask, a letter, scientific notation)."""
    WRONG_LENGTH = "wrong_length"
    WRONG_PREFIX = "wrong_prefix"
    WRONG_CHECK_DIGIT = "wrong_check_digit"
    IMPOSSIBLE_DATE = "impossible_date"


@dataclass(frozen=True, slots=True)
class NormalizedIdentifiers:
    """values: one canonical string per input, None where there is none; reasons: refusals by reason."""

    values: list[str | None]
    reasons: Mapping[str, int]


_Checked = tuple[str | None, IdentifierReason | None]
_Check = Callable[[str], _Checked]

# Separators people type, and the invisible marks that a copied contact carries.
_SEPARATORS: Final = re.compile(r"[\s\-‐-―−()\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
_FLOAT_TAIL: Final = re.compile(r"([0-9]+)\.0+")
_PHONE: Final = re.compile(r"(?:\+?86|0086)?0?([0-9]{11})")
_EXTRA_PREFIX: Final = re.compile(r"[0-9]{2,7}")
_RESIDENT_ID: Final = re.compile(r"[0-9]{17}[0-9X]")
_CARD_DIGITS: Final = range(12, 20)
_EARLIEST_BIRTH_YEAR: Final = 1900
_LATEST_BIRTH_YEAR: Final = 2099

_RESIDENT_WEIGHTS: Final = tuple(2**power % 11 for power in range(17, 0, -1))
_RESIDENT_CHECK_CHARACTERS: Final = "0123456789X"
_USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I, O, S, V, Z (GB 32100-2015, table 2)
_USCC_VALUE: Final = {character: value for value, character in enumerate(_USCC_ALPHABET)}
_USCC_WEIGHTS: Final = tuple(3**power % 31 for power in range(17))


def normalize(
    kind: IdentifierKind, values: Sequence[str | None], extra_prefixes: Sequence[str] = ()
) -> NormalizedIdentifiers:
    """The canonical spelling of every value, in order.

    extra_prefixes: phone prefixes to accept besides 13 to 19, such as "12" for sample data, whose numbers
        can belong to nobody; ignored for other kinds.

    Raises `IdentifierInvalid` when an extra prefix is not 2 to 7 digits.
    """
    check = _check_of(kind, extra_prefixes)
    normalized: list[str | None] = []
    reasons: Counter[str] = Counter()
    for value in values:
        canonical, reason = check(value) if value is not None else (None, IdentifierReason.MISSING)
        normalized.append(canonical)
        if reason is not None:
            reasons[reason.value] += 1
    return NormalizedIdentifiers(normalized, reasons)


def resident_check_character(body: str) -> str:
    """The 18th character of a resident ID from its first 17 digits (ISO/IEC 7064, MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, _RESIDENT_WEIGHTS, strict=True))
    return _RESIDENT_CHECK_CHARACTERS[(12 - total) % 11]


def uscc_check_character(body: str) -> str:
    """The 18th character of a unified social credit code from its first 17 (GB 32100-2015, section 5.5)."""
    total = sum(
        _USCC_VALUE[character] * weight for character, weight in zip(body, _USCC_WEIGHTS, strict=True)
    )
    return _USCC_ALPHABET[-total % 31]


def luhn_check_digit(body: str) -> str:
    """The last digit of a card number from all digits before it (ISO/IEC 7812-1, annex B)."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return str(-(doubled + sum(int(digit) for digit in body[-2::-2])) % 10)


def _check_of(kind: IdentifierKind, extra_prefixes: Sequence[str]) -> _Check:
    match kind:
        case IdentifierKind.PHONE:
            return _phone_check(extra_prefixes)
        case IdentifierKind.RESIDENT_ID:
            return _check_resident_id
        case IdentifierKind.USCC:
            return _check_uscc
        case IdentifierKind.CARD:
            return _check_card
        case IdentifierKind.OPAQUE:
            return _check_opaque


def _phone_check(extra_prefixes: Sequence[str]) -> _Check:
    for prefix in extra_prefixes:
        if not _EXTRA_PREFIX.fullmatch(prefix):
            raise IdentifierInvalid("identifier_prefix_invalid", prefix=prefix)
    mobile = re.compile("|".join(["1[3-9]", *extra_prefixes]))

    def check(value: str) -> _Checked:
        text = _compact(value)
        if not text:
            return None, IdentifierReason.MISSING
        text = _without_float_tail(text)
        national = _PHONE.fullmatch(text)
        if national is None:
            return None, _why_no_phone(text)
        if not mobile.match(national[1]):
            return None, IdentifierReason.WRONG_PREFIX
        return national[1], None

    return check


def _why_no_phone(text: str) -> IdentifierReason:
    digits = text.removeprefix("+")
    if not _is_digits(digits):
        return IdentifierReason.NOT_DIGITS
    if text.startswith("+") and not digits.startswith("86"):
        return IdentifierReason.WRONG_PREFIX
    return IdentifierReason.WRONG_LENGTH


def _check_resident_id(value: str) -> _Checked:
    text = _compact(value).upper()
    reason: IdentifierReason | None = None
    if not text:
        reason = IdentifierReason.MISSING
    elif len(text) != 18:  # also the 15-digit cards, void since 2013: their century cannot be known
        reason = IdentifierReason.WRONG_LENGTH
    elif not _RESIDENT_ID.fullmatch(text):
        reason = IdentifierReason.NOT_DIGITS
    elif not _is_birth_date(text[6:14]):
        reason = IdentifierReason.IMPOSSIBLE_DATE
    elif resident_check_character(text[:17]) != text[17]:
        reason = IdentifierReason.WRONG_CHECK_DIGIT
    return (text, None) if reason is None else (None, reason)


def _check_uscc(value: str) -> _Checked:
    text = _compact(value).upper()
    reason: IdentifierReason | None = None
    if not text:
        reason = IdentifierReason.MISSING
    elif len(text) != 18:
        reason = IdentifierReason.WRONG_LENGTH
    elif not _USCC_VALUE.keys() >= set(text):
        reason = IdentifierReason.NOT_DIGITS
    elif uscc_check_character(text[:17]) != text[17]:
        reason = IdentifierReason.WRONG_CHECK_DIGIT
    return (text, None) if reason is None else (None, reason)


def _check_card(value: str) -> _Checked:
    text = _without_float_tail(_compact(value))
    reason: IdentifierReason | None = None
    if not text:
        reason = IdentifierReason.MISSING
    elif not _is_digits(text):
        reason = IdentifierReason.NOT_DIGITS
    elif len(text) not in _CARD_DIGITS:
        reason = IdentifierReason.WRONG_LENGTH
    elif luhn_check_digit(text[:-1]) != text[-1]:
        reason = IdentifierReason.WRONG_CHECK_DIGIT
    return (text, None) if reason is None else (None, reason)


def _check_opaque(value: str) -> _Checked:
    text = value.strip()
    return (_without_float_tail(text), None) if text else (None, IdentifierReason.MISSING)


def _compact(value: str) -> str:
    """Full-width forms to ASCII (Unicode NFKC), then without separators."""
    return _SEPARATORS.sub("", value if value.isascii() else unicodedata.normalize("NFKC", value))


def _without_float_tail(text: str) -> str:
    """17 for "17.0": what a spreadsheet makes of an integer column that has a gap."""
    whole = _FLOAT_TAIL.fullmatch(text)
    return whole[1] if whole else text


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_birth_date(digits: str) -> bool:
    year = int(digits[:4])
    if not _EARLIEST_BIRTH_YEAR <= year <= _LATEST_BIRTH_YEAR:
        return False
    try:
        date(year, int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
