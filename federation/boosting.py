"""SecureBoost: gradient-boosted trees over columns of several parties, the labels and gradients at one.

Parties. Label holder L (labels, Paillier secret key, own columns), feature holders F1..Fm (more columns of
    the same rows). The coordinator relays.
Rounds. Per tree L sends every F one ciphertext per row that counts in it, holding (g, h) (`pair_layout.PairLayout`).
    Per level, for all nodes at once: L tells F which rows reach which node; F returns, for every split it could
    make there, the encrypted sums of g and h on its left, packed, re-randomised and *in random order*; L
    decrypts, compares with its own splits, and names the number that won; F keeps feature and threshold under
    a random split number and answers which rows go left. The last level asks nothing: leaves stay at L.
    Leaf-wise (`tree_builder`), an exchange is about the children of the best leaves instead of a level; F keeps the
    sums of all nodes that may still be split.
    When rows leave in the middle (a consent was withdrawn), the tree that grows is lost; a new pair of roles goes on
    from the finished trees with the rows that stay. A job that is run again after a failure does the same with the
    same rows, from what its parties have stored (`boosting_resume`).
Rows that do not count. Rows that validate (early stopping) have no ciphertext in any tree, rows that GOSS leaves out
    none in that tree; both are routed like all others. F is told which rows count, so that `k_min` and
    `min_child_rows` hold for the rows behind a sum: zeros that F cannot tell from gradients would be behind its sums
    without protecting anybody.
What each party learns. L: per node, the sums of g and h left of a partner's candidate splits, without knowing
    feature, threshold or order, each over at least `min_child_rows` rows, two of one feature differing by at
    least `k_min` rows of that node; and the side of every training row at the splits that won. F: which rows
    train, which of them count in every tree, which of them reach every node (also of the other parties' splits), which
    of its candidates won (and tied), how many trees stand and are kept. Coordinator: sizes.
    Which rows validate says nothing of a row: it is drawn per class. Which rows GOSS keeps does: those of either class
    with the largest |g| are in every sample, so F can see over many trees who is hard to predict.
    Leaf-wise, F sees in which order leaves are split, hence the order of their gains.
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
    arXiv 2110.10927. GOSS: Ke et al., "LightGBM", NeurIPS 2017, algorithm 2; leaf-wise growth: section 2 there.
Deviations. F sends the left sums of its candidates, shuffled over all its features, instead of per-feature
    histograms in threshold order. L checks every answered partition against the sums it decrypted. Ties are
    resolved by F, so that the result does not depend on the shuffle. GOSS ranks by |g| within each class, so that a
    sample does not show the label, and a local first tree is not sampled. Levels are set apart one by one instead of
    ordered by g/h.
Equals. `trees.fit_trees` on the pooled codes: same trees, same scores.
Cost. Per tree one encryption per row that counts (shared by all partners) and, per partner, about one half-size product
    per row and *pair* of features at the root and for under half of the rows of every further level, and one
    decryption per two dozen candidates (2048 bit). Leaf-wise up to one exchange per leaf instead of per level.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from federation.binning import Bools, Codes, Integers, Split, fit_bins
from federation.boosting_answers import read_offer, read_sides
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
from federation.boosting_options import BoostingOptions
from federation.boosting_partner import FeatureHolder
from federation.boosting_resume import LabelShelf, Unfinished
from federation.ensemble import GrowingEnsemble
from federation.messages import Message, Outgoing
from federation.pair_layout import layout_for
from federation.roles import Decryptor, Parties, Progress, Store, View, expect
from federation.row_weights import Draws
from federation.scoring import (
    MODEL_ID_BYTES,
    FeatureHolderModel,
    LabelHolderModel,
    bits_of,
    increasing_below,
)
from federation.trees import offer_of
from privacy.errors import ConfigInvalid
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

SEED_BITS: Final = 62
"""Of what L draws at random: nobody else is to know it, and it fits a signed 64-bit integer."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The best split of a node: owner 0 is L itself. `tied` and `sums`: F's candidates, their (G, H)."""

    owner: int
    gain: float
    split: Split | None = None
    tied: tuple[int, ...] = ()
    sums: frozenset[tuple[int, int]] = frozenset()


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
        categorical: Collection[str] = (),
        row_keys: Integers | None = None,
        seed: int | None = None,
        store: Store | None = None,
    ) -> None:
        """view: L's fields for all aligned rows; label: 0 or 1 per aligned row; train_rows: increasing.

        before: the trees to go on from, of a role with the same partners whose other training rows have left.
        categorical: those of the fields that hold levels.
        row_keys: (n_train_rows,) the place of every training row in L's file (default: its place here), by which rows
            are drawn and found again. seed: of what is drawn at random (default: the operating system's).
        store: where a rerun of the same job finds what is left of this one (default: nowhere).

        Raises `ConfigInvalid` when these do not fit each other or a label is not 0 or 1, and
        `PackingOverflow` when the key is too small for the number of rows.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        if len(label) != len(view) or not len(rows) or not increasing_below(rows, len(view)):
            raise ConfigInvalid("training_rows")
        keys = np.arange(len(rows)) if row_keys is None else np.asarray(row_keys, dtype=np.int64)
        if len(np.unique(keys)) != len(rows) or (before is not None and len(before.scores) != len(rows)):
            raise ConfigInvalid("training_rows")
        self.progress = Progress(total=options.trees, step="boosting.trees")
        self.result: LabelHolderModel | None = None
        self._parties, self._options = parties, options
        self._decryptor, self._key = decryptor, public_key
        self._layout = layout_for(public_key, options, len(rows))
        self._in_training = np.zeros(len(view), dtype=np.bool_)
        self._in_training[rows] = True
        labels, values = np.asarray(label)[rows], view.values[rows]
        self._shelf = None if store is None else LabelShelf(store, keys, labels, parties.feature_holders)
        if before is None and self._shelf is not None:
            before = self._shelf.read(view.fields, values)
        kept: dict[str, Any] = {}
        if before is None:
            self._model_id = secrets.token_bytes(MODEL_ID_BYTES)
            self._binning = fit_bins(
                view.fields, values, options.bins, categorical=categorical, k_min=options.k_min
            )
            seed = secrets.randbits(SEED_BITS) if seed is None else seed
            self._partner_splits: dict[str, set[int]] = {name: set() for name in parties.feature_holders}
        else:
            self._model_id, self._binning, seed = before.model_id, before.binning, before.seed
            self._partner_splits = {name: set(found) for name, found in before.partner_splits.items()}
            names = ("validation", "base_score", "scores", "trees", "splits", "losses")
            kept = {name: getattr(before, name) for name in names}
        self._ensemble = GrowingEnsemble(labels, options, Draws(seed, keys), **kept)
        self._codes: Codes = self._binning.transform(values)
        self.progress.done = len(self._ensemble.trees)
        self._builder = self._ensemble.builder()
        self._offers: dict[str, list[tuple[Integers, Integers]]] = {}
        self._choices: dict[int, _Choice] = {}
        self._answers: dict[int, tuple[int, Bools]] = {}
        self._awaiting: type[Message] | None = None
        self._silent: set[str] = set()

    @property
    def model_id(self) -> bytes:
        """The number of the model that grows."""
        return self._model_id

    def start(self) -> list[Outgoing]:
        self._keep()
        begin = Begin(
            model=self._model_id,
            public_key=self._key.to_bytes(),
            train_rows=bits_of(self._in_training),
            generator=self._key.generator_bytes(),
        )
        # A partner without a split in these trees may never have heard of the model.
        stand = {
            name: len(self._ensemble.trees) if found else 0 for name, found in self._partner_splits.items()
        }
        openings = [
            Outgoing(name, msgspec.structs.replace(begin, trees=trees)) for name, trees in stand.items()
        ]
        return openings + self._grow()

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = (
            self._awaiting is not None and isinstance(message, self._awaiting) and sender in self._silent
        )
        expect(in_turn, "boosting.LabelHolder", message, sender)
        match message:
            case CandidateSums() if (message.tree, message.level) == self._place:
                self._offers[sender] = read_offer(
                    message, sender, self._builder, self._layout, self._key, self._decryptor
                )
                following = self._choose
            case SplitSides() if (message.tree, message.level) == self._place:
                self._read_sides(sender, message)
                following = self._close_exchange
            case _:
                expect(False, "boosting.LabelHolder", message, sender)
        self._silent.discard(sender)
        return [] if self._silent else following()

    def carry_on(self, stays: Bools) -> Unfinished:
        """What another role goes on from when rows leave; the tree that was growing is lost.

        stays: which rows of the view do, (n_rows,).
        """
        return self._unfinished(stays[self._in_training])

    # What L does by itself.

    @property
    def _place(self) -> tuple[int, int]:
        return len(self._ensemble.trees), self._builder.exchange

    def _unfinished(self, stays: Bools | None = None) -> Unfinished:
        ensemble, kept = self._ensemble, slice(None) if stays is None else stays
        return Unfinished(
            model_id=self._model_id,
            binning=self._binning,
            base_score=ensemble.base_score,
            trees=tuple(ensemble.trees),
            splits=tuple(ensemble.splits),
            partner_splits=self._partner_splits,
            scores=ensemble.scores[kept],
            validation=ensemble.validation[kept],
            losses=tuple(ensemble.losses),
            seed=ensemble.draws.seed,
        )

    def _keep(self) -> None:
        if self._shelf is not None:
            self._shelf.write(self._unfinished(), self._codes)

    def _grow(self) -> list[Outgoing]:
        """Grow trees until a partner has to be asked, or all are done."""
        while not self._ensemble.is_done:
            while self._ensemble.is_local and self._builder.is_growing:
                self._consider({})
                for node in self._builder.due():
                    self._split(node)
                self._builder.close_exchange()
            if self._builder.is_growing:
                return self._to_all(self._gradients()) + self._ask(
                    np.zeros(0, dtype=np.bool_), b"", np.ones(1, dtype=np.bool_)
                )
            self._finish_tree()
        self.result = self._model()
        self.progress.done = self.progress.total
        self._awaiting = None
        return self._to_all(Finish(trees=len(self.result.trees)))

    def _gradients(self) -> Gradients:
        builder, counts = self._builder, self._builder.counts
        plaintexts = self._layout.join(builder.gradients[counts], builder.hessians[counts])
        ciphertexts = self._key.dump(self._decryptor.encrypt(plaintexts))
        sample = b"" if counts.all() else bits_of(counts)
        return Gradients(tree=len(self._ensemble.trees), ciphertexts=ciphertexts, sample=sample)

    def _finish_tree(self) -> None:
        self._ensemble.add(self._builder)
        self._choices = {}
        self.progress.done = len(self._ensemble.trees)
        self._keep()
        self._builder = self._ensemble.builder()

    def _consider(self, offers: dict[int, list[tuple[Integers, Integers]]]) -> None:
        """Propose the best split of every open node. offers: by owner, a partner's sums per open node."""
        for place, node in enumerate(self._builder.open):
            choice = self._best(node, {owner: of_owner[place] for owner, of_owner in offers.items()})
            if choice is not None:
                self._choices[node] = choice
                self._builder.propose(node, choice.gain)

    def _best(self, node: int, partners: dict[int, tuple[Integers, Integers]]) -> _Choice | None:
        """The best split of a node among L's own and the partners' sums; the first owner wins a tie."""
        builder, rows = self._builder, self._builder.counted_rows(node)
        own = offer_of(
            self._codes[rows],
            builder.gradients[rows],
            builder.hessians[rows],
            self._options,
            builder.level(node),
            self._binning.level_features,
        )
        best: _Choice | None = None
        gains = builder.gains(node, own.gradients, own.hessians)
        if len(gains) and np.isfinite(gains.max()):
            best = _Choice(0, float(gains.max()), split=own.candidates[int(gains.argmax())])
        for owner, (left_gradients, left_hessians) in partners.items():
            gains = builder.gains(node, left_gradients, left_hessians)
            highest = float(gains.max(initial=-np.inf))
            if highest > (best.gain if best else -np.inf):
                tied = np.flatnonzero(gains == highest)
                sums = zip(left_gradients[tied].tolist(), left_hessians[tied].tolist(), strict=True)
                best = _Choice(owner, highest, tied=tuple(tied.tolist()), sums=frozenset(sums))
        return best

    def _split(self, node: int) -> Bools:
        """Split a node as chosen; returns which of its rows go left, (n_rows_of_node,)."""
        choice, splits = self._choices.pop(node), self._ensemble.splits
        if choice.split is not None:
            number, left = len(splits), choice.split.goes_left(self._codes[self._builder.rows(node)])
            splits.append(choice.split)
        else:
            number, left = self._answers.pop(node)
        self._builder.split(node, choice.owner, number, choice.gain, left)
        return left

    # What L asks and hears.

    def _ask(self, split: Bools, left: bytes, ask: Bools) -> list[Outgoing]:
        tree, level = self._place
        self._await(CandidateSums, self._parties.feature_holders)
        return self._to_all(Level(tree=tree, level=level, split=split, left=left, ask=ask))

    def _choose(self) -> list[Outgoing]:
        """All candidates are here: pick per node, and ask those who own a split that is due for their partition."""
        names, waiting = self._parties.feature_holders, self._builder.waiting
        self._consider({owner: self._offers[name] for owner, name in enumerate(names, start=1)})
        self._offers = {}
        won: dict[str, list[int]] = {}
        for node in self._builder.due():
            owner = self._choices[node].owner
            if owner:
                won.setdefault(names[owner - 1], []).append(waiting.index(node))
        if not won:
            return self._close_exchange()
        self._await(SplitSides, tuple(won))
        tree, level = self._place
        return [
            Outgoing(name, Chosen(tree=tree, level=level, nodes=tuple(places), candidates=tuple(
                self._choices[waiting[place]].tied for place in places
            )))
            for name, places in won.items()
        ]  # fmt: skip

    def _read_sides(self, sender: str, message: SplitSides) -> None:
        """Keep the partition of the nodes this partner has won."""
        owner = 1 + self._parties.feature_holders.index(sender)
        nodes = [node for node in self._builder.due() if self._choices[node].owner == owner]
        sums = [self._choices[node].sums for node in nodes]
        known = self._partner_splits[sender]
        sides = read_sides(message, sender, self._builder, nodes, sums, known)
        self._answers |= dict(zip(nodes, zip(message.splits, sides, strict=True), strict=True))
        known |= set(message.splits)

    def _close_exchange(self) -> list[Outgoing]:
        """All partitions are here: split the nodes that are due, in order, and go on with their children."""
        builder = self._builder
        waiting, due = list(builder.waiting), builder.due()
        left = [self._split(node) for node in due]
        builder.close_exchange()
        if not builder.is_growing:
            self._finish_tree()
            return self._grow()
        still_open = set(builder.open)
        ask = [child in still_open for node in due for child in builder.children(node) or ()]
        split = np.array([node in due for node in waiting])
        return self._ask(split, bits_of(np.concatenate(left)), np.array(ask))

    def _await(self, kind: type[Message], senders: tuple[str, ...]) -> None:
        self._awaiting, self._silent = kind, set(senders)

    def _to_all(self, message: Message) -> list[Outgoing]:
        return [Outgoing(name, message) for name in self._parties.feature_holders]

    def _model(self) -> LabelHolderModel:
        trees, splits = self._ensemble.kept()
        own = dict.fromkeys(self._binning.fields, 0.0)
        partners = dict.fromkeys(self._parties.feature_holders, 0.0)
        for tree in trees:
            for owner, split, gain in zip(tree.owner, tree.split, tree.gain, strict=True):
                if owner == 0:
                    own[self._binning.fields[splits[split].feature]] += gain
                elif owner > 0:
                    partners[self._parties.feature_holders[owner - 1]] += gain
        return LabelHolderModel(
            model_id=self._model_id,
            owners=self._parties.all,
            base_score=self._ensemble.base_score,
            trees=trees,
            binning=self._binning,
            splits=splits,
            field_gains=own,
            partner_gains=partners,
            seed=self._ensemble.draws.seed,
        )
