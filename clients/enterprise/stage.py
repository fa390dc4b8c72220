"""A party's part in judging firms: its columns as they are, the model's probability, and what the bank keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from clients.context import StageContext
from clients.enterprise.desk import AlertDesk
from clients.releases import write_customers
from federation.enterprise import exchange, health
from federation.enterprise.exchange import Assessment
from federation.enterprise.holdings import STRENGTHS, ExchangeOptions, Floats, Holdings
from federation.enterprise.kinds import KINDS
from federation.enterprise.levels import RULES, Level, level_table
from federation.jobs import EnterprisePlan, Job
from federation.messages import Message
from privacy.errors import ConfigInvalid

ENTERPRISE_RECORD: Final = "enterprise"
PANEL: Final = "firm_electricity"
"""Columns whose names begin so are the months of a panel, in the order in which the job names them."""
PROBABILITIES: Final = ("pd", "score")
"""The columns of this job's results that hold a probability of default: a scorecard's, calibrated; the trees'."""
_DECIMALS: Final = 9
"""A count that went through log1p and back is whole again."""
_ANSWERS: Final = b"enterprise\x00judged!"
"""Instead of a model's number: whatever weights a job has, a firm is answered for so many times a day."""


class EnterpriseStage:
    """`exchange` over the enterprise fields of all matched firms."""

    role: exchange.LabelHolder | exchange.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        options, holdings = exchange_options(context.job), holdings_of(context)
        if context.is_label_holder:
            self.role = exchange.LabelHolder(context.job.roles, holdings, _probability(context), options)
            return
        answered, firms = context.answered(_ANSWERS), context.table.own_identifiers[context.kept.rows]
        allowed = answered.allowed(firms)
        answered.add(firms[allowed])
        self.role = exchange.FeatureHolder(context.job.roles, holdings, options, allowed)

    def finish(self) -> list[Message]:
        found, context = self.role.result, self._context
        if not isinstance(found, Assessment):
            return []
        context.kept.put_columns(firm_columns(found))
        context.keep(ENTERPRISE_RECORD, msgspec.json.encode(_record(context, found)))
        write_customers(context)
        # When the job has succeeded everywhere: a task about a firm that leaves meanwhile must not be opened.
        context.at_end(lambda: self._open_tasks(found.holders))
        return []

    def _open_tasks(self, holders: Mapping[str, str]) -> None:
        context = self._context
        tasks = AlertDesk(context.home).open_for(context, holders["warning"]) if "warning" in holders else []
        context.kept.put_columns(pd.DataFrame({"task": tasks or [""] * len(context.kept.rows)}))
        write_customers(context)


def enterprise_plan(job: Job) -> EnterprisePlan:
    """The job's plan for firms. Raises `ConfigInvalid` when it has none."""
    if job.enterprise is None:
        raise ConfigInvalid("job_invalid", job=job.name, problem="enterprise")
    return job.enterprise


def exchange_options(job: Job) -> ExchangeOptions:
    """The job's parameters in the terms of the protocol."""
    plan = enterprise_plan(job)
    return ExchangeOptions(health.with_weights(plan.weights), plan.level_bounds, plan.since, plan.until)


def holdings_of(context: StageContext) -> Holdings:
    """This party's enterprise fields of the matched rows, without the transform that models want.

    A rule, and the panel, take a column only as it is: of buckets' means neither would say what it is meant to.
    """
    view = context.aligned(context.plan.enterprise_fields)
    logs = {item.name for item in context.home.settings.table.fields if item.transform == "log1p"}
    columns: dict[str, Floats] = {
        name: np.round(np.expm1(values), _DECIMALS) if name in logs else values
        for name, values in zip(view.fields, view.values.T, strict=True)
    }
    exact = {
        name: columns[name] for name in view.fields if context.gate.terms.treatments[name].minimise == "none"
    }
    readings = [values for name, values in exact.items() if name.startswith(PANEL)]
    return Holdings(
        rows=len(view),
        columns=columns,
        rules={rule.column: exact[rule.column] for rule in RULES if rule.column in exact},
        panel=np.column_stack(readings) if readings else None,
    )


def _probability(context: StageContext) -> Floats:
    """(n,) of default by this job's model, NaN where a row has none. Raises `ConfigInvalid` without a model."""
    columns = context.kept.columns
    for name in PROBABILITIES:
        if name in columns:
            return columns[name].to_numpy(dtype=np.float64)
    raise ConfigInvalid("enterprise_probability", job=context.job.name)


def firm_columns(found: Assessment) -> pd.DataFrame:
    """What customers.csv says of each firm; nothing of a score or a type that a partner has left open."""
    answered = pd.Series(found.answered)

    def of_answered(values: np.ndarray[Any, Any]) -> pd.Series[Any]:
        return pd.Series(values, dtype="Int64").where(answered)

    columns: dict[str, Any] = {"health_score": of_answered(found.health.total)}
    columns |= {f"health_{name}": of_answered(part) for name, part in found.health.points.items()}
    columns["risk_level"] = ["" if level < 0 else Level(level).name for level in found.level.tolist()]
    columns["level_reasons"] = [";".join(found.reasons_of(row)) for row in range(len(answered))]
    columns["enterprise_type"] = ["" if kind < 0 else KINDS[kind].value for kind in found.kinds.tolist()]
    columns["warning_month"] = pd.Series(found.month, dtype="Int64").where(found.month > 0)
    columns["warning_strength"] = [
        "" if place == 0 else STRENGTHS[place - 1].value for place in found.strength.tolist()
    ]
    return pd.DataFrame(columns)


def _record(context: StageContext, found: Assessment) -> dict[str, Any]:
    """For a validator: who answered for what, bounds and weights, and firms by level, with defaults where known."""
    table = context.table.label
    defaults = np.zeros(len(found.level), np.bool_) if table is None else context.aligned_label()
    rows = level_table(found.level, defaults)
    return {
        "holders": dict(found.holders),
        "known": found.health.known,
        "plan": msgspec.to_builtins(enterprise_plan(context.job)),
        "levels": [
            {"level": row.level.name, "firms": row.firms}
            | ({} if table is None else {"defaults": row.defaults})
            for row in rows
        ],
    }
