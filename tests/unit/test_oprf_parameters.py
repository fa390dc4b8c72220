"""Sizes of the matrices: the paper's table, exact fractions, and simulated bucket loads."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import ConfigInvalid
from privacy.oprf_parameters import (
    SECURITY_BITS,
    STATISTICAL_BITS,
    bucket_capacity,
    minimum_width,
    parameters,
)
from privacy.texts import LANGUAGES

# Chase and Miao 2020, table 1 (equal sets, semi-honest, height = n): log2 n -> w.
PUBLISHED = {8: 585, 10: 591, 12: 597, 14: 603, 16: 609, 18: 615, 20: 621, 22: 627, 24: 633}


@pytest.mark.parametrize("log_n", PUBLISHED)
def test_widths_of_the_paper(log_n):
    assert minimum_width(2**log_n, 2**log_n, 2**log_n) == PUBLISHED[log_n]


def failure(width, height, n_receiver):
    """Pr[Binomial(width, p) < SECURITY_BITS] from whole numbers; p is rounded down to 200 bits."""
    scale = 2**200
    met = Fraction(height - 1, height) ** n_receiver
    ones = met.numerator * scale // met.denominator
    total = sum(
        comb(width, count) * ones**count * (scale - ones) ** (width - count) for count in range(SECURITY_BITS)
    )
    return Fraction(total, scale**width)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 600), st.integers(1, 10**8))
def test_the_width_is_the_smallest_that_is_safe(n_receiver, n_sender):
    scheme = parameters(n_receiver, n_sender)
    width = minimum_width(scheme.height, scheme.capacity, n_sender)
    bound = Fraction(1, 2**STATISTICAL_BITS)
    assert n_sender * failure(width, scheme.height, scheme.capacity) <= bound
    assert width == SECURITY_BITS or n_sender * failure(width - 1, scheme.height, scheme.capacity) > bound


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5 * 10**7), st.integers(1, 5 * 10**7))
def test_sizes_fit_together(n_receiver, n_sender):
    scheme = parameters(n_receiver, n_sender)
    assert scheme.n_buckets * scheme.capacity >= n_receiver
    assert scheme.capacity == bucket_capacity(n_receiver, scheme.n_buckets)
    assert 2 * scheme.capacity <= scheme.height <= 2**16
    assert scheme.height & (scheme.height - 1) == 0
    assert scheme.width % 8 == 0
    assert 0 <= scheme.width - minimum_width(scheme.height, scheme.capacity, n_sender) < 8
    assert scheme.correction_bytes * 8 == scheme.width * scheme.height


@pytest.mark.parametrize(("n_items", "n_buckets"), [(60, 2), (300, 5), (1000, 3)])
def test_a_capacity_is_exceeded_with_the_promised_probability_at_most(n_items, n_buckets):
    """Union bound on the exact binomial tail, in whole numbers."""
    capacity = bucket_capacity(n_items, n_buckets)
    over = sum(
        comb(n_items, load) * (n_buckets - 1) ** (n_items - load) for load in range(capacity + 1, n_items + 1)
    )
    assert n_buckets * Fraction(over, n_buckets**n_items) <= Fraction(1, 2**STATISTICAL_BITS)
    assert capacity < n_items


def test_capacities_are_near_the_loads_that_occur():
    generator = np.random.default_rng(3)
    loads = np.bincount(generator.integers(0, 32, 1_000_000), minlength=32)
    assert loads.max() <= bucket_capacity(1_000_000, 32) <= 1.05 * loads.max()


@pytest.mark.parametrize(("n_receiver", "n_sender"), [(0, 5), (5, 0), (-1, 5)])
def test_empty_lists_are_refused(n_receiver, n_sender):
    with pytest.raises(ConfigInvalid) as caught:
        parameters(n_receiver, n_sender)
    assert caught.value.key == "oprf_list_empty"
    assert all(caught.value.render(language) for language in LANGUAGES)
