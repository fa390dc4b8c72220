"""Fixed-point numbers, and packing many signed integers into one Paillier plaintext.

Fixed point. A real v is sent as the integer round(v 2^scale_bits), ties to even. The scale is public and the
same for a whole message: no exponent travels, encrypted or not.

Packing. A plaintext with slots of w bits holds v_0 + v_1 2^w + v_2 2^(2w) + ..., the v_i *signed*; reading it
back takes balanced digits. Adding plaintexts adds slot by slot. `SlotLayout.for_sums` proves that this cannot
overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Final

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import ArrayLike, NDArray

from privacy.errors import PackingOverflow

ENCODED_BITS: Final = 62
"""Encoded values stay below 2^62 in size, so that the sum or difference of two still fits an int64."""


def encode(values: ArrayLike, scale_bits: int) -> NDArray[np.int64]:
    """round(values 2^scale_bits), ties to even; an int64 array of the same shape.

    Raises `PackingOverflow` when a value is not finite or its code reaches 2^62 in size.
    """
    # ldexp multiplies by a power of two exactly, rint rounds half to even (IEEE 754).
    with np.errstate(over="ignore"):
        scaled = np.rint(np.ldexp(np.asarray(values, dtype=np.float64), scale_bits))
    if not np.all(np.abs(scaled) < 2.0**ENCODED_BITS):  # False for NaN as well
        raise PackingOverflow("fixed_point_range", scale_bits=scale_bits)
    return scaled.astype(np.int64)


def decode(codes: ArrayLike | Sequence[int], scale_bits: int) -> NDArray[np.float64]:
    """codes / 2^scale_bits as float64 of the same shape, correctly rounded.

    codes: an integer array, or Python ints of any size (such as unpacked sums).
    Raises `PackingOverflow` when a code is beyond float64.
    """
    # Without dtype=object NumPy may turn large Python ints into floats.
    array = codes if isinstance(codes, np.ndarray) else np.array(codes, dtype=object)
    if array.dtype.kind in "iu":
        return np.asarray(np.ldexp(array.astype(np.float64), -scale_bits), dtype=np.float64)
    divisor = 1 << scale_bits
    try:
        flat = [index(code) / divisor for code in array.ravel().tolist()]
    except OverflowError:
        raise PackingOverflow("fixed_point_range", scale_bits=scale_bits) from None
    return np.array(flat, dtype=np.float64).reshape(array.shape)


@dataclass(frozen=True, slots=True)
class SlotLayout:
    """How signed integers sit in a plaintext.

    slot_bits: width w of a slot, its sign included. slots: slots per plaintext.
    value_bits: |v| < 2^value_bits for a value that is packed; the bits between it and slot_bits - 1 are room
        for sums. 0 stands for slot_bits - 1: no sums.
    """

    slot_bits: int
    slots: int
    value_bits: int = 0

    def __post_init__(self) -> None:
        if not self.value_bits:
            object.__setattr__(self, "value_bits", self.slot_bits - 1)
        if self.slots < 1 or not 0 < self.value_bits < self.slot_bits:
            raise PackingOverflow("slot_layout", slot_bits=self.slot_bits, value_bits=self.value_bits)

    @classmethod
    def for_sums(cls, key_bits: int, value_bits: int, additions: int) -> SlotLayout:
        """The layout with most slots in which the sum of `additions` packed plaintexts still decodes exactly.

        Proof. w = value_bits + 1 + ceil(log2(additions)), s = (key_bits - 2) // w.
        A slot of the sum is S = v_1 + ... + v_A with |v_i| <= 2^value_bits - 1, A <= 2^(w - 1 - value_bits),
        hence |S| <= A (2^value_bits - 1) < 2^(w - 1): S is a balanced digit in base 2^w, and balanced digits
        are unique. The packed sum is at most (2^(w-1) - 1) (2^(sw) - 1) / (2^w - 1) < 2^(sw - 1), which is at
        most 2^(key_bits - 3), in size. A modulus n of exactly key_bits bits has
        n // 2 - 1 >= 2^(key_bits - 2) - 1 >= 2^(key_bits - 3), so the sum never wraps around n.

        additions: how many packed plaintexts are summed (1: none are). Raises `PackingOverflow` when not even
        one slot fits.
        """
        if additions < 1 or value_bits < 1:
            raise PackingOverflow("slot_layout", slot_bits=0, value_bits=value_bits)
        slot_bits = value_bits + 1 + (additions - 1).bit_length()
        return cls(slot_bits=slot_bits, slots=(key_bits - 2) // slot_bits, value_bits=value_bits)

    def plaintexts(self, count: int) -> int:
        """How many plaintexts hold `count` values."""
        return -(-count // self.slots)

    def pack(self, values: Sequence[int] | NDArray[np.integer[Any]]) -> list[int]:
        """Signed plaintexts holding the values (an array in C order), the first in the lowest bits.

        Raises `PackingOverflow` unless |v| < 2^value_bits for every value.
        """
        if isinstance(values, np.ndarray):
            if values.dtype.kind not in "iu":
                raise TypeError(f"packing takes integers, not {values.dtype}")
            numbers = values.ravel().tolist()
        else:
            numbers = list(map(index, values))
        limit = 1 << self.value_bits
        if numbers and (max(numbers) >= limit or min(numbers) <= -limit):
            raise PackingOverflow("slot_value", value_bits=self.value_bits)
        # gmpy2 packs non-negative fields: lift every slot by half its range, then take all lifts off at once.
        lift = 1 << (self.slot_bits - 1)
        lifted = [number + lift for number in numbers]
        packed = []
        for start in range(0, len(lifted), self.slots):
            group = lifted[start : start + self.slots]
            packed.append(int(gmpy2.pack(group, self.slot_bits) - self._lifts(len(group))))
        return packed

    def unpack(self, packed: Sequence[int], count: int) -> list[int]:
        """The first `count` slots of packed plaintexts or of slot-wise sums of them: the inverse of `pack`.

        Raises `PackingOverflow` when the number of plaintexts does not fit `count`, or one holds more than
        `slots` slots (it was not packed in this layout, or its sums overflowed).
        """
        if len(packed) != self.plaintexts(count):
            raise PackingOverflow("slot_count", expected=self.plaintexts(count), received=len(packed))
        lift = 1 << (self.slot_bits - 1)
        lifts = self._lifts(self.slots)
        end = mpz(1) << (self.slot_bits * self.slots)
        values: list[int] = []
        for plaintext in packed:
            lifted = plaintext + lifts
            if not 0 <= lifted < end:
                raise PackingOverflow("slot_overflow", slots=self.slots, slot_bits=self.slot_bits)
            fields = gmpy2.unpack(lifted, self.slot_bits)
            values += [int(field) - lift for field in fields]
            values += [-lift] * (self.slots - len(fields))  # leading zero fields are not listed
        return values[:count]

    def _lifts(self, slots: int) -> mpz:
        """2^(w-1) in each of `slots` slots."""
        ones = ((mpz(1) << (self.slot_bits * slots)) - 1) // ((mpz(1) << self.slot_bits) - 1)
        return ones << (self.slot_bits - 1)
