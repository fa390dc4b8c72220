"""A finished boosting model, in the parts that the parties keep, and scoring rows with it.

Parties. Label holder L (trees and leaf values), feature holders F (thresholds of their own splits).
Rounds. L walks all trees at once. At its own splits it decides alone; for all nodes where a partner has to
    decide it asks each partner once per exchange, with the split's random number and the rows that have
    reached it. At most `depth` exchanges, whatever the number of trees.
What each party learns. L: at every split of a partner, the side of the rows that have reached it (the same
    kind of bits as in training), and the score; from these, without another message, what each own field and each
    partner as a whole adds to it (`federation.path_attributions`; not TreeSHAP, which needs more bits). F: which
    rows reach its splits, hence roughly how L has ordered them. Coordinator: sizes.
Deviations. Cheng et al. 2021 ask one row and node at a time. F answers for each split once per run: L cannot
    probe a split again with other rows.
Cost. No cryptography; about one bit per (row, split on its path) back, four bytes there.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from federation import records
from federation.binning import Binning, Bools, Codes, Integers, Split
from federation.messages import Array, Message, Outgoing
from federation.path_attributions import Contributions, contributions_of
from federation.roles import Disclosure, Disclosures, Parties, Progress, View, expect
from federation.trees import Floats, Tree, probabilities
from privacy.errors import ConfigInvalid, MessageInvalid

MODEL_ID_BYTES: Final = 16


class LabelHolderModel(msgspec.Struct, frozen=True, kw_only=True):
    """The label holder's part of a model: everything but the partners' thresholds.

    model_id: random, the same in all parts. owners: party by `Tree.owner`. base_score: log-odds of the
    training prevalence. splits: own thresholds by `Tree.split`. field_gains: total gain per own field.
    partner_gains: total gain per partner (a partner's fields stay unnamed). seed: of what was drawn at random.
    """

    model_id: bytes
    owners: tuple[str, ...]
    base_score: float
    trees: tuple[Tree, ...]
    binning: Binning
    splits: tuple[Split, ...]
    field_gains: dict[str, float]
    partner_gains: dict[str, float]
    seed: int = 0

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelHolderModel:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


class FeatureHolderModel(msgspec.Struct, frozen=True, kw_only=True):
    """A feature holder's part: what its split numbers mean, and the bins they refer to."""

    model_id: bytes
    binning: Binning
    splits: dict[int, Split]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureHolderModel:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


def bits_of(flags: Bools) -> bytes:
    """One bit per flag, first flag in the highest bit, the last byte filled up with zeros."""
    return np.packbits(flags).tobytes()


def flags_of(data: bytes, count: int, sender: str) -> Bools:
    """Read `bits_of` back: (count,) bool. Raises `MessageInvalid` unless exactly `count` bits were sent."""
    if len(data) != -(-count // 8):
        raise MessageInvalid("boosting_bits_length", sender=sender, expected=count, received=len(data) * 8)
    flags = np.unpackbits(np.frombuffer(data, dtype=np.uint8)).astype(np.bool_)
    if flags[count:].any():
        raise MessageInvalid("boosting_bits_length", sender=sender, expected=count, received=len(flags))
    return flags[:count]


class Ask(Message, frozen=True, tag="scoring.ask/1"):
    """L to F: on which side do these rows fall?

    splits: F's split numbers; sizes: rows per split (i4); rows: their row numbers (i4), split after split,
    increasing within a split.
    """

    model: bytes
    splits: tuple[int, ...]
    sizes: Array
    rows: Array


class Sides(Message, frozen=True, tag="scoring.sides/1"):
    """F to L: one bit per asked row, 1 for left."""

    left: bytes


class Done(Message, frozen=True, tag="scoring.done/1"):
    """L to F: all rows have reached a leaf."""


MESSAGES: Final[tuple[type[Message], ...]] = (Ask, Sides, Done)

DISCLOSES: Final = Disclosures(
    protocol="scoring",
    label_holder=(Disclosure("split_sides", ("scoring.sides/1",), per_row=True),),
    feature_holder=(
        Disclosure("split_rows", ("scoring.ask/1",), per_row=True),
        Disclosure("end", ("scoring.done/1",)),
    ),
    coordinator=(Disclosure("sizes", ("scoring.ask/1", "scoring.sides/1", "scoring.done/1")),),
)


class LabelHolder:
    """L's part. Result: probabilities of the positive class, float64 of shape (n_rows,), rows as given.

    `contributions` says what they are made of.
    """

    def __init__(
        self, parties: Parties, view: View, model: LabelHolderModel, rows: Integers | None = None
    ) -> None:
        """view: L's fields for all aligned rows; rows: which of them to score, increasing (default: all).

        Raises `ConfigInvalid` when the model was made by other parties or for other fields, or rows repeat.
        """
        if model.owners != parties.all or model.binning.fields != view.fields:
            raise ConfigInvalid("scoring_model_mismatch")
        self.progress = Progress(total=max((_depth(tree) for tree in model.trees), default=0))
        self.result: Floats | None = None
        self._model = model
        self._rows = np.arange(len(view)) if rows is None else np.asarray(rows, dtype=np.int64)
        if not increasing_below(self._rows, len(view)):
            raise ConfigInvalid("scoring_rows")
        self._codes = model.binning.transform(view.values[self._rows])
        self._leaves = np.zeros((len(model.trees), len(self._rows)), dtype=np.int32)
        self._reached: dict[tuple[int, int], Integers] = {}
        self._asked: dict[str, list[tuple[int, int]]] = {}

    def start(self) -> list[Outgoing]:
        everyone = np.arange(len(self._rows))
        for number in range(len(self._model.trees)):
            self._reached[number, 0] = everyone
        return self._advance()

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case Sides() if sender in self._asked:
                return self._answered(sender, message)
            case _:
                expect(False, "scoring.LabelHolder", message, sender)
                return []

    def contributions(self) -> Contributions:
        """What each own field and each partner adds to the log-odds of the rows. Call it when there is a result."""
        model = self._model
        own, partners = model.binning.fields, model.owners[1:]

        def column_of(owner: int, split: int) -> int:
            return len(own) + owner - 1 if owner else model.splits[split].feature

        n_columns = len(own) + len(partners)
        base, values = contributions_of(model.trees, self._leaves, model.base_score, n_columns, column_of)
        return Contributions(base, own, partners, values)

    def _answered(self, sender: str, message: Sides) -> list[Outgoing]:
        nodes = self._asked[sender]
        sizes = [len(self._reached[node]) for node in nodes]
        left = flags_of(message.left, sum(sizes), sender)
        del self._asked[sender]
        for node, flags in zip(nodes, np.split(left, np.cumsum(sizes)[:-1]), strict=True):
            self._descend(node, flags)
        if self._asked:
            return []
        self.progress.done += 1
        return self._advance()

    def _advance(self) -> list[Outgoing]:
        """Walk on alone as far as possible, then ask the partners, or finish."""
        pending = list(self._reached)
        questions: dict[str, list[tuple[int, int]]] = {}
        while pending:
            number, node = pending.pop()
            tree, rows = self._model.trees[number], self._reached[number, node]
            left = tree.left[node]
            if left < 0:
                self._leaves[number, rows] = node
                del self._reached[number, node]
            elif not len(rows):
                del self._reached[number, node]
            elif tree.owner[node] == 0:
                self._descend(
                    (number, node), self._model.splits[tree.split[node]].goes_left(self._codes[rows])
                )
                pending += [(number, left), (number, left + 1)]
            else:
                questions.setdefault(self._model.owners[tree.owner[node]], []).append((number, node))
        if not questions:
            return self._finish()
        for owner, nodes in questions.items():
            self._asked[owner] = sorted(nodes, key=self._split_of)
        return [Outgoing(owner, self._question(nodes)) for owner, nodes in self._asked.items()]

    def _descend(self, place: tuple[int, int], goes_left: Bools) -> None:
        number, node = place
        rows = self._reached.pop(place)
        left = self._model.trees[number].left[node]
        self._reached[number, left], self._reached[number, left + 1] = rows[goes_left], rows[~goes_left]

    def _split_of(self, place: tuple[int, int]) -> int:
        return self._model.trees[place[0]].split[place[1]]

    def _question(self, nodes: list[tuple[int, int]]) -> Ask:
        # In the order of the random split numbers: the order of the trees is not F's business.
        reached = [self._rows[self._reached[node]] for node in nodes]
        return Ask(
            model=self._model.model_id,
            splits=tuple(self._split_of(node) for node in nodes),
            sizes=np.array([len(rows) for rows in reached], dtype="<i4"),
            rows=np.concatenate(reached).astype("<i4"),
        )

    def _finish(self) -> list[Outgoing]:
        scores = np.full(len(self._rows), self._model.base_score)
        for tree, leaves in zip(self._model.trees, self._leaves, strict=True):
            scores = scores + np.array(tree.value)[leaves]
        self.result = probabilities(scores)
        self.progress.done = self.progress.total
        return [Outgoing(owner, Done()) for owner in self._model.owners[1:]]


class FeatureHolder:
    """F's part. Result: how many (row, split) questions it has answered."""

    def __init__(self, parties: Parties, view: View, model: FeatureHolderModel) -> None:
        """view: F's fields, all aligned rows. Raises `ConfigInvalid` when the model is for other fields."""
        if model.binning.fields != view.fields:
            raise ConfigInvalid("scoring_model_mismatch")
        self.progress = Progress()
        self.result: int | None = None
        self._label_holder = parties.label_holder
        self._model = model
        self._codes: Codes = model.binning.transform(view.values)
        self._answered: set[int] = set()
        self._bits = 0

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        expect(sender == self._label_holder and self.result is None, "scoring.FeatureHolder", message, sender)
        match message:
            case Ask():
                return [Outgoing(sender, Sides(left=bits_of(self._sides(sender, message))))]
            case Done():
                self.result = self._bits
            case _:
                expect(False, "scoring.FeatureHolder", message, sender)
        return []

    def _sides(self, sender: str, message: Ask) -> Bools:
        sizes, rows = message.sizes, message.rows
        asked = set(message.splits)
        if message.model != self._model.model_id:
            raise MessageInvalid("scoring_other_model", sender=sender)
        if not asked <= self._model.splits.keys() or len(asked) != len(message.splits):
            raise MessageInvalid("scoring_split_unknown", sender=sender)
        if asked & self._answered:
            raise MessageInvalid("scoring_split_repeated", sender=sender)
        if sizes.dtype.str != "<i4" or rows.dtype.str != "<i4" or sizes.ndim != 1 or rows.ndim != 1:
            raise MessageInvalid("scoring_rows_invalid", sender=sender)
        if len(sizes) != len(asked) or (sizes < 0).any() or int(sizes.sum(dtype=np.int64)) != len(rows):
            raise MessageInvalid("scoring_rows_invalid", sender=sender)
        sides = [np.zeros(0, dtype=np.bool_)]
        for split, of_split in zip(message.splits, np.split(rows, np.cumsum(sizes)[:-1]), strict=False):
            if not increasing_below(of_split, len(self._codes)):
                raise MessageInvalid("scoring_rows_invalid", sender=sender)
            sides.append(self._model.splits[split].goes_left(self._codes[of_split]))
        self._answered |= asked
        self._bits += len(rows)
        self.progress.done += 1
        return np.concatenate(sides)


def increasing_below(rows: Array, limit: int) -> bool:
    """Whether row numbers are strictly increasing within 0..limit-1."""
    if not len(rows):
        return True
    # Compared, not subtracted: the difference of two large numbers may wrap around.
    return bool(rows[0] >= 0 and rows[-1] < limit and (rows[:-1] < rows[1:]).all())


def _depth(tree: Tree) -> int:
    """Splits on the longest path."""
    depth = [0] * len(tree.left)
    for node, left in enumerate(tree.left):
        if left >= 0:
            depth[left] = depth[left + 1] = depth[node] + 1
    return max(depth)
