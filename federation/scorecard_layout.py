"""How residuals, gradients and the masks that hide them share plaintexts while a scorecard is trained.

What somebody else is to decrypt leaves under masks that are added modulo the key's n, so that also a number larger than
the protocol has it stays hidden. `MaskedSums`: one mask per plaintext, uniform in Z_n, which hides anything perfectly.
`MaskedRows`: a mask per row, whose sums are taken over the integers; with a number above the rows they are together
nearly uniform in Z_n.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gmpy2
from gmpy2 import mpz

from federation.scorecard_fit import MAXIMUM_WOE, WOE_BITS, ScorecardOptions
from privacy.errors import MessageInvalid, PackingOverflow
from privacy.fixed_point import SlotLayout

STATISTICAL_BITS: Final = 64
"""A row's mask has 64 bits more than its residual, and as many at least stay free above the rows of a plaintext."""
GUARD_BITS: Final = 8
"""Bits of a slot that no sum reaches: numbers under another mask, or of another key, hardly ever pass for sums."""

_WOE_SIZE_BITS: Final = WOE_BITS + int(MAXIMUM_WOE).bit_length()


@dataclass(frozen=True, slots=True)
class MaskedRows:
    """Residuals below 2^value_bits in size as the digits, base 2^slot_bits, of plaintexts in [0, n); `slots` in each.

    slot_bits = value_bits + STATISTICAL_BITS. A row's mask r is uniform in [2^value_bits, 2^slot_bits - 2^value_bits):
    d + r is a digit for every residual d, and r is within 2^-63 of uniform modulo 2^slot_bits. Above the k rows of a
    plaintext stands a number uniform below floor(n / 2^(k slot_bits)): the masks of a plaintext are together within
    k 2^-63 + 2^-64 of uniform in Z_n, and so is what they are added to, whatever its size.
    """

    value_bits: int
    slot_bits: int
    slots: int

    @classmethod
    def of(cls, key_bits: int, value_bits: int) -> MaskedRows:
        """n >= 2^(key_bits - 1) leaves 64 bits above the rows. Raises `PackingOverflow` for too small a key."""
        slot_bits = value_bits + STATISTICAL_BITS
        slots = (key_bits - 1 - STATISTICAL_BITS) // slot_bits
        if slots < 1:
            raise PackingOverflow("slot_layout", slot_bits=slot_bits, value_bits=value_bits)
        return cls(value_bits, slot_bits, slots)

    def plaintexts(self, count: int) -> int:
        """How many plaintexts hold `count` rows."""
        return -(-count // self.slots)

    def draw(self, count: int) -> list[int]:
        """Fresh masks of rows."""
        low = 1 << self.value_bits
        return [low + secrets.randbelow((1 << self.slot_bits) - 2 * low) for _ in range(count)]

    def pack(self, masks: Sequence[int], n: mpz) -> list[mpz]:
        """Plaintexts in [0, n) that hold the rows' masks, the first lowest, each with a fresh number above them."""
        packed = []
        for at in range(0, len(masks), self.slots):
            rows = list(masks[at : at + self.slots])
            bits = self.slot_bits * len(rows)
            packed.append(gmpy2.pack(rows, self.slot_bits) + (_above(n, bits) << bits))
        return packed

    def unpack(self, opened: Sequence[int], count: int, n: mpz) -> list[int]:
        """The d + r of `count` rows from the sums modulo n with packed residuals.

        Raises `PackingOverflow` when the number of plaintexts does not fit `count`.
        """
        if len(opened) != self.plaintexts(count):
            raise PackingOverflow("slot_count", expected=self.plaintexts(count), received=len(opened))
        values: list[int] = []
        for plaintext in opened:
            rows = min(self.slots, count - len(values))
            digits = gmpy2.unpack(gmpy2.f_mod_2exp(mpz(plaintext) % n, self.slot_bits * rows), self.slot_bits)
            values += [int(digit) for digit in digits]
            values += [0] * (rows - len(digits))  # leading zero digits are not listed
        return values


def _above(n: mpz, bits: int) -> int:
    """A uniform number that may stand above `bits` bits: 2^bits times it, and anything below 2^bits, is below n."""
    return secrets.randbelow(int(n >> bits))


@dataclass(frozen=True, slots=True)
class MaskedSums:
    """Sums below 2^value_bits in size, many to a plaintext, that leave under one mask per plaintext, uniform in Z_n."""

    slots: SlotLayout

    @classmethod
    def of(cls, key_bits: int, value_bits: int) -> MaskedSums:
        """Raises `PackingOverflow` for too small a key."""
        return cls(SlotLayout.for_sums(key_bits, value_bits, additions=1 << GUARD_BITS))

    def unmask(
        self, opened: Sequence[int], masks: Sequence[int], count: int, n: mpz, sender: str
    ) -> list[int]:
        """`count` sums from plaintexts (modulo n) and the mask of each.

        Raises `MessageInvalid` when a number is not below 2^value_bits in size or a slot without a sum is not empty,
        `PackingOverflow` when one is no number of this layout at all.
        """
        half = n >> 1
        packed = [int((plain - mask + half) % n - half) for plain, mask in zip(opened, masks, strict=True)]
        values = self.slots.unpack(packed, len(packed) * self.slots.slots)
        if any(abs(value) >> self.slots.value_bits for value in values) or any(values[count:]):
            raise MessageInvalid("scorecard_values_range", sender=sender)
        return values[:count]


def uniform_masks(count: int, n: mpz) -> list[int]:
    """Fresh masks of plaintexts, uniform in Z_n."""
    return [secrets.randbelow(int(n)) for _ in range(count)]


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

    def residuals(self, key_bits: int) -> MaskedRows:
        """A row's residual under its mask."""
        return MaskedRows.of(key_bits, self.residual_bits)

    def gradients(self, key_bits: int) -> MaskedSums:
        """The gradient's columns."""
        return MaskedSums.of(key_bits, self.gradient_bits)

    def mask_sums(self, key_bits: int) -> MaskedSums:
        """A column's sums of rows' masks, over the passes; a row's masks are packed likewise."""
        return MaskedSums.of(key_bits, self.gradient_bits + STATISTICAL_BITS)


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
