"""Messages, disclosures and results of the joint selection of fields; `collinearity` describes the protocol."""

from __future__ import annotations

from typing import Final

import msgspec

from federation import records
from federation.messages import Array, Message
from federation.roles import Disclosure, Disclosures
from federation.woe import WoeBinning
from federation.woe_selection import Dropped
from privacy.fixed_point import SlotLayout

WOE_BITS: Final = 6
"""|WOE| < 2^6 (`woe_partner.LARGEST_WOE`)."""


class Begin(Message, frozen=True, tag="collinearity.begin/1"):
    """L to F: model: of the binning; public_key: n; train_rows: one bit per aligned row.

    n_values: how many fields of L's are in the ciphertexts; numbers: the fields of F's that are compared with them.
    woe: per packed group of fields one ciphertext per training row, group after group.
    generator: of an alpha-key's masks (`privacy.alpha_keys`), else empty.
    """

    model: bytes
    public_key: bytes
    train_rows: bytes
    n_values: int
    numbers: tuple[int, ...]
    woe: bytes
    generator: bytes = b""


class Moments(Message, frozen=True, tag="collinearity.moments/1"):
    """F to L, of the fields asked for, in order, sums over the training rows of products of two fields' WOE.

    own (i8): of two fields of F's, square; sums (i8): of each field's WOE. cross: of each of F's with all of L's,
    encrypted and packed.
    """

    own: Array
    sums: Array
    cross: bytes


class Kept(Message, frozen=True, tag="collinearity.kept/1"):
    """L to F: numbers: all fields of F's; dropped: per field a reason (`woe_selection.Dropped`), empty if it stays."""

    numbers: tuple[int, ...]
    dropped: tuple[str, ...]


MESSAGES: Final[tuple[type[Message], ...]] = (Begin, Moments, Kept)

DISCLOSES: Final = Disclosures(
    protocol="collinearity",
    label_holder=(Disclosure("moments", ("collinearity.moments/1",)),),
    feature_holder=(
        Disclosure("training_rows", ("collinearity.begin/1",), per_row=True),
        Disclosure("encrypted_woe", ("collinearity.begin/1",), per_row=True),
        Disclosure("kept_fields", ("collinearity.begin/1", "collinearity.kept/1")),
    ),
    coordinator=(
        Disclosure("sizes", tuple(f"collinearity.{name}/1" for name in ("begin", "moments", "kept"))),
    ),
)


class FieldVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a field. party: whose it is. field: its name at the label holder, else empty; number: a partner's.

    dropped: why (`woe_selection.Dropped`), None for a field that is kept. stability: share of random halves in which it
    is kept; vif: among the fields that IV and correlation leave. None: not measured.
    """

    party: str
    field: str = ""
    number: int = 0
    iv: float
    stability: float | None
    vif: float | None
    dropped: Dropped | None


class LabelHolderSelection(msgspec.Struct, frozen=True, kw_only=True):
    """The label holder's result. binning: its fields that stay; partners: per partner, the numbers that stay.

    verdicts: of all fields, its own first, then partner by partner. correlation: of their WOE, square, in the same
    order; None where unknown (two partners' fields, and fields of too low an IV).
    """

    model_id: bytes
    binning: WoeBinning
    partners: dict[str, tuple[int, ...]]
    verdicts: tuple[FieldVerdict, ...]
    correlation: tuple[tuple[float | None, ...], ...]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> LabelHolderSelection:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


class FeatureHolderSelection(msgspec.Struct, frozen=True, kw_only=True):
    """A feature holder's result. binning: its fields that stay, numbers: theirs. dropped: the others and why."""

    model_id: bytes
    binning: WoeBinning
    numbers: tuple[int, ...]
    dropped: dict[str, Dropped]

    def to_bytes(self) -> bytes:
        return records.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FeatureHolderSelection:
        """Read what `to_bytes` wrote. Raises `MessageInvalid` when it is something else."""
        return records.decode(cls, data)


def layout_of(key_bits: int, scale_bits: int, n_rows: int) -> SlotLayout:
    """Room for sums over `n_rows` rows of products of two WOE, in units of 2^-(2 scale_bits).

    A WOE is under 2^(WOE_BITS + scale_bits) in size and n_rows under 2^b, hence the sum under 2^(2 (WOE_BITS +
    scale_bits) + b). Raises `PackingOverflow` when not even one fits the key.
    """
    return SlotLayout.for_sums(key_bits, 2 * (WOE_BITS + scale_bits) + n_rows.bit_length(), additions=1)


def results_per_ciphertext(layout: SlotLayout, n_values: int) -> int:
    """How many partner fields' sums share a ciphertext: several only where all of L's fields fit into one."""
    return max(1, layout.slots // n_values)
