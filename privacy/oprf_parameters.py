"""Sizes of the matrices of `privacy.oprf`, from the lengths of the two lists alone.

Sources. Chase and Miao 2020 (CRYPTO), choice of the parameters m and w, and table 1, which `minimum_width` gives
again where the height is n. Loads of buckets: Hoeffding 1963, "Probability Inequalities for Sums of Bounded Random
Variables", theorem 1.
What it promises. Both parties compute the same sizes; each statistical failure stays below 2^-STATISTICAL_BITS.
What it does not. The sizes hide nothing: they are functions of both lengths, which both parties know.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

from privacy.errors import ConfigInvalid

SECURITY_BITS: Final = 128
"""kappa: ones among the choice bits' columns that an item unknown to the receiver must meet at least."""
STATISTICAL_BITS: Final = 40
"""sigma: all statistical failures of a run have probability 2^-40 at most, each kind by itself."""

_MAX_HEIGHT: Final = 2**16
"""So that a position is 16 bits, 8 of them an AES block, and a column of bytes stays in the first caches."""
_MIN_HEIGHT: Final = 2**4
_HEIGHT_PER_ITEM: Final = 2


@dataclass(frozen=True, slots=True)
class Parameters:
    """height: rows of a bucket's matrix (a power of two); width: columns (a multiple of 8), as many as transfers.

    capacity: receiver's items in a bucket at most.
    """

    n_buckets: int
    capacity: int
    height: int
    width: int

    @property
    def correction_bytes(self) -> int:
        """Length of one bucket's message."""
        return self.width * self.height // 8


def parameters(n_receiver: int, n_sender: int) -> Parameters:
    """What both parties derive from the lengths of their lists. Raises `ConfigInvalid` for an empty list."""
    if min(n_receiver, n_sender) < 1:
        raise ConfigInvalid("oprf_list_empty")
    largest = _MAX_HEIGHT // _HEIGHT_PER_ITEM
    n_buckets = -(-n_receiver // largest)
    while (capacity := bucket_capacity(n_receiver, n_buckets)) > largest:
        n_buckets += 1
    height = max(_MIN_HEIGHT, 1 << (_HEIGHT_PER_ITEM * capacity - 1).bit_length())
    width = minimum_width(height, capacity, n_sender)
    return Parameters(n_buckets, capacity, height, -(-width // 8) * 8)


def minimum_width(height: int, n_receiver: int, n_sender: int) -> int:
    """The smallest w for which an item of the sender's that the receiver lacks is safe (paper, section 3.3).

    Such an item meets a 1 of the matrix D in one column with probability p = (1 - 1/height)^n_receiver; all
    n_sender items must meet SECURITY_BITS ones, except with probability 2^-STATISTICAL_BITS:
    n_sender * Pr[Binomial(w, p) < SECURITY_BITS] <= 2^-STATISTICAL_BITS.
    """
    log_p = n_receiver * math.log1p(-1 / height)
    log_q = math.log(-math.expm1(log_p))

    def failure(width: int) -> float:
        return sum(
            math.exp(
                math.lgamma(width + 1)
                - math.lgamma(ones + 1)
                - math.lgamma(width - ones + 1)
                + ones * log_p
                + (width - ones) * log_q
            )
            for ones in range(SECURITY_BITS)
        )

    # The failure falls as columns are added: double until it is small enough, then bisect.
    low = high = SECURITY_BITS
    while n_sender * failure(high) > 2.0**-STATISTICAL_BITS:
        low, high = high + 1, 2 * high
    return bisect_left(
        range(high), True, lo=low, key=lambda width: n_sender * failure(width) <= 2.0**-STATISTICAL_BITS
    )


def bucket_capacity(n_items: int, n_buckets: int) -> int:
    """The smallest load that no bucket exceeds, except with probability 2^-STATISTICAL_BITS.

    Union of Chernoff bounds: n_buckets * exp(-n D(c/n || 1/n_buckets)), D the relative entropy (Mitzenmacher and
    Upfal, "Probability and Computing", section 4.2; Hoeffding 1963, theorem 1).
    """
    if n_buckets == 1:
        return n_items
    share = 1 / n_buckets

    def exceeded(load: int) -> float:
        """Bound on the natural logarithm of the probability that a bucket has `load` items or more."""
        part = load / n_items
        entropy = part * math.log(part / share)
        if part < 1:
            entropy += (1 - part) * math.log((1 - part) / (1 - share))
        return math.log(n_buckets) - n_items * entropy

    target = -STATISTICAL_BITS * math.log(2)
    return bisect_left(
        range(n_items), True, lo=math.ceil(n_items * share), key=lambda load: exceeded(load + 1) <= target
    )
