"""Weighted sums of encrypted numbers equal the integer matrix product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from privacy import weighted_sums as module
from privacy.paillier import from_half_form, to_half_form
from privacy.paillier_secret import SecretKey
from privacy.weighted_sums import choose_window, weighted_sums, window_cost

KEY = SecretKey.generate(512, testing_only=True)
POOL = KEY.encrypt(list(range(-20, 21)))
VALUES = list(range(-20, 21))

extremes = st.sampled_from([0, 0, 1, -1, 2**15 - 1, -(2**15), 2**31, -(2**31), 2**63 - 1, -(2**63)])
weights_of = hnp.array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=9).flatmap(
    lambda shape: hnp.arrays(np.int64, shape, elements=extremes | st.integers(-(2**63), 2**63 - 1))
)


def expected_sums(weights: np.ndarray, values: list[int]) -> list[int]:
    return [sum(x * v for x, v in zip(row, values, strict=True)) for row in weights.tolist()]


@given(weights=weights_of, data=st.data())
@settings(max_examples=80, deadline=None)
def test_sums_equal_those_of_integers(weights: np.ndarray, data: st.DataObject) -> None:
    n = weights.shape[1]
    places = data.draw(st.lists(st.integers(0, len(VALUES) - 1), min_size=n, max_size=n))
    if n:
        weights[:, data.draw(st.integers(0, n - 1))] = 0  # a column that nobody weighs
    a, t = to_half_form([POOL[i] for i in places], KEY.public)
    sums = weighted_sums(weights, a, t, KEY.public)
    assert KEY.decrypt(sums) == expected_sums(weights, [VALUES[i] for i in places])
    for row, c in zip(weights, sums, strict=True):
        assert row.any() or c == 1
        # The very number that powers and products give.
        terms = [from_half_form(x, y, KEY.public) for x, y in zip(a, t, strict=True)]
        assert c == KEY.public.sum(KEY.public.scale(terms, row.tolist()))


@pytest.mark.parametrize("window", range(1, 9))
def test_no_window_changes_the_sums(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose_window", lambda n_terms, weight_bits: window)
    rng = np.random.default_rng(window)
    weights = rng.integers(-(2**15), 2**15, (3, len(VALUES)))
    weights[2] = np.abs(weights[2])
    sums = weighted_sums(weights, *to_half_form(POOL, KEY.public), KEY.public)
    assert KEY.decrypt(sums) == (weights @ np.array(VALUES)).tolist()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.uint8, np.uint64])
def test_every_integer_type_is_taken(dtype: type) -> None:
    limits = np.iinfo(dtype)
    weights = np.array([[limits.min, limits.max, 1, 0]], dtype=dtype)
    sums = weighted_sums(weights, *to_half_form(POOL[:4], KEY.public), KEY.public)
    assert KEY.decrypt(sums) == expected_sums(weights, VALUES[:4])


def test_shapes_and_types_that_do_not_fit_are_refused() -> None:
    a, t = to_half_form(POOL[:4], KEY.public)
    for shape in ((4,), (2, 3), (1, 2, 2)):
        with pytest.raises(ValueError, match="shape"):
            weighted_sums(np.ones(shape, dtype=np.int64), a, t, KEY.public)
    with pytest.raises(ValueError, match="halves"):
        weighted_sums(np.ones((1, 4), dtype=np.int64), a, t[:3], KEY.public)
    for wrong in (np.ones((1, 4)), np.ones((1, 4), dtype=bool), np.array([["1"] * 4])):
        with pytest.raises(TypeError, match="integers"):
            weighted_sums(wrong, a, t, KEY.public)


def test_the_window_follows_the_counted_cost() -> None:
    for n_terms, bits in ((1, 1), (1, 15), (500, 15), (2_100, 15), (10_000, 15), (10**6, 31)):
        chosen = choose_window(n_terms, bits)
        costs = [window_cost(n_terms, bits, window) for window in range(1, min(bits, 14) + 1)]
        assert costs[chosen - 1] == min(costs)
    assert choose_window(500, 15) < choose_window(2_100, 15) <= choose_window(10**6, 16)
    assert choose_window(5, 1) == 1


def test_the_model_counts_what_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of halves, counted while they are made, against the model's share of them."""
    counted = 0
    product_of_halves = module.product_of_halves

    def counting(a_values: list, key: object) -> object:
        nonlocal counted
        counted += len(a_values) - 1
        return product_of_halves(a_values, key)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "product_of_halves", counting)
    rng = np.random.default_rng(0)
    n_terms, window = 600, 5
    monkeypatch.setattr(module, "choose_window", lambda n_terms, weight_bits: window)
    weights = rng.integers(0, 2**15, (1, n_terms))
    a, t = to_half_form([POOL[i % len(POOL)] for i in range(n_terms)], KEY.public)
    weighted_sums(weights, a, t, KEY.public)
    buckets = 2**window - 1
    model = window_cost(n_terms, 15, window) - module.FULL_PRODUCT * (3 * 2 * buckets + 2 * (window + 1))
    assert counted == pytest.approx(model, rel=0.03)


def test_fewer_products_than_one_power_per_term() -> None:
    """At 16-bit signed weights a term costs a few half-size products, not the thirty of a power of its own."""
    n_terms = 4_200
    per_term = 2 * window_cost(n_terms // 2, 15, choose_window(n_terms // 2, 15)) / n_terms
    assert per_term < 3
