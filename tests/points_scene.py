"""A finished scorecard of three parties, and rows to score with it."""

import numpy as np
from scorecard_scene import over_the_wire

from federation import points
from federation.point_scale import PointScale
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard, PublishedName
from federation.roles import Parties, Rehearsal, View
from federation.scorecard_fit import BlockWeights
from federation.woe import fit_woe
from federation.woe_options import WoeOptions

NAMES = ("bank", "shop", "carrier")
WIDTHS = {"bank": 2, "shop": 3, "carrier": 1}
PUBLISHED = {
    "shop_0": PublishedName("下单频率", "How often you order"),
    "shop_1": PublishedName("退货情况", "How much you return"),
}


class PointsScene:
    """200 rows; every party's bins, weights and tables."""

    def __init__(self, scale=None, n_rows=200):
        rng = np.random.default_rng(4)
        self.parties = Parties("bank", NAMES[1:])
        self.values = {name: rng.normal(size=(n_rows, WIDTHS[name])) for name in NAMES}
        total = sum(values.sum(axis=1) for values in self.values.values())
        self.label = (total + rng.normal(size=n_rows) > 0.5).astype(np.int8)
        self.models = {}
        for name in NAMES:
            options = WoeOptions(pre_bins=6, k_min=5)
            binning = fit_woe(self.view(name).fields, self.values[name], self.label, options)
            weights = BlockWeights(
                -0.4 if name == "bank" else 0.0, tuple(rng.uniform(-1.2, -0.5, WIDTHS[name]).tolist())
            )
            if name == "bank":
                part = LabelHolderScorecard.of(
                    b"m" * 16, self.parties.all, scale or PointScale(), binning, weights
                )
            else:
                part = FeatureHolderScorecard.of(b"m" * 16, scale or PointScale(), binning, weights)
            self.models[name] = part

    def view(self, name):
        return View(tuple(f"{name}_{place}" for place in range(WIDTHS[name])), self.values[name])

    def codes(self, name):
        return self.models[name].binning.transform(self.values[name])

    def log_odds(self, name):
        """A party's part of the log-odds, unrounded."""
        model = self.models[name]
        return model.weights.intercept + model.binning.woe_of(self.codes(name)) @ np.array(
            model.weights.weights
        )

    def label_holder(self, rows=None, reasons=0):
        return points.LabelHolder(self.parties, self.view("bank"), self.models["bank"], rows, reasons)

    def feature_holder(self, name, allowed=None):
        return points.FeatureHolder(
            self.parties, self.view(name), self.models[name], allowed=allowed, names=PUBLISHED
        )

    def roles(self, rows=None, reasons=0, allowed=None):
        partners = {name: self.feature_holder(name, (allowed or {}).get(name)) for name in NAMES[1:]}
        return {"bank": self.label_holder(rows, reasons), **partners}

    def score(self, rows=None, reasons=0, allowed=None):
        rehearsal = Rehearsal(self.roles(rows, reasons, allowed), over_the_wire)
        return rehearsal.run(), rehearsal.transcript
