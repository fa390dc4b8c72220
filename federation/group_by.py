"""Encrypted group-by: sums of encrypted per-row numbers per (feature, code), where only the codes are known.

Input: one ciphertext per row under somebody else's key, and a table of small integer codes. Output: one
ciphertext per (feature, code). Only products modulo n^2, no exponentiation and no secret.

Cost is what decides, so four things keep it low:
 - half form (`privacy.paillier.to_half_form`): the products take factors of half the length;
 - the plan (`group_plan`, done by `joint_cells`): equal rows are multiplied once, and several features are grouped
   by their *joint* code first, one product per row instead of one per row and feature, then rolled up;
 - histogram subtraction: of two sibling nodes only one is summed (`subtract_tables`), the inverses batched;
 - cores: all nodes of a level are summed in one call, large ones in blocks of rows (`sum_each`).

A table does not depend on the plan, the blocks or the processes: a product modulo n^2 is one number, however it is
computed. It is a deterministic function of the ciphertexts: `PublicKey.rerandomize` whatever leaves the party.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from gmpy2 import mpz

from federation.binning import MISSING, Candidates, Codes, Integers
from federation.encrypted_column import Bytes, EncryptedColumn, unpacked
from federation.group_plan import Plan, Sizes, plan_near, subtraction_pays
from federation.joint_cells import ZERO, Table, sum_rows
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers
from privacy.random_powers import inverses

PRODUCTS_PER_PROCESS: Final = 15_000
"""Products (in half-size units) that another process should have to do: some 40 ms at 2048 bit."""


class CodedRows:
    """The codes of a party's rows, and which rows are equal, found out once.

    codes: (n_rows, n_features), codes[:, f] < n_codes[f]. patterns: (n_rows,) equal where all codes are; None
    when all rows differ.
    """

    def __init__(self, codes: Codes, n_codes: Sequence[int]) -> None:
        self.codes = codes
        self.n_codes: Sizes = tuple(n_codes)
        self.patterns = patterns_of(codes, self.n_codes)

    def __len__(self) -> int:
        return len(self.codes)

    def distinct(self, rows: Integers) -> int:
        """How many different rows there are among these."""
        if self.patterns is None or not len(rows):
            return len(rows)
        return int(np.count_nonzero(np.bincount(self.patterns[rows])))

    def plan(self, rows: Integers) -> Plan:
        """The plan for summing these rows."""
        return plan_near(len(rows), self.n_codes, self.distinct(rows))


def patterns_of(codes: Codes, n_codes: Sequence[int]) -> Integers | None:
    """A number in 0..n_rows - 1 per row, the same for rows with the same codes; None when all rows differ."""
    keys, largest = np.zeros(len(codes), dtype=np.int64), 1
    for feature, size in enumerate(n_codes):
        if largest * size > np.iinfo(np.int64).max:
            different, keys = np.unique(keys, return_inverse=True)
            largest = len(different)
        keys = keys * size + codes[:, feature]
        largest *= size
    different, keys = np.unique(keys, return_inverse=True)
    return None if len(different) == len(codes) else keys


def sum_by(
    column: EncryptedColumn,
    coded: CodedRows,
    rows: Integers | None = None,
    *,
    plan: Plan | None = None,
    workers: Workers = ALONE,
) -> Table:
    """Sum the column per (feature, code); not re-randomised.

    rows: which rows to sum (default: all). plan: how (default: the cheapest found).
    """
    chosen = np.arange(len(column)) if rows is None else rows
    return sum_each(column, coded, [chosen], plan=plan, workers=workers)[0]


def sum_each(
    column: EncryptedColumn,
    coded: CodedRows,
    row_sets: Sequence[Integers],
    *,
    plan: Plan | None = None,
    workers: Workers = ALONE,
) -> list[Table]:
    """`sum_by` for several sets of rows. The workers share them; a large set is cut into blocks, planned singly."""
    plans = [plan or coded.plan(rows) for rows in row_sets]
    total = sum(planned.products for planned in plans)
    processes = workers.worth(int(total), PRODUCTS_PER_PROCESS)
    if processes == 1:
        sets = zip(row_sets, plans, strict=True)
        return [
            sum_rows(column.halves(rows), *_known(coded, rows, planned), column.key) for rows, planned in sets
        ]
    blocks: list[tuple[int, Integers]] = []
    for number, (rows, planned) in enumerate(zip(row_sets, plans, strict=True)):
        pieces = math.ceil(processes * planned.products / total)
        blocks += [(number, block) for block in _blocks(coded, rows, pieces, planned)]
    blocks.sort(key=lambda block: -len(block[1]))
    calls = [
        (column.packed(rows), *_known(coded, rows, plan or coded.plan(rows)), column.key)
        for _, rows in blocks
    ]
    tables: list[Table] = [[[ZERO] * size for size in coded.n_codes] for _ in row_sets]
    for (number, _), part in zip(blocks, workers.map(_sum_packed, calls), strict=True):
        both = zip(tables[number], part, strict=True)
        tables[number] = [column.key.add(one, other) for one, other in both]
    return tables


def _blocks(coded: CodedRows, rows: Integers, pieces: int, plan: Plan) -> list[Integers]:
    """The rows in blocks of one length; rows that will be merged stay together."""
    if plan.merge and coded.patterns is not None:
        rows = rows[np.argsort(coded.patterns[rows], kind="stable")]
    return [block for block in np.array_split(rows, max(pieces, 1)) if len(block)]


def _known(coded: CodedRows, rows: Integers, plan: Plan) -> tuple[Codes, Integers | None, Sizes, Plan]:
    """What the summing of some rows has to know of them besides the ciphertexts."""
    patterns = coded.patterns[rows] if plan.merge and coded.patterns is not None else None
    return coded.codes[rows], patterns, coded.n_codes, plan


def _sum_packed(
    rows: Bytes, codes: Codes, patterns: Integers | None, n_codes: Sizes, plan: Plan, key: PublicKey
) -> Table:
    """What one process does in `sum_each`."""
    return sum_rows(unpacked(rows), codes, patterns, n_codes, plan, key)


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


@dataclass(frozen=True, slots=True)
class Division:
    """A split node. parent: its table; children: rows of the left and of the right child, together the node's
    rows; wanted: whose tables are asked for."""

    parent: Table
    children: tuple[Integers, Integers]
    wanted: tuple[bool, bool]


def child_tables(
    column: EncryptedColumn, coded: CodedRows, divisions: Sequence[Division], *, workers: Workers = ALONE
) -> list[tuple[Table | None, Table | None]]:
    """The tables of the split nodes' children, those that are wanted, each the cheapest way."""
    chosen = [_ways(division, coded) for division in divisions]
    places = [(number, side) for number, (sides, _) in enumerate(chosen) for side in sides]
    row_sets = [divisions[number].children[side] for number, side in places]
    tables = dict(zip(places, sum_each(column, coded, row_sets, workers=workers), strict=True))
    found = []
    for number, (division, (_, by_subtraction)) in enumerate(zip(divisions, chosen, strict=True)):
        if by_subtraction is not None:
            sibling = tables[number, 1 - by_subtraction]
            tables[number, by_subtraction] = subtract_tables(division.parent, sibling, column.key)
        left, right = (tables[number, side] if division.wanted[side] else None for side in (0, 1))
        found.append((left, right))
    return found


