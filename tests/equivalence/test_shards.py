"""Trees in shards equal separate fits on pooled columns, and their merged model is the mean of them."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shards_scene import (
    DEAL_SEED,
    EVERYTHING,
    PLAIN,
    SEEDS,
    SHARDS,
    ShardScene,
    deliver,
    models_of,
    train,
)

from federation.binning import Binning, Split
from federation.boosting_messages import Begin
from federation.roles import MemoryStore
from federation.row_weights import probabilities
from federation.shards_merge import merge_binnings, moved_split
from federation.shards_records import content_digest, deal
from federation.trees import Draws, fit_trees
from privacy.paillier_secret import SecretKey


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    return ShardScene(21, n_rows=240, with_levels=True)


def digests(roles):
    return {name: content_digest(model) for name, model in models_of(roles).items()}


@pytest.fixture(scope="module")
def trained(scene, secret):
    roles = scene.sharded_roles(EVERYTHING, secret)
    transcript = train(roles)
    return roles, transcript


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING, replace(PLAIN, patience=1, validation_share=0.3)])
def test_shards_are_separate_fits(scene, secret, options):
    roles = scene.sharded_roles(options, secret)
    train(roles)
    twin = scene.sharded_twin(options)
    dealt = deal(scene.keys, SHARDS, DEAL_SEED)
    parts = {name: [part.model for part in role.shards.parts] for name, role in roles.items()}
    for place, of_twin in enumerate(twin.parts):
        part = {name: found[place] for name, found in parts.items()}
        of_shard = scene.taken(np.arange(len(scene.label)), np.zeros(len(scene.label), dtype=bool))
        of_shard.train = scene.train[dealt == place]
        binning = of_shard.binning(options)
        assert binning == of_twin.binning
        codes = binning.transform(scene.values)
        draws = Draws(SEEDS[place], scene.keys[dealt == place])
        alone = fit_trees(
            codes[of_shard.train], scene.label[of_shard.train], options, scene.n_local, draws=draws,
            levels=binning.level_features,
        )  # fmt: skip
        of_shard.check_equal(part, alone, codes)
        assert alone == of_twin.trees
    assert {part.seed for part in parts["bank"]} == set(SEEDS)
    merged = scene.score(models_of(roles), scene.test)
    assert merged == pytest.approx(twin.predict_proba(scene.values[scene.test]), abs=1e-12)


def test_the_merged_model_is_the_mean_of_the_shards(scene, trained):
    roles, _ = trained
    merged = models_of(roles)
    assert len({model.model_id for model in merged.values()}) == 1
    found = []
    for place in range(SHARDS):
        part = {name: role.shards.parts[place].model for name, role in roles.items()}
        scores = scene.score(part, scene.test)
        found.append(np.log(scores / (1 - scores)))
    expected = probabilities(np.mean(found, axis=0))
    assert scene.score(merged, scene.test) == pytest.approx(expected, abs=1e-9)
    assert len(merged["bank"].trees) == sum(len(part.model.trees) for part in roles["bank"].shards.parts)


def test_nobodys_order_and_no_shuffle_decides_anything(scene, secret, trained):
    """Two columns tie exactly; partners shuffle with other numbers, rows are matched in another order."""
    once = digests(trained[0])
    for seed in (1, 2):
        others = {name: {"randomness": random.Random(seed)} for name in scene.parties.feature_holders}
        again = scene.reordered(seed).sharded_roles(EVERYTHING, secret, others)
        train(again)
        assert digests(again) == once
        assert models_of(again)["bank"].model_id != models_of(trained[0])["bank"].model_id


def test_other_seeds_are_another_model(scene, secret, trained):
    other = scene.sharded_roles(EVERYTHING, secret, seeds=(20, 21, 23))
    train(other)
    assert digests(other)["bank"] != digests(trained[0])["bank"]


def test_the_label_holder_draws_and_keeps_seeds(scene, secret):
    roles = scene.sharded_roles(EVERYTHING, secret, seeds=None)
    train(roles)
    seeds = tuple(part.model.seed for part in roles["bank"].shards.parts)
    assert len(set(seeds)) == SHARDS
    again = scene.sharded_roles(EVERYTHING, secret, seeds=seeds)
    train(again)
    assert digests(again) == digests(roles)


@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.integers(0, 5000), min_size=1, max_size=200, unique=True), gone=st.data())
def test_who_leaves_moves_nobody_else(places, gone):
    keys = np.array(places)
    dealt = deal(keys, 5, 7)
    stays = np.array(gone.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys))), dtype=bool)
    assert deal(keys[stays], 5, 7).tolist() == dealt[stays].tolist()
    order = np.random.default_rng(0).permutation(len(keys))
    assert deal(keys[order], 5, 7).tolist() == dealt[order].tolist()


def test_shards_are_about_equal_and_differ_by_seed():
    keys = np.arange(20_000)
    sizes = np.bincount(deal(keys, 20, 1), minlength=20)
    assert len(sizes) == 20
    assert abs(sizes - 1000).max() < 150
    assert (deal(keys, 20, 1) != deal(keys, 20, 2)).mean() > 0.9


EDGES = st.lists(st.integers(-20, 20).map(float), max_size=6, unique=True).map(
    lambda found: tuple(sorted(found))
)


@settings(max_examples=300, deadline=None)
@given(first=EDGES, second=EDGES, data=st.data(), is_level=st.booleans(), missing_left=st.booleans())
def test_a_split_of_one_shard_means_the_same_in_the_merged_bins(first, second, data, is_level, missing_left):
    """Also for values that no shard has seen, and missing ones."""
    values = np.array([np.nan, *np.arange(-21.5, 22, 0.5)])[:, None]
    binnings = [
        Binning(("x",), ((),), {0: found}) if is_level else Binning(("x",), (found,))
        for found in (first, second)
    ]
    merged = merge_binnings(binnings)
    for binning in binnings:
        cut = data.draw(st.integers(0, binning.n_codes[0] - 1))
        # As `candidates_of` has them: of levels, "missing" is a code like any other.
        split = Split(0, cut, cut == 0 if is_level else missing_left, is_level)
        moved = moved_split(split, binning, merged)
        expected = split.goes_left(binning.transform(values))
        assert moved.goes_left(merged.transform(values)).tolist() == expected.tolist()


def test_more_bins_than_a_byte_has_room_for():
    binning = merge_binnings([Binning(("x",), (tuple(np.arange(start, 400, 2.0)),)) for start in (0, 1)])
    codes = binning.transform(np.arange(400.0)[:, None])
    assert codes[:, 0].tolist() == list(range(1, 401))


def test_an_interruption_anywhere_ends_with_the_same_model(scene, secret, trained):
    once = digests(trained[0])
    _, delivered = deliver(scene.sharded_roles(EVERYTHING, secret))
    for most in range(1, len(delivered), len(delivered) // 5):
        stores = {name: MemoryStore() for name in scene.parties.all}
        settings = {name: {"store": stores[name]} for name in scene.parties.feature_holders}
        first = scene.sharded_roles(EVERYTHING, secret, settings, store=stores["bank"])
        assert not deliver(first, most)[0]
        begun = {place: role.model_id for place, role in first["bank"]._roles.items() if role._ensemble.trees}
        last = scene.reordered(most).sharded_roles(EVERYTHING, secret, settings, store=stores["bank"])
        is_done, messages = deliver(last)
        assert is_done
        assert digests(last) == once
        for place, number in begun.items():
            assert last["bank"].shards.parts[place].model.model_id == number
        assert len([message for message in messages if isinstance(message, Begin)]) == 2 * SHARDS
