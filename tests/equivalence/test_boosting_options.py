"""Early stopping, class weights, GOSS, leaf-wise growth and levels: federated as pooled, node for node."""

from dataclasses import replace

import numpy as np
import pytest
from boosting_scene import OPTIONS, Scene, run_and_compare
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.binning import fit_bins
from federation.boosting_messages import CandidateSums, Gradients
from federation.boosting_options import BoostingOptions, Growth
from federation.row_weights import Draws, class_weights, goss, gradients_of, validation_rows
from federation.trees import fit_trees
from privacy.errors import ConfigInvalid
from privacy.paillier_secret import SecretKey


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


GOSS = {"goss_top": 0.3, "goss_other": 0.3, "min_child_rows": 5}
EARLY = {"patience": 1, "validation_share": 0.2, "trees": 6}
LEAF = {"growth": Growth.LEAF, "max_leaves": 5, "depth": 4}


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    partners=st.integers(1, 2),
    missing_share=st.sampled_from([0.0, 0.1]),
    with_levels=st.booleans(),
    first_tree_local=st.booleans(),
    class_weight=st.sampled_from(["none", "balanced", 0.2, 7]),
    extras=st.lists(st.sampled_from([GOSS, EARLY, LEAF])),
)
def test_every_mixture_of_options_equals_the_pooled_trees(
    secret, seed, partners, missing_share, with_levels, first_tree_local, class_weight, extras
):
    scene = Scene(seed, partners, missing_share, with_levels=with_levels)
    options = replace(OPTIONS, first_tree_local=first_tree_local, class_weight=class_weight)
    for extra in extras:
        options = replace(options, **extra)
    run_and_compare(scene, options, secret)


# --- early stopping


def test_training_stops_when_the_validation_loss_does_not_fall(secret):
    scene = Scene(3)
    options = replace(OPTIONS, trees=8, learning_rate=1.0, l2=0.0, patience=2, validation_share=0.25)
    models, twin, transcript = run_and_compare(scene, options, secret)
    kept, grown = len(twin.trees), len(twin.losses)
    assert 1 <= kept < grown < options.trees
    assert grown == kept + options.patience
    assert min(twin.losses) == twin.losses[kept - 1]
    assert len({message.tree for _, _, message in transcript if isinstance(message, Gradients)}) == grown
    # The trees up to there are those of a training that was told the number.
    assert twin.trees == fit_all(scene, replace(options, trees=kept))
    assert models["bank"].trees[0].left == twin.trees[0].left


def fit_all(scene, options):
    return scene.twin(options)[0].trees


def test_the_validation_loss_is_the_log_loss_of_rows_that_nothing_else_saw(secret):
    scene = Scene(4)
    options = replace(OPTIONS, trees=4, patience=10, validation_share=0.2)
    twin, codes = scene.twin(options)
    label, train = scene.label[scene.train], codes[scene.train]
    chosen = validation_rows(label, options, Draws(20, np.arange(len(label))))
    assert len(twin.losses) == 4
    assert len(twin.trees) > 1
    for place, loss in enumerate(twin.losses[: len(twin.trees)]):
        part = replace(twin, trees=twin.trees[: place + 1])
        chance = part.predict_proba(train[chosen])
        truth = label[chosen]
        assert loss == pytest.approx(-np.mean(truth * np.log(chance) + (1 - truth) * np.log(1 - chance)))
    # Without these rows, and the same number of trees, the trees are the same.
    alone = fit_trees(train[~chosen], label[~chosen], replace(options, patience=0, trees=len(twin.trees)), 3)
    assert [tree.value for tree in alone.trees] == [tree.value for tree in twin.trees]


def test_validation_rows_are_a_share_of_each_class_in_whatever_order_the_rows_are():
    rng = np.random.default_rng(1)
    label = (rng.random(500) < 0.1).astype(int)
    keys = rng.permutation(10_000)[:500]
    options = replace(OPTIONS, patience=3, validation_share=0.2)
    chosen = validation_rows(label, options, Draws(7, keys))
    for kind in (0, 1):
        assert chosen[label == kind].sum() == round(0.2 * (label == kind).sum())
    order = rng.permutation(500)
    again = validation_rows(label[order], options, Draws(7, keys[order]))
    assert (again == chosen[order]).all()
    assert (validation_rows(label, options, Draws(8, keys)) != chosen).any()
    assert not validation_rows(label, replace(options, patience=0), Draws(7, keys)).any()
    with pytest.raises(ConfigInvalid):
        validation_rows(label[:8] * 0, replace(options, validation_share=0.01), Draws(7, keys[:8]))


