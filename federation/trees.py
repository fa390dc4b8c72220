"""Gradient-boosted trees on binned features: the pure NumPy kernel, without parties.

`fit_trees` is the plaintext twin of `federation.boosting`: given the pooled codes it grows, node for node,
the trees that the federated protocol grows, and it trains a party's own baseline. Both use the same
`TreeBuilder`, candidates and integer gradients (`ensemble`): sums, gains and scores are equal, not merely close.

Log loss, second order (Chen and Guestrin 2016, eq. 6 and 7): p = sigmoid(score), g = p - y, h = p (1 - p),
    gain = GL^2/(HL + l2) + GR^2/(HR + l2) - G^2/(H + l2),      leaf = -learning_rate * G/(H + l2).
Level-wise to `depth`, or the best leaf first (`tree_builder`). Like scikit-learn's
`HistGradientBoostingClassifier`, except that
 - g and h are rounded to multiples of 2**-scale_bits *before* use (that is what can be encrypted and summed);
 - bins under `k_min` rows of a node are merged with their neighbours, so that no two candidate sums of one
   feature differ by fewer than `k_min` rows, and below the root so are bins under 1/node_bins of its rows
   (`k_min=1` with a huge `node_bins` merges nothing but empty bins);
 - the first tree may be limited to the label holder's features.
Ties go to the first candidate in the order (feature, cut, missing left before missing right).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.binning import MISSING, Bools, Candidates, Codes, Integers, Split
from federation.boosting_options import BoostingOptions, Growth
from federation.ensemble import GrowingEnsemble
from federation.row_weights import Draws, Floats, base_score_of, gradients_of, probabilities
from federation.tree_builder import Tree, TreeBuilder

__all__ = [
    "BoostedTrees",
    "BoostingOptions",
    "Draws",
    "Floats",
    "Growth",
    "Offer",
    "Tree",
    "TreeBuilder",
    "base_score_of",
    "fit_trees",
    "gradients_of",
    "left_sums",
    "offer_of",
    "probabilities",
    "route",
    "sums_of",
]


def sums_of(codes: Codes, weights: Integers, n_codes: int) -> Integers:
    """Exact sum of `weights` (n_rows,) per (feature, code), shape (n_features, n_codes)."""
    table = np.empty((codes.shape[1], n_codes), dtype=np.int64)
    exact = weights.astype(np.float64)
    for feature in range(codes.shape[1]):
        table[feature] = np.bincount(codes[:, feature], weights=exact, minlength=n_codes)
    return table


def left_sums(sums: Integers, candidates: Candidates) -> Integers:
    """The sum on the left of every candidate, from sums per (feature, code)."""
    prefix = np.cumsum(sums, axis=1) - sums[:, [MISSING]]
    missing = np.where(candidates.missing_left, sums[candidates.feature, MISSING], 0)
    left: Integers = prefix[candidates.feature, candidates.cut] + missing
    return np.where(candidates.is_level, sums[candidates.feature, candidates.cut], left)


@dataclass(frozen=True, slots=True)
class Offer:
    """One party's candidates at one node, and the sums on their left, one entry per candidate."""

    candidates: Candidates
    gradients: Integers
    hessians: Integers


def offer_of(
    codes: Codes,
    gradients: Integers,
    hessians: Integers,
    options: BoostingOptions,
    level: int,
    levels: frozenset[int] = frozenset(),
) -> Offer:
    """The offer of a party that sees features and gradients: all arrays hold the node's counted rows only.

    levels: the features whose codes have no order.
    """
    candidates = options.candidates(codes, level, levels)
    return Offer(
        candidates,
        left_sums(sums_of(codes, gradients, options.bins + 1), candidates),
        left_sums(sums_of(codes, hessians, options.bins + 1), candidates),
    )


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """A plaintext model: `splits[i]` is what a tree's split number i means.

    losses: on the validation rows, after every tree that was grown, also of those that were not kept.
    """

    base_score: float
    trees: tuple[Tree, ...]
    splits: tuple[Split, ...]
    losses: tuple[float, ...] = ()

    def decision_function(self, codes: Codes) -> Floats:
        """Log-odds scores of coded rows, shape (n_rows,)."""
        sides: Mapping[int, Split] = dict(enumerate(self.splits))

        def ask(_owner: int, split: int, rows: Integers) -> Bools:
            return sides[split].goes_left(codes[rows])

        scores = np.full(len(codes), self.base_score)
        for tree in self.trees:
            scores = scores + route(tree, len(codes), ask)
        return scores

    def predict_proba(self, codes: Codes) -> Floats:
        """Probability of the positive class, shape (n_rows,)."""
        return probabilities(self.decision_function(codes))


