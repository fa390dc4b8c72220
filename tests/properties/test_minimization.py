"""Coarser values: order, means and gaps stay; small buckets, extremes and the order of rows do not matter."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy.catalog import parse_treatment
from privacy.minimization import minimise

GAP = float("nan")
amounts = st.one_of(
    st.just(GAP),
    st.floats(-1e12, 1e12, allow_subnormal=False),
    st.integers(-3, 3).map(float),  # ties
)
columns = arrays.arrays(np.float64, st.integers(0, 80), elements=amounts)
bucket_counts = st.integers(1, 30)
smallests = st.integers(1, 20)
KINDS = (
    "bucket:5",
    "bucket:20",
    "age_band:5",
    "age_band:3",
    "year:1",
    "year:5",
    "year:4",
    "first_digit",
    "use",
)


def in_buckets(values, buckets, smallest):
    return minimise(values, parse_treatment(f"bucket:{buckets}"), smallest)


@given(columns, bucket_counts, smallests)
@settings(max_examples=200)
@example(np.array([1e12, -1e12, 0.1, 0.1, 0.1]), 5, 1)
def test_buckets_are_large_ordered_and_true_to_the_mean(values, buckets, smallest):
    done = in_buckets(values, buckets, smallest)
    known = np.isfinite(values)
    assert np.array_equal(known, np.isfinite(done.values)), "gaps stay gaps"
    found, sizes = np.unique(done.values[known], return_counts=True)
    assert len(found) <= done.buckets <= buckets
    if known.sum() >= smallest:
        assert (sizes >= smallest).all()
    else:
        assert len(found) <= 1
    order = np.argsort(values[known], kind="stable")
    assert (np.diff(done.values[known][order]) >= 0).all(), "who had more never has less"
    for value in np.unique(values[known]):
        assert len(set(done.values[values == value].tolist())) == 1, "equal values stay equal"
    if known.any():
        largest = np.abs(values[known]).max()
        assert abs(done.values[known].sum() - values[known].sum()) <= 1e-10 * known.sum() * largest + 1e-9
        assert values[known].min() <= done.values[known].min()
        assert (
            done.values[known].max()
            <= values[known].max() * (1 + 1e-12 * np.sign(values[known].max())) + 1e-9
        )


@given(columns, st.sampled_from(KINDS), smallests)
@settings(max_examples=200)
def test_twice_is_once(values, kind, smallest):
    treatment = parse_treatment(kind)
    once = minimise(values, treatment, smallest)
    twice = minimise(once.values, treatment, smallest)
    assert np.array_equal(once.values, twice.values, equal_nan=True)
    assert twice.kind == once.kind


@given(columns, st.sampled_from(KINDS), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(values, kind, random):
    order = list(range(len(values)))
    random.shuffle(order)
    treatment = parse_treatment(kind)
    straight = minimise(values, treatment, 3).values[order]
    shuffled = minimise(values[order], treatment, 3).values
    assert np.allclose(straight, shuffled, rtol=1e-9, atol=1e-6, equal_nan=True)


@given(columns, st.sampled_from(KINDS))
def test_the_values_given_stay_as_they_are(values, kind):
    before = values.copy()
    minimise(values, parse_treatment(kind), 3)
    assert np.array_equal(before, values, equal_nan=True)


@given(
    arrays.arrays(np.float64, st.integers(1, 50), elements=st.integers(0, 119).map(float)), st.integers(1, 20)
)
def test_a_band_of_ages_holds_the_age(ages, years):
    done = minimise(ages, parse_treatment(f"age_band:{years}"), 1).values
    assert (np.abs(done - ages) <= years / 2).all()
    assert (done % years == years / 2).all()


def test_a_dates_year_is_all_that_stays():
    values = np.array([20190531.0, 201905.0, 2019.0, 2020.0, 0.0, -5.0, 1.7e9, GAP])
    done = minimise(values, parse_treatment("year"), 1).values
    assert done[:4].tolist() == [2019.0, 2019.0, 2019.0, 2020.0]
    assert np.isnan(done[4:]).all(), "no date"


def test_first_digits():
    values = np.array([0.0, 7.0, 42.0, 999.0, 1000.0, 1e15, -3.0, -35.0, 0.5])
    assert minimise(values, parse_treatment("first_digit"), 1).values.tolist() == [
        0,
        7,
        4,
        9,
        1,
        1,
        -3,
        -3,
        0,
    ]


def test_no_extreme_stays():
    values = np.random.default_rng(1).lognormal(9, 1, 10_000)
    done = in_buckets(values, 20, 50)
    assert done.buckets == len(np.unique(done.values)) == 20
    assert done.kind == "quantiles"
    assert done.values.max() < values.max()
    assert done.values.min() > values.min()
    assert not np.isin(values, done.values).any()


def test_small_buckets_join_their_neighbours():
    values = np.repeat([1.0, 2.0, 3.0, 4.0], [100, 3, 3, 60])
    found, sizes = np.unique(in_buckets(values, 100, 50).values, return_counts=True)
    assert sizes.tolist() == [100, 66]
    assert found.tolist() == [1.0, pytest.approx((6 + 9 + 240) / 66)]


@pytest.mark.parametrize("kind", ["use", "drop", "token"])
def test_without_a_coarseness_values_stay(kind):
    values = np.array([1.5, GAP, -7.0])
    done = minimise(values, parse_treatment(kind), 50)
    assert np.array_equal(done.values, values, equal_nan=True)
    assert (done.kind, done.buckets) == ("none", 0)
