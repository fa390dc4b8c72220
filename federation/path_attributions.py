"""What each field adds to the log-odds of a boosted score: path attributions.

Every node of a tree has a value: what it would be as a leaf, -learning_rate G/(H + l2). A row's score is the base score
and, over the trees, the root's value and the differences value(child) - value(node) along its path. Each difference is
credited to the field that splits there: an own field by name, a partner as a whole (which of its fields decides a split
stays with the partner). So a row's contributions and the base add up to its log-odds.

Source. Saabas, "Interpreting random forests" (2014); XGBoost's `pred_contribs` with `approx_contribs`.
Deviations. Not TreeSHAP (Lundberg et al. 2020), which needs the side of a row at splits that it does not reach. The
    label holder does not learn these: they would tell it more of a partner's columns than the score does. So
    attributions are not consistent in SHAP's sense: a model that comes to rely more on a field may credit it less, as
    of fields that work together those split nearer to the root are credited less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.binning import Integers
from federation.row_weights import Floats
from federation.tree_builder import Tree

Column = Callable[[int, int], int]
"""(owner, split) of a tree's node -> the column that is credited."""
Leaves = np.ndarray[Any, np.dtype[np.int32]]


@dataclass(frozen=True, slots=True)
class Contributions:
    """To the log-odds of the positive class.

    base: of every row alike. fields: the label holder's; partners: names. values: (n_rows, n_fields + n_partners).
    """

    base: float
    fields: tuple[str, ...]
    partners: tuple[str, ...]
    values: Floats

    @property
    def log_odds(self) -> Floats:
        """What they add up to, (n_rows,): the score's log-odds, up to rounding."""
        total: Floats = self.base + self.values.sum(axis=1)
        return total


def path_values(tree: Tree, n_columns: int, column_of: Column) -> Floats:
    """What the path to each node credits to each column, (n_nodes, n_columns). A node comes after its parent."""
    found = np.zeros((len(tree.left), n_columns))
    for node, left in enumerate(tree.left):
        if left < 0:
            continue
        column = column_of(tree.owner[node], tree.split[node])
        for child in (left, left + 1):
            found[child] = found[node]
            found[child, column] += tree.value[child] - tree.value[node]
    return found


def contributions_of(
    trees: tuple[Tree, ...], leaves: Leaves, base_score: float, n_columns: int, column_of: Column
) -> tuple[float, Floats]:
    """(base, values (n_rows, n_columns)) of rows by the leaf that each reaches in each tree, (n_trees, n_rows)."""
    values, base = np.zeros((leaves.shape[1], n_columns)), base_score
    for tree, of_tree in zip(trees, leaves, strict=True):
        base += tree.value[0]
        values += path_values(tree, n_columns, column_of)[of_tree]
    return base, values


def largest(values: Floats, most: int) -> Integers:
    """Per row the columns with the largest positive values, largest first, -1 where there are no more.

    Shape (n_rows, most), or (n_rows, n_columns) where these are fewer.
    """
    order = np.argsort(-values, axis=1, kind="stable")[:, :most]
    found: Integers = np.where(np.take_along_axis(values, order, axis=1) > 0, order, -1)
    return found
