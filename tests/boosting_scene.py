"""A pooled table, and the same table in columns at two or three parties, for boosting with all its options."""

from dataclasses import replace

import numpy as np

from federation import boosting, scoring, wire
from federation.binning import fit_bins
from federation.boosting import BoostingOptions
from federation.roles import Parties, Rehearsal, View
from federation.scoring import FeatureHolderModel, LabelHolderModel
from federation.trees import Draws, fit_trees

OPTIONS = BoostingOptions(
    trees=3, depth=3, bins=10, node_bins=8, min_child_rows=8, k_min=5, first_tree_local=False
)
WIDTHS = {"bank": 3, "shop": 2, "carrier": 3}
KEY_BITS = 512
SEED = 20


def over_the_wire(message):
    return wire.decode(wire.encode(message))


def split_of(splits, number):
    """A pooled model's split by its number, comparable; None for a leaf."""
    if number < 0:
        return None
    split = splits[number]
    return (split.feature, split.cut, split.missing_left, split.is_level)


CANARY = 1234567.03125
"""Planted in the columns of numbers: exact in binary, and no honest number."""


class Scene:
    """values: (n_rows, 5 or 8) pooled; the last column mirrors the first, so that two parties tie exactly.

    The first column of every party but the bank's holds levels when `with_levels`.
    """

    def __init__(self, seed=1, partners=2, missing_share=0.05, n_rows=260, with_levels=False):
        rng = np.random.default_rng(seed)
        self.parties = Parties("bank", ("shop", "carrier")[:partners])
        widths = [WIDTHS[name] for name in self.parties.all]
        values = rng.normal(size=(n_rows, sum(widths)))
        self.starts = np.cumsum([0, *widths])
        values[:, -1] = -values[:, 0]
        score = values[:, 0] + 2 * values[:, 3] * (values[:, 1] > 0) + rng.normal(size=n_rows)
        self.categorical = dict.fromkeys(self.parties.all, ())
        if with_levels:
            for start, name in zip(self.starts[1:], self.parties.feature_holders, strict=False):
                levels = rng.choice(
                    [7, 3, 50, -2, 11, 12, 13], size=n_rows, p=[0.3, 0.2, 0.2, 0.2, 0.06, 0.03, 0.01]
                )
                score = score + 2 * (levels == 3)
                values[:, start] = levels
                self.categorical[name] = (f"{name}_0",)
        self.label = (score > 0.9).astype(np.int8)
        values[rng.random(values.shape) < missing_share] = np.nan
        self.train = np.sort(rng.permutation(n_rows)[: int(n_rows * 0.8)])
        self.test = np.setdiff1d(np.arange(n_rows), self.train)
        self.values, self.n_local = values, widths[0]

    def plant_canary(self):
        """Into all values of a scene with levels."""
        levels = [int(self.starts[1]), int(self.starts[2])]
        numbers = np.setdiff1d(np.arange(self.values.shape[1]), levels)
        self.values[:, numbers] = np.round(self.values[:, numbers] * 4) * CANARY
        self.values[:, levels] += CANARY

    def view(self, name):
        place = self.parties.all.index(name)
        start, end = self.starts[place], self.starts[place + 1]
        return View(tuple(f"{name}_{i}" for i in range(end - start)), self.values[:, start:end])

    def binning(self, options):
        fields = tuple(field for name in self.parties.all for field in self.view(name).fields)
        levels = [field for named in self.categorical.values() for field in named]
        return fit_bins(
            fields, self.values[self.train], options.bins, categorical=levels, k_min=options.k_min
        )

    def twin(self, options, before=None, seed=SEED):
        """The pooled model, and the codes of all rows."""
        binning = self.binning(options)
        codes = binning.transform(self.values)
        draws = Draws(seed, np.arange(len(self.train)))
        model = fit_trees(
            codes[self.train], self.label[self.train], options, self.n_local, before,
            draws=draws, levels=binning.level_features,
        )  # fmt: skip
        return model, codes

    def label_holder(self, options, secret, **changes):
        settings = {"categorical": self.categorical["bank"], "seed": SEED} | changes
        return boosting.LabelHolder(
            self.parties, self.view("bank"), self.label, self.train, options,
            decryptor=secret, public_key=secret.public, **settings,
        )  # fmt: skip

    def feature_holder(self, name, options, **changes):
        return boosting.FeatureHolder(
            self.parties, self.view(name), options, KEY_BITS, categorical=self.categorical[name], **changes
        )

    def roles(self, options, secret):
        others = {name: self.feature_holder(name, options) for name in self.parties.feature_holders}
        return {"bank": self.label_holder(options, secret), **others}

    def rehearse(self, options, secret):
        """(models by party, transcript)."""
        roles = self.roles(options, secret)
        rehearsal = Rehearsal(roles, over_the_wire)
        models = rehearsal.run()
        assert all(role.progress.done == role.progress.total == options.trees for role in roles.values())
        return models, rehearsal.transcript

    def score(self, models, rows):
        """The probabilities that the finished model gives these rows."""
        kept = LabelHolderModel.from_bytes(models["bank"].to_bytes())
        roles = {"bank": scoring.LabelHolder(self.parties, self.view("bank"), kept, rows)}
        for name in self.parties.feature_holders:
            part = FeatureHolderModel.from_bytes(models[name].to_bytes())
            roles[name] = scoring.FeatureHolder(self.parties, self.view(name), part)
        return Rehearsal(roles, over_the_wire).run()["bank"]

    def pooled_splits(self, models, tree):
        """Per node of a federated tree its split in terms of the pooled table, or None at a leaf."""
        found = []
        for owner, number in zip(tree.owner, tree.split, strict=True):
            if owner < 0:
                found.append(None)
                continue
            split = models[self.parties.all[owner]].splits[number]
            found.append(
                (int(self.starts[owner]) + split.feature, split.cut, split.missing_left, split.is_level)
            )
        return found

    def check_equal(self, models, twin, codes):
        """Node for node, and score for score."""
        federated = models["bank"]
        assert federated.base_score == twin.base_score
        assert len(federated.trees) == len(twin.trees)
        for ours, theirs in zip(federated.trees, twin.trees, strict=True):
            assert (ours.left, ours.value, ours.gain) == (theirs.left, theirs.value, theirs.gain)
            pooled = [split_of(twin.splits, number) for number in theirs.split]
            assert self.pooled_splits(models, ours) == pooled
        chosen = {
            number
            for tree in federated.trees
            for owner, number in zip(tree.owner, tree.split, strict=True)
            if owner > 0
        }
        assert chosen == {number for name in self.parties.feature_holders for number in models[name].splits}
        assert self.score(models, self.test).tolist() == twin.predict_proba(codes[self.test]).tolist()


def run_and_compare(scene, options, secret):
    """Train together and on the pooled table; returns (models, twin, transcript)."""
    models, transcript = scene.rehearse(options, secret)
    twin, codes = scene.twin(options)
    scene.check_equal(models, twin, codes)
    return models, twin, transcript


__all__ = ["KEY_BITS", "OPTIONS", "SEED", "Scene", "over_the_wire", "replace", "run_and_compare"]
