"""Gradient-boosted trees on binned features: the pure NumPy kernel, without parties.

`fit_trees` is the plaintext twin of `federation.boosting`: given the pooled codes it grows, node for node,
the trees that the federated protocol grows, and it trains a party's own baseline. Both use the same
`TreeBuilder`, candidates and integer gradients: sums, gains and scores are equal, not merely close.

Log loss, second order (Chen and Guestrin 2016, eq. 6 and 7): p = sigmoid(score), g = p - y, h = p (1 - p),
    gain = GL^2/(HL + l2) + GR^2/(HR + l2) - G^2/(H + l2),      leaf = -learning_rate * G/(H + l2).
Level-wise to `depth`. Like scikit-learn's `HistGradientBoostingClassifier`, except that
 - g and h are rounded to multiples of 2**-scale_bits *before* use (that is what can be encrypted and summed);
 - bins under `k_min` rows of a node are merged with their neighbours, so that no two candidate sums of one
   feature differ by fewer than `k_min` rows, and below the root so are bins under 1/node_bins of its rows
   (`k_min=1` with a huge `node_bins` merges nothing but empty bins);
 - the first tree may be limited to the label holder's features.
Ties go to the first candidate in the order (feature, cut, missing left before missing right).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from federation.binning import (
    MAXIMUM_BINS,
    MISSING,
    Bools,
    Candidates,
    Codes,
    Integers,
    Split,
    candidates_of,
    counts_of,
)
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]

MINIMUM_HESSIAN: Final = 1e-3
"""Smallest sum of h on either side of a split (scikit-learn's constant): keeps leaves finite when l2 is 0."""

EXACT_BITS: Final = 53
"""Sums of scaled gradients must stay below 2**53: then float64 holds them exactly."""


@dataclass(frozen=True, slots=True)
class BoostingOptions:
    """What the parties agree on before training.

    bins: value bins per feature at the root; node_bins: about as many are left below it, since bins under
        1/node_bins of a node's rows are merged. Fewer sums to send, and none of them needed for accuracy.
    min_child_rows: fewest training rows on either side of a split, at least `k_min`.
    k_min: fewest rows behind any sum, and any difference of two sums of one feature, that a partner sends.
    first_tree_local: the first tree uses the label holder's features only.
    scale_bits: fraction bits of a gradient or Hessian.
    """

    trees: int = 20
    depth: int = 5
    bins: int = 32
    node_bins: int = 16
    learning_rate: float = 0.3
    l2: float = 1.0
    min_child_rows: int = 50
    k_min: int = 50
    min_gain: float = 0.0
    first_tree_local: bool = True
    scale_bits: int = 24

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "trees": (1, 1000), "depth": (1, 12), "bins": (2, MAXIMUM_BINS), "node_bins": (2, 1e6),
            "learning_rate": (1e-6, 1.0),
            "l2": (0.0, 1e9), "k_min": (1, 1e6), "min_gain": (0.0, 1e9), "scale_bits": (8, 40),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigInvalid("boosting_option", name=name, low=low, high=high)
        if self.min_child_rows < self.k_min:
            raise ConfigInvalid("boosting_child_rows", min_child_rows=self.min_child_rows, k_min=self.k_min)

    def candidates(self, codes: Codes, level: int) -> Candidates:
        """The splits to offer for the rows of one node, whose codes these are."""
        share = -(-len(codes) // self.node_bins) if level else 0
        counts = counts_of(codes, self.bins + 1)
        return candidates_of(counts, max(self.k_min, share), self.min_child_rows)


class Tree(msgspec.Struct, frozen=True):
    """One finished tree as parallel lists over its nodes; node 0 is the root, a leaf has `left` -1.

    left: index of the left child, the right child follows it. owner: 0 for the label holder, i for the i-th
    feature holder. split: the owner's number for its threshold. value: leaf value, with the learning rate.
    gain: the loss reduction of the split.
    """

    left: tuple[int, ...]
    owner: tuple[int, ...]
    split: tuple[int, ...]
    value: tuple[float, ...]
    gain: tuple[float, ...]


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
    return left


def base_score_of(labels: np.ndarray[Any, Any]) -> float:
    """Log-odds of the prevalence. Raises `ConfigInvalid` when the labels are not 0 and 1, or all the same."""
    positives = int(np.count_nonzero(labels == 1))
    if positives + int(np.count_nonzero(labels == 0)) != len(labels):
        raise ConfigInvalid("boosting_labels")
    if positives in (0, len(labels)):
        raise ConfigInvalid("boosting_one_class")
    share = positives / len(labels)
    return float(np.log(share / (1 - share)))


def gradients_of(labels: np.ndarray[Any, Any], scores: Floats, scale_bits: int) -> tuple[Integers, Integers]:
    """g = p - y and h = p (1 - p) as integers in units of 2**-scale_bits, each of shape (n_rows,).

    Raises `ConfigInvalid` when their sums could leave the exact range of float64.
    """
    if scale_bits + len(labels).bit_length() >= EXACT_BITS:
        raise ConfigInvalid("boosting_too_many_rows", rows=len(labels), scale_bits=scale_bits)
    chance = probabilities(scores)
    scale = float(1 << scale_bits)
    gradients = np.rint((chance - labels) * scale).astype(np.int64)
    hessians = np.rint(chance * (1 - chance) * scale).astype(np.int64)
    return gradients, hessians


def probabilities(scores: Floats) -> Floats:
    """Sigmoid of log-odds scores, without overflow."""
    small = np.exp(-np.abs(scores))
    result: Floats = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return result


class TreeBuilder:
    """One tree while it grows, level by level. It knows gradients and row sets, but no feature.

    gradients, hessians: (n_rows,) integers as `gradients_of` makes them. `open` are the nodes of the current
    level worth splitting; `close_level` moves to the next one.
    """

    def __init__(self, gradients: Integers, hessians: Integers, options: BoostingOptions) -> None:
        self._gradients, self._hessians, self._options = gradients, hessians, options
        self._left: list[int] = [-1]
        self._owner: list[int] = [-1]
        self._split: list[int] = [-1]
        self._gain: list[float] = [0.0]
        self._rows: list[Integers] = [np.arange(len(gradients), dtype=np.int64)]
        self.level = 0
        self.open = self._worth_splitting([0])

    def rows(self, node: int) -> Integers:
        """The rows that reach a node, increasing."""
        return self._rows[node]

    def totals(self, node: int) -> tuple[int, int]:
        """The node's sums of g and h, in units of 2**-scale_bits."""
        rows = self._rows[node]
        return int(self._gradients[rows].sum()), int(self._hessians[rows].sum())

    def gains(self, node: int, left_gradients: Integers, left_hessians: Integers) -> Floats:
        """Gain of candidates from the sums on their left; -inf where a split is not allowed."""
        total_gradient, total_hessian = self.totals(node)
        unit, l2 = 2.0**-self._options.scale_bits, self._options.l2
        sides = [
            (sums_g.astype(np.float64) * unit, sums_h.astype(np.float64) * unit)
            for sums_g, sums_h in (
                (left_gradients, left_hessians),
                (total_gradient - left_gradients, total_hessian - left_hessians),
            )
        ]
        allowed = (sides[0][1] >= MINIMUM_HESSIAN) & (sides[1][1] >= MINIMUM_HESSIAN)
        parts = [g * g / np.where(allowed, h + l2, 1.0) for g, h in sides]
        before = (total_gradient * unit) ** 2 / (total_hessian * unit + l2) if total_hessian else 0.0
        gain = parts[0] + parts[1] - before
        return np.where(allowed & (gain > self._options.min_gain), gain, -np.inf)

    def split(self, node: int, owner: int, split: int, gain: float, left: Bools) -> None:
        """Split an open node: `left` (n_rows_of_node,) says which of its rows go left."""
        rows = self._rows[node]
        self._left[node] = len(self._left)
        self._owner[node], self._split[node], self._gain[node] = owner, split, gain
        for child_rows in (rows[left], rows[~left]):
            self._left.append(-1)
            self._owner.append(-1)
            self._split.append(-1)
            self._gain.append(0.0)
            self._rows.append(child_rows)

    def children(self, node: int) -> tuple[int, int] | None:
        """The two children of a node, or None when it is a leaf."""
        left = self._left[node]
        return None if left < 0 else (left, left + 1)

    def close_level(self) -> None:
        """Go on to the next level: its open nodes are the new children that are large enough."""
        self.level += 1
        born = [child for node in self.open for child in self.children(node) or ()]
        self.open = self._worth_splitting(born)

    def finish(self) -> tuple[Tree, Floats]:
        """The tree, and the leaf value of every row, shape (n_rows,)."""
        unit, options = 2.0**-self._options.scale_bits, self._options
        values = [0.0] * len(self._left)
        per_row = np.zeros(len(self._gradients), dtype=np.float64)
        for node, rows in enumerate(self._rows):
            if self._left[node] >= 0:
                continue
            gradient, hessian = self.totals(node)
            weight = hessian * unit + options.l2
            values[node] = -options.learning_rate * (gradient * unit) / weight if weight > 0 else 0.0
            per_row[rows] = values[node]
        tree = Tree(
            tuple(self._left), tuple(self._owner), tuple(self._split), tuple(values), tuple(self._gain)
        )
        return tree, per_row

    def _worth_splitting(self, nodes: Sequence[int]) -> list[int]:
        if self.level >= self._options.depth:
            return []
        enough = max(2 * self._options.min_child_rows, 2)
        return [node for node in nodes if len(self._rows[node]) >= enough]


@dataclass(frozen=True, slots=True)
class Offer:
    """One party's candidates at one node, and the sums on their left, one entry per candidate."""

    candidates: Candidates
    gradients: Integers
    hessians: Integers


def offer_of(
    codes: Codes, gradients: Integers, hessians: Integers, options: BoostingOptions, level: int
) -> Offer:
    """The offer of a party that sees features and gradients: all arrays hold the node's rows only."""
    candidates = options.candidates(codes, level)
    return Offer(
        candidates,
        left_sums(sums_of(codes, gradients, options.bins + 1), candidates),
        left_sums(sums_of(codes, hessians, options.bins + 1), candidates),
    )


@dataclass(frozen=True, slots=True)
class BoostedTrees:
    """A plaintext model: `splits[i]` is what a tree's split number i means."""

    base_score: float
    trees: tuple[Tree, ...]
    splits: tuple[Split, ...]

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
) -> BoostedTrees:
    """Train on pooled codes (n_rows, n_features) and labels (n_rows,) of 0 and 1.

    n_local: how many of the first columns are the label holder's (default: all), for `first_tree_local`.
    before: a model of fewer trees to go on from.
    Raises `ConfigInvalid` for labels that are not 0 and 1, or all the same.
    """
    before = before or BoostedTrees(base_score_of(labels), (), ())
    scores = before.decision_function(codes)
    trees: list[Tree] = list(before.trees)
    splits: list[Split] = list(before.splits)
    for number in range(len(trees), options.trees):
        usable = codes[:, :n_local] if options.first_tree_local and number == 0 else codes
        gradients, hessians = gradients_of(labels, scores, options.scale_bits)
        builder = TreeBuilder(gradients, hessians, options)
        while builder.open:
            for node in builder.open:
                rows = builder.rows(node)
                offer = offer_of(usable[rows], gradients[rows], hessians[rows], options, builder.level)
                gains = builder.gains(node, offer.gradients, offer.hessians)
                if not len(gains) or np.isneginf(gains.max()):
                    continue
                best = int(gains.argmax())
                splits.append(offer.candidates[best])
                left = splits[-1].goes_left(usable[rows])
                builder.split(node, 0, len(splits) - 1, float(gains[best]), left)
            builder.close_level()
        tree, per_row = builder.finish()
        trees.append(tree)
        scores = scores + per_row
    return BoostedTrees(before.base_score, tuple(trees), tuple(splits))
