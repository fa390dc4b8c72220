"""`boosting_scene` in shards: sharded roles, their twin, and the same people without some of them."""

from collections import deque

import numpy as np
from boosting_scene import KEY_BITS, OPTIONS, Scene, over_the_wire, replace

from federation.boosting_options import Growth
from federation.roles import Rehearsal
from federation.shards import ShardedFeatureHolder, ShardedLabelHolder
from federation.shards_twin import fit_shards

SHARDS, DEAL_SEED, SEEDS = 3, 42, (20, 21, 22)
PLAIN = replace(OPTIONS, trees=2, depth=2)
EVERYTHING = replace(
    OPTIONS, trees=4, depth=3, patience=2, validation_share=0.2, class_weight="balanced", goss_top=0.3,
    goss_other=0.4, min_child_rows=5, growth=Growth.LEAF, max_leaves=4, first_tree_local=True,
)  # fmt: skip


class ShardScene(Scene):
    """`file_rows`: (n_rows,) every aligned row's place in the bank's file; the partners' files are in another order."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        rng = np.random.default_rng(5)
        n_rows = len(self.label)
        self.file_rows = {name: rng.permutation(2 * n_rows)[:n_rows] for name in self.parties.all}

    @property
    def keys(self):
        return self.file_rows["bank"][self.train]

    def taken(self, order, train):
        """The same people in another order, or some of them. order: aligned places here; train: flags over them."""
        other = object.__new__(ShardScene)
        other.__dict__.update(self.__dict__)
        other.values, other.label = self.values[order], self.label[order]
        other.file_rows = {name: rows[order] for name, rows in self.file_rows.items()}
        other.train = np.flatnonzero(train)
        other.test = np.setdiff1d(np.arange(len(order)), other.train)
        return other

    def without(self, *gone):
        """Without the people at these aligned places."""
        order = np.setdiff1d(np.arange(len(self.label)), gone)
        return self.taken(order, np.isin(order, self.train))

    def reordered(self, seed=3):
        order = np.random.default_rng(seed).permutation(len(self.label))
        return self.taken(order, np.isin(order, self.train))

    def sharded_holder(self, options, secret, **changes):
        settings = {
            "categorical": self.categorical["bank"], "seeds": SEEDS, "shards": SHARDS, "deal_seed": DEAL_SEED,
            "row_keys": self.keys, "decryptor": secret, "public_key": secret.public,
        }  # fmt: skip
        return ShardedLabelHolder(
            self.parties, self.view("bank"), self.label, self.train, options, **(settings | changes)
        )

    def sharded_partner(self, name, options, **changes):
        settings = {
            "categorical": self.categorical[name], "shards": SHARDS, "row_keys": self.file_rows[name],
        }  # fmt: skip
        return ShardedFeatureHolder(self.parties, self.view(name), options, KEY_BITS, **(settings | changes))

    def sharded_roles(self, options, secret, changes=None, **of_bank):
        """changes: settings by partner."""
        changes = changes or {}
        roles = {"bank": self.sharded_holder(options, secret, **of_bank)}
        for name in self.parties.feature_holders:
            roles[name] = self.sharded_partner(name, options, **changes.get(name, {}))
        return roles

    def sharded_twin(self, options, seeds=SEEDS):
        fields = tuple(field for name in self.parties.all for field in self.view(name).fields)
        return fit_shards(
            fields, self.values[self.train], self.label[self.train], options, keys=self.keys,
            deal_seed=DEAL_SEED, seeds=seeds, n_local=self.n_local,
            categorical=[field for named in self.categorical.values() for field in named],
        )  # fmt: skip


def train(roles):
    """Everybody to the end, over the wire; returns the transcript."""
    rehearsal = Rehearsal(roles, over_the_wire)
    models = rehearsal.run()
    assert all(model is not None for model in models.values())
    assert all(role.progress.done == role.progress.total for role in roles.values())
    return rehearsal.transcript


def deliver(roles, most=10**6, until=lambda message: False):
    """Deliver at most so many messages, or until one is wanted; returns (whether all finished, messages)."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    delivered = []
    while queue and len(delivered) < most:
        sender, out = queue.popleft()
        if until(out.message):
            return False, delivered
        delivered.append(out.message)
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    return not queue, delivered


def models_of(roles):
    return {name: role.result for name, role in roles.items()}


def kept_of(roles):
    """What every party keeps, as it comes out of its vault."""
    return {name: type(role.shards).from_bytes(role.shards.to_bytes()) for name, role in roles.items()}
