"""The feature holder's part of vertical boosting. The protocol is described in `boosting`."""

from __future__ import annotations

import random
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from gmpy2 import mpz

from federation.binning import Bools, Candidates, Integers, fit_bins
from federation.boosting_messages import (
    Begin,
    CandidateSums,
    Chosen,
    Finish,
    Gradients,
    Level,
    SplitSides,
)
from federation.boosting_options import BoostingOptions, Growth
from federation.boosting_resume import PartnerRecord, read_partner, rows_digest, write_partner
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, Division, child_tables, left_ciphertexts, sum_by
from federation.joint_cells import Table
from federation.messages import Message, Outgoing
from federation.pair_layout import layout_for
from federation.roles import DirectZeros, Parties, Progress, Store, View, ZeroSource, expect
from federation.row_weights import Floats, counted_rows
from federation.scoring import MODEL_ID_BYTES, FeatureHolderModel, bits_of, flags_of, increasing_below
from privacy.errors import CheckpointUnknown, MessageInvalid
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

SPLIT_BITS: Final = 62
"""Random split numbers: they say nothing about order, and fit a signed 64-bit integer."""


@dataclass(slots=True)
class _Node:
    """A node that F works on.

    rows: places among the training rows; counted: those of them that count, as places in the tree's sample.
    order: candidate number as sent -> place in `candidates`. is_answered: whether L has been told who goes left.
    """

    rows: Integers
    counted: Integers
    level: int
    table: Table
    candidates: Candidates
    order: list[int]
    is_answered: bool = False


