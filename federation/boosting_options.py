"""What the parties agree on before trees are grown: the same record for the twin, L and every F."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from federation.binning import MAXIMUM_BINS, Candidates, Codes, candidates_of, counts_of
from privacy.errors import ConfigInvalid

ClassWeight = Literal["none", "balanced"] | float
"""The weight of a positive row beside a negative one: a number, or "balanced" for n / (2 n_class)."""

MAXIMUM_WEIGHT: Final = 1e4
MINIMUM_WEIGHT: Final = 1e-4


class Growth(StrEnum):
    """`level`: all nodes of a level at once. `leaf`: the leaf with the highest gain first, up to `max_leaves`."""

    LEVEL = "level"
    LEAF = "leaf"


@dataclass(frozen=True, slots=True)
class BoostingOptions:
    """What the parties agree on before training.

    bins: value bins per feature at the root; node_bins: about as many are left below it, since bins under
        1/node_bins of a node's rows are merged. Fewer sums to send, and none of them needed for accuracy.
    min_child_rows: fewest training rows on either side of a split, at least `k_min`.
    k_min: fewest rows behind any sum, and any difference of two sums of one feature, that a partner sends.
    first_tree_local: the first tree uses the label holder's features only.
    scale_bits: fraction bits of a gradient or Hessian.
    patience: training ends when the log loss on the validation rows has not improved for so many trees, and the best
        number of trees is kept; 0: never. validation_share: share of the training rows, per class, that validate then.
    class_weight: `ClassWeight`; a number is the weight of positive rows, negative ones have 1.
    goss_top, goss_other: shares of each class's rows that a joint tree is grown from: those with the largest |g|, and
        others at random (`row_weights.goss`); 0 and 0: all rows.
    growth, max_leaves: `Growth`; leaves per tree where the best leaf is split first. `depth` bounds both.
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
    patience: int = 0
    validation_share: float = 0.1
    class_weight: ClassWeight = "none"
    goss_top: float = 0.0
    goss_other: float = 0.0
    growth: Growth = Growth.LEVEL
    max_leaves: int = 31

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "trees": (1, 1000), "depth": (1, 12), "bins": (2, MAXIMUM_BINS), "node_bins": (2, 1e6),
            "learning_rate": (1e-6, 1.0),
            "l2": (0.0, 1e9), "k_min": (1, 1e6), "min_gain": (0.0, 1e9), "scale_bits": (8, 40),
            "patience": (0, 1000), "validation_share": (0.01, 0.5), "max_leaves": (2, 4096),
            "goss_top": (0.0, 0.99), "goss_other": (0.0, 0.99),
        }  # fmt: skip
        if not isinstance(self.class_weight, str):
            ranges["class_weight"] = (MINIMUM_WEIGHT, MAXIMUM_WEIGHT)
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigInvalid("boosting_option", name=name, low=low, high=high)
        if self.min_child_rows < self.k_min:
            raise ConfigInvalid("boosting_child_rows", min_child_rows=self.min_child_rows, k_min=self.k_min)
        together = self.goss_top + self.goss_other
        if (self.goss_top > 0) != (self.goss_other > 0) or together >= 1:
            raise ConfigInvalid("boosting_goss")

    @property
    def samples(self) -> bool:
        """Whether a joint tree is grown from a part of the rows only (GOSS)."""
        return self.goss_other > 0

    @property
    def amplification(self) -> float:
        """By what GOSS multiplies the rows drawn at random: (1 - a) / b of algorithm 2."""
        return (1 - self.goss_top) / self.goss_other if self.samples else 1.0

    @property
    def weight_bits(self) -> int:
        """Room for weights in a sum, in bits: g and h of n rows sum up to under 2**weight_bits times what they do
        without weights.

        "balanced" weights sum up to n in all, and need none of their own. One bit is for rounding: a rounded number is
        at most half a unit above the exact one. 0 without weights.
        """
        if self.class_weight == "none" and not self.samples:
            return 0
        positive = 1.0 if isinstance(self.class_weight, str) else max(1.0, self.class_weight)
        return 1 + math.ceil(math.log2(positive * self.amplification))

    @property
    def exchanges(self) -> int:
        """How often L asks for the sums of new nodes in one tree, at most."""
        return self.depth if self.growth is Growth.LEVEL else self.max_leaves

    def candidates(self, codes: Codes, level: int, levels: frozenset[int] = frozenset()) -> Candidates:
        """The splits to offer for the rows of one node, whose codes these are.

        level: the node's depth, 0 at the root. levels: the features whose codes have no order.
        """
        share = -(-len(codes) // self.node_bins) if level else 0
        counts = counts_of(codes, self.bins + 1)
        return candidates_of(counts, max(self.k_min, share), self.min_child_rows, levels)
