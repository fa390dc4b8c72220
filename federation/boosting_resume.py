"""What stands of a training that was stopped, and where its parties keep it for a rerun of the same job.

Two occasions. Rows leave in the middle (a consent was withdrawn): a new pair of roles goes on in the same session
(`Unfinished`, handed over in memory). Or a node was killed and the job is run again: L reads what it kept after the
last finished tree, F what it kept before it answered with its latest split. The tree that was growing is lost.

A rerun's matching may put the rows in another order, so L keeps scores by the rows' keys (their places in its file). It
goes on only with the same rows, labels and codes; otherwise it starts from zero. F goes on when it has the model that L
names and the codes of the training rows are the same, as a multiset; otherwise it refuses (`CheckpointUnknown`), and a
refusal makes all parties forget what is unfinished: the run after that starts from zero.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from federation.binning import Binning, Bools, Codes, Integers, Split
from federation.roles import Store
from federation.row_weights import Floats
from federation.tree_builder import Tree

LABEL_RECORD: Final = "label_holder"
FEATURE_RECORD: Final = "feature_holder"

Record = TypeVar("Record", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The trees that stand when training goes on in another role.

    scores, validation: per training row that stays, (n_rows,): log-odds as the trees so far give them, and whether it
    validates. Trees that saw the rows that left stay as they are (PIPL 15: what was done before a withdrawal remains
    valid); no later one sees them. seed: of what is drawn at random.
    """

    model_id: bytes
    binning: Binning
    base_score: float
    trees: tuple[Tree, ...]
    splits: tuple[Split, ...]
    partner_splits: dict[str, set[int]]
    scores: Floats
    validation: Bools
    losses: tuple[float, ...]
    seed: int


class _LabelRecord(msgspec.Struct, frozen=True):
    """`Unfinished` as it is stored. keys: of the rows, increasing; scores, validation: in their order."""

    model_id: bytes
    binning: Binning
    base_score: float
    trees: tuple[Tree, ...]
    splits: tuple[Split, ...]
    partner_splits: dict[str, tuple[int, ...]]
    losses: tuple[float, ...]
    seed: int
    keys: bytes
    scores: bytes
    validation: bytes
    digest: bytes


class PartnerRecord(msgspec.Struct, frozen=True):
    """What F keeps. splits: the tree and the threshold per split number; digest: `rows_digest` of the training rows.

    rows: no fewer than there were in training when the model was begun; 0: not known (an older version's record).
    """

    model_id: bytes
    binning: Binning
    splits: dict[int, tuple[int, Split]]
    digest: bytes
    rows: int = 0


def rows_digest(codes: Codes) -> bytes:
    """SHA-256 of the training rows' codes (n_rows, n_features), whatever their order."""
    rows = sorted(row.tobytes() for row in np.ascontiguousarray(codes))
    return hashlib.sha256(b"".join(rows)).digest()


class LabelShelf:
    """Where L keeps the trees that stand, for one set of training rows."""

    def __init__(
        self, store: Store, keys: Integers, labels: np.ndarray[Any, Any], partners: tuple[str, ...]
    ) -> None:
        """keys: (n_rows,) place of every training row in L's file, all different; labels: (n_rows,) 0 or 1."""
        self._store, self._labels, self._partners = store, labels, partners
        self._keys, self._order = keys, np.argsort(keys)

    def read(self, fields: tuple[str, ...], values: Floats) -> Unfinished | None:
        """What to go on from; None when there is nothing, or it was made of other rows or columns.

        fields, values: L's columns, (n_rows, n_fields).
        """
        record = _read(_LabelRecord, self._store.get(LABEL_RECORD))
        if record is None or record.keys != self._bytes(self._keys):
            return None
        if record.binning.fields != fields or record.partner_splits.keys() != set(self._partners):
            return None
        if record.digest != self._digest(record.binning.transform(values)):
            return None
        scores = np.empty(len(self._keys))
        scores[self._order] = np.frombuffer(record.scores, dtype="<f8")
        validation = np.empty(len(self._keys), dtype=np.bool_)
        validation[self._order] = np.frombuffer(record.validation, dtype=np.bool_)
        return Unfinished(
            model_id=record.model_id,
            binning=record.binning,
            base_score=record.base_score,
            trees=record.trees,
            splits=record.splits,
            partner_splits={name: set(numbers) for name, numbers in record.partner_splits.items()},
            scores=scores,
            validation=validation,
            losses=record.losses,
            seed=record.seed,
        )

    def write(self, left: Unfinished, codes: Codes) -> None:
        """Keep what stands; without any tree, nothing."""
        if not left.trees:
            self._store.remove(LABEL_RECORD)
            return
        record = _LabelRecord(
            model_id=left.model_id,
            binning=left.binning,
            base_score=left.base_score,
            trees=left.trees,
            splits=left.splits,
            partner_splits={name: tuple(sorted(found)) for name, found in left.partner_splits.items()},
            losses=left.losses,
            seed=left.seed,
            keys=self._bytes(self._keys),
            scores=self._bytes(left.scores.astype("<f8")),
            validation=self._bytes(left.validation),
            digest=self._digest(codes),
        )
        self._store.put(LABEL_RECORD, msgspec.msgpack.encode(record))

    def _bytes(self, per_row: np.ndarray[Any, Any]) -> bytes:
        return per_row[self._order].tobytes()

    def _digest(self, codes: Codes) -> bytes:
        return hashlib.sha256(self._bytes(codes) + self._bytes(self._labels.astype("<f8"))).digest()


def read_partner(store: Store) -> PartnerRecord | None:
    """What F kept, if it can be read."""
    return _read(PartnerRecord, store.get(FEATURE_RECORD))


def write_partner(store: Store, record: PartnerRecord) -> None:
    """Keep bins and thresholds, before anybody learns the numbers of these."""
    store.put(FEATURE_RECORD, msgspec.msgpack.encode(record))


def _read(kind: type[Record], data: bytes | None) -> Record | None:
    try:
        return None if data is None else msgspec.msgpack.decode(data, type=kind)
    except msgspec.MsgspecError:  # another version wrote it
        return None
