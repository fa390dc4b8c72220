"""Customer identifiers: one canonical spelling, and a reason for each that has none.

Two parties match only what they spell the same way, so both normalise before they blind. Checks are of form
only: a well-formed number need not exist, and nothing here compares with a clock, so that two parties always
agree about the same string. This module says what is right, one value at a time; `privacy.normalization` applies
it to whole columns.

Sources: phones, YD/T numbering (11 digits, 1[3-9]...); resident ID, GB 11643-1999 with ISO/IEC 7064 MOD 11-2;
unified social credit code, GB 32100-2015; cards, ISO/IEC 7812-1 annex B (Luhn).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
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
    """A character outside the kind's alphabet (a mask, a letter, scientific notation; a zero byte in any kind)."""
    WRONG_LENGTH = "wrong_length"
    WRONG_PREFIX = "wrong_prefix"
    WRONG_CHECK_DIGIT = "wrong_check_digit"
    IMPOSSIBLE_DATE = "impossible_date"


Checked = tuple[str | None, IdentifierReason | None]
"""The canonical spelling, or why there is none: one of the two is None."""
Check = Callable[[str], Checked]

MAX_OPAQUE_BYTES: Final = 128
"""The longest opaque identifier, in UTF-8: a SHA-512 in hexadecimal. Longer cells are free text, and one of them
would widen a whole column of millions of rows."""
CARD_DIGITS: Final = range(12, 20)
EARLIEST_BIRTH_YEAR: Final = 1900
LATEST_BIRTH_YEAR: Final = 2099
MOBILE_PREFIXES: Final = tuple(f"1{digit}" for digit in "3456789")

RESIDENT_WEIGHTS: Final = tuple(2**power % 11 for power in range(17, 0, -1))
RESIDENT_CHECK_CHARACTERS: Final = "0123456789X"
USCC_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # without I, O, S, V, Z (GB 32100-2015, table 2)
USCC_WEIGHTS: Final = tuple(3**power % 31 for power in range(17))

# Separators people type, and the invisible marks that a copied contact carries.
_SEPARATORS: Final = re.compile(r"[\s\-‐-―−()\u200b-\u200f\u202a-\u202e\u2060\ufeff]+")
_FLOAT_TAIL: Final = re.compile(r"([0-9]+)\.0+")
_PHONE: Final = re.compile(r"(?:\+?86|0086)?0?([0-9]{11})")
_EXTRA_PREFIX: Final = re.compile(r"[0-9]{2,7}")
_RESIDENT_ID: Final = re.compile(r"[0-9]{17}[0-9X]")
_USCC_VALUE: Final = {character: value for value, character in enumerate(USCC_ALPHABET)}


def check_of(kind: IdentifierKind, extra_prefixes: Sequence[str] = ()) -> Check:
    """The function that spells one value canonically, or says why it is no identifier of this kind.

    extra_prefixes: phone prefixes to accept besides 13 to 19, such as "12" for sample data, whose numbers
        can belong to nobody; ignored for other kinds.

    Raises `IdentifierInvalid` when an extra prefix is not 2 to 7 digits.
    """
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


def resident_check_character(body: str) -> str:
    """The 18th character of a resident ID from its first 17 digits (ISO/IEC 7064, MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(body, RESIDENT_WEIGHTS, strict=True))
    return RESIDENT_CHECK_CHARACTERS[(12 - total) % 11]


def uscc_check_character(body: str) -> str:
    """The 18th character of a unified social credit code from its first 17 (GB 32100-2015, section 5.5)."""
    total = sum(_USCC_VALUE[character] * weight for character, weight in zip(body, USCC_WEIGHTS, strict=True))
    return USCC_ALPHABET[-total % 31]


def luhn_check_digit(body: str) -> str:
    """The last digit of a card number from all digits before it (ISO/IEC 7812-1, annex B)."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in body[::-2])
    return str(-(doubled + sum(int(digit) for digit in body[-2::-2])) % 10)


def _phone_check(extra_prefixes: Sequence[str]) -> Check:
    for prefix in extra_prefixes:
        if not _EXTRA_PREFIX.fullmatch(prefix):
            raise IdentifierInvalid("identifier_prefix_invalid", prefix=prefix)
    mobile = re.compile("|".join([*MOBILE_PREFIXES, *extra_prefixes]))

    def check(value: str) -> Checked:
        text = compact(value)
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


def _check_resident_id(value: str) -> Checked:
    text = compact(value).upper()
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


def _check_uscc(value: str) -> Checked:
    text = compact(value).upper()
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


def _check_card(value: str) -> Checked:
    text = _without_float_tail(compact(value))
    reason: IdentifierReason | None = None
    if not text:
        reason = IdentifierReason.MISSING
    elif not _is_digits(text):
        reason = IdentifierReason.NOT_DIGITS
    elif len(text) not in CARD_DIGITS:
        reason = IdentifierReason.WRONG_LENGTH
    elif luhn_check_digit(text[:-1]) != text[-1]:
        reason = IdentifierReason.WRONG_CHECK_DIGIT
    return (text, None) if reason is None else (None, reason)


def _check_opaque(value: str) -> Checked:
    text = _without_float_tail(value.strip())
    reason: IdentifierReason | None = None
    if not text:
        reason = IdentifierReason.MISSING
    elif "\x00" in text or not _is_unicode(text):
        reason = IdentifierReason.NOT_DIGITS
    elif len(text.encode()) > MAX_OPAQUE_BYTES:
        reason = IdentifierReason.WRONG_LENGTH
    return (text, None) if reason is None else (None, reason)


def compact(value: str) -> str:
    """Full-width forms to ASCII (Unicode NFKC), then without separators."""
    return _SEPARATORS.sub("", value if value.isascii() else unicodedata.normalize("NFKC", value))


def _without_float_tail(text: str) -> str:
    """17 for "17.0": what a spreadsheet makes of an integer column that has a gap."""
    whole = _FLOAT_TAIL.fullmatch(text)
    return whole[1] if whole else text


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_unicode(text: str) -> bool:
    """Whether the text has a UTF-8 form; half a surrogate pair has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_birth_date(digits: str) -> bool:
    year = int(digits[:4])
    if not EARLIEST_BIRTH_YEAR <= year <= LATEST_BIRTH_YEAR:
        return False
    try:
        date(year, int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
