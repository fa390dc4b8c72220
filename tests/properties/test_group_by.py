"""The encrypted group-by against plain sums and against the naive plan, for every kind of plan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from federation import encrypted_column, group_by, pair_layout
from federation.binning import candidates_of, counts_of
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, Division, child_tables, left_ciphertexts, subtract_tables, sum_by
from federation.group_plan import JointGroup, Plan
from federation.pair_layout import PairLayout
from federation.trees import left_sums, sums_of
from privacy.errors import CiphertextInvalid, PackingOverflow
from privacy.paillier_secret import SecretKey
from privacy.parallel import Workers

N_CODES = (4, 6, 3)
SINGLE = ((0,), (1,), (2,))
PARTITIONS = [SINGLE, ((0, 1), (2,)), ((0, 1, 2),), ((1,), (2, 0)), None]
TWO = Workers(n_jobs=2)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture
def eager(monkeypatch):
    """Other processes are worth it for the smallest work."""
    monkeypatch.setattr(group_by, "PRODUCTS_PER_PROCESS", 1)
    monkeypatch.setattr(encrypted_column, "ROWS_PER_PROCESS", 5)
    monkeypatch.setattr(pair_layout, "PACKED_PER_PROCESS", 1)


def planned(partition, merge=False):
    """A plan that nobody chose by cost."""
    if partition is None:
        return None
    groups = tuple(JointGroup(features, 0, 0.0) for features in partition)
    return Plan(0, None, merge, groups, products=1e9, single=0.0, naive=0.0)


def decrypted(secret, table):
    return [secret.decrypt(row) for row in table]


def plain(codes, values):
    return [
        [int(values[codes[:, f] == code].sum()) for code in range(size)] for f, size in enumerate(N_CODES)
    ]


def naive(codes, ciphertexts, key):
    """One full-size product per row and feature."""
    table = [[1] * size for size in N_CODES]
    for row, ciphertext in zip(codes.tolist(), ciphertexts, strict=True):
        for feature, code in enumerate(row):
            table[feature][code] = table[feature][code] * ciphertext % key.n_squared
    return table


def drawn_rows(data, most=40):
    """Codes and values; few different rows, so that some are equal and some are not."""
    n_rows = data.draw(st.integers(1, most))
    columns = [data.draw(hnp.arrays(np.uint8, n_rows, elements=st.integers(0, size - 1))) for size in N_CODES]
    values = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(-(2**40), 2**40)))
    return np.stack(columns, axis=1), values


@settings(max_examples=20, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("partition", PARTITIONS)
def test_sums_equal_plain_sums_and_the_naive_plan_under_any_plan(secret, partition, merge, data):
    codes, values = drawn_rows(data)
    ciphertexts = secret.encrypt(values.tolist())
    column = EncryptedColumn.of(ciphertexts, secret.public)
    table = sum_by(column, CodedRows(codes, N_CODES), plan=planned(partition, merge))
    assert table == naive(codes, ciphertexts, secret.public)
    assert decrypted(secret, table) == plain(codes, values)


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_children_equal_plain_sums_however_they_are_computed(secret, data):
    codes, values = drawn_rows(data)
    column = EncryptedColumn.of(secret.encrypt(values.tolist()), secret.public)
    coded = CodedRows(codes, N_CODES)
    parent = sum_by(column, coded)
    divisions, expected = [], []
    for _ in range(2):
        left = data.draw(hnp.arrays(np.bool_, len(codes)))
        wanted = data.draw(st.tuples(st.booleans(), st.booleans()))
        rows = np.flatnonzero(left), np.flatnonzero(~left)
        divisions.append(Division(parent, rows, wanted))
        expected.append(
            [plain(codes[r], values[r]) if wish else None for r, wish in zip(rows, wanted, strict=True)]
        )
    found = child_tables(column, coded, divisions)
    assert [[t and decrypted(secret, t) for t in pair] for pair in found] == expected
    sibling = subtract_tables(parent, sum_by(column, coded, rows[0]), secret.public)
    assert decrypted(secret, sibling) == plain(codes[rows[1]], values[rows[1]])


def test_a_large_sibling_is_found_by_subtraction(secret, monkeypatch):
    rng = np.random.default_rng(1)
    codes = np.stack([rng.integers(0, size, 400) for size in N_CODES], axis=1).astype(np.uint8)
    values = rng.integers(-1000, 1000, 400)
    column = EncryptedColumn.of(secret.encrypt(values.tolist()), secret.public)
    coded = CodedRows(codes, N_CODES)
    subtracted = []
    monkeypatch.setattr(group_by, "subtract_tables", lambda *a: subtracted.append(a) or subtract_tables(*a))
    rows = np.arange(300), np.arange(300, 400)
    division = Division(sum_by(column, coded), rows, (True, True))
    [tables] = child_tables(column, coded, [division])
    assert len(subtracted) == 1
    assert [decrypted(secret, t) for t in tables] == [plain(codes[r], values[r]) for r in rows]


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("duplicated", [False, True])
def test_two_processes_give_the_same_numbers(secret, duplicated):
    rng = np.random.default_rng(7)
    codes = np.stack([rng.integers(0, size, 90) for size in N_CODES], axis=1).astype(np.uint8)
    if duplicated:
        codes = codes[rng.integers(0, 6, 90)]
    values = rng.integers(-(2**30), 2**30, 90)
    key, coded = secret.public, CodedRows(codes, N_CODES)
    data = key.dump(secret.encrypt(values.tolist()))
    column = EncryptedColumn.load(data, 90, key)
    elsewhere = EncryptedColumn.load(data, 90, key, TWO)
    rows = np.arange(90)
    assert elsewhere.halves(rows) == column.halves(rows)
    table = sum_by(column, coded)
    assert decrypted(secret, table) == plain(codes, values)
    for loaded in (column, elsewhere):
        for partition in PARTITIONS:
            for merge in (False, True):
                assert sum_by(loaded, coded, plan=planned(partition, merge), workers=TWO) == table
        assert sum_by(loaded, coded, workers=TWO) == table
    divisions = [
        Division(table, (rows[::3], np.setdiff1d(rows, rows[::3])), wanted)
        for wanted in [(True, True), (False, True), (True, False)]
    ]
    found = child_tables(elsewhere, coded, divisions, workers=TWO)
    assert found == child_tables(column, coded, divisions)
    layout = PairLayout.for_gradients(key.bits, 24, 90)
    sums = [cell for row in table for cell in row]
    assert layout.pack(sums, key, TWO) == layout.pack(sums, key)


@pytest.mark.usefixtures("eager")
def test_a_bad_ciphertext_is_refused_by_every_process(secret):
    key = secret.public
    good = secret.encrypt([1] * 20)
    with pytest.raises(CiphertextInvalid) as refused:
        EncryptedColumn.load(key.dump([*good[:-1], key.n * 5]), 20, key, TWO)
    assert refused.value.key == "ciphertext_not_a_unit"
    with pytest.raises(CiphertextInvalid) as refused:
        EncryptedColumn.load(key.dump(good)[:-1], 20, key, TWO)
    assert refused.value.key == "ciphertext_length"


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pairs_survive_summing_cutting_and_packing(secret, data):
    codes, _ = drawn_rows(data)
    n_rows, scale = len(codes), 1 << 24
    gradients = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(-scale, scale)))
    hessians = data.draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, scale // 4)))
    layout = PairLayout.for_gradients(secret.public.bits, 24, n_rows)
    column = EncryptedColumn.of(secret.encrypt(layout.join(gradients, hessians)), secret.public)
    candidates = candidates_of(counts_of(codes, max(N_CODES)), 1, 1)
    left = left_ciphertexts(sum_by(column, CodedRows(codes, N_CODES)), candidates, secret.public)
    values = layout.slots.unpack(secret.decrypt(layout.pack(left, secret.public)), len(left))
    found_gradients, found_hessians = layout.separate(values)
    assert found_gradients == left_sums(sums_of(codes, gradients, max(N_CODES)), candidates).tolist()
    assert found_hessians == left_sums(sums_of(codes, hessians, max(N_CODES)), candidates).tolist()


@pytest.mark.parametrize("sign", [-1, 1])
def test_extreme_sums_fit_the_slot_and_do_not_touch_the_neighbour(sign):
    n_rows, scale_bits = 1023, 24
    layout = PairLayout.for_gradients(2048, scale_bits, n_rows)
    gradient, hessian = sign * (n_rows << scale_bits), n_rows << (scale_bits - 2)
    pairs = layout.join(np.array([gradient, 1]), np.array([hessian, 2]))
    unpacked = layout.slots.unpack(layout.slots.pack(pairs), 2)
    assert layout.separate(unpacked) == ([gradient, 1], [hessian, 2])


def test_a_key_without_room_for_one_pair_is_refused():
    with pytest.raises(PackingOverflow):
        PairLayout.for_gradients(64, 24, 1000)


def test_a_ciphertext_that_shares_a_factor_with_n_is_refused(secret):
    with pytest.raises(CiphertextInvalid):
        EncryptedColumn.of([secret.public.n * 5], secret.public)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), wide=st.booleans())
def test_patterns_are_equal_where_rows_are(data, wide):
    """wide: so many features that their codes together leave 64 bits."""
    n_rows, n_features = data.draw(st.integers(1, 12)), 30 if wide else 3
    codes = data.draw(hnp.arrays(np.uint8, (n_rows, n_features), elements=st.integers(0, 1)))
    if wide:
        codes[:, ::2] *= 254
    coded = CodedRows(codes, (255 if wide else 2,) * n_features)
    equal = (codes[:, None, :] == codes[None, :, :]).all(axis=2)
    n_distinct = len({row.tobytes() for row in codes})
    assert coded.distinct(np.arange(n_rows)) == n_distinct
    if coded.patterns is None:
        assert n_distinct == n_rows
    else:
        assert ((coded.patterns[:, None] == coded.patterns[None, :]) == equal).all()
        assert 0 <= coded.patterns.min() <= coded.patterns.max() < n_rows
