"""How residuals, gradients and the masks that hide them share plaintexts while a scorecard is trained."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.scorecard_fit import MAXIMUM_WOE, WOE_BITS, ScorecardOptions
from privacy.errors import MessageInvalid
from privacy.fixed_point import SlotLayout

STATISTICAL_BITS: Final = 64
"""A mask's range is 2^64 times that of what it hides: their sum is within 2^-64 of being independent of it."""

_WOE_SIZE_BITS: Final = WOE_BITS + int(MAXIMUM_WOE).bit_length()


@dataclass(frozen=True, slots=True)
class Masked:
    """Numbers below 2^value_bits in size that leave under a mask in [0, 2^mask_bits), many to a plaintext."""

    mask_bits: int
    slots: SlotLayout

    @classmethod
    def of(cls, key_bits: int, value_bits: int) -> Masked:
        """|v + r| < 2^value_bits + 2^mask_bits < 2^(mask_bits + 1). Raises `PackingOverflow` for too small a key."""
        mask_bits = value_bits + STATISTICAL_BITS
        return cls(mask_bits, SlotLayout.for_sums(key_bits, mask_bits + 1, additions=1))

    def draw(self, count: int) -> list[int]:
        """Fresh masks."""
        return [secrets.randbits(self.mask_bits) for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Layouts:
    """The sizes of everything that is opened in one training.

    residual_bits, gradient_bits: |d| < 2^residual_bits for a row, |sum x d| < 2^gradient_bits for a batch.
    """

    residual_bits: int
    gradient_bits: int
    n_rows: int

    @classmethod
    def of(cls, options: ScorecardOptions, parties: int, n_rows: int) -> Layouts:
        """Sizes for `n_rows` training rows: |x| <= MAXIMUM_WOE 2^WOE_BITS, hence the bits of a sum over all of them."""
        residual_bits = options.polynomial.residual_bits(parties)
        return cls(residual_bits, residual_bits + _WOE_SIZE_BITS + n_rows.bit_length(), n_rows)

    def residuals(self, key_bits: int) -> Masked:
        """A row's residual under its mask."""
        return Masked.of(key_bits, self.residual_bits)

    def gradients(self, key_bits: int) -> Masked:
        """A column's gradient under its mask."""
        return Masked.of(key_bits, self.gradient_bits)

    def mask_sums(self, key_bits: int) -> Masked:
        """A column's sum of rows' masks, under a mask of its own."""
        return Masked.of(key_bits, self.gradient_bits + STATISTICAL_BITS)


def integers_to_bytes(values: Sequence[int], key_bits: int) -> bytes:
    """Signed plaintexts under a key of `key_bits` one after the other, of one length."""
    width = key_bits // 8 + 1
    return b"".join([value.to_bytes(width, "big", signed=True) for value in values])


def integers_from_bytes(data: bytes, count: int, key_bits: int, sender: str) -> list[int]:
    """Inverse of `integers_to_bytes`. Raises `MessageInvalid` for another length."""
    width = key_bits // 8 + 1
    if len(data) != count * width:
        raise MessageInvalid(
            "scorecard_values_length", sender=sender, expected=count * width, received=len(data)
        )
    return [int.from_bytes(data[at : at + width], "big", signed=True) for at in range(0, len(data), width)]
