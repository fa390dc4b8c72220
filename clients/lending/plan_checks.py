"""Whether a decision policy may be used: what its field types cannot say, and what the law forbids (PIPL 24).

Faults of form raise `ConfigInvalid`, one at a time. Faults of law raise `Denied` with all of them:
- R-PRICE-FEATURE-PROHIBITED: a rule's terms depend on what tells of habits or persona (24 (1)).
- R-FIELD-PROHIBITED, R-FIELD-EXCEEDS-MINIMUM, R-FIELD-UNCLASSIFIED: the catalogue keeps the field from lending (6).
- R-ADM-NO-HUMAN-PATH: a grade is declined and nobody can be asked about it (24 (3)).
What it does not promise. A column is judged by its name and by the class that the rule declares: what a misnamed column
really holds shows only where the gate reads it. The score itself may rest on fields that no term may depend on: then
terms follow them as far as the risk does, which the law is read to allow (docs/pipl.md, open questions).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final

from clients.lending.plan import (
    ENTERPRISE_FIELDS,
    GRADE_FIELD,
    GRADES,
    Condition,
    DecisionPolicy,
    Grade,
    HumanRoute,
    Lane,
    Scale,
    Subject,
)
from federation.files import read_toml
from privacy.audit import is_name
from privacy.catalog import Catalog, FieldClass
from privacy.decision import REFUSED_ACTIONS
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import PurposeClass, Titles
from privacy.reasons import Finding, Reason

_FEWEST_GRADES: Final = 2
_LANES: Final = tuple(Lane)
_PERSONA_WORDS: Final = frozenset({"persona", "segment", "cluster", "cohort", "tag", "habit", "willingness"})
_PERSONA_PARTS: Final = ("画像", "分群", "标签", "客群")
"""A field with such a word in its name is a persona, whatever the catalogue knows of it."""


def read_plan(file: Path, catalog: Catalog | None = None) -> DecisionPolicy:
    """A checked policy file. catalog: of this deployment. Raises `ConfigInvalid` that names the file, `Denied`."""
    plan = read_toml(file, DecisionPolicy)
    check_plan(plan, str(file), catalog or Catalog.load())
    return plan


def check_plan(plan: DecisionPolicy, source: str, catalog: Catalog) -> None:
    """Raises `ConfigInvalid` for the first fault of form, `Denied` with all faults of law."""
    _check_names(plan, source)
    _check_grades(plan, source)
    _check_rules(plan, source)
    findings = [*_price_findings(plan, catalog), *_route_findings(plan)]
    if findings:
        raise Denied.of(findings)


def _check_names(plan: DecisionPolicy, source: str) -> None:
    """Names once and sayable in the log, two people for every decision, a period that is one."""
    for name, uses in Counter([plan.name, *(rule.id for rule in plan.rules)]).items():
        if uses > 1 or not is_name(name):
            raise ConfigInvalid("lending_name", file=source, name=name)
    signed = [(plan.name, plan.set_by, plan.approved_by)]
    signed += [(rule.id, rule.set_by, rule.approved_by) for rule in plan.rules]
    for name, author, approver in signed:
        if author == approver:
            raise ConfigInvalid("lending_own_approval", file=source, name=name)
    if plan.effective_until < plan.effective_from:
        raise ConfigInvalid("lending_period", file=source)


def _check_grades(plan: DecisionPolicy, source: str) -> None:
    """A, B, ... from best to worst, each score in exactly one, and no worse grade with a milder lane."""
    names = "".join(grade.name for grade in plan.grades)
    if len(names) < _FEWEST_GRADES or not GRADES.startswith(names):
        raise ConfigInvalid("lending_grades", file=source, known=", ".join(GRADES))
    worst_first = plan.scale is Scale.POINTS
    rising = plan.grades[::-1] if worst_first else plan.grades
    if rising[0].low is not None or rising[-1].high is not None:
        raise ConfigInvalid("lending_open_ends", file=source, first=rising[0].name, second=rising[-1].name)
    for below, above in pairwise(rising):
        if below.high is None or below.high != above.low:  # a NaN is not equal to itself
            raise ConfigInvalid("lending_gap", file=source, first=below.name, second=above.name)
    for grade in plan.grades:
        if not _is_band(grade, plan.scale):
            raise ConfigInvalid("lending_band", file=source, name=grade.name)
    for better, worse in pairwise(plan.grades):
        if _LANES.index(worse.lane) < _LANES.index(better.lane):
            raise ConfigInvalid("lending_lanes", file=source, first=better.name, second=worse.name)
    if plan.grades[-1].lane is Lane.FAST:
        raise ConfigInvalid("lending_all_fast", file=source, name=plan.grades[-1].name)


def _is_band(grade: Grade, scale: Scale) -> bool:
    if grade.low is not None and grade.high is not None and grade.low >= grade.high:
        return False
    bounds = [bound for bound in (grade.low, grade.high) if bound is not None]
    return scale is Scale.POINTS or all(0 < bound < 1 for bound in bounds)


def _check_rules(plan: DecisionPolicy, source: str) -> None:
    """The last rule takes everybody and no other does, so that every loan has terms and every rule can apply."""
    if not plan.rules or plan.rules[-1].conditions:
        raise ConfigInvalid("lending_last_rule", file=source)
    grades = {grade.name for grade in plan.grades}
    for rule in plan.rules[:-1]:
        if not rule.conditions:
            raise ConfigInvalid("lending_unreachable", file=source, name=rule.id)
        for item in rule.conditions:
            known = item.field != GRADE_FIELD or set(item.one_of) <= grades
            if not (known and _is_condition(item)):
                raise ConfigInvalid("lending_condition", file=source, name=rule.id, column=item.field)
    for rule in plan.rules:
        if not _is_told(rule.reason):
            raise ConfigInvalid("lending_reason", file=source, name=rule.id)


def _is_condition(item: Condition) -> bool:
    """Words or a range, and one that something can meet."""
    numbers = [bound for bound in (item.at_least, item.below) if bound is not None]
    if any(math.isnan(number) for number in numbers) or numbers != sorted(set(numbers)):
        return False
    return bool(item.one_of) != bool(numbers) and not (item.field == GRADE_FIELD and numbers)


def _is_told(words: Titles) -> bool:
    return bool(words.zh.strip()) and bool(words.en.strip())


def _price_findings(plan: DecisionPolicy, catalog: Catalog) -> Iterator[Finding]:
    """Every field that no term of a loan may depend on, with the rule that asks about it."""
    own = {GRADE_FIELD, *(ENTERPRISE_FIELDS if plan.subject is Subject.ENTERPRISE else ())}
    for rule in plan.rules:
        for item in rule.conditions:
            if item.field not in own:
                for reason in _objections(item, catalog):
                    yield Finding(reason, f"{rule.id}: {item.field}")


def _objections(item: Condition, catalog: Catalog) -> Iterator[Reason]:
    """A declared class does not outweigh what the name tells: both have to be fit for a price."""
    declared = catalog.of(item.kind) if item.kind else None
    decided = catalog.of_column(item.field, item.kind)
    classes = [found for found in (catalog.classify(item.field), declared, decided) if found is not None]
    if _tells_of_persona(item.field) or any(found.price_prohibited for found in classes):
        yield Reason.PRICE_FEATURE_PROHIBITED
    if not classes or (item.kind and declared is None):
        yield Reason.FIELD_UNCLASSIFIED
    for found in classes:
        yield from _kept_from_lending(found)


def _kept_from_lending(found: FieldClass) -> Iterator[Reason]:
    if found.is_prohibited:
        yield Reason.FIELD_PROHIBITED
    elif found.treatment(PurposeClass.CREDIT_RISK.value).action in REFUSED_ACTIONS:
        yield Reason.FIELD_EXCEEDS_MINIMUM


def _tells_of_persona(field: str) -> bool:
    words = {word.rstrip("s") for word in re.findall(r"[a-z]+", field.casefold())}
    return bool(words & _PERSONA_WORDS) or any(part in field for part in _PERSONA_PARTS)


def _route_findings(plan: DecisionPolicy) -> Iterator[Finding]:
    """Every grade that is declined without a person who can be asked."""
    for grade in plan.grades:
        if grade.lane is Lane.DECLINE and not _is_route(grade.human_route):
            yield Finding(Reason.ADM_NO_HUMAN_PATH, f"{plan.name}: {grade.name}")


def _is_route(route: HumanRoute | None) -> bool:
    return route is not None and bool(route.reviewer.strip()) and _is_told(route.ask)