def _ways(division: Division, coded: CodedRows) -> tuple[list[int], int | None]:
    """Which children (0 left, 1 right) to sum, and which one to find by subtraction."""
    plans = [coded.plan(rows) for rows in division.children]
    small = 0 if len(division.children[0]) <= len(division.children[1]) else 1
    large = 1 - small
    if division.wanted[large] and subtraction_pays(
        plans[small], plans[large], coded.n_codes, summed_anyway=division.wanted[small]
    ):
        return [small], large
    return [side for side in (0, 1) if division.wanted[side]], None


def left_ciphertexts(table: Table, candidates: Candidates, key: PublicKey) -> list[mpz]:
    """The encrypted sum on the left of every candidate, in the candidates' order; not re-randomised."""
    n_squared = key.n_squared
    prefixes: dict[int, list[mpz]] = {}
    sums = []
    for feature, cut, missing_left in zip(
        candidates.feature.tolist(), candidates.cut.tolist(), candidates.missing_left.tolist(), strict=True
    ):
        if feature in candidates.levels:
            sums.append(table[feature][cut])
            continue
        if feature not in prefixes:
            running, prefix = ZERO, [ZERO]
            for cell in table[feature][1:]:
                running = running * cell % n_squared
                prefix.append(running)
            prefixes[feature] = prefix
        left = prefixes[feature][cut]
        sums.append(left * table[feature][MISSING] % n_squared if missing_left else left)
    return sums
