"""A pooled table of coded columns at two to four parties, and scorecard training over it."""

from functools import cache

import numpy as np

from federation import scorecard, wire
from federation.roles import Parties, Rehearsal
from federation.scorecard_fit import Block, fit_scorecard, prevalence_log_odds
from privacy.paillier_secret import SecretKey

KEY_BITS = 512
NAMES = ("bank", "shop", "carrier", "grid")
WIDTHS = {"bank": 3, "shop": 2, "carrier": 3, "grid": 1}
CODES = 4


@cache
def keys():
    return {name: SecretKey.generate(KEY_BITS, testing_only=True) for name in NAMES}


def over_the_wire(message):
    return wire.decode(wire.encode(message))


class Scene:
    """Codes, WOE and labels of `n_rows` rows, 3/4 of which train."""

    def __init__(self, seed, partners=1, n_rows=200, spread=0.7):
        rng = np.random.default_rng(seed)
        self.parties = Parties("bank", NAMES[1 : 1 + partners])
        self.codes, self.woe = {}, {}
        total = np.full(n_rows, -0.6)
        for name in self.parties.all:
            codes = rng.integers(0, CODES, size=(n_rows, WIDTHS[name])).astype(np.uint8)
            woe = tuple(
                tuple(np.round(rng.normal(0, spread, CODES), 3).tolist()) for _ in range(WIDTHS[name])
            )
            self.codes[name], self.woe[name] = codes, woe
            total -= self.columns(name).sum(axis=1)
        self.label = (rng.random(n_rows) < 1 / (1 + np.exp(-total))).astype(np.int8)
        self.train = np.sort(rng.permutation(n_rows)[: n_rows * 3 // 4])
        self.own_rows = rng.permutation(10 * n_rows)[:n_rows]

    def columns(self, name):
        """The WOE of every row: (n_rows, n_fields)."""
        return np.stack([np.array(self.woe[name][f])[c] for f, c in enumerate(self.codes[name].T)], axis=1)

    def batch(self, options):
        """Batches of equal size: so few rows would not do for the smallest of those that are drawn row by row."""
        order = np.argsort(np.random.default_rng(11).random(len(self.train)))
        return order % options.batches

    def label_holder(self, options, start=None, **changes):
        given = {
            "decryptor": keys()["bank"],
            "public_key": keys()["bank"].public,
            "minimum_key_bits": KEY_BITS,
            "start": start,
        } | changes
        return scorecard.LabelHolder(
            self.parties, self.codes["bank"], self.woe["bank"], self.label, self.train, self.batch(options),
            options, **given,
        )  # fmt: skip

    def feature_holder(self, name, options, start=None, **changes):
        given = {"own_key": lambda: (keys()[name], keys()[name].public), "start": start} | changes
        return scorecard.FeatureHolder(
            self.parties, name, self.codes[name], self.woe[name], options, KEY_BITS, **given
        )

    def roles(self, options, start=None):
        start = start or {}
        first, *others = self.parties.all
        return {
            first: self.label_holder(options, start.get(first)),
            **{name: self.feature_holder(name, options, start.get(name)) for name in others},
        }

    def train_together(self, options, start=None):
        """(weights by party, transcript)."""
        rehearsal = Rehearsal(self.roles(options, start), over_the_wire)
        return rehearsal.run(), rehearsal.transcript

    def train_in_the_clear(self, options, start=None):
        blocks = [
            Block(
                name, self.codes[name][self.train], self.woe[name], options, has_intercept=name == "bank",
                start=start and start[place],
            )
            for place, name in enumerate(self.parties.all)
        ]  # fmt: skip
        label = self.label[self.train].astype(np.int64)
        if start is None:
            blocks[0].set_intercept(prevalence_log_odds(label))
        return fit_scorecard(blocks, label, self.batch(options), options)
