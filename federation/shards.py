"""Boosted trees in bagged shards: forgetting a person trains only the shard again that held the person.

Parties. Label holder L and feature holders F1..Fm, as in `boosting`. The coordinator relays.
Rounds. The training rows are dealt to S shards by their places in L's file. L says which shards are taken over from an
    earlier training, if any. Then, shard after shard, one whole training as `boosting` describes it: with bins, base
    score, validation rows, draws, split numbers and a model number of its own. At the end every party makes one
    ordinary model of its S parts (`shards_merge`), and keeps the parts.
    When somebody is deleted, L takes over the shards whose rows are the same as they were, and only the others are
    trained again, each with the seed it had.
What each party learns. As in `boosting`, per shard. F also: which training rows are in which shard, and at a
    retraining which shards have lost somebody. L: as in `boosting`; what a partner offers for a shard that is trained
    again without few people can be compared with what it offered before, which for one person comes to that person's
    side. How many must have left before anything is trained again is for the caller to say (R-DIFFERENCING-RISK).
Source. Bourtoule et al., "Machine unlearning" (SISA), IEEE Symposium on Security and Privacy 2021, section IV.
Deviations. No slices in a shard: a tree is grown from all rows of its shard, so what held the person is trained from
    its beginning. Models are joined by the mean of their log-odds instead of a vote. F refuses to take a shard over
    whose rows are others in its own file, whatever L says: a person who was deleted at F cannot be kept by L.
Equals. `shards_twin.fit_shards` on the pooled columns: the mean of S separate fits. After a deletion: a training in
    shards without the person, with the same seeds (`shards_records.content_digest`).
Cost. About that of one training on all rows: S trainings on 1/S of them each, plus S times the candidates to decrypt.
    Forgetting one person: about 1/S of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from federation.binning import Bools, Integers
from federation.boosting import LabelHolder
from federation.boosting_options import BoostingOptions
from federation.boosting_resume import Unfinished
from federation.messages import Message, Outgoing
from federation.roles import Decryptor, Parties, Progress, Store, View, expect
from federation.scoring import LabelHolderModel, bits_of, increasing_below
from federation.shards_merge import merge_label_holder
from federation.shards_messages import DISCLOSES, MESSAGES, Shards
from federation.shards_partner import ShardedFeatureHolder
from federation.shards_records import (
    MOST_SHARDS,
    LabelShard,
    LabelShards,
    Section,
    TrainedRows,
    check_shards,
    deal,
    digest_of,
    fits,
    trained_rows,
)
from privacy.errors import ConfigInvalid
from privacy.paillier import PublicKey

__all__ = [
    "DISCLOSES",
    "MESSAGES",
    "ShardedFeatureHolder",
    "ShardedLabelHolder",
    "Shards",
    "UnfinishedShards",
]


@dataclass(frozen=True, slots=True)
class UnfinishedShards:
    """What stands of the shards that were begun, by number, when training goes on in another role."""

    shards: Mapping[int, Unfinished] = field(default_factory=dict)
    trained: Mapping[int, TrainedRows] = field(default_factory=dict)


class ShardedLabelHolder:
    """L's part. Result: `LabelHolderModel`, merged; `shards`: its parts, to keep."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        label: np.ndarray[Any, Any],
        train_rows: Integers,
        options: BoostingOptions,
        *,
        shards: int,
        deal_seed: int,
        decryptor: Decryptor,
        public_key: PublicKey,
        before: UnfinishedShards | None = None,
        categorical: Collection[str] = (),
        row_keys: Integers | None = None,
        seeds: Sequence[int] | None = None,
        store: Store | None = None,
        kept: LabelShards | None = None,
    ) -> None:
        """As `boosting.LabelHolder`. shards: how many; deal_seed: by which rows are dealt.

        seeds: one per shard (default: those of `kept`, else the operating system's). kept: the shards of an earlier
        training; those whose rows, labels and own columns are the same are taken over.

        Raises `ConfigInvalid` also when a shard would have too few rows, or rows of one class only.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        if not len(rows) or not increasing_below(rows, len(view)) or len(label) != len(view):
            raise ConfigInvalid("training_rows")
        keys = np.arange(len(rows)) if row_keys is None else np.asarray(row_keys, dtype=np.int64)
        if len(np.unique(keys)) != len(rows):
            raise ConfigInvalid("training_rows")
        if not 1 <= shards <= MOST_SHARDS or (kept is not None and len(kept.parts) != shards):
            raise ConfigInvalid("shards_number", count=shards, maximum=MOST_SHARDS)
        self.progress = Progress(total=options.trees * shards, step="boosting.trees")
        self.result: LabelHolderModel | None = None
        self.shards: LabelShards | None = None
        """The parts, when there is a result."""
        self._parties, self._view, self._label, self._options = parties, view, np.asarray(label), options
        self._decryptor, self._key, self._categorical, self._store = decryptor, public_key, categorical, store
        self._rows, self._keys, self._dealt = rows, keys, deal(keys, shards, deal_seed)
        check_shards(self._dealt, self._label[rows], shards, options)
        self._seeds: Sequence[int | None] = [None] * shards if seeds is None else seeds
        if seeds is None and kept is not None:
            self._seeds = [part.model.seed for part in kept.parts]
        self._today = [self._digest(place) for place in range(shards)]
        self._parts: dict[int, LabelShard] = {}
        for place, part in enumerate(() if kept is None else kept.parts):
            if self._is_unchanged(part, self._today[place]):
                self._parts[place] = part
        self._due = [place for place in range(shards) if place not in self._parts]
        before = before or UnfinishedShards()
        self._trained = dict(before.trained)
        # At once, also those whose turn is later: rows may leave again before that.
        self._roles = {
            place: self._build(place, before.shards[place]) for place in self._due if place in before.shards
        }
        self._place = -1

    def start(self) -> list[Outgoing]:
        shards = range(len(self._today))
        kept = tuple(self._parts[place].model.model_id if place in self._parts else b"" for place in shards)
        rows = tuple(bits_of(self._in_shard(place)) if place in self._parts else b"" for place in shards)
        message = Shards(kept=kept, rows=rows)
        return [Outgoing(name, message) for name in self._parties.feature_holders] + self._go_on()

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        role = self._roles.get(self._place)
        if role is None or self.result is not None:
            expect(False, "shards.ShardedLabelHolder", message, sender)
            return []
        outgoing = role.receive(sender, message)
        self._note(role)
        return outgoing if role.result is None else outgoing + self._go_on()

    def carry_on(self, stays: Bools) -> UnfinishedShards:
        """What another role goes on from when rows leave; the tree that was growing is lost.

        stays: which rows of the view do, (n_rows,).
        """
        left = {place: role.carry_on(stays) for place, role in self._roles.items()}
        return UnfinishedShards(left, self._trained)

    def _go_on(self) -> list[Outgoing]:
        """Finish the shard that is complete, and begin others until one has to wait for a partner."""
        outgoing: list[Outgoing] = []
        while True:
            role = self._roles.get(self._place)
            if role is not None and role.result is not None:
                self._parts[self._place] = LabelShard(role.result, self._trained[self._place])
            elif role is not None and self._place >= 0:
                return outgoing
            if not self._due:
                self._finish()
                return outgoing
            self._place = self._due.pop(0)
            role = self._roles.get(self._place) or self._build(self._place)
            self._roles[self._place] = role
            self._note_rows(role)
            outgoing += role.start()
            self._note(role)

    def _build(self, place: int, before: Unfinished | None = None) -> LabelHolder:
        chosen = self._dealt == place
        return LabelHolder(
            self._parties,
            self._view,
            self._label,
            self._rows[chosen],
            self._options,
            decryptor=self._decryptor,
            public_key=self._key,
            before=before,
            categorical=self._categorical,
            row_keys=self._keys[chosen],
            seed=self._seeds[place],
            store=None if self._store is None else Section(self._store, place),
        )

    def _note_rows(self, role: LabelHolder) -> None:
        """Remember what rows the shard's model is made of."""
        place, store = self._place, self._store
        now = TrainedRows(role.model_id, self._today[place], int((self._dealt == place).sum()))
        section = None if store is None else Section(store, place)
        self._trained[place] = trained_rows(section, now, self._trained.get(place))

    def _digest(self, place: int) -> bytes:
        chosen = self._dealt == place
        rows = self._rows[chosen]
        return digest_of(self._keys[chosen], self._label[rows], self._view.values[rows])

    def _is_unchanged(self, part: LabelShard, digest: bytes) -> bool:
        model = part.model
        is_ours = model.owners == self._parties.all and fits(model.binning, self._view, self._categorical)
        return is_ours and part.trained.digest == digest

    def _in_shard(self, place: int) -> Bools:
        flags = np.zeros(len(self._view), dtype=np.bool_)
        flags[self._rows[self._dealt == place]] = True
        return flags

    def _note(self, role: LabelHolder) -> None:
        others = len([place for place in self._parts if place != self._place])
        self.progress.done = others * self._options.trees + role.progress.done

    def _finish(self) -> None:
        self.shards = LabelShards(tuple(self._parts[place] for place in range(len(self._today))))
        self.result = merge_label_holder([part.model for part in self.shards.parts])
        self.progress.done = self.progress.total
