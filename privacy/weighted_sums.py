"""Weighted sums of encrypted numbers: X.[v] for a plain matrix X of signed integers and an encrypted vector [v].

Source. Pippenger, "On the evaluation of powers and monomials", SIAM J. Comput. 9 (1980) 230-250, in the bucket form
of Bernstein, Doumen, Lange, Oosterwijk, "Faster batch forgery identification", INDOCRYPT 2012, section 4: the
weights are read in windows of w bits; in each window the ciphertexts with digit k are multiplied into bucket k,
the buckets into prod_k bucket_k^k by running products, and the windows joined by w squarings each.

Here, besides:
  - half form (`privacy.paillier`): c^x = a^x (1 + (x t) n) mod n^2, so that buckets take factors of half the length
    and the t cost one small integer product each;
  - signs: ciphertexts with negative weights fill buckets of their own, and the products of all outputs' negative
    halves are inverted together (Montgomery's trick), instead of one inversion per term;
  - the window is the one with the lowest count of products (`window_cost`), for each row of X.

Results are deterministic functions of the ciphertexts: `PublicKey.rerandomize` whatever leaves the party. Time and
memory access depend on the weights, which are the caller's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from operator import mul
from typing import Any, Final

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from privacy.paillier import PublicKey, from_half_form, product_of_halves
from privacy.parallel import ALONE, Workers
from privacy.random_powers import inverses

FULL_PRODUCT: Final = 1.75
"""A product of two full-size numbers in half-size products (measured, 2048 bit: 4.7 and 2.7 us)."""

WIDEST_WINDOW: Final = 14
"""Wider windows pay only from millions of terms on."""

TERMS_PER_PROCESS: Final = 300_000
"""Fewest terms per worker process for which starting it (about 3 s) pays at 2048 bits."""

Weights = NDArray[np.integer[Any]]


def weighted_sums(
    weights: Weights, a: Sequence[mpz], t: Sequence[mpz], key: PublicKey, workers: Workers = ALONE
) -> list[mpz]:
    """One ciphertext of sum_j weights[i, j] v_j for every row i; not re-randomised.

    weights: (n_outputs, n), signed or unsigned integers of up to 64 bits; a, t: n ciphertexts in half form
    (`to_half_form`). A row of zeros gives the number 1, an encryption of 0. The caller vouches that the sums fit
    the key. workers: for many terms, each process takes some of the columns.

    Raises `ValueError` when the shapes do not fit, `TypeError` for weights that are no integers.
    """
    if weights.dtype.kind not in "iu":
        raise TypeError(f"weights must be integers, not {weights.dtype}")
    if weights.ndim != 2 or weights.shape[1] != len(a) or len(a) != len(t):
        raise ValueError(f"weights of shape {weights.shape} for {len(a)} and {len(t)} halves")
    jobs = workers.worth(weights.size, TERMS_PER_PROCESS)
    bounds = np.linspace(0, len(a), jobs + 1).astype(int).tolist()
    parts = [(weights[:, start:end], a[start:end], t[start:end], key) for start, end in pairwise(bounds)]
    partial = workers.map(_sums, parts) if jobs > 1 else [_sums(*parts[0])]
    return [key.sum(of_output) for of_output in zip(*partial, strict=True)]


def window_cost(n_terms: int, weight_bits: int, window: int) -> float:
    """Products, in half-size units, for one output with `n_terms` weights of one sign that are not zero.

    Digits are counted as if they were uniform: of 2^window buckets one is for the digit 0 and costs nothing.
    """
    windows = -(-weight_bits // window)
    buckets = (1 << window) - 1
    in_buckets = n_terms * buckets / (buckets + 1)
    occupied = buckets * (1 - (1 - 1 / buckets) ** in_buckets) if buckets > 1 else min(1.0, in_buckets)
    # Per window: fill the buckets; run through them from the top, one product per occupied one, one per step.
    per_window = in_buckets - occupied + FULL_PRODUCT * (occupied + buckets)
    return windows * per_window + FULL_PRODUCT * (windows - 1) * (window + 1)


def choose_window(n_terms: int, weight_bits: int) -> int:
    """The window with the lowest `window_cost`."""
    widest = max(1, min(weight_bits, WIDEST_WINDOW))
    return min(range(1, widest + 1), key=lambda window: window_cost(n_terms, weight_bits, window))


def _sums(weights: Weights, a: Sequence[mpz], t: Sequence[mpz], key: PublicKey) -> list[mpz]:
    """`weighted_sums` in one process."""
    raised = [_signed_powers(row, a, key) for row in weights]
    lowered = inverses([negative for _, negative in raised], key.n_squared)
    sums = []
    for row, (positive, _), inverse in zip(weights, raised, lowered, strict=True):
        twist = sum(map(mul, t, row.tolist()), mpz(0))
        sums.append(from_half_form(positive * inverse % key.n_squared, twist % key.n, key))
    return sums


def _signed_powers(row: Weights, a: Sequence[mpz], key: PublicKey) -> tuple[mpz, mpz]:
    """prod a_j^|x_j| modulo n^2 over the positive x_j, and over the negative ones."""
    # The size of -2^63 is itself in int64, and 2^63 once it is read as unsigned.
    signed = row.astype(np.int64)
    sizes = (row if row.dtype.kind == "u" else np.abs(signed)).astype(np.uint64)
    positive = np.flatnonzero(row > 0)
    negative = np.flatnonzero(row < 0)
    return _powers(sizes[positive], positive, a, key), _powers(sizes[negative], negative, a, key)


def _powers(sizes: NDArray[np.uint64], places: NDArray[np.intp], a: Sequence[mpz], key: PublicKey) -> mpz:
    """prod a[place]^size modulo n^2 over all terms; all sizes are positive."""
    if not len(sizes):
        return mpz(1)
    weight_bits = int(sizes.max()).bit_length()
    window = choose_window(len(sizes), weight_bits)
    total = mpz(1)
    for shift in reversed(range(0, weight_bits, window)):
        total = gmpy2.powmod(total, 1 << window, key.n_squared)
        digits = (sizes >> np.uint64(shift)) & np.uint64((1 << window) - 1)
        total = total * _window_product(digits.astype(np.int64), places, a, key) % key.n_squared
    return total


def _window_product(
    digits: NDArray[np.int64], places: NDArray[np.intp], a: Sequence[mpz], key: PublicKey
) -> mpz:
    """prod a[place]^digit modulo n^2."""
    order = np.argsort(digits, kind="stable")
    ordered = digits[order]
    factors = [a[place] for place in places[order].tolist()]
    starts = np.flatnonzero(np.diff(ordered, prepend=0))  # the digit 0 opens no bucket
    bounds = [*starts.tolist(), len(ordered)]
    n_squared = key.n_squared
    running, result = mpz(1), mpz(1)
    following = [0, *ordered[starts].tolist()]
    for bucket in reversed(range(len(starts))):
        running = running * product_of_halves(factors[bounds[bucket] : bounds[bucket + 1]], key) % n_squared
        # From this digit down to the next smaller one the running product enters once per step.
        steps = following[bucket + 1] - following[bucket]
        result = result * _small_power(running, steps, n_squared) % n_squared
    return result


def _small_power(base: mpz, exponent: int, modulus: mpz) -> mpz:
    return base if exponent == 1 else gmpy2.powmod(base, exponent, modulus)
