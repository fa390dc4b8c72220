"""Federated scorecard training equals the plaintext fit on the pooled columns: the same integers, the same weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorecard_scene import KEY_BITS, Scene, keys, over_the_wire
from sklearn.linear_model import LogisticRegression

from federation.metrics import auc, ks
from federation.roles import Rehearsal
from federation.scorecard_fit import ScorecardOptions, deal_batches, with_fewer_batches
from federation.scorecard_polynomial import OFFSET, LogisticPolynomial


@pytest.mark.parametrize("partners", [1, 2, 3])
@pytest.mark.parametrize("degree", [3, 5])
def test_the_federated_weights_are_the_plaintext_weights(partners, degree):
    scene = Scene(seed=partners, partners=partners)
    options = ScorecardOptions(degree=degree, passes=2, batches=3)
    results, _ = scene.train_together(options)
    twin = scene.train_in_the_clear(options)
    for name, expected in zip(scene.parties.all, twin, strict=True):
        assert results[name].intercept == pytest.approx(expected.intercept, abs=1e-9)
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)


@given(
    seed=st.integers(0, 10_000), passes=st.integers(1, 3), batches=st.integers(1, 4), l2=st.floats(0.01, 50)
)
@settings(max_examples=6, deadline=None)
def test_it_does_so_for_any_data_and_options(seed, passes, batches, l2):
    scene = Scene(seed=seed, partners=1 + seed % 2, n_rows=240)
    options = ScorecardOptions(degree=3, passes=passes, batches=batches, l2=l2)
    results, _ = scene.train_together(options)
    for name, expected in zip(scene.parties.all, scene.train_in_the_clear(options), strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)


def test_a_partner_of_whom_no_field_stays_still_takes_part():
    scene, options = Scene(seed=6, partners=2), ScorecardOptions(degree=3, passes=1, batches=2)
    scene.codes["carrier"], scene.woe["carrier"] = scene.codes["carrier"][:, :0], ()
    results, _ = scene.train_together(options)
    assert results["carrier"].weights == ()
    for name, expected in zip(scene.parties.all, scene.train_in_the_clear(options), strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)


def test_going_on_from_earlier_weights_is_the_same_as_well():
    scene, options = Scene(seed=5, partners=2), ScorecardOptions(degree=3, passes=1, batches=2)
    first, _ = scene.train_together(options)
    again, _ = scene.train_together(options, start=first)
    assert again != first
    twin = scene.train_in_the_clear(options, start=[first[name] for name in scene.parties.all])
    for name, expected in zip(scene.parties.all, twin, strict=True):
        assert again[name].weights == pytest.approx(expected.weights, abs=1e-9)


def test_the_fit_comes_close_to_scikit_learns_logistic_regression():
    scene = Scene(seed=8, partners=2, n_rows=6000, spread=0.35)
    options = ScorecardOptions(passes=6, batches=4)
    blocks = scene.train_in_the_clear(options)
    columns = [scene.columns(name)[scene.train] for name in scene.parties.all]
    exact = LogisticRegression(C=1.0, max_iter=1000).fit(np.hstack(columns), scene.label[scene.train])
    ours = np.concatenate([block.weights for block in blocks])
    test = np.setdiff1d(np.arange(len(scene.label)), scene.train)
    pooled = np.hstack([scene.columns(name) for name in scene.parties.all])[test]
    label = scene.label[test]
    assert auc(label, pooled @ ours) == pytest.approx(auc(label, exact.decision_function(pooled)), abs=0.002)
    assert ks(label, pooled @ ours) == pytest.approx(ks(label, exact.decision_function(pooled)), abs=0.005)
    assert blocks[0].intercept == pytest.approx(exact.intercept_[0], abs=0.15)


@given(
    degree=st.sampled_from([3, 5]),
    parts=st.lists(st.lists(st.integers(-OFFSET, OFFSET), min_size=3, max_size=3), min_size=2, max_size=4),
)
def test_a_polynomial_shifted_party_by_party_is_the_polynomial_of_the_sum(degree, parts):
    polynomial = LogisticPolynomial.fit(degree, 5.0)
    scores = [np.array(part, dtype=np.int64) for part in parts]
    label = np.array([0, 1, 1])
    rest = polynomial.coefficients_at(scores[0], label)
    for by in scores[1:]:
        rest = polynomial.shifted(rest, by)
    found = polynomial.residuals(sum(scores), label)
    assert rest[0].tolist() == found.tolist()
    assert max(abs(value) for value in found) < 1 << polynomial.residual_bits(len(parts))


@pytest.mark.parametrize(("degree", "error"), [(3, 0.035), (5, 0.015)])
def test_the_polynomial_is_near_the_logistic_function_where_rows_are(degree, error):
    polynomial = LogisticPolynomial.fit(degree, 5.0)
    u = np.linspace(-4, 4, 81)
    residuals = polynomial.residuals(np.rint(u * 256).astype(np.int64), np.zeros(81, dtype=np.int64))
    near = np.array([value / 2**polynomial.scale_bits for value in residuals])
    assert np.abs(near - 1 / (1 + np.exp(-np.rint(u * 256) / 256))).max() < error


def test_batches_follow_the_rows_and_not_their_order():
    options, own_rows = ScorecardOptions(batches=4), np.array([30, 10, 20, 50, 40, 70, 60])
    batch = deal_batches(own_rows, options, seed=3)
    assert {*batch.tolist()} <= {0, 1, 2, 3}
    order = np.array([2, 0, 1, 6, 5, 4, 3])
    assert deal_batches(own_rows[order], options, seed=3).tolist() == batch[order].tolist()


def test_keys_of_the_scene_are_the_size_of_tests():
    assert {key.public.bits for key in keys().values()} == {KEY_BITS}


def test_fewer_batches_are_dealt_where_rows_are_few():
    options = ScorecardOptions(batches=5, rows_per_column=20, min_batch_rows=100)

    def batches(options, n_rows, columns):
        return with_fewer_batches(options, np.arange(n_rows), columns, seed=1).batches

    assert batches(options, 10_000, 4) == 5
    found = batches(options, 399, 4)  # 100 rows are more than four times 20
    assert np.bincount(deal_batches(np.arange(399), options.with_batches(found), 1)).min() >= 100
    assert np.bincount(deal_batches(np.arange(399), options.with_batches(found + 1), 1)).min() < 100
    assert batches(options, 399, 10) == 1
    assert with_fewer_batches(options, np.arange(399), 10, 1).passes == options.steps  # as many steps
    assert batches(options, 50, 10) == 1  # and the roles refuse it
    many = ScorecardOptions(passes=3, batches=20)
    assert with_fewer_batches(many, np.arange(100), 10, 1).passes == 50  # of 60: no option allows more


def test_a_partner_takes_the_number_of_batches_that_were_dealt():
    scene = Scene(seed=5, partners=2)
    planned = ScorecardOptions(degree=3, passes=2, batches=5)
    dealt = with_fewer_batches(planned, scene.train, 4, seed=1)
    assert dealt.batches == 3
    roles = {"bank": scene.label_holder(dealt)}
    roles |= {name: scene.feature_holder(name, planned) for name in scene.parties.feature_holders}
    results = Rehearsal(roles, over_the_wire).run()
    for name, expected in zip(scene.parties.all, scene.train_in_the_clear(dealt), strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)
    assert all(role.progress.done == role.progress.total == 12 for role in roles.values())
