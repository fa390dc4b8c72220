"""The feature holder's part of vertical boosting. The protocol is described in `boosting`."""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from gmpy2 import mpz

from federation.binning import Binning, Candidates, Integers, Split, fit_bins
from federation.boosting_messages import (
    Begin,
    CandidateSums,
    Chosen,
    Finish,
    Gradients,
    Level,
    SplitSides,
)
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, Division, child_tables, left_ciphertexts, sum_by
from federation.joint_cells import Table
from federation.messages import Message, Outgoing
from federation.pair_layout import PairLayout
from federation.roles import DirectZeros, Parties, Progress, View, ZeroSource, expect
from federation.scoring import MODEL_ID_BYTES, FeatureHolderModel, bits_of, flags_of, increasing_below
from federation.trees import BoostingOptions
from privacy.errors import MessageInvalid
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

SPLIT_BITS: Final = 62
"""Random split numbers: they say nothing about order, and fit a signed 64-bit integer."""


@dataclass(slots=True)
class _Node:
    """A node that F works on: its rows (places among the training rows), table, and what F has offered."""

    rows: Integers
    table: Table
    candidates: Candidates
    order: list[int] = field(default_factory=list)
    """Candidate number as sent -> place in `candidates`."""


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
    ) -> None:
        """view: F's fields for all aligned rows; minimum_key_bits: smaller keys are refused.

        randomness: shuffles candidates and draws split numbers (default: the operating system's).
        alpha_keys: whether the job names them; a generator is refused otherwise.
        workers: where ciphertexts are multiplied (default: in this process).
        zeros: what hides how a sum was made (default: drawn when it is needed).
        before: the role whose training was stopped because rows left; its bins and thresholds are gone on with when
            the label holder goes on with the same model.
        """
        self.progress = Progress(total=options.trees, step="boosting.trees")
        self.result: FeatureHolderModel | None = None
        self._label_holder, self._options, self._view = parties.label_holder, options, view
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._randomness = randomness or secrets.SystemRandom()
        self._workers = workers
        self._zeros = zeros or DirectZeros()
        self._before = before
        self._binning: Binning
        self._begin: Begin | None = None
        self._splits: dict[int, Split] = {}
        self._tree, self._level, self._chosen = -1, -1, True
        self._nodes: list[_Node] = []

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
                in_turn = in_turn and message.level < self._options.depth
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
                self._finish()
        return []

    def _start_training(self, message: Begin) -> None:
        sender = self._label_holder
        if len(message.model) != MODEL_ID_BYTES:
            raise MessageInvalid("boosting_begin", sender=sender)
        in_training = flags_of(message.train_rows, len(self._view), sender)
        if not in_training.any():
            raise MessageInvalid("boosting_begin", sender=sender)
        self._key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        values = self._view.values[in_training]
        before = self._before
        if before is not None and before._begin is not None and before._begin.model == message.model:
            self._binning, self._splits = before._binning, dict(before._splits)
        else:
            self._binning = fit_bins(self._view.fields, values, self._options.bins)
        self._before = None
        self._coded = CodedRows(self._binning.transform(values), self._binning.n_codes)
        self._layout = PairLayout.for_gradients(self._key.bits, self._options.scale_bits, len(values))
        self._begin = message

    def _start_tree(self, message: Gradients) -> None:
        n_rows = len(self._coded)
        self._column = EncryptedColumn.load(message.ciphertexts, n_rows, self._key, self._workers)
        self._tree, self._level, self._chosen = message.tree, -1, True
        self._nodes = []
        self.progress.done = message.tree

    def _offer(self, message: Level) -> CandidateSums:
        """Work out the nodes of the next level and the encrypted left sums of their candidates."""
        self._nodes = self._root(message) if message.level == 0 else self._children(message)
        self._level, self._chosen = message.level, False
        sums: list[mpz] = []
        for node in self._nodes:
            of_node = left_ciphertexts(node.table, node.candidates, self._key)
            self._randomness.shuffle(node.order)
            sums += [of_node[place] for place in node.order]
        packed = self._layout.pack(sums, self._key, self._workers)
        return CandidateSums(
            tree=self._tree,
            level=self._level,
            counts=np.array([len(node.order) for node in self._nodes], dtype="<i4"),
            sums=self._key.dump(self._key.rerandomize(packed, self._zeros.zeros(self._key, len(packed)))),
        )

    def _root(self, message: Level) -> list[_Node]:
        if len(message.split) or message.left or message.ask.tolist() != [True]:
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        table = sum_by(self._column, self._coded, workers=self._workers)
        return [self._node(np.arange(len(self._coded)), table, 0)]

    def _children(self, message: Level) -> list[_Node]:
        split, ask = message.split, message.ask
        if split.dtype != np.bool_ or ask.dtype != np.bool_ or split.shape != (len(self._nodes),):
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        parents = [node for node, was_split in zip(self._nodes, split.tolist(), strict=True) if was_split]
        if ask.shape != (2 * len(parents),) or not ask.any():
            raise MessageInvalid("boosting_level", sender=self._label_holder)
        sizes = [len(node.rows) for node in parents]
        flags = flags_of(message.left, sum(sizes), self._label_holder)
        sides = np.split(flags, np.cumsum(sizes)[:-1])
        wishes = [(bool(left), bool(right)) for left, right in ask.reshape(-1, 2).tolist()]
        divisions = [
            Division(parent.table, (parent.rows[left], parent.rows[~left]), wanted)
            for parent, left, wanted in zip(parents, sides, wishes, strict=True)
        ]
        tables = child_tables(self._column, self._coded, divisions, workers=self._workers)
        return [
            self._node(rows, table, message.level)
            for division, found in zip(divisions, tables, strict=True)
            for rows, table in zip(division.children, found, strict=True)
            if table is not None
        ]

    def _node(self, rows: Integers, table: Table, level: int) -> _Node:
        if len(rows) < 2 * self._options.min_child_rows:
            raise MessageInvalid("boosting_node_too_small", sender=self._label_holder)
        candidates = self._options.candidates(self._coded.codes[rows], level)
        return _Node(rows, table, candidates, list(range(len(candidates))))

    def _sides(self, message: Chosen) -> SplitSides:
        """Keep the thresholds that have won, under new random numbers, and tell who goes left."""
        nodes, tied = message.nodes, message.candidates
        if len(nodes) != len(tied) or not nodes or not increasing_below(np.array(nodes), len(self._nodes)):
            raise MessageInvalid("boosting_chosen", sender=self._label_holder)
        numbers, sides = [], []
        for node, numbers_tied in zip([self._nodes[place] for place in nodes], tied, strict=True):
            if not numbers_tied or not increasing_below(np.array(numbers_tied), len(node.order)):
                raise MessageInvalid("boosting_chosen", sender=self._label_holder)
            split = node.candidates[min(node.order[number] for number in numbers_tied)]
            number = self._randomness.getrandbits(SPLIT_BITS)
            while number in self._splits:
                number = self._randomness.getrandbits(SPLIT_BITS)
            self._splits[number] = split
            numbers.append(number)
            sides.append(split.goes_left(self._coded.codes[node.rows]))
        self._chosen = True
        return SplitSides(
            tree=self._tree,
            level=self._level,
            splits=tuple(numbers),
            left=bits_of(np.concatenate(sides)),
        )

    def _finish(self) -> None:
        if self._begin is None:
            return
        self.progress.done = self.progress.total
        self.result = FeatureHolderModel(
            model_id=self._begin.model, binning=self._binning, splits=self._splits
        )
