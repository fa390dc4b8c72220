"""Fixed point and packing against exact rational and integer arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import PackingOverflow
from privacy.fixed_point import ENCODED_BITS, SlotLayout, decode, encode

reals = st.floats(-(2.0**20), 2.0**20, allow_nan=False)


@given(values=st.lists(reals, max_size=5), scale_bits=st.integers(0, 40))
def test_encoding_rounds_half_to_even(values: list[float], scale_bits: int) -> None:
    # Python rounds a Fraction exactly, ties to even.
    assert encode(values, scale_bits).tolist() == [round(Fraction(v) * 2**scale_bits) for v in values]


def test_ties_go_to_the_even_neighbour_and_shapes_are_kept() -> None:
    codes = encode(np.array([[0.5, 1.5, 2.5], [-0.5, -1.5, -2.5]]), 0)
    assert codes.tolist() == [[0, 2, 2], [0, -2, -2]]
    assert codes.dtype == np.int64
    assert decode(codes, 1).tolist() == [[0, 1, 1], [0, -1, -1]]


@given(codes=st.lists(st.integers(-(2**200), 2**200), max_size=5), scale_bits=st.integers(0, 60))
def test_decoding_is_correctly_rounded(codes: list[int], scale_bits: int) -> None:
    assert decode(codes, scale_bits).tolist() == [float(Fraction(c, 2**scale_bits)) for c in codes]


@given(codes=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), scale_bits=st.integers(0, 60))
def test_arrays_decode_like_python_integers(codes: list[int], scale_bits: int) -> None:
    array = np.array(codes, dtype=np.int64)
    assert decode(array, scale_bits).tolist() == decode(codes, scale_bits).tolist()


@given(values=st.lists(reals, max_size=5), scale_bits=st.integers(0, 40))
def test_a_round_trip_is_off_by_half_a_step_at_most(values: list[float], scale_bits: int) -> None:
    back = decode(encode(values, scale_bits), scale_bits)
    for value, decoded in zip(values, back.tolist(), strict=True):
        assert abs(Fraction(decoded) - Fraction(value)) <= Fraction(1, 2 ** (scale_bits + 1))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2.0 ** (ENCODED_BITS - 8), -1e300, 1.7e308])
def test_values_without_a_code_are_refused(value: float) -> None:
    with pytest.raises(PackingOverflow):
        encode([0.0, value], 8)


def test_the_largest_code_is_accepted() -> None:
    below = np.nextafter(2.0**ENCODED_BITS, 0)
    assert encode([below, -below], 0).tolist() == [int(below), -int(below)]


def test_codes_beyond_float64_are_refused() -> None:
    with pytest.raises(PackingOverflow):
        decode([2**2000], 3)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[SlotLayout, int, int]:
    """A layout for sums, with its key_bits and number of additions."""
    key_bits = draw(st.sampled_from([512, 1024, 2048]))
    additions = draw(st.one_of(st.integers(1, 9), st.integers(1, 2**20)))
    return SlotLayout.for_sums(key_bits, draw(st.integers(1, 120)), additions), key_bits, additions


def values_for(layout: SlotLayout) -> st.SearchStrategy[list[int]]:
    limit = 2**layout.value_bits - 1
    return st.lists(st.one_of(st.sampled_from([0, limit, -limit]), st.integers(-limit, limit)), max_size=40)


@given(data=st.data(), made=layouts())
def test_packing_is_shift_and_add_and_unpacking_inverts_it(
    data: st.DataObject, made: tuple[SlotLayout, int, int]
) -> None:
    layout, _, _ = made
    values = data.draw(values_for(layout))
    packed = layout.pack(values)
    groups = [values[at : at + layout.slots] for at in range(0, len(values), layout.slots)]
    assert packed == [sum(v << (layout.slot_bits * i) for i, v in enumerate(group)) for group in groups]
    assert len(packed) == layout.plaintexts(len(values))
    assert layout.unpack(packed, len(values)) == values


@given(data=st.data(), made=layouts())
def test_sums_of_packed_values_decode_exactly(data: st.DataObject, made: tuple[SlotLayout, int, int]) -> None:
    layout, _, additions = made
    terms = min(additions, 4)
    first = data.draw(values_for(layout))
    others = st.lists(
        st.integers(-(2**layout.value_bits) + 1, 2**layout.value_bits - 1),
        min_size=len(first),
        max_size=len(first),
    )
    rows = [first, *(data.draw(others) for _ in range(terms - 1))]
    packed_sums = [sum(column) for column in zip(*(layout.pack(row) for row in rows), strict=True)]
    assert layout.unpack(packed_sums, len(first)) == [sum(column) for column in zip(*rows, strict=True)]


@given(made=layouts(), sign=st.sampled_from([1, -1]))
def test_the_overflow_proof_holds_at_its_extreme(made: tuple[SlotLayout, int, int], sign: int) -> None:
    layout, key_bits, additions = made
    extreme = [sign * (2**layout.value_bits - 1)] * layout.slots
    total = additions * layout.pack(extreme)[0]
    smallest_modulus = 2 ** (key_bits - 1) + 1
    assert abs(total) <= smallest_modulus // 2 - 1
    assert layout.unpack([total], layout.slots) == [additions * v for v in extreme]
    # One slot more would not fit behind the proof's bound.
    assert (layout.slots + 1) * layout.slot_bits > key_bits - 2


def test_arrays_pack_like_lists_in_c_order() -> None:
    layout = SlotLayout.for_sums(512, 63, 1)
    array = np.array([[1, -2], [2**63 - 1, -(2**63) + 1]], dtype=np.int64)
    assert layout.pack(array) == layout.pack(array.ravel().tolist())
    assert layout.unpack(layout.pack(array), 4) == array.ravel().tolist()


def test_the_layout_of_the_design() -> None:
    # Values of 40 bits, summed over a million rows: 61-bit slots, 33 of them under a 2048-bit key.
    assert SlotLayout.for_sums(2048, 40, 10**6) == SlotLayout(slot_bits=61, slots=33, value_bits=40)
    # 7 slots of 73 bits are 511 bits: one too many, and both sides must agree on that.
    assert SlotLayout.for_sums(512, 72, 1).slots == 6
    assert SlotLayout(slot_bits=61, slots=2).value_bits == 60


@pytest.mark.parametrize("value", [2**10, -(2**10), 2**70])
def test_values_beyond_their_slot_are_refused(value: int) -> None:
    layout = SlotLayout.for_sums(512, 10, 4)
    assert layout.unpack(layout.pack([2**10 - 1, 1 - 2**10]), 2) == [2**10 - 1, 1 - 2**10]
    with pytest.raises(PackingOverflow):
        layout.pack([0, value])


def test_the_smallest_int64_does_not_slip_through() -> None:
    with pytest.raises(PackingOverflow):
        SlotLayout.for_sums(512, 63, 1).pack(np.array([-(2**63)], dtype=np.int64))


@pytest.mark.parametrize("values", [[1.5], np.array([1.0]), np.array([True])])
def test_only_integers_are_packed(values: Any) -> None:
    with pytest.raises(TypeError):
        SlotLayout(20, 4).pack(values)


@pytest.mark.parametrize(
    ("packed", "count"),
    [([], 1), ([0], 0), ([0, 0], 4), ([0], 5), ([2**79], 4), ([-(2**80)], 4), ([2**400], 4)],
)
def test_plaintexts_of_another_layout_are_refused(packed: list[int], count: int) -> None:
    with pytest.raises(PackingOverflow):
        SlotLayout(20, 4).unpack(packed, count)


@pytest.mark.parametrize(("value_bits", "additions"), [(0, 1), (10, 0), (511, 1), (300, 2**300)])
def test_layouts_that_cannot_exist_are_refused(value_bits: int, additions: int) -> None:
    with pytest.raises(PackingOverflow):
        SlotLayout.for_sums(512, value_bits, additions)
    with pytest.raises(PackingOverflow):
        SlotLayout(slot_bits=8, slots=4, value_bits=8)
