"""The plan of the encrypted group-by for one tree, as people and programs may read it before anything is computed.

Depends on sizes alone. What a node adds of its own table (real codes, different rows) stays on its screen.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any, Final

from gmpy2 import mpz
from rich.console import Console
from rich.table import Table

from federation.group_plan import FULL_PRODUCT, Plan, plan_sums, subtraction_cost, subtraction_pays
from federation.jobs import Job, RiskPlan
from federation.terminal import out, print_json
from privacy.errors import ConfigInvalid
from privacy.texts import text

CALIBRATION_PRODUCTS: Final = 200
CALIBRATION_ROUNDS: Final = 5
"""The fastest of so many rounds counts: what else the machine does only makes a round slower."""


@dataclass(frozen=True, slots=True)
class LevelPlan:
    """One level of a tree whose nodes all have `rows` rows. summed, subtracted: how many tables come which way."""

    level: int
    rows: int
    summed: int
    subtracted: int
    plan: Plan
    products: float
    single: float


@dataclass(frozen=True, slots=True)
class TreePlan:
    """One party's plan for one tree.

    single: products when features are summed one after the other; naive: when, besides, ciphertexts are of full
    size and no table comes by subtraction. seconds: on one core of this machine, None when not measured.
    """

    party: str
    fields: tuple[str, ...]
    n_codes: tuple[int, ...]
    rows: int
    distinct: int | None
    levels: tuple[LevelPlan, ...]
    key_bits: int
    seconds: float | None = None

    @property
    def products(self) -> float:
        return sum(level.products for level in self.levels)

    @property
    def single(self) -> float:
        return sum(level.single for level in self.levels)

    @property
    def naive(self) -> float:
        return len(self.levels) * self.levels[0].plan.naive


def risk_plan_of(job: Job) -> RiskPlan:
    """The part of a job that needs the group-by. Raises `ConfigInvalid` when it has none."""
    if job.risk is None:
        raise ConfigInvalid("no_group_by", job=job.name)
    return job.risk


def plan_job(job: Job, rows: int) -> list[TreePlan]:
    """Every partner's plan as far as the job alone tells it: each field has all the bins it may have.

    Raises `ConfigInvalid` when the job asks no group-by of anybody.
    """
    risk = risk_plan_of(job)
    holders = [job.plan_of(name) for name in job.roles.feature_holders]
    plans = [
        plan_tree(job, holder.name, (risk.bins + 1,) * len(holder.risk_fields), rows)
        for holder in holders
        if holder.risk_fields
    ]
    if not plans:
        raise ConfigInvalid("no_group_by", job=job.name)
    return plans


def plan_tree(
    job: Job,
    party: str,
    n_codes: tuple[int, ...],
    rows: int,
    distinct: int | None = None,
    *,
    seconds_per_product: float | None = None,
) -> TreePlan:
    """One partner's plan. n_codes: codes per risk field; distinct: different rows, None when not known.

    Every node is taken to split into halves, and all nodes to be asked for. Below the root there are taken to be
    as many different rows as there can be.
    """
    levels = tuple(
        _plan_level(level, rows >> level, n_codes, distinct) for level in range(risk_plan_of(job).depth)
    )
    products = sum(level.products for level in levels)
    return TreePlan(
        party=party,
        fields=job.plan_of(party).risk_fields,
        n_codes=n_codes,
        rows=rows,
        distinct=distinct,
        levels=levels,
        key_bits=job.security.key_bits,
        seconds=None if seconds_per_product is None else seconds_per_product * products,
    )


def _plan_level(level: int, rows: int, n_codes: tuple[int, ...], distinct: int | None) -> LevelPlan:
    plan = plan_sums(rows, n_codes, None if distinct is None else min(distinct, rows))
    nodes = 1 << level
    subtract = level > 0 and subtraction_pays(plan, plan, n_codes, summed_anyway=True)
    subtracted = nodes // 2 if subtract else 0
    subtracting = subtracted * subtraction_cost(n_codes)
    summed = nodes - subtracted
    return LevelPlan(
        level=level,
        rows=rows,
        summed=summed,
        subtracted=subtracted,
        plan=plan,
        products=summed * plan.products + subtracting,
        single=summed * plan.single + subtracting,
    )


def measure_product(key_bits: int) -> float:
    """Seconds that one half-size product takes here, at a key of `key_bits` bits."""
    modulus = mpz((1 << 2 * key_bits) - 1)
    factor = mpz((1 << key_bits) - 3) // 7 * 5
    best = float("inf")
    for _ in range(CALIBRATION_ROUNDS):
        started = time.perf_counter()
        for _ in accumulate(repeat(factor, CALIBRATION_PRODUCTS), lambda total, each: total * each % modulus):
            pass
        best = min(best, time.perf_counter() - started)
    return best / CALIBRATION_PRODUCTS


def to_plain(tree: TreePlan) -> dict[str, Any]:
    """The plan for `--json`; numbers of multiplications in half-size products."""
    return {
        "party": tree.party,
        "rows": tree.rows,
        "distinct_rows": tree.distinct,
        "fields": dict(zip(tree.fields, tree.n_codes, strict=True)),
        "key_bits": tree.key_bits,
        "levels": [
            {
                "level": level.level,
                "rows_per_node": level.rows,
                "nodes_summed": level.summed,
                "nodes_subtracted": level.subtracted,
                "merge_equal_rows": level.plan.merge,
                "groups": [
                    {
                        "fields": [tree.fields[feature] for feature in group.features],
                        "joint_cells": group.cells,
                        "multiplications": round(group.products),
                    }
                    for group in level.plan.groups
                ],
                "multiplications": round(level.products),
            }
            for level in tree.levels
        ],
        "multiplications_per_tree": {
            "planned": round(tree.products),
            "one_field_at_a_time": round(tree.single),
            "naive": round(tree.naive),
        },
        "seconds_per_tree": tree.seconds,
    }


def show(trees: Sequence[TreePlan], as_json: bool) -> None:
    """What both command lines print."""
    if as_json:
        print_json([to_plain(tree) for tree in trees])
        return
    for tree in trees:
        print_plan(tree, out)


def print_plan(tree: TreePlan, console: Console) -> None:
    """The plan for people."""
    root = tree.levels[0].plan
    groups = Table(title=text("plan.title", party=tree.party, rows=tree.rows, fields=len(tree.fields)))
    groups.add_column(text("plan.column_group"))
    groups.add_column(text("plan.column_cells"), justify="right")
    groups.add_column(text("plan.column_products"), justify="right")
    for group in root.groups:
        names = ", ".join(tree.fields[feature] for feature in group.features)
        groups.add_row(names, f"{group.cells:,}", f"{group.products:,.0f}")
    console.print(groups)
    if tree.distinct is not None:
        console.print(text("plan.distinct", rows=tree.rows, distinct=tree.distinct))

    levels = Table(title=text("plan.title_levels", depth=len(tree.levels)))
    for column in ("level", "rows", "summed", "subtracted", "how", "products"):
        levels.add_column(text(f"plan.column_{column}"), justify="left" if column == "how" else "right")
    for level in tree.levels:
        counts = (f"{level.level}", f"{level.rows:,}", f"{level.summed:,}", f"{level.subtracted:,}")
        levels.add_row(*counts, _how(level.plan), f"{level.products:,.0f}")
    console.print(levels)
    console.print(
        text("plan.total", planned=tree.products, single=tree.single, naive=tree.naive, full=FULL_PRODUCT),
        soft_wrap=True,
    )
    if tree.seconds is not None:
        console.print(text("plan.seconds", seconds=tree.seconds, bits=tree.key_bits), soft_wrap=True)


def _how(plan: Plan) -> str:
    """The plan in a few words: how many groups of how many fields."""
    sizes = Counter(len(group) for group in plan.partition)
    groups = ", ".join(
        text("plan.groups", count=sizes[size], fields=size) for size in sorted(sizes, reverse=True)
    )
    return text("plan.merged", groups=groups) if plan.merge else groups
