"""The benchmark of forgetting times equal outcomes only, on a table that is small enough for a test."""

import numpy as np
import pytest

from benchmarks.forgetting import Pair, forget_scorecard, forget_segments, forget_trees, without
from benchmarks.shards import synthetic
from privacy.parameters import profile_named


@pytest.fixture(scope="module")
def pair():
    return Pair(synthetic(240), profile_named("TESTING_ONLY"))


def test_without_takes_that_many_out_and_the_same_each_time():
    rows = np.arange(100)
    assert len(without(rows, 10)) == 90
    assert without(rows, 10).tolist() == without(rows, 10).tolist()


@pytest.mark.parametrize("forget", [forget_segments, forget_scorecard])
def test_a_model_without_the_people_is_equal(pair, forget):
    found = forget(pair, np.arange(240), 5)
    assert found.is_equal
    assert found.forget_seconds > 0
    assert found.ratio == found.forget_seconds / found.train_seconds


def test_trees_without_the_people_are_equal():
    assert forget_trees(synthetic(300), 2, 1, 512).is_equal
