"""One model of several: a party's parts of the models of all shards become one part of an ordinary model.

Its score is the mean of the shards' log-odds: all their trees, with leaf values divided by the number of shards, on the
mean of their base scores. Scoring, reasons and reports take it like any other model.

Bins. Every shard has bins of its own rows; the merged model has all their edges. "Up to the c-th edge" of a shard is
"up to the edge of the same value" of all: the same rows go left. Of a field with levels the merged model has all levels
that have a code in some shard; "all others" of a shard are the others of the merged model and the levels for which only
other shards have a code.
Numbers. A party's own splits are numbered on, shard after shard. A partner has drawn its numbers at random: they stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from federation.binning import Binning, Split
from federation.scoring import MODEL_ID_BYTES, FeatureHolderModel, LabelHolderModel
from federation.tree_builder import Tree
from privacy.errors import ConfigInvalid


def merge_label_holder(parts: Sequence[LabelHolderModel]) -> LabelHolderModel:
    """The label holder's part. Its `seed` is the first shard's.

    Raises `ConfigInvalid` when the parts do not fit each other, or a partner has used a split number twice.
    """
    first = parts[0]
    if any(part.owners != first.owners for part in parts):
        raise ConfigInvalid("shards_do_not_fit")
    _check_numbers([_partner_splits(part) for part in parts])
    binning = merge_binnings([part.binning for part in parts])
    trees: list[Tree] = []
    splits: list[Split] = []
    for part in parts:
        trees += [_moved(tree, len(splits), len(parts)) for tree in part.trees]
        splits += [moved_split(split, part.binning, binning) for split in part.splits]
    return LabelHolderModel(
        model_id=merged_id([part.model_id for part in parts]),
        owners=first.owners,
        base_score=float(np.mean([part.base_score for part in parts])),
        trees=tuple(trees),
        binning=binning,
        splits=tuple(splits),
        field_gains=_added([part.field_gains for part in parts]),
        partner_gains=_added([part.partner_gains for part in parts]),
        seed=first.seed,
    )


def merge_feature_holder(parts: Sequence[FeatureHolderModel]) -> FeatureHolderModel:
    """A feature holder's part. Raises `ConfigInvalid` when the parts do not fit each other."""
    _check_numbers([{(1, number) for number in part.splits} for part in parts])
    binning = merge_binnings([part.binning for part in parts])
    return FeatureHolderModel(
        model_id=merged_id([part.model_id for part in parts]),
        binning=binning,
        splits={
            number: moved_split(split, part.binning, binning)
            for part in parts
            for number, split in part.splits.items()
        },
    )


def merged_id(numbers: Sequence[bytes]) -> bytes:
    """The merged model's number: every party works it out from those of the shards."""
    return hashlib.sha256(b"shards" + b"".join(numbers)).digest()[:MODEL_ID_BYTES]


def merge_binnings(binnings: Sequence[Binning]) -> Binning:
    """All edges and levels. Raises `ConfigInvalid` when fields differ, or one holds levels in one of them only."""
    first = binnings[0]
    alike = all(
        item.fields == first.fields and item.level_features == first.level_features for item in binnings
    )
    if not alike:
        raise ConfigInvalid("shards_do_not_fit")
    edges = zip(*(item.edges for item in binnings), strict=True)
    return Binning(
        first.fields,
        tuple(_union(of_field) for of_field in edges),
        {place: _union([item.levels[place] for item in binnings]) for place in first.levels},
    )


def moved_split(split: Split, binning: Binning, merged: Binning) -> Split:
    """A split by the codes of one shard's bins in the codes of the merged bins."""
    place, cut = split.feature, split.cut
    if split.is_level:
        codes = _codes_of(cut, binning.levels[place], merged.levels[place])
        return msgspec.structs.replace(split, cut=codes[0], also=codes[1:])
    edges, into = binning.edges[place], merged.edges[place]
    if cut > len(edges):
        return msgspec.structs.replace(split, cut=len(into) + 1)
    return msgspec.structs.replace(split, cut=1 + into.index(edges[cut - 1]) if cut else 0)


def _codes_of(code: int, levels: tuple[float, ...], into: tuple[float, ...]) -> tuple[int, ...]:
    """The merged codes of what has this code in a shard: "missing", a level, or all others."""
    if code == 0:
        return (0,)
    if code <= len(levels):
        return (1 + into.index(levels[code - 1]),)
    known = set(levels)
    return (len(into) + 1, *(1 + place for place, level in enumerate(into) if level not in known))


def _moved(tree: Tree, offset: int, shards: int) -> Tree:
    split = tuple(
        number + offset if owner == 0 else number
        for owner, number in zip(tree.owner, tree.split, strict=True)
    )
    return msgspec.structs.replace(tree, split=split, value=tuple(value / shards for value in tree.value))


def _partner_splits(part: LabelHolderModel) -> set[tuple[int, int]]:
    return {
        (owner, number)
        for tree in part.trees
        for owner, number in zip(tree.owner, tree.split, strict=True)
        if owner > 0
    }


def _check_numbers(found: Sequence[set[tuple[int, int]]]) -> None:
    if len(set().union(*found)) != sum(len(numbers) for numbers in found):
        raise ConfigInvalid("shards_do_not_fit")


def _union(parts: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(sorted(set().union(*parts)))


def _added(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(part[name] for part in parts) for name in parts[0]}
