"""Identifiers: published examples of each standard, independent check-digit formulas, and every reason."""

from __future__ import annotations

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spelled import spelled

from privacy.errors import IdentifierInvalid
from privacy.identifiers import (
    MAX_OPAQUE_BYTES,
    IdentifierKind,
    check_of,
    luhn_check_digit,
    resident_check_character,
    uscc_check_character,
)
from privacy.normalization import Cells, normalize

PHONE, RESIDENT_ID, USCC, CARD, OPAQUE = IdentifierKind
FULL_WIDTH = {ord("0") + digit: chr(ord("0") + digit) for digit in range(10)}
USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"

phones = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
birth_dates = st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(lambda day: day.strftime("%Y%m%d"))
resident_bodies = st.builds(
    lambda region, born, serial: region + born + serial,
    st.from_regex(r"[1-9][0-9]{5}", fullmatch=True),
    birth_dates,
    st.from_regex(r"[0-9]{3}", fullmatch=True),
)


def one(kind, value, **options):
    result = normalize(kind, Cells.of([value]), **options)
    return spelled(result)[0], next(iter(result.reasons), None)


@pytest.mark.parametrize(
    "spelling",
    [
        "{}",
        " {} ",
        "+86{}",
        "+86 {}",
        "0086{}",
        "86{}",
        "86-{}",
        "0{}",
        "+86 0{}",
        "(+86){}",
        "{}.0",
        "\u202d{}\u202c",
        "＋８６{}",
        "\u3000{}",
        "\ufeff{}",
        "86–{}",
    ],
)
@given(phone=phones)
def test_one_phone_however_it_is_spelled(spelling, phone):
    spaced = f"{phone[:3]} {phone[3:7]}-{phone[7:]}"
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in phone)
    for body in (phone, spaced, wide):
        if spelling == "{}.0" and body is not phone:
            continue
        assert one(PHONE, spelling.format(body)) == (phone, None)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        (" - ", "missing"),
        ("1381234567", "wrong_length"),
        ("138123456789", "wrong_length"),
        ("0086", "wrong_length"),
        ("1381234567.0", "wrong_length"),
        ("12012345678", "wrong_prefix"),
        ("02112345678", "wrong_prefix"),
        ("+1 202 555 0143", "wrong_prefix"),
        ("+44 13812345678", "wrong_prefix"),
        ("138****5678", "not_digits"),
        ("1.38E+10", "not_digits"),
        ("unknown", "not_digits"),
        ("١٣٨١٢٣٤٥٦٧٨", "not_digits"),
    ],
)
def test_why_a_phone_is_none(value, reason):
    assert one(PHONE, value) == (None, reason)


def test_sample_prefixes_pass_only_when_named():
    assert one(PHONE, "+86 120 1234 5678", extra_prefixes=["12"]) == ("12012345678", None)
    assert one(PHONE, "11012345678", extra_prefixes=["12"]) == (None, "wrong_prefix")
    assert one(PHONE, "13812345678", extra_prefixes=["12"]) == ("13812345678", None)


@pytest.mark.parametrize("prefix", ["", "1", "1.", "12|", "１２", "12345678"])
def test_an_extra_prefix_is_plain_digits(prefix):
    with pytest.raises(IdentifierInvalid):
        check_of(PHONE, [prefix])
    with pytest.raises(IdentifierInvalid):
        normalize(PHONE, Cells.of([]), extra_prefixes=[prefix])


@pytest.mark.parametrize("example", ["11010519491231002X", "440524188001010014"])
def test_examples_of_gb_11643(example):
    assert resident_check_character(example[:17]) == example[17]


@given(body=resident_bodies)
def test_resident_id_satisfies_the_congruence_of_iso_7064(body):
    whole = body + resident_check_character(body)
    residue = 0
    for character in whole:
        residue = (residue * 2 + "0123456789X".index(character)) % 11
    assert residue == 1
    assert one(RESIDENT_ID, f" {whole[:6]} {whole[6:14]} {whole[14:].lower()}") == (whole, None)


@given(body=resident_bodies, position=st.integers(0, 16), shift=st.integers(1, 9))
def test_every_single_wrong_digit_of_a_resident_id_is_caught(body, position, shift):
    whole = body + resident_check_character(body)
    wrong = whole[:position] + str((int(whole[position]) + shift) % 10) + whole[position + 1 :]
    assert one(RESIDENT_ID, wrong)[1] in {"wrong_check_digit", "impossible_date"}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("110105491231002", "wrong_length"),
        ("11010519491231002A", "not_digits"),
        ("1101051949123100XX", "not_digits"),
        ("110105194912310021", "wrong_check_digit"),
        ("11010519490230002X", "impossible_date"),
        ("440524188001010014", "impossible_date"),
    ],
)
def test_why_a_resident_id_is_none(value, reason):
    assert one(RESIDENT_ID, value) == (None, reason)


