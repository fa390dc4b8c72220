"""Masks modulo n: what they hide comes back exactly at the bounds, and the layout holds for every key size."""

import secrets

import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from federation.scorecard_ciphers import add_modulo
from federation.scorecard_layout import (
    STATISTICAL_BITS,
    MaskedRows,
    MaskedSums,
    integers_from_bytes,
    integers_to_bytes,
    uniform_masks,
)
from privacy.errors import MessageInvalid, PackingOverflow
from privacy.paillier_secret import SecretKey

VALUE_BITS = 50
MODULI = st.sampled_from([255, 256, 300, 512, 2048]).flatmap(
    lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1).map(lambda n: mpz(n | 1))
)
LIMIT = (1 << VALUE_BITS) - 1
VALUES = st.lists(st.integers(-LIMIT, LIMIT) | st.sampled_from([LIMIT, -LIMIT]), min_size=1, max_size=40)


def packed(values, slot_bits, slots, n):
    """As `shift_pack` leaves plaintexts: modulo n, in no particular range."""
    groups = [values[at : at + slots] for at in range(0, len(values), slots)]
    return [sum(v << (slot_bits * place) for place, v in enumerate(group)) % n for group in groups]


def signed(value, n):
    """As a key holder reads it."""
    return int(value - n if value > n >> 1 else value)


@given(MODULI, VALUES, st.sampled_from(["drawn", "lowest", "highest"]))
def test_rows_come_back_with_their_masks_whatever_stands_above_them(n, values, which):
    layout = MaskedRows.of(n.bit_length(), VALUE_BITS)
    lowest, highest = 1 << VALUE_BITS, (1 << layout.slot_bits) - (1 << VALUE_BITS) - 1
    drawn = layout.draw(len(values))
    assert all(lowest <= mask <= highest for mask in drawn)
    masks = {"drawn": drawn, "lowest": [lowest] * len(values), "highest": [highest] * len(values)}[which]
    plain = layout.pack(masks, n)
    assert len(plain) == layout.plaintexts(len(values))
    assert all(0 <= mask < n for mask in plain)
    sums = packed(values, layout.slot_bits, layout.slots, n)
    opened = [signed((a + b) % n, n) for a, b in zip(sums, plain, strict=True)]
    expected = [value + mask for value, mask in zip(values, masks, strict=True)]
    assert layout.unpack(opened, len(values), n) == expected


@given(MODULI)
def test_above_the_rows_there_is_room_for_64_bits_at_least(n):
    layout = MaskedRows.of(n.bit_length(), VALUE_BITS)
    assert n >> (layout.slots * layout.slot_bits) >= 1 << STATISTICAL_BITS
    assert n >> ((layout.slots + 1) * layout.slot_bits) < 1 << (STATISTICAL_BITS + 1)


@given(MODULI, VALUES)
def test_sums_come_back_exactly_from_masks_of_all_sizes(n, values):
    layout = MaskedSums.of(n.bit_length(), VALUE_BITS)
    sums = packed(values, layout.slots.slot_bits, layout.slots.slots, n)
    for masks in (uniform_masks(len(sums), n), [0] * len(sums), [int(n) - 1] * len(sums)):
        assert all(0 <= mask < n for mask in masks)
        opened = [signed((a + b) % n, n) for a, b in zip(sums, masks, strict=True)]
        assert layout.unmask(opened, masks, len(values), n, "shop") == values


def test_sums_that_are_too_large_and_slots_that_should_be_empty_are_refused():
    n = mpz(2) ** 511 + 111
    layout = MaskedSums.of(512, VALUE_BITS)
    (mask,) = uniform_masks(1, n)
    for value in (LIMIT + 1, -LIMIT - 1, 1 << layout.slots.slot_bits):
        with pytest.raises(MessageInvalid, match=r"shop"):
            layout.unmask([mask + value], [mask], 1, n, "shop")
    with pytest.raises(PackingOverflow):
        layout.unmask([mask + (n >> 1)], [mask], 1, n, "shop")
    assert layout.unmask([mask - LIMIT], [mask], 1, n, "shop") == [-LIMIT]


def test_rows_need_a_key_with_room_above_them_and_as_many_plaintexts_as_they_take():
    least = VALUE_BITS + 2 * STATISTICAL_BITS + 1
    assert MaskedRows.of(least, VALUE_BITS).slots == 1
    with pytest.raises(PackingOverflow):
        MaskedRows.of(least - 1, VALUE_BITS)
    with pytest.raises(PackingOverflow):
        MaskedRows.of(least, VALUE_BITS).unpack([0], 2, mpz(2) ** least - 1)


def test_any_number_of_z_n_is_added_and_opened_and_crosses_as_bytes():
    """`add_plain` takes no number near n/2; masks are uniform over all of Z_n."""
    secret = SecretKey.generate(256, testing_only=True)
    key = secret.public
    half = int(key.n >> 1)
    masks = [0, 1, half - 1, half, half + 1, int(key.n) - 1, secrets.randbelow(int(key.n))]
    opened = secret.decrypt(add_modulo(key.encrypt([0] * len(masks)), masks, key))
    assert [value % key.n for value in opened] == masks
    assert integers_from_bytes(integers_to_bytes(opened, key.bits), len(masks), key.bits, "bank") == opened
