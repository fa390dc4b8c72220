"""How much a row counts in boosting, which rows validate, and which a tree is grown from.

Draws. Everything random is drawn by the label holder, from a seed of its own (a partner that knew it could tell the
    rows with large gradients from those drawn at random), in the order of the rows' keys: the draws do not depend on
    the order in which a matching has put the rows.
Source. GOSS: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS 2017, algorithm 2.
    Balanced class weights n / (2 n_class): King and Zeng 2001, as scikit-learn has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from federation.binning import Bools, Integers
from federation.boosting_options import BoostingOptions
from federation.labels import checked_labels
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, Any]

EXACT_BITS: Final = 53
"""Sums of scaled gradients must stay below 2**53: then float64 holds them exactly."""

_VALIDATION, _SAMPLE = 0, 1
"""What is drawn: each has a stream of its own."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What is drawn at random in one training. keys: (n_rows,) a number per row, all different."""

    seed: int
    keys: Integers

    @classmethod
    def of(cls, n_rows: int, seed: int = 0) -> Draws:
        """Draws in the order of the rows as they are."""
        return cls(seed, np.arange(n_rows, dtype=np.int64))

    def order(self, *purpose: int) -> Integers:
        """The rows in random order, (n_rows,)."""
        by_key = np.argsort(self.keys, kind="stable")
        order: Integers = by_key[np.random.default_rng([self.seed, *purpose]).permutation(len(by_key))]
        return order


def validation_rows(labels: Labels, options: BoostingOptions, draws: Draws) -> Bools:
    """Which training rows validate, (n_rows,): `validation_share` of each class, rounded; none without `patience`.

    Raises `ConfigInvalid` when it should be some and there are too few rows for one.
    """
    chosen = np.zeros(len(labels), dtype=np.bool_)
    if not options.patience:
        return chosen
    order = draws.order(_VALIDATION)
    for of_class in (order[labels[order] == 0], order[labels[order] == 1]):
        chosen[of_class[: round(options.validation_share * len(of_class))]] = True
    if not chosen.any():
        raise ConfigInvalid("boosting_validation")
    return chosen


def class_weights(labels: Labels, options: BoostingOptions, counted: Bools) -> tuple[Floats, float]:
    """The weight of every row, (n_rows,), as the classes of the `counted` rows have it; and that of a positive row
    beside a negative one.

    Raises `ConfigInvalid` when weights are to be balanced and there is one class only.
    """
    negative = positive = 1.0
    if options.class_weight == "balanced":
        n_counted = int(np.count_nonzero(counted))
        positives = int(np.count_nonzero(labels[counted] == 1))
        if positives in (0, n_counted):
            raise ConfigInvalid("training_one_class")
        negative, positive = n_counted / 2 / (n_counted - positives), n_counted / 2 / positives
    elif options.class_weight != "none":
        positive = float(options.class_weight)
    return np.where(labels == 1, positive, negative), positive / negative


def base_score_of(labels: Labels, weight: float = 1.0) -> float:
    """Log-odds of the prevalence. weight: of a positive row beside a negative one.

    Raises `ConfigInvalid` when the labels are not 0 and 1, or all the same.
    """
    share = int(checked_labels(labels).sum()) / len(labels)
    return float(np.log(weight * share / (1 - share)))


def gradients_of(
    labels: Labels, scores: Floats, scale_bits: int, weights: Floats | None = None, weight_bits: int = 0
) -> tuple[Integers, Integers]:
    """g = w (p - y) and h = w p (1 - p) as integers in units of 2**-scale_bits, each of shape (n_rows,).

    weights: (n_rows,), default 1; weight_bits: what they add to a sum (`BoostingOptions.weight_bits`).
    Raises `ConfigInvalid` when their sums could leave the exact range of float64.
    """
    if scale_bits + weight_bits + len(labels).bit_length() >= EXACT_BITS:
        raise ConfigInvalid("boosting_too_many_rows", rows=len(labels), scale_bits=scale_bits + weight_bits)
    chance = probabilities(scores)
    scale = float(1 << scale_bits) if weights is None else weights * float(1 << scale_bits)
    gradients = np.rint((chance - labels) * scale).astype(np.int64)
    hessians = np.rint(chance * (1 - chance) * scale).astype(np.int64)
    return gradients, hessians


def counted_rows(n_rows: int, options: BoostingOptions, n_before: int = 0) -> tuple[int, int]:
    """Fewest and most of `n_rows` training rows that count in a joint tree, whatever classes they are of.

    n_before: how many there were when it was drawn which of them validate, if some have left since. Those that left
    may or may not have validated: from none to all of that draw still do.
    """
    fewest, most = n_rows, n_rows
    if options.patience:
        _, validating = _taken_of_classes(max(n_rows, n_before), options.validation_share)
        fewest = max(0, n_rows - validating)
    if options.samples:
        fewest, _ = _taken_of_classes(fewest, options.goss_top, options.goss_other)
        _, most = _taken_of_classes(most, options.goss_top, options.goss_other)
    return fewest, most


def _taken_of_classes(n_rows: int, *shares: float) -> tuple[int, int]:
    """Fewest and most rows in which rounded shares of each of two classes of `n_rows` rows together can result."""
    sizes = np.arange(n_rows + 1)
    taken = np.minimum(sum(np.rint(share * sizes) for share in shares), sizes)
    of_both = taken + taken[::-1]
    return int(of_both.min()), int(of_both.max())


def probabilities(scores: Floats) -> Floats:
    """Sigmoid of log-odds scores, without overflow."""
    small = np.exp(-np.abs(scores))
    result: Floats = np.where(scores >= 0, 1.0, small) / (1.0 + small)
    return result


def goss(
    labels: Labels, gradients: Integers, counted: Bools, options: BoostingOptions, draws: Draws, tree: int
) -> Floats:
    """GOSS: by what a tree multiplies every row's g and h, (n_rows,): 1 for the largest |g|, (1-a)/b for rows drawn
    among the others, 0 for all that are left out.

    gradients: (n_rows,) before the sample; counted: the rows to sample. Rows of equal |g| come in random order.
    Deviation: both shares are taken *of each class*. A partner sees which rows are in a tree. Ranked all together, as
    the paper has it, the rows with the largest |g| are those of the rarer class, and who is in every tree has its
    label (docs/limitations.md has the figures). Sums stay unbiased: each class's rest stands for itself.
    """
    order = draws.order(_SAMPLE, tree)
    factors = np.zeros(len(gradients))
    for kind in (0, 1):
        of_class = order[counted[order] & (labels[order] == kind)]
        n_top, n_other = (round(share * len(of_class)) for share in (options.goss_top, options.goss_other))
        ranked = of_class[np.argsort(-np.abs(gradients[of_class]), kind="stable")]
        factors[ranked[:n_top]] = 1.0
        others = of_class[factors[of_class] == 0]
        factors[others[:n_other]] = options.amplification
    return factors