def route(tree: Tree, n_rows: int, ask: Callable[[int, int, Integers], Bools]) -> Floats:
    """Leaf value per row, shape (n_rows,). `ask(owner, split, rows)` says which of `rows` go left."""
    values = np.zeros(n_rows, dtype=np.float64)
    reached: list[Integers] = [np.empty(0, dtype=np.int64)] * len(tree.left)
    reached[0] = np.arange(n_rows, dtype=np.int64)
    for node, left in enumerate(tree.left):
        rows = reached[node]
        if left < 0:
            values[rows] = tree.value[node]
            continue
        goes_left = ask(tree.owner[node], tree.split[node], rows)
        reached[left], reached[left + 1] = rows[goes_left], rows[~goes_left]
    return values


def fit_trees(
    codes: Codes,
    labels: np.ndarray[Any, Any],
    options: BoostingOptions,
    n_local: int | None = None,
    before: BoostedTrees | None = None,
    *,
    draws: Draws | None = None,
    validation: Bools | None = None,
    levels: frozenset[int] = frozenset(),
) -> BoostedTrees:
    """Train on pooled codes (n_rows, n_features) and labels (n_rows,) of 0 and 1.

    n_local: how many of the first columns are the label holder's (default: all), for `first_tree_local`.
    before: a model of fewer trees to go on from, none of them dropped.
    draws: what is drawn at random (default: from seed 0, in the order of the rows).
    validation: (n_rows,) which rows validate (default: as drawn). levels: features whose codes have no order.
    Raises `ConfigInvalid` for labels that are not 0 and 1, or all the same.
    """
    kept: dict[str, Any] = {}
    if before is not None:
        kept = {name: getattr(before, name) for name in ("base_score", "trees", "splits", "losses")}
        kept["scores"] = before.decision_function(codes)
    ensemble = GrowingEnsemble(labels, options, draws or Draws.of(len(labels)), validation=validation, **kept)
    while not ensemble.is_done:
        usable = codes[:, :n_local] if ensemble.is_local else codes
        builder = ensemble.builder()
        _grow(builder, usable, options, ensemble.splits, levels)
        ensemble.add(builder)
    trees, splits = ensemble.kept()
    return BoostedTrees(ensemble.base_score, trees, splits, tuple(ensemble.losses))


def _grow(
    builder: TreeBuilder,
    codes: Codes,
    options: BoostingOptions,
    splits: list[Split],
    levels: frozenset[int],
) -> None:
    """Grow one tree to its end; what it splits by is added to `splits`."""
    found: dict[int, tuple[Split, float]] = {}
    levels = frozenset(feature for feature in levels if feature < codes.shape[1])
    while builder.is_growing:
        for node in builder.open:
            rows = builder.counted_rows(node)
            sums = codes[rows], builder.gradients[rows], builder.hessians[rows]
            offer = offer_of(*sums, options, builder.level(node), levels)
            gains = builder.gains(node, offer.gradients, offer.hessians)
            if len(gains) and not np.isneginf(gains.max()):
                best = int(gains.argmax())
                found[node] = offer.candidates[best], float(gains[best])
                builder.propose(node, found[node][1])
        for node in builder.due():
            split, gain = found[node]
            splits.append(split)
            builder.split(node, 0, len(splits) - 1, gain, split.goes_left(codes[builder.rows(node)]))
        builder.close_exchange()
