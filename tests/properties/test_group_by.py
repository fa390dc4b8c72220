"""The encrypted group-by against plain sums, for every plan."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from federation.binning import candidates_of, counts_of
from federation.group_by import (
    EncryptedColumn,
    PairLayout,
    child_tables,
    group_cost,
    left_ciphertexts,
    plan_groups,
    subtract_tables,
    sum_by,
    table_cost,
)
from federation.trees import left_sums, sums_of
from privacy.errors import CiphertextInvalid, PackingOverflow
from privacy.paillier import shift_pack
from privacy.paillier_secret import SecretKey

N_CODES = (4, 6, 3)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def decrypted(secret, table):
    return [secret.decrypt(row) for row in table]


def plain(codes, values):
    return [
        [int(values[codes[:, f] == code].sum()) for code in range(size)] for f, size in enumerate(N_CODES)
    ]


def drawn_rows(data, most=40):
    n_rows = data.draw(st.integers(1, most))
    columns = [data.draw(hnp.arrays(np.uint8, n_rows, elements=st.integers(0, size - 1))) for size in N_CODES]
    values = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(-(2**40), 2**40)))
    return np.stack(columns, axis=1), values


@settings(max_examples=25, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("groups", [((0,), (1,), (2,)), ((0, 1), (2,)), ((0, 1, 2),), ((1,), (2, 0)), None])
def test_sums_equal_plain_sums_under_any_plan(secret, groups, data):
    codes, values = drawn_rows(data)
    column = EncryptedColumn.of(secret.encrypt(values.tolist()), secret.public)
    table = sum_by(column, codes, N_CODES, groups=groups)
    assert decrypted(secret, table) == plain(codes, values)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_children_equal_plain_sums_however_they_are_computed(secret, data):
    codes, values = drawn_rows(data)
    column = EncryptedColumn.of(secret.encrypt(values.tolist()), secret.public)
    left = data.draw(hnp.arrays(np.bool_, len(codes)))
    wanted = data.draw(st.tuples(st.booleans(), st.booleans()))
    parent = sum_by(column, codes, N_CODES)
    rows = np.flatnonzero(left), np.flatnonzero(~left)
    tables = child_tables(column, codes, N_CODES, parent, children=rows, wanted=wanted)
    for table, wish, of_child in zip(tables, wanted, rows, strict=True):
        assert (table is not None) == wish
        if table is not None:
            assert decrypted(secret, table) == plain(codes[of_child], values[of_child])
    sibling = subtract_tables(parent, sum_by(column, codes, N_CODES, rows[0]), secret.public)
    assert decrypted(secret, sibling) == plain(codes[rows[1]], values[rows[1]])


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pairs_survive_summing_cutting_and_packing(secret, data):
    codes, _ = drawn_rows(data)
    n_rows, scale = len(codes), 1 << 24
    gradients = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(-scale, scale)))
    hessians = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, scale)))
    layout = PairLayout.for_gradients(secret.public.bits, 24, n_rows)
    column = EncryptedColumn.of(secret.encrypt(layout.join(gradients, hessians)), secret.public)
    candidates = candidates_of(counts_of(codes, max(N_CODES)), 1, 1)
    left = left_ciphertexts(sum_by(column, codes, N_CODES), candidates, secret.public)
    packed = shift_pack(left, layout.slots.slot_bits, layout.slots.slots, secret.public)
    values = layout.slots.unpack(secret.decrypt(packed), len(left))
    found_gradients, found_hessians = layout.separate(values)
    assert found_gradients == left_sums(sums_of(codes, gradients, max(N_CODES)), candidates).tolist()
    assert found_hessians == left_sums(sums_of(codes, hessians, max(N_CODES)), candidates).tolist()


@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_sums_fit_the_slot_and_do_not_touch_the_neighbour(sign):
    n_rows, scale_bits = 1023, 24
    layout = PairLayout.for_gradients(2048, scale_bits, n_rows)
    size = n_rows << scale_bits
    pairs = layout.join(np.array([sign * size, 1]), np.array([size, 2]))
    assert layout.separate(layout.slots.unpack(layout.slots.pack(pairs), 2)) == ([sign * size, 1], [size, 2])


def test_a_key_without_room_for_one_pair_is_refused():
    with pytest.raises(PackingOverflow):
        PairLayout.for_gradients(64, 24, 1000)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(2, 40), max_size=9), n_rows=st.integers(1, 300_000))
def test_plans_cover_every_feature_once_and_never_cost_more_than_single_features(sizes, n_rows):
    groups = plan_groups(n_rows, sizes)
    assert sorted(feature for group in groups for feature in group) == list(range(len(sizes)))
    cost = sum(group_cost(n_rows, [sizes[f] for f in group]) for group in groups)
    assert cost <= sum(group_cost(n_rows, [size]) for size in sizes) + 1e-6
    assert groups == plan_groups(n_rows, sizes)


def test_plans_follow_the_number_of_rows():
    sizes = [33] * 6
    assert all(len(group) == 1 for group in plan_groups(300, sizes))
    assert all(len(group) == 2 for group in plan_groups(100_000, sizes))
    # Yes/no fields are cheap to join even in small nodes.
    assert max(len(group) for group in plan_groups(1000, [3] * 6)) >= 4
    assert table_cost(100_000, sizes) < 0.65 * 6 * 100_000
    assert math.isclose(group_cost(10, [2]), 10 + group_cost(0, [2]))


def test_a_ciphertext_that_shares_a_factor_with_n_is_refused(secret):
    with pytest.raises(CiphertextInvalid):
        EncryptedColumn.of([secret.public.n * 5], secret.public)
