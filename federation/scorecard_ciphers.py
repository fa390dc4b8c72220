"""What a scorecard's parties do with ciphertexts under somebody else's key. Nothing here is re-randomised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import gmpy2
import numpy as np
from gmpy2 import mpz

from federation.binning import Integers
from federation.encrypted_column import EncryptedColumn
from federation.group_by import CodedRows, sum_by
from federation.pair_layout import pack_on
from federation.scorecard_fit import WOE_BITS
from federation.scorecard_polynomial import LogisticPolynomial
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

ROWS_PER_PROCESS: Final = 500
"""Rows that another process should have to evaluate: some 100 ms at 2048 bit."""
PACKED_PER_PROCESS: Final = 20
"""Packed ciphertexts that another process should have to make: some 100 ms at 2048 bit."""

Encrypted = list[list[mpz]]
"""Polynomials: per power from 0 a ciphertext per row."""


def evaluate(
    coefficients: Encrypted,
    by: Integers,
    polynomial: LogisticPolynomial,
    key: PublicKey,
    workers: Workers = ALONE,
) -> list[mpz]:
    """The encrypted value at `by` (n,), not negative, of every row's polynomial."""
    return _by_rows(_evaluate, coefficients, by, polynomial, key, workers)[0]


def shift(
    coefficients: Encrypted,
    by: Integers,
    polynomial: LogisticPolynomial,
    key: PublicKey,
    workers: Workers = ALONE,
) -> Encrypted:
    """`LogisticPolynomial.shifted` on encrypted coefficients, by (n,) not negative."""
    return _by_rows(_shift, coefficients, by, polynomial, key, workers)


def _by_rows(
    work: Callable[[Encrypted, Integers, LogisticPolynomial, PublicKey], Encrypted],
    coefficients: Encrypted,
    by: Integers,
    polynomial: LogisticPolynomial,
    key: PublicKey,
    workers: Workers,
) -> Encrypted:
    """`work` on blocks of rows, its lists joined."""
    jobs = workers.worth(len(by), ROWS_PER_PROCESS)
    if jobs == 1:
        return work(coefficients, by, polynomial, key)
    bounds = np.linspace(0, len(by), jobs + 1).astype(int).tolist()
    calls = [
        ([of_power[start:end] for of_power in coefficients], by[start:end], polynomial, key)
        for start, end in pairwise(bounds)
    ]
    parts = workers.map(work, calls)
    return [[c for part in parts for c in part[place]] for place in range(len(parts[0]))]


def _evaluate(
    coefficients: Encrypted, by: Integers, polynomial: LogisticPolynomial, key: PublicKey
) -> Encrypted:
    n, n_squared, leading = key.n, key.n_squared, polynomial.leading
    values = []
    for row, x in enumerate(by.tolist()):
        # The leading coefficient is public: it is added, not multiplied.
        value = coefficients[-1][row] * (1 + n * (leading * x)) % n_squared
        for of_power in reversed(coefficients[:-1]):
            value = gmpy2.powmod(value, x, n_squared) * of_power[row] % n_squared
        values.append(value)
    return [values]


def _shift(
    coefficients: Encrypted, by: Integers, polynomial: LogisticPolynomial, key: PublicKey
) -> Encrypted:
    n, n_squared, leading, degree = key.n, key.n_squared, polynomial.leading, polynomial.degree
    rows = []
    for row, x in enumerate(by.tolist()):
        rest = [of_power[row] for of_power in coefficients]
        added = 1 + n * (leading * x)
        for lowest in range(degree):
            rest[-1] = rest[-1] * added % n_squared
            for power in reversed(range(lowest, degree - 1)):
                rest[power] = rest[power] * gmpy2.powmod(rest[power + 1], x, n_squared) % n_squared
        rows.append(rest)
    return [list(of_power) for of_power in zip(*rows, strict=True)]


def pack(
    sums: Sequence[mpz], slot_bits: int, slots: int, key: PublicKey, workers: Workers = ALONE
) -> list[mpz]:
    """`shift_pack`, by several processes where it pays."""
    return pack_on(workers, sums, slot_bits, slots, key, PACKED_PER_PROCESS)


def add_modulo(ciphertexts: Sequence[mpz], masks: Sequence[int], key: PublicKey) -> list[mpz]:
    """Add a number in [0, n) to each plaintext, modulo n: as `PublicKey.add_plain`, with all of Z_n."""
    return key.add(ciphertexts, [1 + key.n * mask for mask in masks])


def column_sums(
    column: EncryptedColumn,
    coded: CodedRows,
    woe: tuple[Integers, ...],
    rows: Integers | None = None,
    *,
    has_intercept: bool = False,
    workers: Workers = ALONE,
) -> list[mpz]:
    """Encrypted sum_i x_ij v_i per column j, x_ij the WOE of the row's code (and first the intercept's column).

    One ciphertext per row in `column`; codes of all its rows; woe: per field and code, units of 2^-WOE_BITS.
    """
    key = column.key
    table = sum_by(column, coded, rows, workers=workers)
    sums = [key.sum(key.scale(cells, weights.tolist())) for cells, weights in zip(table, woe, strict=True)]
    if has_intercept:
        sums.insert(0, key.scale([key.sum(table[0])], [1 << WOE_BITS])[0])
    return sums
