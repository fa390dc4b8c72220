"""Plans of the encrypted group-by, chosen by counting modular multiplications. Pure arithmetic on sizes.

The unit is one half-size product: a number modulo n^2 times one modulo n (`privacy.paillier`, half form).

What a plan decides.
 - Merging: rows with the same codes in *all* features are multiplied once, and the rest works on the distinct
   rows. A merged row is a full-size factor.
 - Groups: features whose *joint* code is summed first, one product per row and group instead of one per row
   and feature; then the joint cells are rolled up. A group is rolled up by halves, (f, g, h) to (f, g) and h
   and then (f, g) to f and g, so that its cells are read twice, however many features it has.

Cells are counted as if the codes were uniform and independent. Other codes occupy fewer cells, so that more of
the rows meet in one: the count is an upper bound but for the chance of the draw.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import combinations_with_replacement
from typing import Final

FULL_PRODUCT: Final = 1.8
"""A product of two full-size numbers in half-size products (measured, 2048 bit: 4.6 and 2.5 us)."""

READING: Final = 1.25
"""Turning the sum of one code back into a ciphertext (measured, 2048 bit: 3.2 us)."""

SUBTRACTION: Final = 4 * FULL_PRODUCT
"""One cell of a histogram subtraction: four full products, three of them for its share of the inverses."""

MAXIMUM_JOINT_CELLS: Final = 1 << 20
"""Cells are kept in lists as long as this: some 8 MB each."""

SMALLEST_SAVING: Final = 1e-6
"""Products below which a saving is rounding error."""

PLANNED_DIGITS: Final = 4
"""Leading bits of a number of rows on which its plan depends: nodes of about one size share a plan."""

Group = tuple[int, ...]
Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class JointGroup:
    """Features that are summed together. cells: joint codes; products: expected, the rolling up included."""

    features: Group
    cells: int
    products: float


@dataclass(frozen=True, slots=True)
class Plan:
    """How to sum `n_rows` rows per (feature, code).

    n_distinct: different rows among them, None when not counted. merge: multiply equal rows first.
    products: expected half-size products of all of it; single: of one feature after the other in half form;
    naive: of one full-size product per row and feature.
    """

    n_rows: int
    n_distinct: int | None
    merge: bool
    groups: tuple[JointGroup, ...]
    products: float
    single: float
    naive: float

    @property
    def partition(self) -> tuple[Group, ...]:
        """The features of every group."""
        return tuple(group.features for group in self.groups)


@lru_cache(maxsize=1024)
def plan_sums(n_rows: int, n_codes: Sizes, n_distinct: int | None = None) -> Plan:
    """The cheapest plan found for `n_rows` rows with `n_codes[f]` codes in feature f."""
    groups, products = _planned(n_rows, n_codes, 1.0)
    merge = False
    if n_distinct is not None and n_distinct < n_rows:
        merged_groups, merged_products = _planned(n_distinct, n_codes, FULL_PRODUCT)
        merged_products += n_rows - n_distinct
        if merged_products < products:
            merge, groups, products = True, merged_groups, merged_products
    return Plan(
        n_rows=n_rows,
        n_distinct=n_distinct,
        merge=merge,
        groups=groups,
        products=products,
        single=sum(group_cost(n_rows, (size,)) for size in n_codes),
        naive=FULL_PRODUCT * n_rows * len(n_codes),
    )


def plan_near(n_rows: int, n_codes: Sequence[int], n_distinct: int | None = None) -> Plan:
    """`plan_sums` for rounded numbers of rows, so that nodes of about one size are planned once."""
    distinct = None if n_distinct is None else min(_rounded(n_distinct), _rounded(n_rows))
    return plan_sums(_rounded(n_rows), tuple(n_codes), distinct)


def _rounded(number: int) -> int:
    shift = max(number.bit_length() - PLANNED_DIGITS, 0)
    return number >> shift << shift


def _planned(n_rows: int, n_codes: Sizes, row_product: float) -> tuple[tuple[JointGroup, ...], float]:
    groups = []
    for features in plan_groups(n_rows, n_codes, row_product):
        sizes = tuple(n_codes[feature] for feature in features)
        groups.append(JointGroup(features, math.prod(sizes), group_cost(n_rows, sizes, row_product)))
    return tuple(groups), sum(group.products for group in groups)


def group_cost(n_rows: float, sizes: Sizes, row_product: float = 1.0) -> float:
    """Expected products to sum rows by the joint code of features with these sizes, rolled up and read.

    row_product: price of a product with one row, 1 for a ciphertext in half form. A cell of one row keeps
    that price when it is rolled up.
    """
    return _cost(n_rows, n_rows, row_product, sizes)


def _cost(factors: float, n_rows: float, price: float, sizes: Sizes) -> float:
    """Products to sum `factors` factors, which stand for `n_rows` rows, to joint cells and then downwards."""
    cells = math.prod(sizes)
    occupied = cells * -math.expm1(-n_rows / cells)
    products = (factors - occupied) * price
    if len(sizes) == 1:
        return products + READING * occupied
    lone = n_rows * math.exp(-n_rows / cells)
    full = max(occupied - lone, 0.0)
    cell_price = (lone * price + full * FULL_PRODUCT) / (lone + full) if lone + full else price
    return products + sum(_cost(occupied, n_rows, cell_price, part) for part in halves(sizes))


def halves(group: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The two parts to which a group of at least two features is rolled up."""
    middle = (len(group) + 1) // 2
    return group[:middle], group[middle:]