def test_leap_days_exist_only_in_leap_years():
    for year, expected in ((2000, None), (1996, None), (1900, "impossible_date"), (1999, "impossible_date")):
        body = f"990101{year}0229001"
        assert one(RESIDENT_ID, body + resident_check_character(body))[1] == expected


def test_example_of_gb_32100():
    assert one(USCC, "91350100m000100y43") == ("91350100M000100Y43", None)


@given(st.text(USCC_ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.integers(1, 30))
def test_uscc_weighted_sum_is_divisible_by_31_and_single_errors_are_caught(body, position, shift):
    whole = body + uscc_check_character(body)
    assert (
        sum(USCC_ALPHABET.index(c) * 3**i for i, c in enumerate(whole[:17])) % 31
        == (-USCC_ALPHABET.index(whole[17])) % 31
    )
    assert one(USCC, whole) == (whole, None)
    other = USCC_ALPHABET[(USCC_ALPHABET.index(whole[position]) + shift) % 31]
    assert one(USCC, whole[:position] + other + whole[position + 1 :]) == (None, "wrong_check_digit")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing"),
        ("91350100M000100Y4", "wrong_length"),
        ("9135O100M000100Y43", "not_digits"),
        ("91350100M000100Y44", "wrong_check_digit"),
    ],
)
def test_why_a_uscc_is_none(value, reason):
    assert one(USCC, value) == (None, reason)


@pytest.mark.parametrize(
    "card",
    ["4111 1111 1111 1111", "5555-5555-5555-4444", "６０１１１１１１１１１１１１１７", "378282246310005"],
)
def test_published_test_cards_pass(card):
    digits = "".join(c for c in unicodedata.normalize("NFKC", card) if c.isdigit())
    assert one(CARD, card) == (digits, None)


@given(st.from_regex(r"[0-9]{11,18}", fullmatch=True), st.integers(0, 17), st.integers(1, 9))
def test_luhn_sum_is_divisible_by_ten_and_single_errors_are_caught(body, position, shift):
    whole = body + luhn_check_digit(body)
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(whole))]
    assert sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
    assert one(CARD, whole) == (whole, None)
    at = position % len(whole)
    wrong = whole[:at] + str((int(whole[at]) + shift) % 10) + whole[at + 1 :]
    assert one(CARD, wrong) == (None, "wrong_check_digit")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("  ", "missing"),
        ("4111-1111", "wrong_length"),
        ("4111x11111111111", "not_digits"),
        ("4" * 20, "wrong_length"),
    ],
)
def test_why_a_card_is_none(value, reason):
    assert one(CARD, value) == (None, reason)


def test_opaque_ids_keep_their_spelling():
    result = normalize(OPAQUE, Cells.of([" A-17 ", "17", "17.0", "017", "17.50", "Ａ", "\t", None]))
    assert spelled(result) == ["A-17", "17", "17", "017", "17.50", "Ａ", None, None]
    assert result.reasons == {"missing": 2}


def test_opaque_ids_have_a_longest_length_and_no_zero_byte():
    assert one(OPAQUE, "a" * MAX_OPAQUE_BYTES)[1] is None
    assert one(OPAQUE, "a" * (MAX_OPAQUE_BYTES + 1)) == (None, "wrong_length")
    assert one(OPAQUE, "客" * (MAX_OPAQUE_BYTES // 3 + 1)) == (None, "wrong_length")
    for value in ("a\0b", "17\0", "\0", "\ud800"):
        assert one(OPAQUE, value) == (None, "not_digits")


def test_reasons_count_every_refused_value():
    values = ["13812345678", None, "x", "138", "138", "12012345678"]
    result = normalize(PHONE, Cells.of(values))
    assert result.reasons == {"missing": 1, "not_digits": 1, "wrong_length": 2, "wrong_prefix": 1}
    assert sum(result.reasons.values()) == spelled(result).count(None) == 5


@given(st.sampled_from(IdentifierKind), st.text(max_size=24))
def test_normalising_twice_changes_nothing(kind, text):
    once, _ = one(kind, text)
    if once is not None:
        assert one(kind, once) == (once, None)
