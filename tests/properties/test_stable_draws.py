"""Nobody's side of a split and nobody's batch changes when another row leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.plans import split_rows
from federation.jobs import RiskPlan
from federation.scorecard_fit import ScorecardOptions, deal_batches
from federation.stable_draws import held_out, uniforms
from privacy.errors import ConfigInvalid

PLACES = st.lists(st.integers(0, 5_000), min_size=2, max_size=300, unique=True)


@given(PLACES, st.data(), st.integers(0, 2**32 - 1))
def test_draws_stay_whoever_leaves_and_in_whatever_order(places, data, seed):
    rows = np.array(places)
    stays = np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    order = np.array(data.draw(st.permutations(range(int(stays.sum())))), dtype=np.int64)
    before, after = uniforms(seed, rows), uniforms(seed, rows[stays][order])
    assert np.array_equal(before[stays][order], after)
    assert ((before >= 0) & (before < 1)).all()


@given(PLACES, st.data(), st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_batches_stay_when_rows_leave(places, data, seed, batches):
    rows, options = np.array(places), ScorecardOptions(batches=batches)
    gone = data.draw(st.integers(0, len(rows) - 1))
    before, after = deal_batches(rows, options, seed), deal_batches(np.delete(rows, gone), options, seed)
    assert np.array_equal(np.delete(before, gone), after)
    assert before.min() >= 0
    assert before.max() < batches


@given(PLACES, st.data(), st.integers(0, 2**32 - 1))
def test_a_split_stays_when_rows_leave_as_far_as_every_label_is_on_both_sides(places, data, seed):
    rows = np.array(places)
    label = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(rows), max_size=len(rows))), np.int8)
    plan = RiskPlan(seed=seed)
    gone = data.draw(st.integers(0, len(rows) - 1))
    _, before = split_rows(plan, rows, label)
    _, after = split_rows(plan, np.delete(rows, gone), np.delete(label, gone))
    was_held, is_held = np.isin(np.arange(len(rows)), before), np.isin(np.arange(len(rows) - 1), after)
    moved = np.flatnonzero(np.delete(was_held, gone) != is_held)
    same_label = np.delete(label, gone) == label[gone]
    # Only of the label of the row that left, and only when that row was the last of them on its side.
    assert len(moved) <= 1
    assert same_label[moved].all()
    if len(moved):
        assert (was_held[label == label[gone]] == was_held[gone]).sum() == 1


def test_about_the_share_of_either_label_is_held_out_and_every_seed_draws_anew():
    rows = np.arange(40_000)
    label = (np.arange(40_000) % 10 == 0).astype(np.int8)
    train, test = split_rows(RiskPlan(test_share=0.3, seed=5), rows, label)
    assert np.array_equal(np.sort(np.concatenate([train, test])), rows)
    assert label[test].mean() == pytest.approx(0.1, abs=0.01)
    assert len(test) / len(rows) == pytest.approx(0.3, abs=0.01)
    assert not np.array_equal(test, split_rows(RiskPlan(test_share=0.3, seed=6), rows, label)[1])


def test_split_and_batches_are_drawn_apart():
    rows, label = np.arange(10_000), np.zeros(10_000, np.int8)
    train, _ = split_rows(RiskPlan(test_share=0.5, seed=5), rows, label)
    sizes = np.bincount(deal_batches(train, ScorecardOptions(batches=4), seed=5), minlength=4)
    assert sizes.min() > 1_100  # of about 5000 / 4


def test_a_label_is_on_both_sides_where_it_has_two_rows():
    draws = np.array([0.9, 0.8, 0.1, 0.2, 0.05])
    assert held_out(np.array([0, 0, 1, 1, 1]), draws, 0.3).tolist() == [False, True, True, False, True]
    assert held_out(np.array([1, 1, 1, 1, 0]), draws, 0.3).tolist() == [False, False, True, True, False]


def test_the_first_words_of_the_stream_are_known():
    # Records of jobs outlive versions of NumPy: their draws must not change.
    assert uniforms(42, np.array([2, 0])).tolist() == [0.8585979199113825, 0.7739560485559633]


def test_a_place_is_not_negative():
    with pytest.raises(ConfigInvalid):
        uniforms(1, np.array([3, -1]))
    assert len(uniforms(1, np.array([], dtype=np.int64))) == 0
