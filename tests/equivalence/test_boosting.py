"""Federated boosting equals the plaintext trees on the pooled codes: same trees, thresholds and scores."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import boosting, boosting_messages, scoring, wire
from federation.binning import fit_bins
from federation.boosting import BoostingOptions
from federation.roles import Parties, Rehearsal, View
from federation.scoring import FeatureHolderModel, LabelHolderModel
from federation.trees import fit_trees
from privacy.errors import ConfigInvalid
from privacy.paillier_secret import SecretKey

OPTIONS = BoostingOptions(trees=3, depth=3, bins=12, node_bins=8, min_child_rows=8, k_min=5)
WIDTHS = {"bank": 3, "shop": 2, "carrier": 3}


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def over_the_wire(message):
    return wire.decode(wire.encode(message))


class World:
    """A pooled table, and the same table in columns at two or three parties."""

    def __init__(self, seed, partners, missing_share, n_rows=300):
        rng = np.random.default_rng(seed)
        self.parties = Parties("bank", ("shop", "carrier")[:partners])
        widths = [WIDTHS[name] for name in self.parties.all]
        values = rng.normal(size=(n_rows, sum(widths)))
        values[:, 1::3] = np.round(values[:, 1::3])
        values[:, -1] = -values[:, 0]  # a mirrored copy: splits of two parties tie exactly
        score = values[:, 0] + values[:, 3] * values[:, 1] + rng.normal(size=n_rows)
        self.label = (score > 0.4).astype(np.int8)
        values[rng.random(values.shape) < missing_share] = np.nan
        self.train = np.sort(rng.permutation(n_rows)[: int(n_rows * 0.75)])
        self.test = np.setdiff1d(np.arange(n_rows), self.train)
        self.values, self.n_local = values, widths[0]
        self.starts = np.cumsum([0, *widths])

    def view(self, name):
        place = self.parties.all.index(name)
        start, end = self.starts[place], self.starts[place + 1]
        return View(tuple(f"{name}_{i}" for i in range(end - start)), self.values[:, start:end])

    def codes(self, options):
        names = tuple(map(str, range(self.values.shape[1])))
        return fit_bins(names, self.values[self.train], options.bins).transform(self.values)

    def train_together(self, options, secret):
        first, *others = self.parties.all
        roles = {
            first: boosting.LabelHolder(
                self.parties, self.view(first), self.label, self.train, options,
                decryptor=secret, public_key=secret.public,
            ),
            **{name: boosting.FeatureHolder(self.parties, self.view(name), options, 512) for name in others},
        }  # fmt: skip
        models = Rehearsal(roles, over_the_wire).run()
        assert all(role.progress.done == role.progress.total == options.trees for role in roles.values())
        return models

    def score_together(self, models, rows):
        first, *others = self.parties.all
        kept = LabelHolderModel.from_bytes(models[first].to_bytes())
        roles = {first: scoring.LabelHolder(self.parties, self.view(first), kept, rows)}
        for name in others:
            part = FeatureHolderModel.from_bytes(models[name].to_bytes())
            roles[name] = scoring.FeatureHolder(self.parties, self.view(name), part)
        rehearsal = Rehearsal(roles, over_the_wire)
        return rehearsal.run(), rehearsal.transcript

    def thresholds(self, models, tree):
        """Per node of a federated tree: (pooled feature, cut, missing left), or None at a leaf."""
        found = []
        for owner, number in zip(tree.owner, tree.split, strict=True):
            if owner < 0:
                found.append(None)
                continue
            split = models[self.parties.all[owner]].splits[number]
            found.append((int(self.starts[owner]) + split.feature, split.cut, split.missing_left))
        return found


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    partners=st.integers(1, 2),
    missing_share=st.sampled_from([0.0, 0.02, 0.2]),
    first_tree_local=st.booleans(),
)
def test_federated_trees_equal_the_pooled_trees(secret, seed, partners, missing_share, first_tree_local):
    world = World(seed, partners, missing_share)
    options = replace(OPTIONS, first_tree_local=first_tree_local)
    models = world.train_together(options, secret)
    codes = world.codes(options)
    twin = fit_trees(codes[world.train], world.label[world.train], options, world.n_local)
    federated = models["bank"]
    assert federated.base_score == twin.base_score
    for ours, theirs in zip(federated.trees, twin.trees, strict=True):
        assert (ours.left, ours.value, ours.gain) == (theirs.left, theirs.value, theirs.gain)
        pooled = [
            None if number < 0 else (split.feature, split.cut, split.missing_left)
            for number in theirs.split
            for split in [twin.splits[number]]
        ]
        assert world.thresholds(models, ours) == pooled
    results, _ = world.score_together(models, world.test)
    assert results["bank"].tolist() == twin.predict_proba(codes[world.test]).tolist()


def test_partners_contribute_and_stay_unnamed(secret):
    world = World(5, 2, 0.05)
    model = world.train_together(OPTIONS, secret)["bank"]
    assert set(model.field_gains) == {"bank_0", "bank_1", "bank_2"}
    assert set(model.partner_gains) == {"shop", "carrier"}
    assert model.partner_gains["shop"] > 0
    assert sum(model.field_gains.values()) + sum(model.partner_gains.values()) == pytest.approx(
        sum(gain for tree in model.trees for gain in tree.gain)
    )


def test_scoring_takes_at_most_depth_exchanges_for_all_trees(secret):
    world = World(6, 2, 0.05)
    models = world.train_together(OPTIONS, secret)
    results, transcript = world.score_together(models, None)
    for name in ("shop", "carrier"):
        asked = [message for _, to, message in transcript if to == name and isinstance(message, scoring.Ask)]
        assert 0 < len(asked) <= OPTIONS.depth
        assert results[name] == sum(len(message.rows) for message in asked)


def test_a_partner_without_useful_fields_and_a_node_too_small_to_split(secret):
    world = World(7, 1, 0.0, n_rows=60)
    world.values[:, 3:] = 1.0
    options = replace(OPTIONS, min_child_rows=20, first_tree_local=False)
    models = world.train_together(options, secret)
    assert models["shop"].splits == {}
    assert any(gain > 0 for gain in models["bank"].trees[0].gain)
    tiny = replace(OPTIONS, min_child_rows=45)
    model = world.train_together(tiny, secret)["bank"]
    assert [tree.left for tree in model.trees] == [(-1,)] * tiny.trees


def test_rows_labels_and_models_that_do_not_fit_are_refused(secret):
    world = World(8, 1, 0.0)
    models = world.train_together(OPTIONS, secret)
    for label, rows in [
        (world.label[:-1], world.train),
        (world.label, world.train[::-1]),
        (world.label, world.train[:0]),
        (world.label, world.train + 1000),
        (world.label + 1, world.train),
    ]:
        with pytest.raises(ConfigInvalid):
            boosting.LabelHolder(
                world.parties, world.view("bank"), label, rows, OPTIONS,
                decryptor=secret, public_key=secret.public,
            )  # fmt: skip
    other = Parties("bank", ("carrier",))
    with pytest.raises(ConfigInvalid):
        scoring.LabelHolder(other, world.view("bank"), models["bank"])
    with pytest.raises(ConfigInvalid):
        scoring.LabelHolder(world.parties, world.view("bank"), models["bank"], np.array([3, 3]))
    with pytest.raises(ConfigInvalid):
        scoring.FeatureHolder(world.parties, world.view("bank"), models["shop"])


class _RowsLeave(Exception):
    pass


@pytest.mark.parametrize("first_tree_local", [True, False])
def test_training_goes_on_from_the_finished_trees_when_rows_leave(secret, first_tree_local):
    """What a withdrawal in the middle of training does: the twin is a pooled fit that goes on in the same way."""
    options = replace(OPTIONS, trees=4, first_tree_local=first_tree_local)
    world = World(seed=5, partners=2, missing_share=0.02)
    first, *others = world.parties.all

    def roles_of(stays, train, before):
        views = {
            name: View(world.view(name).fields, world.view(name).values[stays]) for name in world.parties.all
        }
        places = np.flatnonzero(np.isin(np.flatnonzero(stays), train))
        resumed = None if before is None else before[first].carry_on(stays)
        roles = {
            first: boosting.LabelHolder(
                world.parties, views[first], world.label[stays], places, options,
                decryptor=secret, public_key=secret.public, before=resumed,
            )
        }  # fmt: skip
        for name in others:
            roles[name] = boosting.FeatureHolder(
                world.parties, views[name], options, 512, before=before[name] if before else None
            )
        return roles

    def stop_in_third_tree(message):
        if isinstance(message, boosting_messages.Level) and (message.tree, message.level) == (2, 1):
            raise _RowsLeave
        return over_the_wire(message)

    everybody = np.ones(len(world.label), dtype=bool)
    stopped = roles_of(everybody, world.train, None)
    with pytest.raises(_RowsLeave):
        Rehearsal(stopped, stop_in_third_tree).run()
    stays = everybody.copy()
    stays[world.train[::25]] = stays[world.test[:3]] = False
    left = np.flatnonzero(stays)
    models = Rehearsal(roles_of(stays, world.train, stopped), over_the_wire).run()

    codes, train = world.codes(options), world.train
    two = fit_trees(codes[train], world.label[train], replace(options, trees=2), world.n_local)
    remaining = train[np.isin(train, left)]
    twin = fit_trees(codes[remaining], world.label[remaining], options, world.n_local, before=two)
    federated = models[first]
    assert len(federated.trees) == 4
    assert models[others[0]].model_id == federated.model_id
    for ours, theirs in zip(federated.trees, twin.trees, strict=True):
        assert (ours.left, ours.value, ours.gain) == (theirs.left, theirs.value, theirs.gain)
    fresh = fit_trees(codes[remaining], world.label[remaining], options, world.n_local)
    assert twin.trees[0].value != fresh.trees[0].value  # the first trees did see the rows that left


def test_trees_are_not_gone_on_from_with_other_rows(secret):
    world = World(seed=5, partners=1, missing_share=0.0)
    holder = boosting.LabelHolder(
        world.parties, world.view("bank"), world.label, world.train, OPTIONS,
        decryptor=secret, public_key=secret.public,
    )  # fmt: skip
    unfinished = holder.carry_on(np.ones(len(world.label), dtype=bool))
    with pytest.raises(ConfigInvalid):
        boosting.LabelHolder(
            world.parties, world.view("bank"), world.label, world.train[1:], OPTIONS,
            decryptor=secret, public_key=secret.public, before=unfinished,
        )  # fmt: skip
