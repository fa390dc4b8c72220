"""The feature holder's part of the joint selection of fields. The protocol is described in `collinearity`."""

from __future__ import annotations

from typing import Final

import numpy as np
from gmpy2 import mpz

from federation.binning import Codes
from federation.collinearity_messages import (
    Begin,
    FeatureHolderSelection,
    Kept,
    Moments,
    layout_of,
    results_per_ciphertext,
)
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.messages import Message, Outgoing
from federation.roles import DirectZeros, Parties, Progress, View, ZeroSource, expect
from federation.scoring import flags_of
from federation.woe_messages import FeatureHolderBins
from federation.woe_selection import Dropped, SelectionOptions, moments_of, woe_integers
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.paillier import PublicKey, shift_pack, to_half_form
from privacy.parallel import ALONE, Workers
from privacy.weighted_sums import weighted_sums

MOST_VALUES: Final = 10_000
"""More fields than any table has: what a peer claims beyond is refused before anything is computed."""


class FeatureHolder:
    """F's part. Result: `FeatureHolderSelection`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        bins: FeatureHolderBins,
        options: SelectionOptions,
        minimum_key_bits: int,
        *,
        alpha_keys: bool = False,
        workers: Workers = ALONE,
        zeros: ZeroSource | None = None,
    ) -> None:
        """view: as for the binning; bins: its result. The rest as for `woe_binning.FeatureHolder`.

        Raises `ConfigInvalid` when the bins are of other fields.
        """
        if bins.binning.fields != view.fields:
            raise ConfigInvalid("collinearity_bins")
        self.progress = Progress(total=2, step="woe.correlations")
        self.result: FeatureHolderSelection | None = None
        self._label_holder, self._view, self._bins, self._options = parties.label_holder, view, bins, options
        self._minimum_key_bits, self._alpha_keys = minimum_key_bits, alpha_keys
        self._workers = workers
        self._zeros = zeros or DirectZeros()
        self._answered = False

    def start(self) -> list[Outgoing]:
        return []

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = isinstance(message, Kept) if self._answered else isinstance(message, Begin)
        in_turn = in_turn and self.result is None and sender == self._label_holder
        expect(in_turn, "collinearity.FeatureHolder", message, sender)
        if isinstance(message, Begin):
            answer = self._moments(message)
            self._answered = True
            self.progress.done = 1
            return [Outgoing(sender, answer)]
        if isinstance(message, Kept):
            self._finish(message)
        return []

    def _moments(self, message: Begin) -> Moments:
        """The sums of products that L asks for."""
        sender = self._label_holder
        in_training = flags_of(message.train_rows, len(self._view), sender)
        known = set(self._bins.numbers)
        asked = message.numbers
        fits = len(set(asked)) == len(asked) and set(asked) <= known and 0 <= message.n_values <= MOST_VALUES
        if message.model != self._bins.model_id or not fits:
            raise MessageInvalid("collinearity_begin", sender=sender)
        codes = self._bins.binning.transform(self._view.values[in_training])
        if any(
            (np.bincount(column, minlength=len(field.rows)) > np.array(field.rows)).any()
            for column, field in zip(codes.T, self._bins.binning.bins, strict=True)
        ):
            raise MessageInvalid("collinearity_begin", sender=sender)
        key = PublicKey.from_bytes(
            message.public_key, self._minimum_key_bits, message.generator, alpha_keys=self._alpha_keys
        )
        places = [self._bins.numbers.index(number) for number in asked]
        woe = [woe_integers(self._bins.binning.woe[place], self._options) for place in places]
        own = moments_of(codes[:, places], woe).astype("<i8")
        sums = [int(of_code[codes[:, place]].sum()) for of_code, place in zip(woe, places, strict=True)]
        cross = self._cross(message, codes[:, places], woe, key)
        zeros = self._zeros.zeros(key, len(cross))
        return Moments(
            own=own, sums=np.array(sums, dtype="<i8"), cross=key.dump(key.rerandomize(cross, zeros))
        )

    def _cross(
        self,
        message: Begin,
        codes: Codes,
        woe: list[np.ndarray[tuple[int], np.dtype[np.int64]]],
        key: PublicKey,
    ) -> list[mpz]:
        """The encrypted sums of products of L's WOE and ours, packed; not re-randomised."""
        n_rows, n_values = len(codes), message.n_values
        layout = layout_of(key.bits, self._options.scale_bits, n_rows)
        groups = layout.plaintexts(n_values)
        width = n_rows * key.ciphertext_bytes
        if len(message.woe) != groups * width:
            raise MessageInvalid("collinearity_begin", sender=self._label_holder)
        if not woe:
            return []
        coded = CodedRows(codes, [len(of_code) for of_code in woe])
        packed: list[mpz] = []
        for group in range(groups):
            data = message.woe[group * width : (group + 1) * width]
            column = EncryptedColumn.load(data, n_rows, key, self._workers)
            table = sum_by(column, coded, workers=self._workers)
            sums = [
                weighted_sums(of_code[None, :], *to_half_form(cells, key), key)[0]
                for of_code, cells in zip(woe, table, strict=True)
            ]
            in_group = min(layout.slots, n_values - group * layout.slots)
            per = results_per_ciphertext(layout, n_values)
            packed += shift_pack(sums, layout.slot_bits * in_group, per, key)
        return packed

    def _finish(self, message: Kept) -> None:
        """Keep the fields that stay. Raises `MessageInvalid` when not all of our fields are named once."""
        reasons = {"", *Dropped}
        numbers, dropped = message.numbers, message.dropped
        fits = len(numbers) == len(dropped) and sorted(numbers) == sorted(self._bins.numbers)
        if not fits or not set(dropped) <= reasons:
            raise MessageInvalid("collinearity_kept", sender=self._label_holder)
        reason_of = dict(zip(numbers, dropped, strict=True))
        fields = list(zip(self._bins.binning.fields, self._bins.numbers, strict=True))
        self.progress.done = self.progress.total
        self.result = FeatureHolderSelection(
            model_id=self._bins.model_id,
            binning=self._bins.binning.keep([name for name, number in fields if not reason_of[number]]),
            numbers=tuple(number for _, number in fields if not reason_of[number]),
            dropped={name: Dropped(reason_of[number]) for name, number in fields if reason_of[number]},
        )