# --- class weights


def test_balanced_weights_add_up_to_the_rows_and_start_even(secret):
    scene = Scene(5)
    label = scene.label[scene.train]
    everybody = np.ones(len(label), dtype=bool)
    weights, ratio = class_weights(label, replace(OPTIONS, class_weight="balanced"), everybody)
    assert weights.sum() == pytest.approx(len(label))
    assert weights[label == 1].sum() == pytest.approx(weights[label == 0].sum())
    assert ratio == pytest.approx((label == 0).sum() / (label == 1).sum())
    _, twin, _ = run_and_compare(scene, replace(OPTIONS, class_weight="balanced"), secret)
    assert twin.base_score == pytest.approx(0, abs=1e-12)
    plain, codes = scene.twin(OPTIONS)
    assert twin.predict_proba(codes).mean() > plain.predict_proba(codes).mean()


def test_a_weight_is_as_good_as_so_many_copies_of_the_row():
    scene = Scene(6)
    codes = scene.binning(OPTIONS).transform(scene.values)[scene.train]
    label = scene.label[scene.train]
    options = replace(OPTIONS, class_weight=3, min_child_rows=1, k_min=1, node_bins=10**6)
    weighted = fit_trees(codes, label, options)
    copies = np.repeat(np.arange(len(label)), np.where(label == 1, 3, 1))
    copied = fit_trees(codes[copies], label[copies], replace(options, class_weight="none"))
    assert weighted.base_score == pytest.approx(copied.base_score)
    for ours, theirs in zip(weighted.trees, copied.trees, strict=True):
        assert ours.left == theirs.left
        assert ours.value == pytest.approx(theirs.value, abs=1e-6)


@pytest.mark.parametrize("class_weight", ["balanced", 0.01, 5, 1e4])
@pytest.mark.parametrize("sampled", [{}, {"goss_top": 0.05, "goss_other": 0.01}])
def test_no_sum_of_weighted_rows_leaves_its_room(class_weight, sampled):
    """The largest sums there can be: every row is as wrong as it can be."""
    options = replace(OPTIONS, class_weight=class_weight, scale_bits=8, **sampled)
    for n_rows, positives in ((127, 1), (128, 64), (1023, 1022)):
        label = (np.arange(n_rows) < positives).astype(int)
        weights, _ = class_weights(label, options, np.ones(n_rows, dtype=bool))
        weights = weights * options.amplification
        for scores in (np.where(label == 1, -60.0, 60.0), np.zeros(n_rows)):
            g, h = gradients_of(label, scores, 8, weights, options.weight_bits)
            low_bits = 8 + options.weight_bits - 2 + n_rows.bit_length()
            assert 0 <= h.sum() < 1 << low_bits
            assert np.abs(g).sum() <= (1 << (low_bits + 2)) - (1 << 8)


# --- GOSS


def test_goss_keeps_the_largest_gradients_of_each_class_and_amplifies_the_drawn():
    rng = np.random.default_rng(2)
    label = (rng.random(400) < 0.3).astype(int)
    gradients = (1 + rng.permutation(400)) * np.where(label == 1, -3, 1)
    counted = rng.random(400) < 0.75
    options = replace(OPTIONS, goss_top=0.2, goss_other=0.1)
    factors = goss(label, gradients, counted, options, Draws.of(400, 5), 3)
    assert not factors[~counted].any()
    for kind in (0, 1):
        of_class = counted & (label == kind)
        top = of_class & (factors == 1)
        assert top.sum() == round(0.2 * of_class.sum())
        assert (of_class & (factors == options.amplification)).sum() == round(0.1 * of_class.sum())
        assert np.abs(gradients[top]).min() >= np.abs(gradients[of_class & (factors != 1)]).max()
    assert options.amplification == pytest.approx(0.8 / 0.1)
    other_tree = goss(label, gradients, counted, options, Draws.of(400, 5), 4)
    assert ((other_tree == 1) == (factors == 1)).all()
    assert (other_tree != factors).any()


