"""The feature holder's part of boosted trees in shards. The protocol is described in `shards`."""

from __future__ import annotations

import random
from collections.abc import Collection

import numpy as np

from federation.binning import Bools, Integers
from federation.boosting_messages import Begin
from federation.boosting_options import BoostingOptions
from federation.boosting_partner import FeatureHolder
from federation.messages import Message, Outgoing
from federation.roles import Parties, Progress, Store, View, ZeroSource, expect
from federation.scoring import FeatureHolderModel, flags_of
from federation.shards_merge import merge_feature_holder
from federation.shards_messages import Shards
from federation.shards_records import (
    FeatureShard,
    FeatureShards,
    Section,
    TrainedRows,
    digest_of,
    fits,
    trained_rows,
)
from privacy.errors import CheckpointUnknown, MessageInvalid
from privacy.parallel import ALONE, Workers


class ShardedFeatureHolder:
    """F's part. Result: `FeatureHolderModel`, merged; `shards`: its parts, to keep."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        options: BoostingOptions,
        minimum_key_bits: int,
        randomness: random.Random | None = None,
        *,
        shards: int,
        row_keys: Integers | None = None,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        zeros: ZeroSource | None = None,
        before: ShardedFeatureHolder | None = None,
        categorical: Collection[str] = (),
        store: Store | None = None,
        kept: FeatureShards | None = None,
    ) -> None:
        """As `boosting_partner.FeatureHolder`. shards: how many.

        row_keys: (n_rows,) the place of every aligned row in F's file (default: its place here), by which the rows of a
            shard are known again. kept: the shards of an earlier training.
        """
        self.progress = Progress(total=options.trees * shards, step="boosting.trees")
        self.result: FeatureHolderModel | None = None
        self.shards: FeatureShards | None = None
        """The parts, when there is a result."""
        self._parties, self._view, self._options = parties, view, options
        self._minimum_key_bits, self._randomness, self._alpha_keys = minimum_key_bits, randomness, alpha_keys
        self._workers, self._zeros, self._categorical, self._store = workers, zeros, categorical, store
        self._keys = np.arange(len(view)) if row_keys is None else np.asarray(row_keys, dtype=np.int64)
        self._n_shards, self._kept = shards, kept
        self._parts: dict[int, FeatureShard] = {}
        self._begun: dict[int, FeatureHolder] = {} if before is None else dict(before._begun)
        self._trained: dict[int, TrainedRows] = {} if before is None else dict(before._trained)
        self._due: list[int] | None = None
        self._taken = np.zeros(len(view), dtype=np.bool_)
        self._role: FeatureHolder | None = None

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if isinstance(message, Shards):
            in_turn = self._due is None and sender == self._parties.label_holder
            expect(in_turn, "shards.ShardedFeatureHolder", message, sender)
            self._take_over(sender, message)
            self._next()
            return []
        role = self._role
        if role is None or not self._due or sender != self._parties.label_holder:
            expect(False, "shards.ShardedFeatureHolder", message, sender)
            return []
        if isinstance(message, Begin) and self._begun.get(self._due[0]) is not role:
            rows = self._free_rows(flags_of(message.train_rows, len(self._view), sender), sender)
            outgoing = role.receive(sender, message)
            self._note_rows(self._due[0], role, message.model, rows)
        else:
            outgoing = role.receive(sender, message)
        self.progress.done = len(self._parts) * self._options.trees + role.progress.done
        if role.result is not None:
            place = self._due.pop(0)
            self._parts[place] = FeatureShard(role.result, self._trained[place])
            self._next()
        return outgoing

    def _take_over(self, sender: str, message: Shards) -> None:
        """Take over the shards that L names.

        Raises `MessageInvalid` when the message does not fit the job, `CheckpointUnknown` when this party has not kept
        a shard, or its rows have changed here: who was deleted is not kept.
        """
        if len(message.kept) != self._n_shards or len(message.rows) != self._n_shards:
            raise MessageInvalid("shards_begin", sender=sender)
        for place, (number, bits) in enumerate(zip(message.kept, message.rows, strict=True)):
            if not number:
                if bits:
                    raise MessageInvalid("shards_begin", sender=sender)
                continue
            rows = self._free_rows(flags_of(bits, len(self._view), sender), sender)
            part = None if self._kept is None or place >= len(self._kept.parts) else self._kept.parts[place]
            if part is None or part.model.model_id != number:
                raise CheckpointUnknown("shards_not_kept", party=sender)
            is_same = part.trained.digest == digest_of(self._keys[rows])
            if not is_same or not fits(part.model.binning, self._view, self._categorical):
                raise CheckpointUnknown("shards_rows_changed", party=sender)
            self._parts[place] = part
            self._taken |= rows
        self._due = [place for place in range(self._n_shards) if place not in self._parts]

    def _free_rows(self, rows: Bools, sender: str) -> Bools:
        """The rows of one shard. Raises `MessageInvalid` when another has some of them."""
        if (rows & self._taken).any():
            raise MessageInvalid("shards_overlap", sender=sender)
        return rows

    def _note_rows(self, place: int, role: FeatureHolder, model: bytes, rows: Bools) -> None:
        """The shard has begun: remember what rows its model is made of."""
        self._begun[place] = role
        self._taken |= rows
        now = TrainedRows(model, digest_of(self._keys[rows]), int(rows.sum()))
        section = None if self._store is None else Section(self._store, place)
        self._trained[place] = trained_rows(section, now, self._trained.get(place))

    def _next(self) -> None:
        """Wait for the next shard, or make one model of all."""
        if self._due:
            place = self._due[0]
            self._role = FeatureHolder(
                self._parties,
                self._view,
                self._options,
                self._minimum_key_bits,
                self._randomness,
                alpha_keys=self._alpha_keys,
                workers=self._workers,
                zeros=self._zeros,
                before=self._begun.get(place),
                categorical=self._categorical,
                store=None if self._store is None else Section(self._store, place),
            )
            return
        self._role = None
        self.shards = FeatureShards(tuple(self._parts[place] for place in range(self._n_shards)))
        self.result = merge_feature_holder([part.model for part in self.shards.parts])
        self.progress.done = self.progress.total
