"""The benchmark of trees over splits: both kinds of trees learn, and what is worse on average is said to be."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.boosting_splits import Difference, compare
from benchmarks.risk_over_flower import holds
from benchmarks.shards import synthetic
from federation.boosting_options import BoostingOptions


def test_both_kinds_of_trees_learn_the_same_from_the_same_rows():
    options = BoostingOptions(trees=10, depth=3, bins=16, first_tree_local=False)
    found = compare(synthetic(2_000), options, splits=2)
    assert (found.ours > 0.65).all()
    assert found.ours == pytest.approx(found.sklearn, abs=0.02)


def test_the_mean_over_splits_counts():
    found = Difference(np.array([0.70, 0.72, 0.74]), np.array([0.71, 0.72, 0.73]))
    assert found.mean == pytest.approx(0)
    assert found.standard_error == pytest.approx(0.01 / np.sqrt(3))


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("boosting_64x6", {"auc": 0.7676, "twin_auc": 0.7676, "pooled_auc": 0.7716}, True),
        ("boosting_64x6", {"auc": 0.7676, "twin_auc": 0.7677, "pooled_auc": 0.7676}, False),
        ("scorecard", {"auc": 0.7665, "pooled_auc": 0.7666, "ks": 0.4078, "pooled_ks": 0.409}, True),
        ("scorecard", {"auc": 0.7645, "pooled_auc": 0.7666, "ks": 0.4078, "pooled_ks": 0.409}, False),
        ("scorecard", {"auc": 0.7665, "pooled_auc": 0.7666, "ks": 0.4038, "pooled_ks": 0.409}, False),
    ],
)
def test_a_run_fails_when_trees_are_others_or_a_scorecard_is_worse(name, row, expected):
    assert holds(name, row) is expected
