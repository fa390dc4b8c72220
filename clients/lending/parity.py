"""Matched pairs: two applicants who differ in persona alone get the same terms (PIPL 24, paragraph 1).

Applicants are matched when they have the same grade and meet the same conditions of the policy's rules: everything
that terms may depend on. Within a matched group, the terms of all personas must be the same. Decisions of this program
are so by construction (`clients.lending.decide`); the test also reads prices that another system of the lender has set.
What it does not promise. People of whom no two personas are matched say nothing: how many groups were compared is told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from clients.lending.cases import DECISIONS, fields_of, own_columns, read_table
from clients.lending.plan import GRADE_FIELD, DecisionPolicy
from clients.lending.plan_checks import read_plan
from clients.results import CUSTOMERS
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.reasons import Finding, Reason

TERMS: Final = ("lane", "limit_multiple", "term_months", "repayment", "spread_bp")
"""What must not differ; of another system's prices, those of them that its file has."""
PERSONA: Final = "segment"
COUNTED_BY: Final = 10
_ID: Final = "identifier"


class Parity(msgspec.Struct, frozen=True):
    """What the test found. people: in the compared groups; groups: with more than one persona; differing: those of
    them in which personas got different terms.
    """

    people: int
    groups: int
    differing: int
    terms: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether no group differs."""
        return self.differing == 0


def compare(matched: pd.Series[Any], persona: pd.Series[Any], terms: pd.DataFrame) -> Parity:
    """matched: (n,) the group of each applicant; persona: (n,); terms: (n, m), one column per term."""
    sizes = persona.groupby(matched).transform("nunique")
    compared = sizes > 1
    different = terms[compared].groupby(matched[compared]).nunique(dropna=False)
    return Parity(
        people=int(compared.sum()),
        groups=len(different),
        differing=int((different > 1).any(axis=1).sum()),
        terms=tuple(map(str, terms.columns)),
    )


def check_parity(
    home: NodeHome,
    results: Path,
    policy_file: Path,
    attributes: Path | None = None,
    prices: Path | None = None,
    persona: str = PERSONA,
) -> Parity:
    """Test what was decided in a folder of results. prices: another system's terms by identifier, instead of ours.

    Logged before it is told. Raises `Denied` (R-PRICE-FEATURE-PROHIBITED) when terms differ between personas,
    `ConfigInvalid` for files that do not fit.
    """
    policy = active_policy(home)
    plan = read_plan(policy_file, catalog_of(policy))
    customers = read_table(results / CUSTOMERS, _ID)
    if persona not in customers:
        raise ConfigInvalid("lending_column_missing", column=persona)
    decided = read_table(results / DECISIONS, _ID)
    own = None if attributes is None else own_columns(home, attributes)
    people = customers[customers[_ID].isin(decided[_ID])].reset_index(drop=True)
    grades = people[[_ID]].merge(decided, on=_ID, how="left")
    found = compare(
        _matched(plan, people, own, grades[GRADE_FIELD]),
        people[persona],
        _terms(people, grades, prices),
    )
    home.audit.append(
        EventType.PARITY_TESTED,
        actor="operator",
        artefact=plan.name,
        policy=policy.digest,
        reasons=() if found.holds else (Reason.PRICE_FEATURE_PROHIBITED.value,),
        numbers={
            "people": found.people // COUNTED_BY * COUNTED_BY,
            "groups": found.groups,
            "differing": found.differing,
        },
        digests={"lending_policy": plan.digest},
    )
    if not found.holds:
        raise Denied.of([Finding(Reason.PRICE_FEATURE_PROHIBITED, f"{plan.name}: {persona}")])
    return found


def _matched(
    plan: DecisionPolicy, people: pd.DataFrame, own: pd.DataFrame | None, grades: pd.Series[Any]
) -> pd.Series[Any]:
    """(n,): the grade, and which conditions hold, as one word; missing for whom nothing was decided."""
    fields = fields_of(plan, people, own) | {GRADE_FIELD: grades.to_numpy(dtype=object)}
    holding = [item.holds(np.asarray(fields[item.field])) for rule in plan.rules for item in rule.conditions]
    words = grades.astype(str)
    for holds in holding:
        words = words + np.where(holds, "1", "0")
    return words.where(grades != "")


def _terms(people: pd.DataFrame, decided: pd.DataFrame, prices: Path | None) -> pd.DataFrame:
    given = decided if prices is None else people[[_ID]].merge(read_table(prices, _ID), on=_ID, how="left")
    found = [name for name in TERMS if name in given]
    if not found or len(given) != len(people):
        raise ConfigInvalid("lending_attributes", file=prices or DECISIONS)
    return given[found]
