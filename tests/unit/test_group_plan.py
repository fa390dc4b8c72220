"""The planner of the encrypted group-by: which sizes choose what, and that it counts what is really multiplied."""

import time

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.group_plan import (
    FULL_PRODUCT,
    MAXIMUM_JOINT_CELLS,
    READING,
    group_cost,
    plan_groups,
    plan_near,
    plan_sums,
    subtraction_pays,
)
from privacy.paillier import PublicKey

BINS = 33
"""32 value bins and the code for missing values."""


def group_sizes(n_rows, n_codes):
    return sorted((len(group) for group in plan_sums(n_rows, tuple(n_codes)).partition), reverse=True)


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), max_size=9), n_rows=st.integers(0, 3_000_000))
def test_plans_cover_every_feature_once_and_never_cost_more_than_single_features(sizes, n_rows):
    groups = plan_groups(n_rows, sizes)
    assert sorted(feature for group in groups for feature in group) == list(range(len(sizes)))
    plan = plan_sums(n_rows, tuple(sizes), max(n_rows // 2, 1))
    assert plan.products <= plan.single + 1e-6
    assert all(group.cells <= MAXIMUM_JOINT_CELLS for group in plan.groups)
    assert groups == plan_groups(n_rows, sizes)


@pytest.mark.parametrize(
    ("n_rows", "n_features", "sizes"),
    [
        (300, 6, [1] * 6),
        (1_000, 6, [1] * 6),
        (3_000, 6, [2] * 3),
        (100_000, 6, [2] * 3),
        (100_000, 10, [2] * 5),
        (100_000, 9, [3, 2, 2, 2]),  # the ninth feature is cheapest in a triple
        (200_000, 9, [3] * 3),
        (1_000_000, 9, [3] * 3),
        (1_000_000, 10, [3, 3, 2, 2]),
        (10_000_000, 12, [3] * 4),  # four features would have more joint cells than are kept
    ],
)
def test_plans_follow_the_number_of_rows(n_rows, n_features, sizes):
    assert group_sizes(n_rows, [BINS] * n_features) == sizes


def test_yes_no_fields_are_joined_in_small_nodes():
    assert max(group_sizes(1000, [3] * 6)) >= 4


def test_joining_saves_half_in_pairs_and_more_in_triples():
    pairs, triples = plan_sums(100_000, (BINS,) * 10), plan_sums(1_000_000, (BINS,) * 9)
    assert pairs.products < 0.53 * pairs.single
    assert triples.products < 0.37 * triples.single
    assert pairs.naive == FULL_PRODUCT * 10 * 100_000


@pytest.mark.parametrize(
    ("n_distinct", "merge"), [(100_000, False), (80_000, False), (60_000, False), (40_000, True), (50, True)]
)
def test_equal_rows_are_merged_when_distinct_ones_are_few(n_distinct, merge):
    plan = plan_sums(100_000, (BINS,) * 10, n_distinct)
    assert plan.merge == merge
    assert plan.products <= plan_sums(100_000, (BINS,) * 10).products


def test_few_distinct_rows_cost_little_more_than_one_product_per_row():
    assert plan_sums(100_000, (BINS,) * 10, 50).products < 102_000


def test_subtraction_pays_in_large_nodes_only():
    n_codes = (BINS,) * 10
    small, large = plan_sums(9_000, n_codes), plan_sums(11_000, n_codes)
    assert subtraction_pays(small, large, n_codes, summed_anyway=True)
    assert subtraction_pays(small, large, n_codes, summed_anyway=False)
    assert not subtraction_pays(plan_sums(10_900, n_codes), large, n_codes, summed_anyway=False)
    tiny = plan_sums(60, n_codes)
    assert not subtraction_pays(tiny, plan_sums(70, n_codes), n_codes, summed_anyway=True)


def test_nodes_of_about_one_size_share_a_plan():
    assert plan_near(100_001, [BINS] * 4) is plan_near(100_500, [BINS] * 4)
    assert plan_near(100_001, [BINS] * 4, 100_001).n_distinct <= 100_001


def test_hundreds_of_fields_are_planned_in_a_moment():
    sizes = tuple(3 + 5 * (feature % 7) for feature in range(300))
    started = time.process_time()
    plan_groups(100_000, sizes)
    assert time.process_time() - started < 3


class Counted(int):
    """An integer that counts the products it takes part in, by the size of the other factor."""

    half_bits = 128
    half = full = 0

    def __mul__(self, other):
        sizes = sorted((self.bit_length(), other.bit_length()))
        if sizes[0] > Counted.half_bits:
            Counted.full += 1
        else:
            Counted.half += 1
        return Counted(int(self) * int(other))

    def __mod__(self, modulus):
        return Counted(int(self) % int(modulus))


KEY = PublicKey((1 << 127) - 1)
"""Not a key: only a modulus, so that its products can be counted."""


def counted_products(codes, n_codes, merging=True):
    """Half-size products that `sum_by` performs, a full one counted as the planner does."""
    rng = np.random.default_rng(3)
    halves = [
        [
            Counted((int(high) << 64) | int(low) | 1)
            for high, low in rng.integers(2**61, 2**62, (len(codes), 2))
        ]
        for _ in range(2)
    ]
    column = EncryptedColumn(KEY, halves)
    coded = CodedRows(codes, n_codes)
    plan = plan_sums(len(codes), tuple(n_codes), coded.distinct(np.arange(len(codes))) if merging else None)
    Counted.half = Counted.full = 0
    table = sum_by(column, coded, plan=plan)
    # Reading a code costs one half-size product in here, and two smaller steps that are not products modulo n^2.
    read = sum(cell != mpz(1) for row in table for cell in row)
    return plan, Counted.half + FULL_PRODUCT * Counted.full + (READING - 1) * read


def uniform(n_rows, n_codes, seed=5):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, n_rows) for size in n_codes], axis=1).astype(np.uint8)


