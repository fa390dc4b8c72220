"""Correlations of binned fields across parties, and which fields stay.

Parties. Label holder L and feature holders F1..Fm, after `woe_binning`. The coordinator relays.
Rounds. L packs, per training row, the WOE of its fields with enough IV into one ciphertext (fixed point, several where
    they do not fit), sends them to all partners and names by number the partners' fields with enough IV. F sums the
    ciphertexts by the bins of each such field, weighs every bin's sum with the bin's WOE, adds up, packs and
    re-randomises: the sums of products of L's WOE and its own. It adds its own fields' sums, and sums of products, in
    the clear.
    L decrypts, works out correlations and variance inflation, selects (`woe_selection`), and tells each F which of its
    fields stay, and why the others do not.
What each party learns. L: for every pair of its fields and a partner's unnamed field, and of two of one partner's, the
    sum of products of their WOE, that is their correlation. F: which rows train; which of its fields have enough IV,
    which stay, why the others are dropped; how many fields of L's have enough IV. Coordinator: sizes.
    Not prevented: the sum of two fields with two bins each is their joint count, which may be under `k_min`, and for
    more bins it narrows the joint counts down. Over few rows and many fields of its own, L could search for the
    rows that give all its sums. L and F are taken to follow the protocol: "WOE" of L's choosing, such as a number of
    its own for each row, would let it read a partner's bins. Correlations of two partners' fields stay unknown;
    a variance inflation factor is then that of L's fields with one partner's, of L's own fields the largest.
Source. The encrypted group-by of SecureBoost (Cheng et al., IEEE Intelligent Systems 36(6), 2021) with WOE in the place
    of gradients; VIF: Marquardt, Technometrics 12(3), 1970.
Deviations. Correlations are those of WOE, not of raw values: that is what a scorecard adds up. L checks sums against
    the variances it knows (Cauchy and Schwarz); F checks that the rows are those of its bins, but
    for some that may have left.
Equals. `woe_selection` on the pooled WOE: same correlations, same choice, to the last bit, up to ties of fields with
    the same IV.
Cost. One encryption per training row and 40 fields of L's (2048 bit); per partner a product per row and pair of fields,
    and a ciphertext back per field or less.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from federation.binning import Integers
from federation.collinearity_messages import (
    DISCLOSES,
    MESSAGES,
    Begin,
    FeatureHolderSelection,
    FieldVerdict,
    Kept,
    LabelHolderSelection,
    Moments,
    layout_of,
    results_per_ciphertext,
)
from federation.collinearity_partner import FeatureHolder
from federation.messages import Message, Outgoing
from federation.roles import Decryptor, Parties, Progress, View, expect
from federation.scoring import bits_of, increasing_below
from federation.woe_merging import Floats
from federation.woe_messages import LabelHolderBins, PartnerField
from federation.woe_selection import (
    Candidate,
    Dropped,
    SelectionOptions,
    Verdict,
    centred,
    correlation_of,
    moments_of,
    select_fields,
    woe_integers,
)
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.paillier import PublicKey

__all__ = [
    "DISCLOSES", "MESSAGES", "Dropped", "FeatureHolder", "FeatureHolderSelection", "FieldVerdict", "LabelHolder",
    "LabelHolderSelection", "SelectionOptions",
]  # fmt: skip


class LabelHolder:
    """L's part. Result: `LabelHolderSelection`."""

    def __init__(
        self,
        parties: Parties,
        view: View,
        bins: LabelHolderBins,
        train_rows: Integers,
        options: SelectionOptions,
        *,
        decryptor: Decryptor,
        public_key: PublicKey,
    ) -> None:
        """view, train_rows: as for the binning; bins: its result.

        Raises `ConfigInvalid` when these do not fit each other, `PackingOverflow` when the key is too small.
        """
        rows = np.asarray(train_rows, dtype=np.int64)
        same = tuple(bins.partners) == parties.feature_holders and bins.binning.fields == view.fields
        if not same or not len(rows) or not increasing_below(rows, len(view)):
            raise ConfigInvalid("collinearity_bins")
        self._codes = bins.binning.transform(view.values[rows])
        if any(
            (np.bincount(codes, minlength=len(field.rows)) > np.array(field.rows)).any()
            for codes, field in zip(self._codes.T, bins.binning.bins, strict=True)
        ):
            raise ConfigInvalid("collinearity_bins")
        # Rows may have left since (a consent was withdrawn): then a partner's sums cannot be told from its bins.
        of_partners = [sum(field.rows) for fields in bins.partners.values() for field in fields]
        binned = [sum(field.rows) for field in bins.binning.bins] + of_partners
        self._is_whole = all(n_rows == len(rows) for n_rows in binned)
        self.progress = Progress(total=len(parties.feature_holders), step="woe.correlations")
        self.result: LabelHolderSelection | None = None
        self._parties, self._bins, self._options = parties, bins, options
        self._decryptor, self._key = decryptor, public_key
        self._in_training = np.zeros(len(view), dtype=np.bool_)
        self._in_training[rows] = True
        self._layout = layout_of(public_key.bits, options.scale_bits, len(rows))
        self._own = [place for place, iv in enumerate(bins.binning.iv) if iv >= options.min_iv]
        self._asked = {
            name: [field for field in fields if field.iv >= options.min_iv]
            for name, fields in bins.partners.items()
        }
        self._woe = [woe_integers(bins.binning.woe[place], options) for place in self._own]
        self._own_sums = [
            int(of_code[self._codes[:, place]].sum())
            for of_code, place in zip(self._woe, self._own, strict=True)
        ]
        self._own_moments: list[list[int]] = moments_of(self._codes[:, self._own], self._woe).tolist()
        self._blocks: dict[str, Floats] = {}
        self._silent: set[str] = set()

    def start(self) -> list[Outgoing]:
        self._silent = set(self._parties.feature_holders)
        woe = self._key.dump(self._decryptor.encrypt(self._packed_rows()))
        return [Outgoing(name, self._begin(name, woe)) for name in self._parties.feature_holders]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        if not isinstance(message, Moments) or sender not in self._silent:
            expect(False, "collinearity.LabelHolder", message, sender)
            return []
        self._blocks[sender] = self._block(sender, message)
        self._silent.discard(sender)
        self.progress.done += 1
        return [] if self._silent else self._select()

    def _n_values(self, name: str) -> int:
        """How many of L's fields are compared with a partner's: none when the partner has nothing to compare."""
        return len(self._own) if self._asked[name] else 0

    def _begin(self, name: str, woe: bytes) -> Begin:
        return Begin(
            model=self._bins.model_id,
            public_key=self._key.to_bytes(),
            train_rows=bits_of(self._in_training),
            n_values=self._n_values(name),
            numbers=tuple(field.number for field in self._asked[name]),
            woe=woe if self._asked[name] else b"",
            generator=self._key.generator_bytes(),
        )

    def _packed_rows(self) -> list[int]:
        """The plaintexts of all training rows, group of fields after group."""
        plaintexts: list[int] = []
        for start in range(0, len(self._own), self._layout.slots):
            group = list(range(start, min(start + self._layout.slots, len(self._own))))
            total: np.ndarray[Any, Any] = np.zeros(len(self._codes), dtype=object)
            for slot, place in enumerate(group):
                column = self._woe[place][self._codes[:, self._own[place]]].astype(object)
                total = total + column * (1 << (slot * self._layout.slot_bits))
            plaintexts += total.tolist()
        return plaintexts

    def _read(self, sender: str, message: Moments) -> list[list[int]]:
        """Sums of products of F's fields with L's, (F's fields, L's fields)."""
        n, n_values, slots = len(self._asked[sender]), self._n_values(sender), self._layout.slots
        widths = [min(slots, n_values - start) for start in range(0, n_values, slots)]
        per = results_per_ciphertext(self._layout, max(n_values, 1))
        sizes = [width * min(per, n - first) for width in widths for first in range(0, n, per)]
        plaintexts = self._decryptor.decrypt(self._key.load(message.cross, len(sizes)))
        flat = [
            value
            for plaintext, size in zip(plaintexts, sizes, strict=True)
            for value in self._layout.unpack([plaintext], size)
        ]
        groups = np.split(np.array(flat, dtype=object), np.cumsum([n * width for width in widths])[:-1])
        parts = (
            [group.reshape(n, width) for group, width in zip(groups, widths, strict=True)] if widths else []
        )
        rows: list[list[int]] = np.hstack([np.zeros((n, 0), dtype=object), *parts]).tolist()
        return rows

    def _block(self, sender: str, message: Moments) -> Floats:
        """Correlations of L's fields and one partner's. Raises `MessageInvalid` for sums that no rows can have."""
        asked = self._asked[sender]
        shapes = message.own.shape == (len(asked), len(asked)) and message.sums.shape == (len(asked),)
        if not shapes or {message.own.dtype.str, message.sums.dtype.str} != {"<i8"}:
            raise MessageInvalid("collinearity_moments", sender=sender)
        cross = self._read(sender, message) if asked else []
        partner: list[list[int]] = message.own.tolist()
        sums: list[int] = message.sums.tolist()
        squares = [row[place] for place, row in enumerate(partner)]
        columns = [[row[place] for row in cross] for place in range(len(self._own))]
        moments = [one + other for one, other in zip(self._own_moments, columns, strict=True)]
        moments += [one + other for one, other in zip(cross, partner, strict=True)]
        covariances = centred(moments, [*self._own_sums, *sums], len(self._codes))
        spread = [row[place] for place, row in enumerate(covariances)]
        possible = (not self._is_whole or (sums, squares) == self._of_bins(asked)) and all(
            value == covariances[j][i] and value * value <= spread[i] * spread[j]
            for i, row in enumerate(covariances)
            for j, value in enumerate(row)
        )
        if not possible:
            raise MessageInvalid("collinearity_moments", sender=sender)
        return correlation_of(covariances)

    def _of_bins(self, fields: list[PartnerField]) -> tuple[list[int], list[int]]:
        """Sums and sums of squares of a partner's fields, as L knows them from the rows of their bins."""
        weights = [woe_integers(field.woe, self._options).tolist() for field in fields]
        pairs = list(zip(fields, weights, strict=True))
        return [_weighted(*pair, 1) for pair in pairs], [_weighted(*pair, 2) for pair in pairs]

    def _select(self) -> list[Outgoing]:
        """All sums are here: choose, and tell every partner."""
        candidates, who, correlation = self._joint()
        verdicts = select_fields(candidates, correlation, self._options)
        told = [_told(*item) for item in zip(who, candidates, verdicts, strict=True)]
        of_party = {name: [item for item in told if item.party == name] for name in self._parties.all}
        own = of_party[self._parties.label_holder]
        self.result = LabelHolderSelection(
            model_id=self._bins.model_id,
            binning=self._bins.binning.keep([item.field for item in own if item.dropped is None]),
            partners={
                name: tuple(item.number for item in of_party[name] if item.dropped is None)
                for name in self._parties.feature_holders
            },
            verdicts=tuple(told),
            correlation=tuple(tuple(None if np.isnan(r) else r for r in row) for row in correlation.tolist()),
        )
        return [
            Outgoing(
                name,
                Kept(
                    numbers=tuple(item.number for item in of_party[name]),
                    dropped=tuple(item.dropped or "" for item in of_party[name]),
                ),
            )
            for name in self._parties.feature_holders
        ]

    def _joint(self) -> tuple[list[Candidate], list[tuple[str, str, int]], Floats]:
        """All fields, who they are (party, name, number), and their correlations, NaN where unknown."""
        binning, partners = self._bins.binning, self._bins.partners
        candidates = [Candidate(item.goods, item.bads, item.iv) for item in binning.bins]
        who = [(self._parties.label_holder, name, 0) for name in binning.fields]
        total = len(candidates) + sum(map(len, partners.values()))
        correlation = np.full((total, total), np.nan)
        np.fill_diagonal(correlation, 1.0)
        for owner, (name, fields) in enumerate(partners.items(), start=1):
            asked = [
                len(candidates) + place
                for place, field in enumerate(fields)
                if field.iv >= self._options.min_iv
            ]
            places = [*self._own, *asked]
            correlation[np.ix_(places, places)] = self._blocks[name]
            candidates += [Candidate(item.goods, item.bads, item.iv, owner) for item in fields]
            who += [(name, "", item.number) for item in fields]
        return candidates, who, correlation


def _weighted(field: PartnerField, woe: list[int], power: int) -> int:
    """sum over the rows of a field's WOE, or of its square."""
    return sum(rows * weight**power for rows, weight in zip(field.rows, woe, strict=True))


def _told(who: tuple[str, str, int], candidate: Candidate, verdict: Verdict) -> FieldVerdict:
    """A field's verdict in the form that is kept."""
    party, field, number = who
    stability, vif = (None if np.isnan(item) else item for item in (verdict.stability, verdict.vif))
    return FieldVerdict(
        party=party, field=field, number=number, iv=candidate.iv, stability=stability, vif=vif,
        dropped=verdict.dropped,
    )  # fmt: skip
