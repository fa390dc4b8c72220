"""How a gradient and a Hessian share a plaintext, and many such pairs a ciphertext."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gmpy2 import mpz

from federation.binning import Integers
from federation.boosting_options import BoostingOptions
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey, shift_pack
from privacy.parallel import ALONE, Workers

HESSIAN_BITS_SAVED: Final = 2
"""h = p (1 - p) is at most 2^-2."""

PACKED_PER_PROCESS: Final = 5
"""Packed ciphertexts that another process should have to make: some 25 ms at 2048 bit."""


@dataclass(frozen=True, slots=True)
class PairLayout:
    """A signed G and an H >= 0 in one plaintext G 2^low_bits + H, and many such pairs in one ciphertext.

    low_bits: 0 <= H < 2^low_bits holds for every sum. Reading takes H first, as the residue modulo 2^low_bits, which
    is right for a negative G too: no offset and no row count is needed.
    """

    low_bits: int
    slots: SlotLayout

    @classmethod
    def for_gradients(cls, key_bits: int, scale_bits: int, n_rows: int, weight_bits: int = 0) -> PairLayout:
        """Room for sums over `n_rows` rows of |g| <= 1 and 0 <= h <= 1/4, as a logistic loss has them, in units of
        2^-scale_bits (at least 2). weight_bits: of rows whose weights sum up to at most n_rows 2^(weight_bits - 1).

        Proof without weights: with b the bit length of n_rows, H <= n_rows 2^(scale_bits - 2)
        < 2^(scale_bits - 2 + b) = 2^low_bits and |G| <= n_rows 2^scale_bits <= (2^b - 1) 2^scale_bits
        = 2^(low_bits + 2) - 2^scale_bits, so that |G 2^low_bits + H| < 2^(2 low_bits + 2), which is `SlotLayout`'s
        condition for one addition.
        With weights, H <= n_rows (2^(weight_bits - 1) 2^(scale_bits - 2) + 1/2), where 1/2 is for rounding and no more
        than the other term: H <= n_rows 2^weight_bits 2^(scale_bits - 2), and |G| likewise. The proof goes on with
        scale_bits + weight_bits in place of scale_bits.
        Raises `PackingOverflow` when not even one pair fits the key.
        """
        low_bits = scale_bits + weight_bits - HESSIAN_BITS_SAVED + n_rows.bit_length()
        return cls(low_bits, SlotLayout.for_sums(key_bits, 2 * low_bits + HESSIAN_BITS_SAVED, additions=1))

    def join(self, first: Integers, second: Integers) -> list[int]:
        """Plaintexts of pairs, one per row."""
        return [(g << self.low_bits) + h for g, h in zip(first.tolist(), second.tolist(), strict=True)]

    def separate(self, plaintexts: Sequence[int]) -> tuple[list[int], list[int]]:
        """The pairs of plaintexts, as two lists of Python integers."""
        mask = (1 << self.low_bits) - 1
        return [m >> self.low_bits for m in plaintexts], [m & mask for m in plaintexts]

    def pack(self, sums: Sequence[mpz], key: PublicKey, workers: Workers = ALONE) -> list[mpz]:
        """Encrypted pairs, many to a ciphertext (`shift_pack`); not re-randomised."""
        slots = self.slots
        return pack_on(workers, sums, slots.slot_bits, slots.slots, key, PACKED_PER_PROCESS)


def pack_on(
    workers: Workers, sums: Sequence[mpz], slot_bits: int, slots: int, key: PublicKey, per_process: int
) -> list[mpz]:
    """`shift_pack`, by several processes where each gets `per_process` packed ciphertexts to make."""
    full = -(-len(sums) // slots)
    processes = workers.worth(full, per_process)
    if processes == 1:
        return shift_pack(sums, slot_bits, slots, key)
    step = -(-full // processes) * slots
    calls = [(sums[at : at + step], slot_bits, slots, key) for at in range(0, len(sums), step)]
    return [ciphertext for part in workers.map(shift_pack, calls) for ciphertext in part]


def layout_for(key: PublicKey, options: BoostingOptions, n_rows: int) -> PairLayout:
    """The layout of one training, as L and every F know it. n_rows: all training rows.

    Raises `PackingOverflow` when not even one pair fits the key.
    """
    return PairLayout.for_gradients(key.bits, options.scale_bits, n_rows, options.weight_bits)