@pytest.mark.parametrize(
    ("n_rows", "n_codes", "sizes"),
    [
        (500, (20, 30), [1, 1]),
        (5_000, (20, 20, 20, 20), [2, 2]),
        (20_000, (16, 16, 15), [3]),
        (20_000, (9, 10, 11, 9, 10, 11), [4, 2]),
        (3_000, (3, 2, 3, 2, 3), [5]),
    ],
)
def test_the_planner_counts_what_is_multiplied(n_rows, n_codes, sizes):
    """On uniform, independent codes: within 2 %."""
    plan, products = counted_products(uniform(n_rows, n_codes), n_codes, merging=False)
    assert sorted((len(group) for group in plan.partition), reverse=True) == sizes
    assert products == pytest.approx(plan.products, rel=0.02)


def test_the_planner_counts_what_is_multiplied_among_merged_rows():
    """Merged rows are counted as full-size ones, which lone rows are not: between 10 % too much and the draw's 1 %."""
    n_codes = (33, 33, 33, 33)
    codes = uniform(300, n_codes)[np.random.default_rng(6).integers(0, 300, 4_000)]
    plan, products = counted_products(codes, n_codes)
    assert plan.merge
    assert 0.9 * plan.products <= products <= 1.01 * plan.products


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), skew=st.floats(0, 4), n_rows=st.integers(50, 2_000))
def test_other_codes_need_no_more_than_was_counted(seed, skew, n_rows):
    """Skewed and dependent codes occupy fewer cells; 3 % is for the draw."""
    n_codes = (6, 7, 8, 9)
    rng = np.random.default_rng(seed)
    shared = rng.random(n_rows) ** (1 + skew)
    noise = rng.random((n_rows, len(n_codes))) ** (1 + skew)
    mixed = np.where(rng.random((n_rows, len(n_codes))) < 0.3, shared[:, None], noise)
    codes = (mixed * np.array(n_codes)).astype(np.uint8)
    plan, products = counted_products(codes, n_codes)
    assert products <= 1.03 * plan.products


def test_one_feature_costs_a_product_per_row():
    assert group_cost(1000, (2,)) == pytest.approx(1000 - 2 + 2 * READING)
