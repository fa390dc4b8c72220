"""Messages, disclosures and results of vertical WOE binning (the protocol itself: `federation.woe_binning`)."""

from __future__ import annotations

from typing import Final

import msgspec

from federation import records
from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures
from federation.woe import WoeBinning
from federation.woe_merging import iv_of, woe_of


class Begin(Message, frozen=True, tag="woe_binning.begin/1"):
    """L to F: model: random identifier; public_key: n; train_rows: one bit per aligned row.

    labels: one ciphertext per training row, of 1 for bad and 0 for good.
    generator: of an alpha-key's masks (`privacy.alpha_keys`), else empty.
    """

    model: bytes
    public_key: bytes
    train_rows: bytes
    labels: bytes
    generator: bytes = b""


class CellSums(Message, frozen=True, tag="woe_binning.cells/1"):
    """F to L: its fields in random order, under random numbers.

    ordered, loose (u1): per field, how many cells are ordinary pre-bins and how many are not; trends (u1): place in
    `woe_options.Trend`, for the ordinary cells as sent. rows (i4): per cell, field after field, ordinary cells
    first, in order or reversed at random, then the others in random order. sums: of bads per cell, packed.
    """

    numbers: tuple[int, ...]
    ordered: Array
    loose: Array
    trends: Array
    rows: Array
    sums: bytes


class FinalBins(Message, frozen=True, tag="woe_binning.bins/1"):
    """L to F, for the fields as they were sent: what became of the cells.

    final (u1): final bin per cell; sizes (u1): final bins per field; woe (f8): per final bin, field after field;
    iv (f8): per field. symmetric (b1): the ordinary cells looked alike in both directions: read in the true order.
    """

    numbers: tuple[int, ...]
    final: Array
    sizes: Array
    woe: Array
    iv: Array
    symmetric: Array


MESSAGES: Final[tuple[type[Message], ...]] = (Begin, CellSums, FinalBins)

DISCLOSES: Final = Disclosures(
    protocol="woe_binning",
    label_holder=(Disclosure("bin_counts", ("woe_binning.cells/1",)),),
    feature_holder=(
        Disclosure("training_rows", ("woe_binning.begin/1",), per_row=True),
        Disclosure("encrypted_labels", ("woe_binning.begin/1",), per_row=True),
        Disclosure("own_woe", ("woe_binning.bins/1",)),
    ),
    coordinator=(Disclosure("sizes", tuple(f"woe_binning.{name}/1" for name in ("begin", "cells", "bins"))),),
)


class PartnerField(msgspec.Struct, frozen=True, kw_only=True):
    """What the label holder keeps of a partner's field, which stays unnamed.

    number: the partner's for it. goods, bads: per final bin, in an order that says nothing about the value's.
    n_ordered: how many of them, the first ones, are ordinary bins. monotone: whether their WOE only rises or falls.
    """

    number: int
    goods: tuple[int, ...]
    bads: tuple[int, ...]
    n_ordered: int
    monotone: bool

    @property
    def rows(self) -> tuple[int, ...]:
        """Training rows per final bin."""
        return tuple(good + bad for good, bad in zip(self.goods, self.bads, strict=True))

    @property
    def n_bins(self) -> int:
        """How many final bins there are."""
        return len(self.goods)

    @property
    def woe(self) -> tuple[float, ...]:
        """WOE per final bin."""
        return woe_of(self.goods, self.bads)

    @property
    def iv(self) -> float:
        """The field's information value."""
        return iv_of(self.goods, self.bads)


class LabelHolderBins(msgspec.Struct, frozen=True, kw_only=True):
    """The label holder's result. model_id: random, the same at all parties. partners: per partner, its fields."""

    model_id: bytes
    binning: WoeBinning
    partners: dict[str, tuple[PartnerField, ...]]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelHolderBins:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


class FeatureHolderBins(msgspec.Struct, frozen=True, kw_only=True):
    """A feature holder's result. numbers: per field of `binning`, under which number the label holder knows it."""

    model_id: bytes
    binning: WoeBinning
    numbers: tuple[int, ...]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureHolderBins:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)