def subtraction_cost(n_codes: Sequence[int]) -> float:
    """Products (in half-size units) of subtracting one table from another."""
    return SUBTRACTION * sum(n_codes)


def subtraction_pays(small: Plan, large: Plan, n_codes: Sequence[int], *, summed_anyway: bool) -> bool:
    """Whether to find the larger sibling's table by subtraction. summed_anyway: the smaller one's is wanted too."""
    return subtraction_cost(n_codes) + small.products * (not summed_anyway) < large.products


def plan_groups(n_rows: int, n_codes: Sequence[int], row_product: float = 1.0) -> tuple[Group, ...]:
    """Which features to sum jointly: a partition of range(len(n_codes)), in increasing order of sizes inside.

    Two kinds of steps, each the one that saves most, until none saves anything: two groups are joined, or a
    group is dissolved and its features go to other groups (five pairs become two triples and two pairs).
    Groups of the same sizes are alike, so that hundreds of features cost little more than ten.
    """

    # With more cells than rows most cells are one row, and nothing is summed: merging is for what is left.
    most_cells = min(n_rows, MAXIMUM_JOINT_CELLS)

    @cache
    def cost(sizes: Sizes) -> float:
        fits = len(sizes) == 1 or math.prod(sizes) <= most_cells
        return group_cost(n_rows, tuple(sorted(sizes)), row_product) if fits else math.inf

    kinds: dict[Sizes, list[Group]] = {}
    _put(((feature,) for feature in range(len(n_codes))), kinds, n_codes)
    while change := _joining(kinds, cost) or _dissolving(kinds, cost, n_codes):
        taken, made = change
        for group in taken:
            kind = tuple(n_codes[feature] for feature in group)
            kinds[kind].remove(group)
            if not kinds[kind]:
                del kinds[kind]
        _put(made, kinds, n_codes)
    found = (group for groups in kinds.values() for group in groups)
    return tuple(sorted(found, key=min))


Change = tuple[list[Group], list[Group]]
"""Groups that are given up, and the groups that take their place."""


def _put(groups: Iterable[Group], kinds: dict[Sizes, list[Group]], n_codes: Sequence[int]) -> None:
    """Sort groups by the sizes of their features, the smallest first: what is rolled up together is then small."""
    for group in groups:
        ordered = tuple(sorted(group, key=lambda feature: (n_codes[feature], feature)))
        kinds.setdefault(tuple(n_codes[feature] for feature in ordered), []).append(ordered)


def _joining(kinds: dict[Sizes, list[Group]], cost: Callable[[Sizes], float]) -> Change | None:
    """The union of two groups that saves most, or None."""
    best, best_saving = None, SMALLEST_SAVING
    for one, other in combinations_with_replacement(kinds, 2):
        alike = one == other
        if alike and len(kinds[one]) < 2:
            continue
        saving = cost(one) + cost(other) - cost(one + other)
        if saving > best_saving:
            best, best_saving = (kinds[one][0], kinds[other][alike]), saving
    return best and (list(best), [best[0] + best[1]])


def _dissolving(
    kinds: dict[Sizes, list[Group]], cost: Callable[[Sizes], float], n_codes: Sequence[int]
) -> Change | None:
    """The group whose features are cheapest elsewhere, each with another group, or None when none saves anything."""
    best, best_saving = None, SMALLEST_SAVING
    for kind, groups in kinds.items():
        saving, taken, grown = cost(kind), [groups[0]], list[Group]()
        for feature in groups[0]:
            added = {
                sizes: cost((*sizes, n_codes[feature])) - cost(sizes)
                for sizes, hosts in kinds.items()
                if not set(hosts) <= set(taken)
            }
            if not added:
                break
            sizes = min(added, key=added.__getitem__)
            host = next(group for group in kinds[sizes] if group not in taken)
            saving -= added[sizes]
            taken.append(host)
            grown.append((*host, feature))
        else:
            if saving > best_saving:
                best, best_saving = (taken, grown), saving
    return best
