"""Whole columns are normalised exactly as the check of their kind spells each value by itself."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dirty_tables import BREAKAGES, PHONE_PREFIX, SPELLINGS, clean_ids
from hypothesis import example, given
from hypothesis import strategies as st
from spelled import spelled

from clients.tables.columns import as_cells, as_codes, as_text
from privacy import normalization
from privacy.digests import DIGEST_CHARACTERS, IdFormat, digest_check
from privacy.identifiers import IdentifierKind, check_of
from privacy.normalization import Cells, NormalizedIdentifiers, normalize

KINDS = list(IdentifierKind)
PREFIXES = (PHONE_PREFIX, "1701", "02")
CLEAN = {kind: clean_ids(np.random.default_rng(3), 200, kind.value) for kind in KINDS}


@st.composite
def columns(draw):
    """A kind and cells: its own clean ones, respelled, broken, with one character exchanged, and any text at all."""
    kind = draw(st.sampled_from(KINDS))
    clean = st.sampled_from(CLEAN[kind])
    changes = st.sampled_from([*SPELLINGS[kind.value], *BREAKAGES[kind.value]])
    exchanged = st.builds(
        lambda text, at, by: text[: at % len(text)] + by + text[at % len(text) + 1 :],
        clean, st.integers(0, 18), st.sampled_from([*"019xXO.-+*\0\x07 ", "", "９", "１０", "😀", "\u200b", "é"]),
    )  # fmt: skip
    cell = st.one_of(
        st.none(),
        clean,
        st.builds(lambda text, change: change(text), clean, changes),
        exchanged,
        st.builds(
            lambda text, tail: text + tail, clean, st.sampled_from(["\0", ".0", ".00", ".50", "0", " "])
        ),
        st.text("0123456789.xX +-\0", max_size=20),
        st.text(max_size=24),
    )
    return kind, draw(st.lists(cell, max_size=30))


def one_by_one(check, values):
    """(spellings, reasons, rows respelled) from the scalar check alone."""
    checked = [(None, "missing") if value is None else check(value) for value in values]
    respelled = [
        row
        for row, (value, (canonical, _)) in enumerate(zip(values, checked, strict=True))
        if canonical not in {None, value}
    ]
    reasons = Counter(str(reason) for _, reason in checked if reason is not None)
    return [canonical for canonical, _ in checked], reasons, respelled


@given(columns())
@example((IdentifierKind.PHONE, ["13812345678", "13812345678\0", "1381234567\0", "+8613812345678"]))
@example((IdentifierKind.OPAQUE, ["a\0", "a", "17.0", "1.7.0", "x.0", "\0", "\ud800", "a" * 129, " a", "é"]))
@example((IdentifierKind.RESIDENT_ID, ["11010519491231002X", "11010519491231002x", "11010519490230002X"]))
def test_a_column_equals_its_cells_checked_one_by_one(column):
    kind, values = column
    found = normalize(kind, Cells.of(values), PREFIXES)
    expected, reasons, respelled = one_by_one(check_of(kind, PREFIXES), values)
    assert spelled(found) == expected
    assert found.reasons == reasons
    assert found.respelled.tolist() == respelled
    assert found.valid.tolist() == [text is not None for text in expected]
    assert not any(found.identifiers[~found.valid])
    spellings = dict(zip(found.respelled.tolist(), found.spellings.tolist(), strict=True))
    same = {row: [other for other in respelled if values[other] == values[row]] for row in respelled}
    for row, others in same.items():
        assert [other for other in respelled if spellings[other] == spellings[row]] == others


@given(
    st.sampled_from([one for one in IdFormat if one is not IdFormat.PLAIN]),
    st.lists(
        st.one_of(
            st.none(),
            st.text("0123456789abcdefABCDEFg -０Ａ", max_size=70),
            *(
                st.text(alphabet, min_size=size, max_size=size)
                for size in (32, 64)
                for alphabet in ("0123456789abcdef", "0123456789ABCDEF", "0123456789abcdefg\0")
            ),
        ),
        max_size=20,
    ),
)
def test_digests_are_checked_by_their_form(id_format, values):
    found = normalize(IdentifierKind.PHONE, Cells.of(values), (), id_format)
    expected, reasons, respelled = one_by_one(digest_check(id_format), values)
    assert spelled(found) == expected
    assert found.reasons == reasons
    assert found.respelled.tolist() == respelled
    for text in expected:
        if text is not None:
            assert len(text) == DIGEST_CHARACTERS[id_format]
            assert set(text) <= set("0123456789abcdef")


@pytest.mark.parametrize("kind", KINDS)
def test_clean_columns_take_the_fast_path_whole(kind, monkeypatch):
    """Otherwise the equality above would say nothing about it."""
    checked = []

    def count(check, cells, rows):
        checked.append(len(rows))
        return each(check, cells, rows)

    each = normalization._check_each
    monkeypatch.setattr(normalization, "_check_each", count)
    assert spelled(normalize(kind, Cells.of(CLEAN[kind]), PREFIXES)) == CLEAN[kind]
    assert checked == [0]
    normalize(kind, Cells.of([" " + text for text in CLEAN[kind]]), PREFIXES)
    assert checked == [0, len(CLEAN[kind])]


@given(columns(), st.integers(1, 7))
def test_a_column_in_parts_equals_the_column(column, rows_at_once):
    kind, values = column
    whole = normalize(kind, Cells.of(values), PREFIXES)
    parts = [
        normalize(kind, Cells.of(values[start : start + rows_at_once]), PREFIXES)
        for start in range(0, len(values), rows_at_once)
    ]
    joined = NormalizedIdentifiers.concatenate(parts)
    assert spelled(joined) == spelled(whole)
    assert joined.reasons == whole.reasons
    assert joined.respelled.tolist() == whole.respelled.tolist()
    assert joined.spellings.tolist() == whole.spellings.tolist()


def test_blocks_inside_a_column_are_put_together(monkeypatch):
    monkeypatch.setattr(normalization, "_ROWS_AT_ONCE", 7)
    values = [*CLEAN[IdentifierKind.OPAQUE][:20], None, " wide-" + "w" * 40, "x"]
    found = normalize(IdentifierKind.OPAQUE, Cells.of(values))
    assert spelled(found) == [None if value is None else value.strip() for value in values]
    assert found.respelled.tolist() == [21]


def read(cells):
    """The cells as texts again."""
    data = cells.data.tobytes()
    pairs = zip(cells.offsets[:-1].tolist(), cells.offsets[1:].tolist(), strict=True)
    return [
        None if gone else data[start:stop].decode()
        for (start, stop), gone in zip(pairs, cells.missing.tolist(), strict=True)
    ]


TYPES = st.sampled_from(
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=12), TYPES, st.data())
def test_arrow_columns_are_read_by_their_buffers(values, kind, data):
    array = pa.array(values, pa.string()).cast(kind) if values else pa.array(values, kind)
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    assert read(as_cells(array.slice(start, stop - start))) == values[start:stop]


NUMBERS = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.integers(-99, 99).map(float)
)


@given(st.lists(NUMBERS, max_size=8))
def test_numbers_read_as_pandas_would_show_them(values):
    floats = pa.array([None if value is None else float(value) for value in values], pa.float64())
    assert read(as_cells(floats)) == as_text(floats.to_pandas())
    integers = [value for value in values if value is None or isinstance(value, int)]
    assert read(as_cells(pa.array(integers, pa.int64()))) == [
        None if value is None else str(value) for value in integers
    ]


def test_other_types_read_as_their_text():
    days = pd.Series(pd.to_datetime(["2026-01-31", None]))
    for array in (pa.array([True, None, False]), pa.array(days), pa.array([b"ab", None])):
        assert read(as_cells(array)) == as_text(array.to_pandas())
    assert read(as_cells(pa.nulls(2))) == [None, None]


@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", " a ", "b", ""])), max_size=9), st.booleans())
def test_codes_give_the_stripped_texts_back(values, as_dictionary):
    array = pa.array(values, pa.string())
    codes, texts = as_codes(array.dictionary_encode() if as_dictionary else array)
    assert [texts[code] for code in codes] == [(value or "").strip() for value in values]