class FeatureHolder:
    """F's part. Result: `FeatureHolderModel`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        options: BoostingOptions,
        minimum_key_bits: int,
        randomness: random.Random | None = None,
        *,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        zeros: ZeroSource | None = None,
        before: FeatureHolder | None = None,
        categorical: Collection[str] = (),
        store: Store | None = None,
    ) -> None:
        """view: F's fields for all aligned rows; minimum_key_bits: smaller keys are refused.

        randomness: shuffles candidates and draws split numbers (default: the operating system's).
        alpha_keys: whether the job names them; a generator is refused otherwise.
        workers: where ciphertexts are multiplied (default: in this process).
        zeros: what hides how a sum was made (default: drawn when it is needed).
        before: the role whose training was stopped because rows left; its bins and thresholds are gone on with when
            the label holder goes on with the same model.
        categorical: those of the fields that hold levels.
        store: where a rerun of the same job finds bins and thresholds again (default: nowhere).
        """
        self.progress = Progress(total=options.trees, step="boosting.trees")
        self.result: FeatureHolderModel | None = None
        self._label_holder, self._options, self._view = parties.label_holder, options, view
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._randomness = randomness or secrets.SystemRandom()
        self._workers = workers
        self._zeros = zeros or DirectZeros()
        self._before, self._categorical = before, categorical
        self._store = store
        self._begin: Begin | None = None
        self._kept: PartnerRecord
        # No exchange comes after the last: only a new tree can begin.
        self._tree, self._level, self._chosen = -1, options.exchanges, True
        self._sample: Integers
        self._has_sample = False
        self._fewest = self._most = 0
        self._waiting: list[_Node] = []
        self._n_splits = 0

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        running = self._begin is not None and self.result is None
        here = (self._tree, self._level)
        in_turn = False
        match message:
            case Begin():
                in_turn = self._begin is None
            case Gradients():
                in_turn = running and self._tree < message.tree < self._options.trees
            case Level():
                in_turn = running and (message.tree, message.level) == (self._tree, self._level + 1)
                in_turn = in_turn and message.level < self._options.exchanges
            case Chosen():
                in_turn = running and (message.tree, message.level) == here and not self._chosen
            case Finish():
                in_turn = running
        expect(in_turn and sender == self._label_holder, "boosting.FeatureHolder", message, sender)
        match message:
            case Begin():
                self._start_training(message)
            case Gradients():
                self._start_tree(message)
            case Level():
                return [Outgoing(sender, self._offer(message))]
            case Chosen():
                return [Outgoing(sender, self._sides(message))]
            case Finish():
                self._finish(message)
        return []

    def _start_training(self, message: Begin) -> None:
        sender = self._label_holder
        if len(message.model) != MODEL_ID_BYTES or not 0 <= message.trees <= self._options.trees:
            raise MessageInvalid("training_begin", sender=sender)
        in_training = flags_of(message.train_rows, len(self._view), sender)
        if not in_training.any():
            raise MessageInvalid("training_begin", sender=sender)
        self._key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        values = self._view.values[in_training]
        self._keep(self._stands(message, values) or self._new_record(message, values))
        self._before = None
        codes = self._kept.binning.transform(values)
        self._all = self._coded = CodedRows(codes, self._kept.binning.n_codes)
        self._layout = layout_for(self._key, self._options, len(codes))
        self._fewest, self._most = counted_rows(len(codes), self._options, self._kept.rows)
        self._tree = message.trees - 1
        self._begin = message

    def _new_record(self, message: Begin, values: Floats) -> PartnerRecord:
        options = self._options
        binning = fit_bins(
            self._view.fields, values, options.bins, categorical=self._categorical, k_min=options.k_min
        )
        # The label holder may go on from trees of which this party has not heard, with rows that have left since.
        rows = len(values) if self._before is None else len(self._before._view)
        return PartnerRecord(message.model, binning, {}, rows_digest(binning.transform(values)), rows)

    def _stands(self, message: Begin, values: Floats) -> PartnerRecord | None:
        """What this party has kept of the model that is gone on with; None when its part begins anew.

        Raises `CheckpointUnknown` when it is to have splits in trees that stand, and has kept nothing of them, or its
        rows are others now.
        """
        before, kept = self._before, None
        is_handed_over = before is not None and before._begin is not None
        if before is not None and is_handed_over:
            kept = before._kept
        elif self._store is not None:
            kept = read_partner(self._store)
        if kept is not None and kept.model_id == message.model and kept.binning.fields == self._view.fields:
            digest = rows_digest(kept.binning.transform(values))
            if is_handed_over or digest == kept.digest:
                splits = {number: found for number, found in kept.splits.items() if found[0] < message.trees}
                return PartnerRecord(kept.model_id, kept.binning, splits, digest, kept.rows)
        if message.trees:
            raise CheckpointUnknown("boosting_model_not_kept", party=self._label_holder)
        return None

    def _keep(self, record: PartnerRecord) -> None:
        self._kept = record
        if self._store is not None:
            write_partner(self._store, record)

    def _start_tree(self, message: Gradients) -> None:
        sample = self._read_sample(message)
        if not self._has_sample or not np.array_equal(sample, self._sample):
            self._coded = self._all
            if len(sample) < len(self._all):
                self._coded = CodedRows(self._all.codes[sample], self._all.n_codes)
        self._column = EncryptedColumn.load(message.ciphertexts, len(sample), self._key, self._workers)
        self._sample, self._has_sample = sample, True
        self._tree, self._level, self._chosen = message.tree, -1, True
        self._waiting, self._n_splits = [], 0
        self.progress.done = message.tree

    def _read_sample(self, message: Gradients) -> Integers:
        """Which training rows count in this tree, increasing.

        Raises `MessageInvalid` when some do not, or other ones than before, and the options do not say why; and when
        they are fewer or more than the options' shares of each class can give.
        """
        counted = np.arange(len(self._all))
        options = self._options
        if message.sample:
            counted = counted[flags_of(message.sample, len(self._all), self._label_holder)]
        has_reason = options.samples or options.patience or len(counted) == len(self._all)
        is_same = not self._has_sample or options.samples or np.array_equal(counted, self._sample)
        if not has_reason or not is_same:
            raise MessageInvalid("boosting_sample", sender=self._label_holder)
        low, high = self._fewest, self._most
        if not low <= len(counted) <= high:
            raise MessageInvalid(
                "boosting_sample_size", sender=self._label_holder, received=len(counted), low=low, high=high
            )
        return counted

    def _offer(self, message: Level) -> CandidateSums:
        """Work out the nodes of the next level and the encrypted left sums of their candidates."""
        nodes = self._root(message) if message.level == 0 else self._children(message)
        self._level, self._chosen = message.level, False
        sums: list[mpz] = []
        for node in nodes:
            of_node = left_ciphertexts(node.table, node.candidates, self._key)
            self._randomness.shuffle(node.order)
            sums += [of_node[place] for place in node.order]
        self._waiting += nodes
        packed = self._layout.pack(sums, self._key, self._workers)
        return CandidateSums(
            tree=self._tree,
            level=self._level,
            counts=np.array([len(node.order) for node in nodes], dtype="<i4"),
            sums=self._key.dump(self._key.rerandomize(packed, self._zeros.zeros(self._key, len(packed)))),
        )

    def _root(self, message: Level) -> list[_Node]:
        if len(message.split) or message.left or message.ask.tolist() != [True]:
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        table = sum_by(self._column, self._coded, workers=self._workers)
        return [self._node(np.arange(len(self._all)), np.arange(len(self._coded)), table, 0)]

    def _children(self, message: Level) -> list[_Node]:
        """The nodes that are asked about next. The split ones stop waiting, level-wise all others too."""
        split, ask, waiting = message.split, message.ask, self._waiting
        if split.dtype != np.bool_ or ask.dtype != np.bool_ or split.shape != (len(waiting),):
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        parents = [node for node, was_split in zip(waiting, split.tolist(), strict=True) if was_split]
        is_by_leaf = self._options.growth is Growth.LEAF
        n_splits = self._n_splits + len(parents)
        too_many = is_by_leaf and n_splits >= self._options.max_leaves
        if ask.shape != (2 * len(parents),) or not (ask.any() or is_by_leaf) or too_many:
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        sizes = [len(node.rows) for node in parents]
        flags = flags_of(message.left, sum(sizes), self._label_holder)
        wishes = [(bool(left), bool(right)) for left, right in ask.reshape(-1, 2).tolist()]
        born = [
            self._division(parent, left, wanted)
            for parent, left, wanted in zip(
                parents, np.split(flags, np.cumsum(sizes)[:-1]) if sizes else [], wishes, strict=True
            )
        ]
        divisions = [division for _, division in born]
        tables = child_tables(self._column, self._coded, divisions, workers=self._workers)
        nodes = [
            self._node(rows, counted, table, parent.level + 1)
            for parent, (all_rows, division), found in zip(parents, born, tables, strict=True)
            for rows, counted, table in zip(all_rows, division.children, found, strict=True)
            if table is not None
        ]
        self._n_splits = n_splits
        self._waiting = [
            node
            for node, was_split in zip(waiting, split.tolist(), strict=True)
            if is_by_leaf and not was_split
        ]
        return nodes

    def _division(
        self, parent: _Node, left: Bools, wanted: tuple[bool, bool]
    ) -> tuple[tuple[Integers, Integers], Division]:
        """All rows of a split node's children, and what is to be summed for them."""
        goes_left = np.zeros(len(self._all), dtype=np.bool_)
        goes_left[parent.rows[left]] = True
        counted_left = goes_left[self._sample[parent.counted]]
        counted = parent.counted[counted_left], parent.counted[~counted_left]
        return (parent.rows[left], parent.rows[~left]), Division(parent.table, counted, wanted)

    def _node(self, rows: Integers, counted: Integers, table: Table, level: int) -> _Node:
        if level >= self._options.depth:
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        if len(counted) < 2 * self._options.min_child_rows:
            raise MessageInvalid("boosting_node_too_small", sender=self._label_holder)
        candidates = self._options.candidates(
            self._coded.codes[counted], level, self._kept.binning.level_features
        )
        return _Node(rows, counted, level, table, candidates, list(range(len(candidates))))

    def _sides(self, message: Chosen) -> SplitSides:
        """Keep the thresholds that have won, under new random numbers, and tell who goes left."""
        places, tied, waiting = message.nodes, message.candidates, self._waiting
        if len(places) != len(tied) or not places or not increasing_below(np.array(places), len(waiting)):
            raise MessageInvalid("boosting_chosen", sender=self._label_holder)
        numbers, sides, splits = [], [], dict(self._kept.splits)
        nodes = [waiting[place] for place in places]
        for node, numbers_tied in zip(nodes, tied, strict=True):
            is_offered = numbers_tied and increasing_below(np.array(numbers_tied), len(node.order))
            if not is_offered or node.is_answered:
                raise MessageInvalid("boosting_chosen", sender=self._label_holder)
            split = node.candidates[min(node.order[number] for number in numbers_tied)]
            number = self._randomness.getrandbits(SPLIT_BITS)
            while number in splits:
                number = self._randomness.getrandbits(SPLIT_BITS)
            splits[number] = self._tree, split
            numbers.append(number)
            sides.append(split.goes_left(self._all.codes[node.rows]))
        self._keep(msgspec.structs.replace(self._kept, splits=splits))
        for node in nodes:
            node.is_answered = True
        self._chosen = True
        return SplitSides(
            tree=self._tree,
            level=self._level,
            splits=tuple(numbers),
            left=bits_of(np.concatenate(sides)),
        )

    def _finish(self, message: Finish) -> None:
        """Keep the thresholds of the trees that are kept. The encrypted sums are not needed any more."""
        self._waiting = []
        self.progress.done = self.progress.total
        trees = message.trees or self._options.trees
        splits = {number: split for number, (tree, split) in self._kept.splits.items() if tree < trees}
        self.result = FeatureHolderModel(
            model_id=self._kept.model_id, binning=self._kept.binning, splits=splits
        )
