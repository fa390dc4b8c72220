"""What the parties of a training in shards keep of every shard, which rows are in which, and how models are compared.

A shard's rows are dealt by their places in the label holder's file: a row that leaves moves no other one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from federation import records
from federation.binning import MISSING, Binning, Integers, Split
from federation.boosting_options import BoostingOptions
from federation.roles import Store, View
from federation.scoring import FeatureHolderModel, LabelHolderModel
from privacy.errors import ConfigInvalid

MOST_SHARDS: Final = 20
"""Bourtoule et al. 2021, section VII: with more than about 20 shards accuracy suffers."""
TRAINED: Final = "trained_rows"

_DEAL: Final = 2
"""The stream from which rows are dealt; `row_weights` has 0 and 1 under seeds of its own."""


class TrainedRows(msgspec.Struct, frozen=True):
    """Of what rows a shard's model was made, also of those that left before it was finished.

    model_id: of the shard's model. digest: SHA-256 (`digest_of`); rows: their number.
    """

    model_id: bytes
    digest: bytes
    rows: int


class LabelShard(msgspec.Struct, frozen=True):
    """A shard's model at the label holder, with the seed it was trained with, and the rows it was made of."""

    model: LabelHolderModel
    trained: TrainedRows


class FeatureShard(msgspec.Struct, frozen=True):
    """A shard's model at a feature holder. Its `trained.digest` is of places in this party's own file."""

    model: FeatureHolderModel
    trained: TrainedRows


class LabelShards(msgspec.Struct, frozen=True):
    """All shards of a model, at the label holder."""

    parts: tuple[LabelShard, ...]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelShards:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


class FeatureShards(msgspec.Struct, frozen=True):
    """All shards of a model, at a feature holder."""

    parts: tuple[FeatureShard, ...]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureShards:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a role's store: one shard's."""

    store: Store
    place: int

    @property
    def _prefix(self) -> str:
        return f"shard{self.place}/"

    def get(self, name: str) -> bytes | None:
        return self.store.get(self._prefix + name)

    def put(self, name: str, data: bytes) -> None:
        self.store.put(self._prefix + name, data)

    def names(self, prefix: str) -> list[str]:
        return [name.removeprefix(self._prefix) for name in self.store.names(self._prefix + prefix)]

    def remove(self, name: str) -> None:
        self.store.remove(self._prefix + name)

    def clear(self) -> None:
        for name in self.store.names(self._prefix):
            self.store.remove(name)


def deal(keys: Integers, shards: int, seed: int) -> Integers:
    """The shard of every row, (n_rows,), 0..shards-1.

    keys: (n_rows,) places in the label holder's file. Row k takes the k-th number of one stream of uniforms: the shard
    of a row depends on its own place and the seed, and on nobody else.
    """
    if not len(keys):
        return np.zeros(0, dtype=np.int64)
    uniforms = np.random.default_rng([seed, _DEAL]).random(int(keys.max()) + 1)[keys]
    found: Integers = np.minimum((uniforms * shards).astype(np.int64), shards - 1)
    return found


def check_shards(
    dealt: Integers, labels: np.ndarray[Any, Any], shards: int, options: BoostingOptions
) -> None:
    """Raises `ConfigInvalid` when a shard has too few rows for one split, or rows of one class only."""
    sizes = np.bincount(dealt, minlength=shards)
    needed = 2 * options.min_child_rows
    if int(sizes.min()) < needed:
        raise ConfigInvalid("shards_few_rows", count=shards, rows=int(sizes.min()), minimum=needed)
    positive = np.bincount(dealt, weights=np.asarray(labels) == 1, minlength=shards)
    if ((positive == 0) | (positive == sizes)).any():
        raise ConfigInvalid("shards_one_class", count=shards)


def fits(binning: Binning, view: View, categorical: Collection[str]) -> bool:
    """Whether a party still has the fields that these bins are of, and the same of them hold levels."""
    levels = {binning.fields[place] for place in binning.level_features}
    return binning.fields == view.fields and levels == set(categorical) & set(view.fields)


def digest_of(keys: Integers, *columns: np.ndarray[Any, Any]) -> bytes:
    """SHA-256 of some rows, whatever their order: their places in a file, and columns (n_rows, ...) of numbers."""
    order = np.argsort(keys, kind="stable")
    found = hashlib.sha256(keys[order].astype("<i8").tobytes())
    for column in columns:
        numbers = np.asarray(column, dtype="<f8")[order]
        found.update(np.where(np.isnan(numbers), np.nan, numbers + 0.0).tobytes())
    return found.digest()


def trained_rows(store: Store | None, now: TrainedRows, before: TrainedRows | None) -> TrainedRows:
    """The rows that a shard's model was made of, kept for a rerun.

    now: those of today. before: as handed over when rows left. A model that is gone on with has seen the rows of its
    beginning.
    """
    known = before
    if known is None and store is not None:
        data = store.get(TRAINED)
        known = None if data is None else _read(data)
    found = known if known is not None and known.model_id == now.model_id else now
    if store is not None:
        store.put(TRAINED, msgspec.msgpack.encode(found))
    return found


def _read(data: bytes) -> TrainedRows | None:
    try:
        return msgspec.msgpack.decode(data, type=TrainedRows)
    except msgspec.MsgspecError:  # another version wrote it
        return None


def content_digest(model: LabelHolderModel | FeatureHolderModel) -> str:
    """SHA-256 of what a party's part says: tree structure, owners, leaf values, and own splits as fields and values.

    Two trainings on the same rows with the same seeds have the same digests, though the numbers of models and of
    partners' splits are drawn anew.
    """
    if isinstance(model, FeatureHolderModel):
        content: Any = [_meaning(model.binning, split) for split in model.splits.values()]
    else:
        content = _of_label_holder(model)
    return hashlib.sha256(msgspec.msgpack.encode(content)).hexdigest()


def _of_label_holder(model: LabelHolderModel) -> Any:
    numbers: dict[tuple[int, int], int] = {}
    found = []
    for tree in model.trees:
        splits: list[Any] = []
        for owner, split in zip(tree.owner, tree.split, strict=True):
            if owner == 0:
                splits.append(_meaning(model.binning, model.splits[split]))
            else:  # a partner's numbers are random: what counts is which is which
                splits.append(numbers.setdefault((owner, split), len(numbers)) if owner > 0 else None)
        found.append((tree.left, tree.owner, splits, tree.value, tree.gain))
    return model.owners, model.base_score, found


def _meaning(binning: Binning, split: Split) -> Any:
    """A split in terms of its field: what is on the left."""
    field = binning.fields[split.feature]
    if split.is_level:
        levels = binning.levels[split.feature]
        codes = sorted((split.cut, *split.also))
        return field, "levels", [levels[code - 1] if 0 < code <= len(levels) else code for code in codes]
    edges = binning.edges[split.feature]
    bound = float("inf") if split.cut > len(edges) else edges[split.cut - 1]
    return field, "up to", None if split.cut == MISSING else bound, split.missing_left


__all__ = [
    "MOST_SHARDS",
    "FeatureShard",
    "FeatureShards",
    "LabelShard",
    "LabelShards",
    "Section",
    "TrainedRows",
    "check_shards",
    "content_digest",
    "deal",
    "digest_of",
    "fits",
    "trained_rows",
]
