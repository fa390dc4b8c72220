"""The plaintext trees against scikit-learn, and the small-cell rule against brute force."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score, roc_curve

from federation.binning import MISSING, Binning, candidates_of, counts_of, fit_bins
from federation.metrics import auc, ks
from federation.trees import BoostingOptions, fit_trees, left_sums, sums_of
from privacy.errors import ConfigInvalid, MessageInvalid

UNMERGED = BoostingOptions(
    trees=12, depth=4, min_child_rows=20, k_min=1, node_bins=10**6, first_tree_local=False
)


def credit_like(n_rows, seed, missing_share):
    """Features with ties, skew and missing values, and a label that depends on some of them non-linearly."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n_rows, 7))
    values[:, 1] = np.round(values[:, 1])
    values[:, 2] = np.exp(2 * values[:, 2])
    logit = values[:, 0] * values[:, 1] + 0.8 * values[:, 3] - 0.5 * (values[:, 4] > 0.5) - 0.7
    label = (rng.random(n_rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    values[rng.random(values.shape) < missing_share] = np.nan
    return values, label


@pytest.mark.parametrize("missing_share", [0.0, 0.15])
@pytest.mark.parametrize("seed", [1, 2])
def test_unmerged_trees_score_like_scikit_learn(seed, missing_share):
    values, label = credit_like(4000, seed, missing_share)
    train, test = slice(0, 2800), slice(2800, None)
    codes = fit_bins(tuple("abcdefg"), values[train], 32).transform(values)
    numeric = np.where(codes == MISSING, np.nan, codes.astype(float))
    reference = HistGradientBoostingClassifier(
        max_iter=UNMERGED.trees,
        max_depth=UNMERGED.depth,
        learning_rate=UNMERGED.learning_rate,
        l2_regularization=UNMERGED.l2,
        min_samples_leaf=UNMERGED.min_child_rows,
        max_leaf_nodes=None,
        early_stopping=False,
    ).fit(numeric[train], label[train])
    ours = fit_trees(codes[train], label[train], UNMERGED).predict_proba(codes[test])
    theirs = reference.predict_proba(numeric[test])[:, 1]
    assert abs(auc(label[test], ours) - roc_auc_score(label[test], theirs)) < 0.002
    # scikit-learn sums gradients in float32: a handful of near-ties may fall differently.
    assert np.median(np.abs(ours - theirs)) < 1e-4


def test_merging_small_bins_and_a_local_first_tree_cost_no_accuracy():
    values, label = credit_like(6000, 3, 0.05)
    train, test = slice(0, 4000), slice(4000, None)
    codes = fit_bins(tuple("abcdefg"), values[train], 32).transform(values)
    careful = replace(UNMERGED, min_child_rows=50, k_min=50, node_bins=16, first_tree_local=True)
    plain = auc(label[test], fit_trees(codes[train], label[train], UNMERGED).predict_proba(codes[test]))
    merged = auc(label[test], fit_trees(codes[train], label[train], careful, 3).predict_proba(codes[test]))
    assert merged > plain - 0.01


def test_the_first_tree_uses_local_features_only():
    values, label = credit_like(1500, 4, 0.1)
    codes = fit_bins(tuple("abcdefg"), values, 32).transform(values)
    model = fit_trees(codes, label, replace(UNMERGED, first_tree_local=True, trees=3), n_local=2)
    features = [
        [model.splits[number].feature for number in tree.split if number >= 0] for tree in model.trees
    ]
    assert features[0]
    assert max(features[0]) < 2
    assert max(features[1] + features[2]) >= 2


def smallest_atom(candidates, codes):
    """Fewest rows that all candidates of one feature treat alike.

    Whatever is added or subtracted among these candidates' sums and the total is a sum over whole atoms.
    """
    sides = np.stack([candidates[i].goes_left(codes) for i in range(len(candidates))])
    return np.unique(sides, axis=1, return_counts=True)[1].min()


@settings(max_examples=200, deadline=None)
@given(
    rows_per_code=st.lists(st.integers(0, 25), min_size=2, max_size=8),
    k_min=st.integers(1, 12),
    extra=st.integers(0, 8),
)
def test_no_combination_of_a_features_sums_concerns_fewer_rows_than_allowed(rows_per_code, k_min, extra):
    codes = np.repeat(np.arange(len(rows_per_code), dtype=np.uint8), rows_per_code)[:, None]
    candidates = candidates_of(counts_of(codes, 10), k_min, k_min + extra)
    for i in range(len(candidates)):
        left = candidates[i].goes_left(codes)
        assert min(left.sum(), (~left).sum()) >= k_min + extra
    if len(candidates):
        assert smallest_atom(candidates, codes) >= k_min


def test_bins_are_merged_further_below_the_root():
    codes = np.repeat(np.arange(33, dtype=np.uint8), 10)[:, None]
    options = BoostingOptions(bins=32, node_bins=8, min_child_rows=10, k_min=10)
    root, below = options.candidates(codes, 0), options.candidates(codes, 1)
    assert smallest_atom(root, codes) == 10
    assert smallest_atom(below, codes) >= len(codes) / 8
    assert 4 <= len(below) < len(root)


@settings(max_examples=60, deadline=None)
@given(
    codes=hnp.arrays(np.uint8, st.tuples(st.integers(1, 80), st.integers(1, 3)), elements=st.integers(0, 9)),
    data=st.data(),
)
def test_left_sums_are_the_sums_of_the_rows_that_go_left(codes, data):
    weights = data.draw(hnp.arrays(np.int64, len(codes), elements=st.integers(-(2**30), 2**30)))
    candidates = candidates_of(counts_of(codes, 10), 1, 1)
    left = left_sums(sums_of(codes, weights, 10), candidates)
    assert left.tolist() == [
        int(weights[candidates[i].goes_left(codes)].sum()) for i in range(len(candidates))
    ]


@settings(max_examples=50, deadline=None)
@given(values=hnp.arrays(np.float64, st.tuples(st.integers(1, 200), st.just(2))), bins=st.integers(2, 40))
def test_codes_keep_order_and_set_missing_apart(values, bins):
    binning = fit_bins(("first", "second"), values, bins)
    codes = binning.transform(values)
    assert ((codes == MISSING) == ~np.isfinite(values)).all()
    assert codes.max(initial=0) <= bins
    for column, of_column in zip(values.T, codes.T, strict=True):
        present = np.isfinite(column)
        order = np.argsort(column[present])
        assert (np.diff(of_column[present][order].astype(int)) >= 0).all()
        if len(np.unique(column[present])) <= bins and np.abs(column[present]).max(initial=0) < 1e300:
            assert len(np.unique(of_column[present])) == len(np.unique(column[present]))
    assert Binning.from_bytes(binning.to_bytes()) == binning


@settings(max_examples=80, deadline=None)
@given(data=st.data(), n=st.integers(2, 60))
def test_auc_and_ks_equal_scikit_learn_with_ties(data, n):
    scores = data.draw(hnp.arrays(np.float64, n, elements=st.integers(0, 5).map(float)))
    label = data.draw(hnp.arrays(np.int8, n, elements=st.integers(0, 1)))
    if label.min() == label.max():
        with pytest.raises(ConfigInvalid):
            auc(label, scores)
        return
    false_rate, true_rate, _ = roc_curve(label, scores)
    assert auc(label, scores) == pytest.approx(roc_auc_score(label, scores), abs=1e-12)
    assert ks(label, scores) == pytest.approx(np.abs(true_rate - false_rate).max(), abs=1e-12)


def test_inputs_that_cannot_be_used_are_refused():
    with pytest.raises(ConfigInvalid):
        BoostingOptions(min_child_rows=10, k_min=50)
    with pytest.raises(ConfigInvalid):
        BoostingOptions(depth=99)
    with pytest.raises(ConfigInvalid):
        fit_bins(("a",), np.zeros((3, 1)), 300)
    codes = np.ones((60, 1), np.uint8)
    with pytest.raises(ConfigInvalid):
        fit_trees(codes, np.ones(60), UNMERGED)
    with pytest.raises(ConfigInvalid):
        fit_trees(codes, np.full(60, 2), UNMERGED)
    with pytest.raises(MessageInvalid):
        Binning.from_bytes(b"no such record")
    with pytest.raises(ConfigInvalid):
        auc(np.array([0, 1]), np.array([0.1, np.nan]))
