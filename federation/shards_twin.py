"""The plaintext twin of `shards`: S separate fits of `trees.fit_trees` on pooled columns, and their mean."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.binning import Binning, Integers, fit_bins
from federation.boosting_options import BoostingOptions
from federation.row_weights import Draws, Floats, probabilities
from federation.shards_records import check_shards, deal
from federation.trees import BoostedTrees, fit_trees


@dataclass(frozen=True, slots=True)
class ShardTwin:
    """One shard: pooled bins of its own rows, and its trees."""

    binning: Binning
    trees: BoostedTrees

    def decision_function(self, values: Floats) -> Floats:
        """Log-odds of rows (n_rows, n_fields)."""
        return self.trees.decision_function(self.binning.transform(values))


@dataclass(frozen=True, slots=True)
class ShardedTrees:
    """All shards."""

    parts: tuple[ShardTwin, ...]

    def predict_proba(self, values: Floats) -> Floats:
        """Probability of the positive class by the mean of the shards' log-odds, (n_rows,)."""
        found = [part.decision_function(values) for part in self.parts]
        return probabilities(np.mean(found, axis=0))


def fit_shards(
    fields: Sequence[str],
    values: Floats,
    labels: np.ndarray[Any, Any],
    options: BoostingOptions,
    *,
    keys: Integers,
    deal_seed: int,
    seeds: Sequence[int],
    n_local: int | None = None,
    categorical: Collection[str] = (),
) -> ShardedTrees:
    """Train on pooled columns (n_rows, n_fields) and labels (n_rows,) of 0 and 1, in `len(seeds)` shards.

    keys: (n_rows,) places in the label holder's file. n_local: how many of the first columns are the label holder's.
    Raises `ConfigInvalid` as the label holder does.
    """
    dealt = deal(keys, len(seeds), deal_seed)
    check_shards(dealt, labels, len(seeds), options)
    found = []
    for place, seed in enumerate(seeds):
        rows = np.flatnonzero(dealt == place)
        found.append(
            fit_shard(fields, values[rows], labels[rows], options, keys[rows], seed, n_local, categorical)
        )
    return ShardedTrees(tuple(found))


def fit_shard(
    fields: Sequence[str],
    values: Floats,
    labels: np.ndarray[Any, Any],
    options: BoostingOptions,
    keys: Integers,
    seed: int,
    n_local: int | None = None,
    categorical: Collection[str] = (),
) -> ShardTwin:
    """One shard of `fit_shards`, from its own rows: what is trained again when one of them has left."""
    binning = fit_bins(tuple(fields), values, options.bins, categorical=categorical, k_min=options.k_min)
    trees = fit_trees(
        binning.transform(values),
        labels,
        options,
        n_local,
        draws=Draws(seed, keys),
        levels=binning.level_features,
    )
    return ShardTwin(binning, trees)
