"""Encrypted group-by: sums of encrypted per-row numbers per (feature, code), where only the codes are known.

Input: one ciphertext per row under somebody else's key, and a table of small integer codes. Output: one
ciphertext per (feature, code). Only products modulo n^2, no exponentiation and no secret.

Cost is what decides, so three things keep it low:
 - half form (`privacy.paillier.to_half_form`): the products take factors of half the length;
 - roll-up: several features are grouped by their *joint* code first, one product per row instead of one per
   row and feature, then rolled up to each feature. `plan_groups` chooses by counting products;
 - histogram subtraction: of two sibling nodes only one is summed (`subtract_tables`), the inverses batched.

Results are deterministic functions of the ciphertexts: `PublicKey.rerandomize` whatever leaves the party.

`PairLayout` is how a gradient and a Hessian share a plaintext.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
from gmpy2 import mpz

from federation.binning import MISSING, Candidates, Codes, Integers
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey, from_half_form, product_of_halves, to_half_form
from privacy.random_powers import inverses

Table = list[list[mpz]]
"""One ciphertext per (feature, code); the number 1 (an encryption of zero) where no row falls."""

ZERO: Final = mpz(1)

FULL_PRODUCT: Final = 1.75
"""A product of two full-size numbers in half-size products (measured, 2048 bit: 4.7 and 2.7 us)."""

SUBTRACTION_COST: Final = 6.5
"""One cell of a histogram subtraction: four full products, three of them for its share of the inverses."""

MAXIMUM_JOINT_CELLS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """One ciphertext per row in half form: c = a (1 + t n) mod n^2."""

    a: Sequence[mpz]
    t: Sequence[mpz]
    key: PublicKey

    @classmethod
    def of(cls, ciphertexts: Sequence[mpz], key: PublicKey) -> EncryptedColumn:
        """Convert checked ciphertexts. Raises `CiphertextInvalid` when one is no unit."""
        return cls(*to_half_form(ciphertexts, key), key)

    def __len__(self) -> int:
        return len(self.a)


def group_cost(n_rows: int, n_codes: Sequence[int]) -> float:
    """Expected products (in half-size units) to sum `n_rows` rows by one group of features, rolled up.

    n_codes: codes per feature of the group. Cells are counted as if codes were uniform and independent, an
    upper bound on the number that are occupied. A cell of one row is still half-size when it is rolled up.
    """
    reading = FULL_PRODUCT * sum(n_codes)
    if len(n_codes) == 1:
        return n_rows + reading
    cells = math.prod(n_codes)
    occupied = cells * -math.expm1(-n_rows / cells)
    lone = n_rows * math.exp(-n_rows / cells)
    return n_rows - occupied + len(n_codes) * (lone + FULL_PRODUCT * (occupied - lone)) + reading


def plan_groups(n_rows: int, n_codes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Which features to sum jointly: a partition of range(len(n_codes)).

    Greedy agglomeration: starting from single features, the two groups whose union saves most products are
    joined, until nothing saves any. Pure: depends on the two arguments alone.
    """
    groups: list[tuple[int, ...]] = [(feature,) for feature in range(len(n_codes))]
    costs = [group_cost(n_rows, [n_codes[f] for f in group]) for group in groups]
    while True:
        best, best_saving = None, 0.0
        for i, left in enumerate(groups):
            for j in range(i + 1, len(groups)):
                sizes = [n_codes[f] for f in left + groups[j]]
                if math.prod(sizes) > MAXIMUM_JOINT_CELLS:
                    continue
                saving = costs[i] + costs[j] - group_cost(n_rows, sizes)
                if saving > best_saving:
                    best, best_saving = (i, j), saving
        if best is None:
            return tuple(sorted(tuple(sorted(group)) for group in groups))
        i, j = best
        groups[i] += groups.pop(j)
        costs.pop(j)
        costs[i] = group_cost(n_rows, [n_codes[f] for f in groups[i]])


