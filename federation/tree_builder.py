"""One tree while it grows, and in which order its nodes are split: shared by the plaintext twin and the label holder.

Level-wise, every exchange asks for the candidates of all nodes of a level, and splits what is worth it. Leaf-wise
(Shi 2007; LightGBM), the leaf with the highest gain is split first, until there are `max_leaves`. What an exchange
splits then are the best leaves *that will be split whatever their predecessors' descendants are*: the leaf of rank j
is, when the leaves before it cannot use up the splits that are left. A leaf of n rows at depth d can be split, with
all below it, at most min(2**(depth - d) - 1, n // min_child_rows - 1) times. So the tree is the one that is grown leaf
by leaf, up to the numbering of its nodes, in fewer exchanges; nothing is asked that is not needed for it.

Rows that do not count (they validate, or GOSS has left them out of this tree) reach a leaf like any other. No gain,
leaf value, `k_min` or `min_child_rows` sees them.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from federation.binning import Bools, Integers
from federation.boosting_options import BoostingOptions, Growth

Floats = np.ndarray[Any, np.dtype[np.float64]]

MINIMUM_HESSIAN: Final = 1e-3
"""Smallest sum of h on either side of a split (scikit-learn's constant): keeps leaves finite when l2 is 0."""


class Tree(msgspec.Struct, frozen=True):
    """One finished tree as parallel lists over its nodes; node 0 is the root, a leaf has `left` -1.

    left: index of the left child, the right child follows it. owner: 0 for the label holder, i for the i-th
    feature holder. split: the owner's number for its threshold. value: leaf value, with the learning rate;
    of an inner node what it would be as a leaf (`federation.path_attributions`). gain: the loss reduction of the split.
    """

    left: tuple[int, ...]
    owner: tuple[int, ...]
    split: tuple[int, ...]
    value: tuple[float, ...]
    gain: tuple[float, ...]


class TreeBuilder:
    """It knows gradients and row sets, but no feature.

    gradients, hessians: (n_rows,) integers as `gradients_of` makes them, 0 where a row does not count.
    open: nodes whose candidates this exchange is about. waiting: nodes that a partner keeps the sums of and that may
    be split, in the order in which they were asked for; the open ones are the last.
    An exchange: `propose` the best split of open nodes, `split` what is `due`, `close_exchange`.
    """

    def __init__(
        self,
        gradients: Integers,
        hessians: Integers,
        options: BoostingOptions,
        counted: Bools | None = None,
    ) -> None:
        """counted: (n_rows,) which rows count (default: all)."""
        self.gradients, self.hessians, self._options = gradients, hessians, options
        self.counts = np.ones(len(gradients), dtype=np.bool_) if counted is None else counted
        self._left: list[int] = [-1]
        self._owner: list[int] = [-1]
        self._split: list[int] = [-1]
        self._gain: list[float] = [0.0]
        self._level: list[int] = [0]
        self._rows: list[Integers] = [np.arange(len(gradients), dtype=np.int64)]
        self._proposed: dict[int, float] = {}
        self._splits_left = options.max_leaves - 1
        self.exchange = 0
        self.open = self._worth_splitting([0])
        self.waiting = list(self.open)

    @property
    def is_growing(self) -> bool:
        """Whether another exchange can still split a node."""
        return bool(self.open or self._proposed)

    def rows(self, node: int) -> Integers:
        """The rows that reach a node, increasing."""
        return self._rows[node]

    def counted_rows(self, node: int) -> Integers:
        """Those of them that count."""
        rows = self._rows[node]
        return rows[self.counts[rows]]

    def level(self, node: int) -> int:
        """A node's depth, 0 at the root."""
        return self._level[node]

    def totals(self, node: int) -> tuple[int, int]:
        """The node's sums of g and h, in units of 2**-scale_bits."""
        return self.sums(self._rows[node])

    def sums(self, rows: Integers) -> tuple[int, int]:
        """The sums of g and h over some rows."""
        return int(self.gradients[rows].sum()), int(self.hessians[rows].sum())

    def sizes(self, node: int) -> tuple[int, int]:
        """Bounds on any part of a node: the sums of |g| and of h."""
        rows = self._rows[node]
        return int(np.abs(self.gradients[rows]).sum()), int(self.hessians[rows].sum())

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

    def propose(self, node: int, gain: float) -> None:
        """An open node's best split has this gain; one without a proposal is a leaf."""
        self._proposed[node] = gain

    def due(self) -> list[int]:
        """The nodes to split in this exchange, in the order in which to split them."""
        if self._options.growth is Growth.LEVEL:
            return sorted(self._proposed)
        ranked = sorted(self._proposed, key=lambda node: (-self._proposed[node], node))
        certain, used = [], 0
        for node in ranked:
            if used + 1 > self._splits_left:
                break
            certain.append(node)
            used += self._capacity(node)
        return sorted(certain)

    def split(self, node: int, owner: int, split: int, gain: float, left: Bools) -> None:
        """Split a node that is due: `left` (n_rows_of_node,) says which of its rows go left."""
        rows = self._rows[node]
        self._left[node] = len(self._left)
        self._owner[node], self._split[node], self._gain[node] = owner, split, gain
        for child_rows in (rows[left], rows[~left]):
            self._left.append(-1)
            self._owner.append(-1)
            self._split.append(-1)
            self._gain.append(0.0)
            self._level.append(self._level[node] + 1)
            self._rows.append(child_rows)
        self._proposed.pop(node, None)
        self._splits_left -= 1

    def children(self, node: int) -> tuple[int, int] | None:
        """The two children of a node, or None when it is a leaf."""
        left = self._left[node]
        return None if left < 0 else (left, left + 1)

    def close_exchange(self) -> None:
        """Go on to the new children that are large enough, where they may still be split."""
        self.exchange += 1
        born = [child for node in self.waiting for child in self.children(node) or ()]
        if self._options.growth is Growth.LEVEL:
            self.open = self.waiting = self._worth_splitting(born)
            return
        if not self._splits_left:
            born, self._proposed = [], {}
        self.open = self._worth_splitting(born)
        self.waiting = [node for node in self.waiting if self._left[node] < 0] + self.open

    def finish(self) -> tuple[Tree, Floats]:
        """The tree, and the leaf value of every row, shape (n_rows,)."""
        unit, options = 2.0**-self._options.scale_bits, self._options
        values = [0.0] * len(self._left)
        per_row = np.zeros(len(self.gradients), dtype=np.float64)
        for node, rows in enumerate(self._rows):
            gradient, hessian = self.totals(node)
            weight = hessian * unit + options.l2
            values[node] = -options.learning_rate * (gradient * unit) / weight if weight > 0 else 0.0
            if self._left[node] < 0:
                per_row[rows] = values[node]
        tree = Tree(
            tuple(self._left), tuple(self._owner), tuple(self._split), tuple(values), tuple(self._gain)
        )
        return tree, per_row

    def _capacity(self, node: int) -> int:
        """How often a node and what is below it can be split, at most."""
        by_depth = (1 << (self._options.depth - self._level[node])) - 1
        return min(by_depth, len(self.counted_rows(node)) // self._options.min_child_rows - 1)

    def _worth_splitting(self, nodes: list[int]) -> list[int]:
        enough = max(2 * self._options.min_child_rows, 2)
        return [
            node
            for node in nodes
            if self._level[node] < self._options.depth and len(self.counted_rows(node)) >= enough
        ]
