"""Federated binning: WOE and IV of every party's fields against the label of one.

Parties. Label holder L (labels, Paillier secret key, own fields), feature holders F1..Fm (more fields of the same
    rows). The coordinator relays.
Rounds. One exchange for all partners. L sends every F one ciphertext of the label per training row. F has pre-binned
    its fields by itself; it sends, per cell of its fields, the number of rows and the encrypted number of bads, packed
    and re-randomised: fields in random order under random numbers, a field's bins in order or reversed at random,
    missing and special values unnamed and in random order. L decrypts, merges the cells on their counts
    (`woe_merging`), and returns for every field the final bin of each cell, WOE and IV.
What each party learns. L: per unnamed field, how many goods and bads are in each pre-bin, every one of at least
    `k_min` rows; which neighbours belong together, not which end is the upper one (unless the job itself asks for
    rising or falling WOE); how many fields there are.
    F: which rows train; the WOE of its final bins, from which with its own counts the share of bads in each follows;
    IVs; that a field's counts read alike in both directions, where they do. Coordinator: sizes.
    Not prevented: L may subtract cells of two nearly equal fields of one partner, which may differ by a single row
    (it knows neither which fields nor which row). L and F are taken to follow the protocol: "labels" of L's choosing
    would let it ask other questions.
Source. Siddiqi, "Credit Risk Scorecards", 2006, chapter 6 (WOE, IV, merging); the encrypted group-by of SecureBoost
    (Cheng et al., IEEE Intelligent Systems 36(6), 2021) with the label in the place of the gradient.
Deviations. Cells are joined to `k_min` rows before anything is sent. L checks all counts against the rows and bads
    that it knows; F checks that the merging keeps the job's rules.
Equals. `woe.fit_woe` on the pooled table, to the last bit.
Cost. One encryption per training row (shared by all partners); per partner a product per row and pair of fields, a
    packed ciphertext per hundred cells or so (2048 bit) and its decryption.
"""

from __future__ import annotations

import secrets
from typing import Any, get_args

import numpy as np

from federation.binning import Integers
from federation.labels import checked_labels
from federation.messages import Message, Outgoing
from federation.roles import Decryptor, Parties, Progress, View, expect
from federation.scoring import MODEL_ID_BYTES, bits_of, increasing_below
from federation.woe import WoeOptions, fit_woe, merge_field
from federation.woe_merging import Merging
from federation.woe_messages import (
    DISCLOSES,
    MESSAGES,
    Begin,
    CellSums,
    FeatureHolderBins,
    FinalBins,
    LabelHolderBins,
    PartnerField,
)
from federation.woe_options import MOST_SPECIAL, Trend
from federation.woe_partner import FeatureHolder
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey

__all__ = [
    "DISCLOSES", "MESSAGES", "FeatureHolder", "FeatureHolderBins", "FinalBins", "LabelHolder", "LabelHolderBins",
    "PartnerField", "WoeOptions",
]  # fmt: skip


