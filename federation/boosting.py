"""SecureBoost: gradient-boosted trees over columns of several parties, the labels and gradients at one.

Parties. Label holder L (labels, Paillier secret key, own columns), feature holders F1..Fm (more columns of
    the same rows). The coordinator relays.
Rounds. Per tree L sends every F one ciphertext per training row, holding (g, h) (`pair_layout.PairLayout`). Per
    level, for all nodes at once: L tells F which rows reach which node; F returns, for every split it could
    make there, the encrypted sums of g and h on its left, packed, re-randomised and *in random order*; L
    decrypts, compares with its own splits, and names the number that won; F keeps feature and threshold under
    a random split number and answers which rows go left. The last level asks nothing: leaves stay at L.
    When rows leave in the middle (a consent was withdrawn), the tree that grows is lost; a new pair of roles goes on
    from the finished trees with the rows that stay.
What each party learns. L: per node, the sums of g and h left of a partner's candidate splits, without knowing
    feature, threshold or order, each over at least `min_child_rows` rows, two of one feature differing by at
    least `k_min` rows of that node; and the side of every training row at the splits that won. F: which rows
    train, which of them reach every node (also of the other parties' splits), which of its candidates won
    (and tied). Coordinator: sizes.
    Not prevented: from the first joint tree on, a partner's root candidates are the same row sets in every tree,
    summed under fresh gradients that L knows. L can match them across trees, which shuffling does not hide, and
    solve for which rows lie on their left. Measured on the plaintext kernel with `k_min` 50: 400 rows and 60
    trees, 93 to 99.8 % of memberships right (guessing: 50 to 88 %); 1,000 rows and 20 trees, 80 to 94 % (56 to
    94 %); 6,000 rows and 100 trees, 86 % (62 %). L may also match candidates in one node or between a node and
    its children (where a difference can concern fewer rows), and candidates of two nearly equal fields of one
    partner, which may differ by a single row that L finds among its gradients. F may group rows by node and
    guess at labels, which `first_tree_local` blunts (ID2Graph, arXiv 2307.10318). L and F are taken to follow
    the protocol: chosen "gradients" would let L ask other questions.
Source. Cheng et al., "SecureBoost: a lossless federated learning framework", IEEE Intelligent Systems 36(6),
    2021, algorithms 1 and 2; gradient packing and histogram subtraction as in Chen et al., "SecureBoost+",
    arXiv 2110.10927.
Deviations. F sends the left sums of its candidates, shuffled over all its features, instead of per-feature
    histograms in threshold order. L checks every answered partition against the sums it decrypted. Ties are
    resolved by F, so that the result does not depend on the shuffle.
Equals. `trees.fit_trees` on the pooled codes: same trees, same scores.
Cost. Per tree one encryption per row (shared by all partners) and, per partner, about one half-size product
    per row and *pair* of features at the root and for under half of the rows of every further level, and one
    decryption per two dozen candidates (2048 bit).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np

from federation.binning import Binning, Bools, Codes, Integers, Split, fit_bins
from federation.boosting_messages import (
    DISCLOSES,
    MESSAGES,
    Begin,
    CandidateSums,
    Chosen,
    Finish,
    Gradients,
    Level,
    SplitSides,
)
from federation.boosting_partner import FeatureHolder
from federation.messages import Message, Outgoing
from federation.pair_layout import PairLayout
from federation.roles import Decryptor, Parties, Progress, View, expect
from federation.scoring import (
    MODEL_ID_BYTES,
    FeatureHolderModel,
    LabelHolderModel,
    bits_of,
    flags_of,
    increasing_below,
)
from federation.trees import (
    BoostingOptions,
    Floats,
    Tree,
    TreeBuilder,
    base_score_of,
    gradients_of,
    offer_of,
)
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.paillier import PublicKey

__all__ = [
    "DISCLOSES",
    "MESSAGES",
    "BoostingOptions",
    "FeatureHolder",
    "FeatureHolderModel",
    "LabelHolder",
    "LabelHolderModel",
    "Unfinished",
]


@dataclass(frozen=True, slots=True)
class _Choice:
    """The best split of a node: owner 0 is L itself. `tied` and `sums`: F's candidates, their (G, H)."""

    owner: int
    gain: float
    split: Split | None = None
    tied: tuple[int, ...] = ()
    sums: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The trees that stand when some rows have to leave in the middle of training (`LabelHolder.carry_on`).

    scores: per training row that stays, as the trees so far give them. Trees that saw the rows that left stay as they
    are (PIPL 15: what was done before a withdrawal remains valid); no later one sees them.
    """

    model_id: bytes
    binning: Binning
    base_score: float
    trees: tuple[Tree, ...]
    splits: tuple[Split, ...]
    partner_splits: dict[str, set[int]]
    scores: Floats


class LabelHolder:
    """L's part. Result: `LabelHolderModel`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        label: np.ndarray[Any, Any],
        train_rows: Integers,
        options: BoostingOptions,
        *,
        decryptor: Decryptor,
        public_key: PublicKey,
        before: Unfinished | None = None,
    ) -> None:
        """view: L's fields for all aligned rows; label: 0 or 1 per aligned row; train_rows: increasing.

        before: the trees to go on from, of a role with the same partners whose other training rows have left.

        Raises `ConfigInvalid` when these do not fit each other or a label is not 0 or 1, and
        `PackingOverflow` when the key is too small for the number of rows.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        if len(label) != len(view) or not len(rows) or not increasing_below(rows, len(view)):
            raise ConfigInvalid("boosting_rows")
        self.progress = Progress(total=options.trees, step="boosting.trees")
        self.result: LabelHolderModel | None = None
        self._parties, self._options = parties, options
        self._decryptor, self._key = decryptor, public_key
        self._layout = PairLayout.for_gradients(public_key.bits, options.scale_bits, len(rows))
        self._in_training = np.zeros(len(view), dtype=np.bool_)
        self._in_training[rows] = True
        self._labels = np.asarray(label)[rows].astype(np.float64)
        if before is None:
            base_score = base_score_of(self._labels)
            before = Unfinished(
                model_id=secrets.token_bytes(MODEL_ID_BYTES),
                binning=fit_bins(view.fields, view.values[rows], options.bins),
                base_score=base_score,
                trees=(),
                splits=(),
                partner_splits={name: set() for name in parties.feature_holders},
                scores=np.full(len(rows), base_score),
            )
        if len(before.scores) != len(rows):
            raise ConfigInvalid("boosting_rows")
        self._model_id, self._binning, self._base_score = before.model_id, before.binning, before.base_score
        self._codes: Codes = self._binning.transform(view.values[rows])
        self._scores: Floats = before.scores
        self._trees: list[Tree] = list(before.trees)
        self._splits: list[Split] = list(before.splits)
        self._partner_splits = {name: set(numbers) for name, numbers in before.partner_splits.items()}
        self.progress.done = len(self._trees)
        self._new_builder()
        self._offers: dict[str, list[tuple[Integers, Integers]]] = {}
        self._choices: dict[int, _Choice] = {}
        self._answers: dict[int, tuple[int, Bools]] = {}
        self._awaiting: type[Message] | None = None
        self._silent: set[str] = set()

    def start(self) -> list[Outgoing]:
        begin = Begin(
            model=self._model_id,
            public_key=self._key.to_bytes(),
            train_rows=bits_of(self._in_training),
            generator=self._key.generator_bytes(),
        )
        return self._to_all(begin) + self._grow()

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = (
            self._awaiting is not None and isinstance(message, self._awaiting) and sender in self._silent
        )
        expect(in_turn, "boosting.LabelHolder", message, sender)
        match message:
            case CandidateSums() if (message.tree, message.level) == self._place:
                self._offers[sender] = self._read_offer(sender, message)
                following = self._choose
            case SplitSides() if (message.tree, message.level) == self._place:
                self._read_sides(sender, message)
                following = self._close_level
            case _:
                expect(False, "boosting.LabelHolder", message, sender)
        self._silent.discard(sender)
        return [] if self._silent else following()

    def carry_on(self, stays: Bools) -> Unfinished:
        """What another role goes on from when rows leave; the tree that was growing is lost.

        stays: which rows of the view do, (n_rows,).
        """
        return Unfinished(
            self._model_id,
            self._binning,
            self._base_score,
            tuple(self._trees),
            tuple(self._splits),
            self._partner_splits,
            self._scores[stays[self._in_training]],
        )

    # What L does by itself.

    @property
    def _place(self) -> tuple[int, int]:
        return len(self._trees), self._builder.level

    def _new_builder(self) -> None:
        self._gradients, self._hessians = gradients_of(self._labels, self._scores, self._options.scale_bits)
        self._builder = TreeBuilder(self._gradients, self._hessians, self._options)

    def _grow(self) -> list[Outgoing]:
        """Grow trees until a partner has to be asked, or all are done."""
        while len(self._trees) < self._options.trees:
            if self._options.first_tree_local and not self._trees:
                while self._builder.open:
                    for node in self._builder.open:
                        choice = self._best(node, {})
                        if choice is not None:
                            self._split(node, choice)
                    self._builder.close_level()
            if self._builder.open:
                plaintexts = self._layout.join(self._gradients, self._hessians)
                ciphertexts = self._key.dump(self._decryptor.encrypt(plaintexts))
                gradients = Gradients(tree=len(self._trees), ciphertexts=ciphertexts)
                nothing = np.zeros(0, dtype=np.bool_)
                return self._to_all(gradients) + self._ask(nothing, b"", np.ones(1, dtype=np.bool_))
            self._finish_tree()
        self.result = self._model()
        self._awaiting = None
        return self._to_all(Finish())

    def _finish_tree(self) -> None:
        tree, per_row = self._builder.finish()
        self._trees.append(tree)
        self._scores = self._scores + per_row
        self.progress.done = len(self._trees)
        self._new_builder()

    def _best(self, node: int, partners: dict[int, tuple[Integers, Integers]]) -> _Choice | None:
        """The best split of a node among L's own and the partners' sums; the first owner wins a tie."""
        rows = self._builder.rows(node)
        own = offer_of(
            self._codes[rows],
            self._gradients[rows],
            self._hessians[rows],
            self._options,
            self._builder.level,
        )
        best: _Choice | None = None
        gains = self._builder.gains(node, own.gradients, own.hessians)
        if len(gains) and np.isfinite(gains.max()):
            best = _Choice(0, float(gains.max()), split=own.candidates[int(gains.argmax())])
        for owner, (left_gradients, left_hessians) in partners.items():
            gains = self._builder.gains(node, left_gradients, left_hessians)
            highest = float(gains.max(initial=-np.inf))
            if highest > (best.gain if best else -np.inf):
                tied = np.flatnonzero(gains == highest)
                sums = zip(left_gradients[tied].tolist(), left_hessians[tied].tolist(), strict=True)
                best = _Choice(owner, highest, tied=tuple(tied.tolist()), sums=frozenset(sums))
        return best

    def _split(self, node: int, choice: _Choice) -> Bools:
        """Split a node as chosen; returns which of its rows go left, (n_rows_of_node,)."""
        if choice.split is not None:
            number, left = len(self._splits), choice.split.goes_left(self._codes[self._builder.rows(node)])
            self._splits.append(choice.split)
        else:
            number, left = self._answers[node]
        self._builder.split(node, choice.owner, number, choice.gain, left)
        return left

    # What L asks and hears.

    def _ask(self, split: Bools, left: bytes, ask: Bools) -> list[Outgoing]:
        tree, level = self._place
        self._await(CandidateSums, self._parties.feature_holders)
        return self._to_all(Level(tree=tree, level=level, split=split, left=left, ask=ask))

    def _read_offer(self, sender: str, message: CandidateSums) -> list[tuple[Integers, Integers]]:
        """The sums on the left of the partner's candidates, per open node. Refuses impossible sums."""
        counts, nodes, slots = message.counts, self._builder.open, self._layout.slots
        if counts.dtype.str != "<i4" or counts.shape != (len(nodes),) or (counts < 0).any():
            raise MessageInvalid("boosting_candidate_counts", sender=sender, nodes=len(nodes))
        total = int(counts.sum(dtype=np.int64))
        ciphertexts = self._key.load(message.sums, slots.plaintexts(total))
        pairs = slots.unpack(self._decryptor.decrypt(ciphertexts), total)
        gradients, hessians = (np.array(part, dtype=np.int64) for part in self._layout.separate(pairs))
        ends = np.cumsum(counts)[:-1]
        offers = list(zip(np.split(gradients, ends), np.split(hessians, ends), strict=True))
        for node, (left_gradients, left_hessians) in zip(nodes, offers, strict=True):
            rows = self._builder.rows(node)
            size, weight = int(np.abs(self._gradients[rows]).sum()), int(self._hessians[rows].sum())
            within = (np.abs(left_gradients) <= size) & (left_hessians >= 0) & (left_hessians <= weight)
            if not within.all():
                raise MessageInvalid("boosting_sums_out_of_range", sender=sender)
        return offers

    def _choose(self) -> list[Outgoing]:
        """All candidates are here: pick per node, split what L owns, ask the winners for their partition."""
        names = self._parties.feature_holders
        won: dict[str, list[int]] = {}
        for place, node in enumerate(self._builder.open):
            offers = {owner: self._offers[name][place] for owner, name in enumerate(names, start=1)}
            choice = self._best(node, offers)
            if choice is not None:
                self._choices[node] = choice
                if choice.owner:
                    won.setdefault(names[choice.owner - 1], []).append(place)
        self._offers = {}
        if not won:
            return self._close_level()
        self._await(SplitSides, tuple(won))
        tree, level = self._place
        return [
            Outgoing(name, Chosen(tree=tree, level=level, nodes=tuple(places), candidates=tuple(
                self._choices[self._builder.open[place]].tied for place in places
            )))
            for name, places in won.items()
        ]  # fmt: skip

    def _read_sides(self, sender: str, message: SplitSides) -> None:
        """Keep the partition of the nodes this partner has won. Raises when it does not match its sums."""
        owner = 1 + self._parties.feature_holders.index(sender)
        nodes = [node for node, choice in self._choices.items() if choice.owner == owner]
        known = self._partner_splits[sender]
        fresh = set(message.splits)
        if len(message.splits) != len(nodes) or len(fresh) != len(nodes) or fresh & known:
            raise MessageInvalid("boosting_split_numbers", sender=sender, nodes=len(nodes))
        sizes = [len(self._builder.rows(node)) for node in nodes]
        flags = flags_of(message.left, sum(sizes), sender)
        sides = np.split(flags, np.cumsum(sizes)[:-1])
        for node, split, left in zip(nodes, message.splits, sides, strict=True):
            rows = self._builder.rows(node)[left]
            sums = int(self._gradients[rows].sum()), int(self._hessians[rows].sum())
            if sums not in self._choices[node].sums:
                raise MessageInvalid("boosting_sides_do_not_match", sender=sender)
            self._answers[node] = (split, left)
        known |= fresh

    def _close_level(self) -> list[Outgoing]:
        """All partitions are here: split the nodes, in order, and go on with their children."""
        parents = self._builder.open
        left = [self._split(node, self._choices[node]) for node in parents if node in self._choices]
        split = np.array([node in self._choices for node in parents])
        self._choices, self._answers = {}, {}
        self._builder.close_level()
        if not self._builder.open:
            self._finish_tree()
            return self._grow()
        still_open = set(self._builder.open)
        ask = [child in still_open for node in parents for child in self._builder.children(node) or ()]
        return self._ask(split, bits_of(np.concatenate(left)), np.array(ask))

    def _await(self, kind: type[Message], senders: tuple[str, ...]) -> None:
        self._awaiting, self._silent = kind, set(senders)

    def _to_all(self, message: Message) -> list[Outgoing]:
        return [Outgoing(name, message) for name in self._parties.feature_holders]

    def _model(self) -> LabelHolderModel:
        own = dict.fromkeys(self._binning.fields, 0.0)
        partners = dict.fromkeys(self._parties.feature_holders, 0.0)
        for tree in self._trees:
            for owner, split, gain in zip(tree.owner, tree.split, tree.gain, strict=True):
                if owner == 0:
                    own[self._binning.fields[self._splits[split].feature]] += gain
                elif owner > 0:
                    partners[self._parties.feature_holders[owner - 1]] += gain
        return LabelHolderModel(
            model_id=self._model_id,
            owners=self._parties.all,
            base_score=self._base_score,
            trees=tuple(self._trees),
            binning=self._binning,
            splits=tuple(self._splits),
            field_gains=own,
            partner_gains=partners,
        )