@pytest.mark.parametrize("ranked", ["per class", "all together"])
def test_who_is_in_every_sample_does_not_have_its_label(monkeypatch, ranked):
    """Ranked all together, practically all of them are of the rarer class."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(4000, 4))
    label = (rng.random(4000) < 1 / (1 + np.exp(1.5 - values[:, 0]))).astype(int)
    codes = fit_bins(tuple("abcd"), values, 10).transform(values)
    samples = []

    def noted(labels, *arguments):
        factors = goss(labels if ranked == "per class" else labels * 0, *arguments)
        samples.append(factors > 0)
        return factors

    monkeypatch.setattr("federation.ensemble.goss", noted)
    fit_trees(codes, label, replace(OPTIONS, trees=9, first_tree_local=True, goss_top=0.15, goss_other=0.1))
    always = np.all(samples, axis=0)
    assert always.sum() > 200
    if ranked == "per class":
        assert abs(label[always].mean() - label.mean()) < 0.1
    else:
        assert label[always].mean() > 0.95


def test_goss_saves_ciphertexts_and_every_row_still_has_a_leaf(secret):
    scene = Scene(7)
    options = replace(OPTIONS, first_tree_local=True, **GOSS)
    _, twin, transcript = run_and_compare(scene, options, secret)
    width = secret.public.ciphertext_bytes
    sizes = {
        len(message.ciphertexts) // width for _, _, message in transcript if isinstance(message, Gradients)
    }
    classes = np.bincount(scene.label[scene.train]).tolist()
    assert sizes == {sum(2 * round(0.3 * size) for size in classes)}
    whole, _ = scene.twin(replace(OPTIONS, first_tree_local=True, min_child_rows=5))
    assert twin.trees[0] == whole.trees[0]  # a local tree is not sampled
    assert twin.trees[1] != whole.trees[1]


def test_a_row_that_does_not_count_is_behind_no_sum(secret):
    """Fewer counted rows than two children need: nothing is asked, however many rows reach the node."""
    scene = Scene(8)
    options = replace(OPTIONS, goss_top=0.1, goss_other=0.05, min_child_rows=20)
    models, _, transcript = run_and_compare(scene, options, secret)
    assert not [message for _, _, message in transcript if isinstance(message, CandidateSums)]
    assert [tree.left for tree in models["bank"].trees] == [(-1,)] * options.trees


# --- leaf-wise growth


def leaves_of(tree):
    return sum(left < 0 for left in tree.left)


def one_by_one(monkeypatch):
    monkeypatch.setattr("federation.tree_builder.TreeBuilder._capacity", lambda self, node: 10**9)


@pytest.mark.parametrize("max_leaves", [2, 3, 6, 9, 100])
def test_leaf_wise_growth_splits_the_best_leaf_first(secret, monkeypatch, max_leaves):
    scene = Scene(9, n_rows=300)
    options = replace(OPTIONS, growth=Growth.LEAF, max_leaves=max_leaves, depth=6, trees=2)
    _, twin, transcript = run_and_compare(scene, options, secret)
    assert max(leaves_of(tree) for tree in twin.trees) <= max_leaves
    several = sum(isinstance(message, CandidateSums) for _, _, message in transcript)
    one_by_one(monkeypatch)
    _, slow, transcript = run_and_compare(scene, options, secret)
    assert several <= sum(isinstance(message, CandidateSums) for _, _, message in transcript)
    for ours, theirs in zip(twin.trees, slow.trees, strict=True):
        assert sorted(ours.value) == sorted(theirs.value)
        assert sorted(ours.gain) == sorted(theirs.gain)


def test_with_enough_leaves_both_growths_are_the_same_and_take_the_same_exchanges(secret):
    scene = Scene(10)
    by_level = replace(OPTIONS, depth=3, trees=2)
    by_leaf = replace(by_level, growth=Growth.LEAF, max_leaves=8)
    _, one, first = run_and_compare(scene, by_level, secret)
    _, other, second = run_and_compare(scene, by_leaf, secret)
    assert one.trees == other.trees
    count = [sum(isinstance(m, CandidateSums) for _, _, m in transcript) for transcript in (first, second)]
    assert count[0] <= count[1] <= count[0] + 2


def test_few_leaves_reach_deeper_than_a_level(secret):
    scene = Scene(11, n_rows=400)
    options = replace(OPTIONS, growth=Growth.LEAF, max_leaves=4, depth=8, trees=1)
    _, twin, _ = run_and_compare(scene, options, secret)
    (tree,) = twin.trees
    assert leaves_of(tree) == 4
    gains = [gain for gain in tree.gain if gain]
    larger = fit_trees(
        scene.binning(options).transform(scene.values)[scene.train],
        scene.label[scene.train],
        replace(options, max_leaves=5),
    ).trees[0]
    more = [gain for gain in larger.gain if gain]
    assert len(more) == 4
    assert set(gains) < set(more)


# --- levels


def test_levels_are_set_apart_one_by_one_and_rare_ones_are_joined(secret):
    scene = Scene(12, with_levels=True, missing_share=0.05)
    options = replace(OPTIONS, trees=2)
    models, twin, _ = run_and_compare(scene, options, secret)
    binning = models["shop"].binning
    column = scene.view("shop").values[:, 0]
    trained = column[scene.train]
    found, rows = np.unique(trained[np.isfinite(trained)], return_counts=True)
    assert binning.levels[0] == tuple(found[rows >= options.k_min].tolist())
    codes = binning.transform(np.column_stack([[7.0, 13.0, 99.0, np.nan, 6.999], np.zeros(5)]))[:, 0]
    other = len(binning.levels[0]) + 1
    assert codes.tolist() == [1 + binning.levels[0].index(7.0), other, other, 0, other]
    assert any(split.is_level for split in models["shop"].splits.values())
    assert any(split.is_level for split in twin.splits)


def test_only_the_most_frequent_levels_have_a_code_of_their_own():
    scene = Scene(13, with_levels=True)
    binning = scene.binning(replace(OPTIONS, bins=3))
    place = int(scene.starts[1])
    column = scene.values[scene.train, place]
    found, rows = np.unique(column[np.isfinite(column)], return_counts=True)
    most = sorted(found[np.argsort(-rows, kind="stable")[:2]].tolist())
    assert list(binning.levels[place]) == most
    assert binning.transform(scene.values)[:, place].max() == 3
    assert binning.n_codes[place] == 4


@settings(max_examples=150, deadline=None)
@given(
    rows_per_code=st.lists(st.integers(0, 25), min_size=2, max_size=8),
    k_min=st.integers(1, 12),
    extra=st.integers(0, 8),
)
def test_no_combination_of_sums_of_levels_concerns_fewer_rows_than_allowed(rows_per_code, k_min, extra):
    codes = np.repeat(np.arange(len(rows_per_code), dtype=np.uint8), rows_per_code)[:, None]
    options = BoostingOptions(bins=9, k_min=k_min, min_child_rows=k_min + extra)
    candidates = options.candidates(codes, 0, frozenset({0}))
    if not len(candidates):
        return
    sides = np.stack([candidates[i].goes_left(codes) for i in range(len(candidates))])
    for left in sides:
        assert min(left.sum(), (~left).sum()) >= k_min + extra
        assert len(np.unique(codes[left])) == 1
    assert np.unique(sides, axis=1, return_counts=True)[1].min() >= k_min


# --- options that do not fit


@pytest.mark.parametrize(
    "changes",
    [
        {"goss_top": 0.2},
        {"goss_other": 0.2},
        {"goss_top": 0.5, "goss_other": 0.5},
        {"goss_top": -0.1, "goss_other": 0.2},
        {"class_weight": 0},
        {"class_weight": -1.0},
        {"class_weight": 1e9},
        {"class_weight": float("nan")},
        {"max_leaves": 1},
        {"patience": -1},
        {"validation_share": 0.0},
        {"validation_share": 0.9},
    ],
)
def test_options_out_of_range_are_refused(changes):
    with pytest.raises(ConfigInvalid):
        replace(OPTIONS, **changes)