@lru_cache(maxsize=256)
def _plan_near(rows_log2: int, n_codes: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The plan for a power of two near the number of rows: nodes of about one size share it."""
    return plan_groups(1 << rows_log2, n_codes)


def plan_for(n_rows: int, n_codes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """`plan_groups`, remembered for sizes of the same order."""
    return _plan_near(round(math.log2(max(n_rows, 1))), tuple(n_codes))


def table_cost(n_rows: int, n_codes: Sequence[int]) -> float:
    """Products (in half-size units) that `sum_by` spends on `n_rows` rows."""
    groups = plan_for(n_rows, n_codes)
    return sum(group_cost(n_rows, [n_codes[f] for f in group]) for group in groups)


def sum_by(
    column: EncryptedColumn,
    codes: Codes,
    n_codes: Sequence[int],
    rows: Integers | None = None,
    groups: Sequence[Sequence[int]] | None = None,
) -> Table:
    """Sum the column per (feature, code); not re-randomised.

    codes: (n_rows, n_features), codes[:, f] < n_codes[f]. rows: which rows to sum (default: all).
    groups: the plan (default: `plan_for` this many rows).
    """
    index = np.arange(len(column)) if rows is None else rows
    table: Table = [[ZERO] * size for size in n_codes]
    if not len(index):
        return table
    for group in plan_for(len(index), n_codes) if groups is None else groups:
        sizes = [n_codes[feature] for feature in group]
        joint = np.ravel_multi_index(
            tuple(codes[index, feature].astype(np.int64) for feature in group), tuple(sizes)
        )
        keys, products, twists = _cells(column, index, joint)
        if len(group) == 1:
            row = table[group[0]]
            for key, product, twist in zip(keys.tolist(), products, twists, strict=True):
                row[key] = from_half_form(product, twist, column.key)
            continue
        for feature, positions in zip(group, np.unravel_index(keys, tuple(sizes)), strict=True):
            table[feature] = _roll_up(products, twists, positions.tolist(), n_codes[feature], column.key)
    return table


def _cells(
    column: EncryptedColumn, index: Integers, joint: np.ndarray[Any, Any]
) -> tuple[Integers, list[mpz], list[mpz]]:
    """Occupied joint codes, with the product of the a and the sum of the t of their rows."""
    order = np.argsort(joint, kind="stable")
    ordered = joint[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    bounds = [*starts.tolist(), len(ordered)]
    places = index[order].tolist()
    a = [column.a[i] for i in places]
    t = [column.t[i] for i in places]
    products, twists = [], []
    for start, end in pairwise(bounds):
        if end - start == 1:
            products.append(a[start])
            twists.append(t[start])
        else:
            products.append(product_of_halves(a[start:end], column.key))
            twists.append(sum(t[start:end]))
    return ordered[starts], products, twists


def _roll_up(
    products: list[mpz], twists: list[mpz], positions: list[int], n_codes: int, key: PublicKey
) -> list[mpz]:
    """Joint cells summed to the codes of one feature."""
    n_squared = key.n_squared
    totals: list[mpz | None] = [None] * n_codes
    sums = [0] * n_codes
    for product, twist, code in zip(products, twists, positions, strict=True):
        total = totals[code]
        totals[code] = product if total is None else total * product % n_squared
        sums[code] += twist
    return [
        ZERO if total is None else from_half_form(total, mpz(twist), key)
        for total, twist in zip(totals, sums, strict=True)
    ]


def subtract_tables(parent: Table, child: Table, key: PublicKey) -> Table:
    """The sibling's table: parent minus child, cell by cell. Raises `CiphertextInvalid` for a non-unit."""
    n_squared = key.n_squared
    taken = inverses([cell for row in child for cell in row if cell != ZERO], n_squared)
    following = iter(taken)
    sibling: Table = []
    for wholes, parts in zip(parent, child, strict=True):
        pairs = zip(wholes, parts, strict=True)
        sibling.append([c if part == ZERO else c * next(following) % n_squared for c, part in pairs])
    return sibling


def child_tables(
    column: EncryptedColumn,
    codes: Codes,
    n_codes: Sequence[int],
    parent: Table,
    *,
    children: tuple[Integers, Integers],
    wanted: tuple[bool, bool],
) -> tuple[Table | None, Table | None]:
    """The tables of a split node's children, those that are wanted, the cheapest way.

    parent: the node's table. children: rows of the left and of the right child, together the node's rows.
    """
    small = 0 if len(children[0]) <= len(children[1]) else 1
    large = 1 - small
    tables: list[Table | None] = [None, None]
    by_subtraction = table_cost(len(children[small]), n_codes) * (not wanted[small]) + (
        SUBTRACTION_COST * sum(n_codes)
    )
    subtract = wanted[large] and by_subtraction < table_cost(len(children[large]), n_codes)
    if wanted[small] or subtract:
        summed = sum_by(column, codes, n_codes, children[small])
        if wanted[small]:
            tables[small] = summed
        if subtract:
            tables[large] = subtract_tables(parent, summed, column.key)
    if wanted[large] and not subtract:
        tables[large] = sum_by(column, codes, n_codes, children[large])
    return tables[0], tables[1]


def left_ciphertexts(table: Table, candidates: Candidates, key: PublicKey) -> list[mpz]:
    """The encrypted sum on the left of every candidate, in the candidates' order; not re-randomised."""
    n_squared = key.n_squared
    prefixes: dict[int, list[mpz]] = {}
    sums = []
    for feature, cut, missing_left in zip(
        candidates.feature.tolist(), candidates.cut.tolist(), candidates.missing_left.tolist(), strict=True
    ):
        if feature not in prefixes:
            running, prefix = ZERO, [ZERO]
            for cell in table[feature][1:]:
                running = running * cell % n_squared
                prefix.append(running)
            prefixes[feature] = prefix
        left = prefixes[feature][cut]
        sums.append(left * table[feature][MISSING] % n_squared if missing_left else left)
    return sums


@dataclass(frozen=True, slots=True)
class PairLayout:
    """A signed G and an H >= 0 in one plaintext G 2^half_bits + H, and many such pairs in one ciphertext.

    half_bits: |G| < 2^half_bits and 0 <= H < 2^half_bits hold for every sum. Reading takes H first, as the
    residue modulo 2^half_bits, which is right for a negative G too: no offset and no row count is needed.
    """

    half_bits: int
    slots: SlotLayout

    @classmethod
    def for_gradients(cls, key_bits: int, scale_bits: int, n_rows: int) -> PairLayout:
        """Room for sums over `n_rows` rows of |g| <= 1 and 0 <= h <= 1 in units of 2^-scale_bits.

        Proof: n_rows 2^scale_bits < 2^(scale_bits + bit_length(n_rows)) = 2^half_bits, and then
        |G 2^half_bits + H| < 2^(2 half_bits), which is `SlotLayout`'s condition for one addition.
        Raises `PackingOverflow` when not even one pair fits the key.
        """
        half_bits = scale_bits + n_rows.bit_length()
        return cls(half_bits, SlotLayout.for_sums(key_bits, 2 * half_bits, additions=1))

    def join(self, first: Integers, second: Integers) -> list[int]:
        """Plaintexts of pairs, one per row."""
        return [(g << self.half_bits) + h for g, h in zip(first.tolist(), second.tolist(), strict=True)]

    def separate(self, plaintexts: Sequence[int]) -> tuple[list[int], list[int]]:
        """The pairs of plaintexts, as two lists of Python integers."""
        mask = (1 << self.half_bits) - 1
        return [m >> self.half_bits for m in plaintexts], [m & mask for m in plaintexts]
