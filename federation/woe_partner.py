"""The feature holder's part of federated binning. The protocol is described in `woe_binning`."""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, get_args

import numpy as np

from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.messages import Array, Message, Outgoing
from federation.roles import DirectZeros, Parties, Progress, View, ZeroSource, expect
from federation.scoring import MODEL_ID_BYTES, flags_of
from federation.woe import FieldBins, WoeBinning, WoeOptions, field_bins
from federation.woe_merging import OPPOSITE
from federation.woe_messages import Begin, CellSums, FeatureHolderBins, FinalBins
from federation.woe_options import Trend
from federation.woe_prebins import FieldPreBins, fit_pre_bins
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey, shift_pack
from privacy.parallel import ALONE, Workers

NUMBER_BITS: Final = 62
"""Random field numbers: they say nothing about order, and fit a signed 64-bit integer."""

LARGEST_WOE: Final = 64.0
"""|WOE| = |ln(g B / (b G))| is under 2 ln n: this would take e^32 rows."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """One field as it is shown. place: of the field in the view. cells: its cells in the order they are sent in."""

    number: int
    place: int
    cells: tuple[int, ...]
    reversed_: bool


class FeatureHolder:
    """F's part. Result: `FeatureHolderBins`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        options: WoeOptions,
        minimum_key_bits: int,
        randomness: random.Random | None = None,
        *,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        zeros: ZeroSource | None = None,
    ) -> None:
        """view: F's fields for all aligned rows; minimum_key_bits: smaller keys are refused.

        randomness: shuffles, and draws field numbers (default: the operating system's).
        alpha_keys: whether the job names them; a generator is refused otherwise.
        workers: where ciphertexts are multiplied (default: in this process).
        zeros: what hides how a sum was made (default: drawn when it is needed).

        Raises `ConfigInvalid` for a view without fields.
        """
        if not view.fields:
            raise ConfigInvalid("woe_no_fields")
        self.progress = Progress(total=2, step="woe.bins")
        self.result: FeatureHolderBins | None = None
        self._label_holder, self._options, self._view = parties.label_holder, options, view
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._randomness = randomness or secrets.SystemRandom()
        self._workers = workers
        self._zeros = zeros or DirectZeros()
        self._begin: Begin | None = None
        self._pre_bins: tuple[FieldPreBins, ...] = ()
        self._rows: list[list[int]] = []
        self._shown: list[_Shown] = []

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = isinstance(message, Begin) if self._begin is None else isinstance(message, FinalBins)
        in_turn = in_turn and self.result is None and sender == self._label_holder
        expect(in_turn, "woe_binning.FeatureHolder", message, sender)
        if isinstance(message, Begin):
            answer = self._count(message)
            self._begin = message
            self.progress.done = 1
            return [Outgoing(sender, answer)]
        if isinstance(message, FinalBins):
            self._finish(message)
        return []

    def _count(self, message: Begin) -> CellSums:
        """Pre-bin the training rows; the rows and encrypted bads of every cell."""
        sender = self._label_holder
        in_training = flags_of(message.train_rows, len(self._view), sender)
        n_rows = int(in_training.sum())
        if len(message.model) != MODEL_ID_BYTES or n_rows < max(self._options.k_min, 1):
            raise MessageInvalid("woe_begin", sender=sender)
        key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        values = self._view.values[in_training]
        self._pre_bins = fit_pre_bins(self._view.fields, values, self._options)
        codes = np.empty(values.shape, dtype=np.uint8)
        for place, pre_bins in enumerate(self._pre_bins):
            codes[:, place] = pre_bins.cells_of(values[:, place])
        sizes = [pre_bins.n_cells for pre_bins in self._pre_bins]
        self._rows = [
            np.bincount(codes[:, place], minlength=size).tolist() for place, size in enumerate(sizes)
        ]
        column = EncryptedColumn.load(message.labels, n_rows, key, self._workers)
        table = sum_by(column, CodedRows(codes, sizes), workers=self._workers)
        self._shown = self._disguised()
        layout = SlotLayout.for_sums(key.bits, n_rows.bit_length(), additions=1)
        sums = [table[shown.place][cell] for shown in self._shown for cell in shown.cells]
        packed = shift_pack(sums, layout.slot_bits, layout.slots, key)
        ordered = [self._pre_bins[shown.place].n_ordered for shown in self._shown]
        loose = [len(shown.cells) - count for shown, count in zip(self._shown, ordered, strict=True)]
        trends = [get_args(Trend).index(self._trend(shown)) for shown in self._shown]
        rows = [self._rows[shown.place][cell] for shown in self._shown for cell in shown.cells]
        return CellSums(
            numbers=tuple(shown.number for shown in self._shown),
            ordered=np.array(ordered, dtype="|u1"),
            loose=np.array(loose, dtype="|u1"),
            trends=np.array(trends, dtype="|u1"),
            rows=np.array(rows, dtype="<i4"),
            sums=key.dump(key.rerandomize(packed, self._zeros.zeros(key, len(packed)))),
        )

    def _disguised(self) -> list[_Shown]:
        """The fields in random order, each under a random number, its cells in a random one of their orders."""
        shown: list[_Shown] = []
        numbers: set[int] = set()
        places = list(range(len(self._pre_bins)))
        self._randomness.shuffle(places)
        for place in places:
            number = self._randomness.getrandbits(NUMBER_BITS)
            while number in numbers:
                number = self._randomness.getrandbits(NUMBER_BITS)
            numbers.add(number)
            pre_bins = self._pre_bins[place]
            reversed_ = bool(self._randomness.getrandbits(1))
            ordered = list(range(pre_bins.n_ordered))[:: -1 if reversed_ else 1]
            loose = list(range(pre_bins.n_ordered, pre_bins.n_cells))
            self._randomness.shuffle(loose)
            shown.append(_Shown(number, place, (*ordered, *loose), reversed_))
        return shown

    def _trend(self, shown: _Shown) -> Trend:
        """The trend that is asked for, in the direction in which the field is shown."""
        trend = self._options.of(self._view.fields[shown.place]).trend
        return OPPOSITE[trend] if shown.reversed_ else trend

    def _finish(self, message: FinalBins) -> None:
        """Read the final bins back into the true order. Raises `MessageInvalid` when they cannot be right."""
        n_fields, sender = len(self._shown), self._label_holder
        n_cells = sum(len(shown.cells) for shown in self._shown)
        n_bins = int(message.sizes.sum()) if message.sizes.dtype.str == "|u1" else 0
        fits = (
            message.numbers == tuple(shown.number for shown in self._shown)
            and _is(message.sizes, "|u1", n_fields)
            and _is(message.final, "|u1", n_cells)
            and _is(message.woe, "<f8", n_bins)
            and _is(message.iv, "<f8", n_fields)
            and _is(message.symmetric, "|b1", n_fields)
            and bool((np.abs(message.woe) < LARGEST_WOE).all())  # False for NaN as well
            and bool(((message.iv >= 0) & (message.iv < np.inf)).all())
        )
        if not fits:
            raise MessageInvalid("woe_bins", sender=sender)
        cell_starts = np.cumsum([len(shown.cells) for shown in self._shown])[:-1]
        bin_starts = np.cumsum(message.sizes.astype(np.int64))[:-1]
        bins: dict[int, FieldBins] = {}
        for shown, final, woe, iv, symmetric in zip(
            self._shown,
            np.split(message.final, cell_starts),
            np.split(message.woe, bin_starts),
            message.iv.tolist(),
            message.symmetric.tolist(),
            strict=True,
        ):
            bins[shown.place] = self._field(shown, final.tolist(), woe.tolist(), iv, symmetric=symmetric)
        of_place = {shown.place: shown.number for shown in self._shown}
        if self._begin is None:
            return
        self.progress.done = self.progress.total
        self.result = FeatureHolderBins(
            model_id=self._begin.model,
            binning=WoeBinning(self._view.fields, tuple(bins[place] for place in range(n_fields))),
            numbers=tuple(of_place[place] for place in range(n_fields)),
        )

    def _field(
        self, shown: _Shown, final: Sequence[int], woe: Sequence[float], iv: float, *, symmetric: bool
    ) -> FieldBins:
        """One field's bins in the true order."""
        pre_bins, sender = self._pre_bins[shown.place], self._label_holder
        n_ordered = pre_bins.n_ordered
        ordered = final[:n_ordered]
        contiguous = all(0 <= after - before <= 1 for before, after in pairwise(ordered))
        if set(final) != set(range(len(woe))) or not contiguous or (ordered and ordered[0] != 0):
            raise MessageInvalid("woe_bins", sender=sender)
        of_cell = dict(zip(shown.cells, final, strict=True))
        if symmetric:
            rows_in_order = self._rows[shown.place][:n_ordered]
            if rows_in_order != rows_in_order[::-1]:
                raise MessageInvalid("woe_bins", sender=sender)
            of_cell.update(enumerate(ordered))
        # Final bins are numbered by their first cell in the true order.
        in_order = list(dict.fromkeys(of_cell[cell] for cell in range(len(final))))
        true_final = [in_order.index(of_cell[cell]) for cell in range(len(final))]
        rows = np.bincount(true_final, weights=self._rows[shown.place]).astype(np.int64).tolist()
        bins = field_bins(pre_bins, true_final, [woe[code] for code in in_order], rows=rows, iv=iv)
        smallest = self._options.smallest_bin(sum(rows))
        wanted = self._options.of(self._view.fields[shown.place]).trend
        in_trend = wanted == "none" or bins.trend in {"flat", wanted} or (wanted == "auto" and bins.monotone)
        if min(rows) < smallest or len(bins.edges) >= self._options.max_bins or not in_trend:
            raise MessageInvalid("woe_bins", sender=sender)
        return bins


def _is(array: Array, kind: str, length: int) -> bool:
    return bool(array.dtype.str == kind and array.shape == (length,))
