"""The trees so far, and what the next one is grown from: what the twin and the label holder do alike.

Per tree: gradients at the scores so far, weighted by class, sampled (`row_weights.goss`), as exact integers; a
`TreeBuilder` for the caller to grow; then new scores, and the log loss on the validation rows.

Early stopping. Validation rows are training rows that no gradient, sum, leaf value or small-cell count sees. After
every tree their weighted log loss is taken; training ends when it has not improved for `patience` trees, and the best
number of trees (at least one) is kept. The loss is summed exactly (`math.fsum`), so that the order of rows cannot
decide between two trees.

When rows leave in the middle (a consent was withdrawn), those of them that validate leave the loss too, and balanced
weights are taken anew. The losses of trees that stand are not: `losses` is then over different validation rows before
and after, and `best` compares them nevertheless. With few validation rows a withdrawal can so move the number of trees
that are kept. When no validation row is left, later losses are infinite, and the best of the trees before is kept.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from federation.binning import Bools, Split
from federation.boosting_options import BoostingOptions
from federation.row_weights import (
    Draws,
    Floats,
    base_score_of,
    class_weights,
    goss,
    gradients_of,
    validation_rows,
)
from federation.tree_builder import Tree, TreeBuilder


class GrowingEnsemble:
    """Trees, own splits and scores of one training. Attributes are for reading.

    labels: (n_rows,) 0 or 1 as float64. scores: (n_rows,) log-odds by the trees so far. losses: after every tree,
    on the rows that validated then; empty without early stopping.
    """

    def __init__(
        self,
        labels: np.ndarray[Any, Any],
        options: BoostingOptions,
        draws: Draws,
        *,
        validation: Bools | None = None,
        base_score: float | None = None,
        scores: Floats | None = None,
        trees: tuple[Tree, ...] = (),
        splits: tuple[Split, ...] = (),
        losses: tuple[float, ...] = (),
    ) -> None:
        """validation: which rows validate (default: as `draws` has it). The rest: what to go on from.

        Raises `ConfigInvalid` when labels are not 0 and 1 or all the same, or too few rows validate.
        """
        self.labels = np.asarray(labels).astype(np.float64)
        self._options, self.draws = options, draws
        if validation is None:
            validation = validation_rows(self.labels, options, draws)
        self.validation = validation
        self._weights, ratio = class_weights(self.labels, options, ~validation)
        if base_score is None:
            base_score = base_score_of(self.labels[~validation], ratio)
        self.base_score = base_score
        self.scores = np.full(len(self.labels), base_score) if scores is None else scores
        self.trees, self.splits, self.losses = list(trees), list(splits), list(losses)

    @property
    def is_done(self) -> bool:
        """Whether no tree is to be grown any more."""
        without_gain = len(self.losses) - self.best
        is_stopped = bool(self._options.patience and self.losses and without_gain >= self._options.patience)
        return is_stopped or len(self.trees) >= self._options.trees

    @property
    def best(self) -> int:
        """The number of trees to keep: all, or those up to the lowest loss (of equal ones the first)."""
        if not self.losses:
            return len(self.trees)
        return 1 + self.losses.index(min(self.losses))

    @property
    def is_local(self) -> bool:
        """Whether the next tree is the label holder's alone."""
        return self._options.first_tree_local and not self.trees

    def builder(self) -> TreeBuilder:
        """What grows the next tree. A local one uses all training rows: sampling them would save nothing."""
        options, counted = self._options, ~self.validation
        weights = np.where(counted, self._weights, 0.0)
        if options.samples and not self.is_local:
            full, _ = self._gradients(weights)
            weights = weights * goss(self.labels, full, counted, options, self.draws, len(self.trees))
            counted = weights > 0
        return TreeBuilder(*self._gradients(weights), options, counted)

    def add(self, builder: TreeBuilder) -> None:
        """The tree is grown: its leaf values go to all rows."""
        tree, per_row = builder.finish()
        self.trees.append(tree)
        self.scores = self.scores + per_row
        if self._options.patience:
            self.losses.append(self._loss())

    def kept(self) -> tuple[tuple[Tree, ...], tuple[Split, ...]]:
        """The trees to keep, and the own splits that they use (numbers are in the order of the trees)."""
        trees = tuple(self.trees[: self.best])
        used = [
            split for tree in trees for owner, split in zip(tree.owner, tree.split, strict=True) if owner == 0
        ]
        return trees, tuple(self.splits[: max(used, default=-1) + 1])

    def _gradients(self, weights: Floats) -> tuple[Any, Any]:
        bits = self._options.weight_bits
        return gradients_of(self.labels, self.scores, self._options.scale_bits, weights, bits)

    def _loss(self) -> float:
        """Weighted log loss on the validation rows."""
        rows = self.validation
        signed = np.where(self.labels[rows] == 1, -self.scores[rows], self.scores[rows])
        if not len(signed):
            return math.inf  # all of them have left the job
        losses, weights = np.logaddexp(0.0, signed), self._weights[rows]
        return math.fsum(losses * weights) / math.fsum(weights)