class LabelHolder:
    """L's part. Result: `LabelHolderBins`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        label: np.ndarray[Any, Any],
        train_rows: Integers,
        options: WoeOptions,
        *,
        decryptor: Decryptor,
        public_key: PublicKey,
    ) -> None:
        """view: L's fields for all aligned rows; label: 0 or 1 (bad) per aligned row; train_rows: increasing.

        Raises `ConfigInvalid` when these do not fit each other, a label is not 0 or 1, or there are too few rows.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        if len(label) != len(view) or not len(rows) or not increasing_below(rows, len(view)):
            raise ConfigInvalid("training_rows")
        self.progress = Progress(total=len(parties.feature_holders), step="woe.bins")
        self.result: LabelHolderBins | None = None
        self._parties, self._options = parties, options
        self._decryptor, self._key = decryptor, public_key
        self._in_training = np.zeros(len(view), dtype=np.bool_)
        self._in_training[rows] = True
        labels = np.asarray(label)[rows]
        self._bad = checked_labels(labels)
        self._own = fit_woe(view.fields, view.values[rows], labels, options)
        self._layout = SlotLayout.for_sums(public_key.bits, len(rows).bit_length(), additions=1)
        self._model_id = secrets.token_bytes(MODEL_ID_BYTES)
        self._partners: dict[str, tuple[PartnerField, ...]] = {}
        self._silent: set[str] = set()

    def start(self) -> list[Outgoing]:
        begin = Begin(
            model=self._model_id,
            public_key=self._key.to_bytes(),
            train_rows=bits_of(self._in_training),
            labels=self._key.dump(self._decryptor.encrypt(self._bad.astype(int).tolist())),
            generator=self._key.generator_bytes(),
        )
        self._silent = set(self._parties.feature_holders)
        return [Outgoing(name, begin) for name in self._parties.feature_holders]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if not isinstance(message, CellSums) or sender not in self._silent:
            expect(False, "woe_binning.LabelHolder", message, sender)
            return []
        bins = self._merge(sender, message)
        self._silent.discard(sender)
        self.progress.done += 1
        if not self._silent:
            in_order = {name: self._partners[name] for name in self._parties.feature_holders}
            self.result = LabelHolderBins(model_id=self._model_id, binning=self._own, partners=in_order)
        return [Outgoing(sender, bins)]

    def _merge(self, sender: str, message: CellSums) -> FinalBins:
        """Merge the cells of one partner's fields, and keep what L keeps of them."""
        rows, bads = self._read(sender, message)
        starts = np.cumsum(message.ordered.astype(np.int64) + message.loose)[:-1]
        merged: list[Merging] = []
        fields = zip(
            message.numbers,
            np.split(rows, starts),
            np.split(bads, starts),
            message.ordered.tolist(),
            message.trends.tolist(),
            strict=True,
        )
        kept = []
        for number, field_rows, field_bads, n_ordered, place in fields:
            trend: Trend = get_args(Trend)[place]
            merging = merge_field(field_rows - field_bads, field_bads, n_ordered, trend, self._options)
            merged.append(merging)
            kept.append(_partner_field(number, merging, n_ordered))
        self._partners[sender] = tuple(kept)
        return FinalBins(
            numbers=message.numbers,
            final=np.array([code for merging in merged for code in merging.final], dtype="|u1"),
            sizes=np.array([len(merging.woe) for merging in merged], dtype="|u1"),
            woe=np.array([woe for merging in merged for woe in merging.woe], dtype="<f8"),
            iv=np.array([merging.iv for merging in merged], dtype="<f8"),
            symmetric=np.array([merging.symmetric for merging in merged], dtype=np.bool_),
        )

    def _read(self, sender: str, message: CellSums) -> tuple[Integers, Integers]:
        """Rows and bads per cell, field after field. Raises `MessageInvalid` when no table can have them."""
        numbers, n_fields = message.numbers, len(message.numbers)
        per_field = (message.ordered, message.loose, message.trends)
        shapes_fit = all(item.dtype.str == "|u1" and item.shape == (n_fields,) for item in per_field)
        if not numbers or not shapes_fit or len(set(numbers)) != n_fields or message.rows.dtype.str != "<i4":
            raise MessageInvalid("woe_cells", sender=sender)
        cells = message.ordered.astype(np.int64) + message.loose
        if (
            message.rows.shape != (int(cells.sum()),)
            or not (cells > 0).all()
            or not (message.ordered <= self._options.pre_bins).all()
            or not (message.loose <= 1 + MOST_SPECIAL).all()
            or not (message.trends < len(get_args(Trend))).all()
            or not (message.rows >= self._options.k_min).all()
        ):
            raise MessageInvalid("woe_cells", sender=sender)
        rows = message.rows.astype(np.int64)
        ciphertexts = self._key.load(message.sums, self._layout.plaintexts(len(rows)))
        sums = self._layout.unpack(self._decryptor.decrypt(ciphertexts), len(rows))
        bads = np.array(sums, dtype=np.int64)
        of_field = np.repeat(np.arange(n_fields), cells)
        totals = [np.bincount(of_field, weights=item, minlength=n_fields) for item in (rows, bads)]
        expected = len(self._bad), int(self._bad.sum())
        if not all((total == known).all() for total, known in zip(totals, expected, strict=True)):
            raise MessageInvalid("woe_counts", sender=sender)
        if (bads < 0).any() or (bads > rows).any():
            raise MessageInvalid("woe_counts", sender=sender)
        return rows, bads


def _partner_field(number: int, merging: Merging, n_ordered: int) -> PartnerField:
    """What L keeps of a field. The first final bins are those of the first `n_ordered` cells."""
    ordinary = len(set(merging.final[:n_ordered]))
    steps = np.diff(merging.woe[:ordinary])
    return PartnerField(
        number=number,
        goods=merging.goods,
        bads=merging.bads,
        n_ordered=ordinary,
        monotone=bool((steps > 0).all() or (steps < 0).all()),
    )
