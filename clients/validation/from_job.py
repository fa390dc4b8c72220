"""The evidence of a finished job's models at its label holder, and their reports in this party's results.

A job may train a scorecard and trees: each gets a report of its own, the scorecard's first. Nothing here is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from clients.context import StageContext
from clients.gate.policy import active_policy
from clients.plans import risk_plan, scorecard_plan
from clients.releases import importance_of, match_release
from clients.risk_shards import figure_bins
from clients.validation.build import build, default_card
from clients.validation.disclosing import Counted, learnt_in, undeclared_in
from clients.validation.evidence import Evidence, Groups, words
from clients.validation.people import demographics_of, reasons_of
from clients.validation.predictors import own_fields, partners_fields
from clients.validation.record import (
    FunnelStep,
    Identification,
    Importance,
    ModelCard,
    ModelKind,
    PointsScale,
    Words,
)
from clients.validation.render import write_validation
from federation.jobs import RiskPlan, ScorecardPlan
from federation.pace import today
from privacy.errors import CohortTooSmall, ConfigInvalid
from privacy.identifiers import IdentifierKind
from privacy.texts import text

_ATTRIBUTES: Final = ("age_band", "gender", "region")
_LOG: Final = logging.getLogger(__name__)

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def write_reports(context: StageContext, counted: Counted) -> tuple[Path, ...]:
    """Write the reports of the job's models into this party's results; returns the files.

    The first lies in the results themselves, another in a folder there that is named after its kind; they go when the
    results go. A model whose held-out rows are too few by now (people have left) has no report.
    """
    files: list[Path] = []
    for number, evidence in enumerate(evidence_of(context, counted)):
        kind = evidence.identification.kind.value
        try:
            report = build(evidence)
        except (CohortTooSmall, ConfigInvalid) as error:
            _LOG.warning("no validation report of the %s: %s", kind, error.code)
            continue
        files += write_validation(report, context.results if number == 0 else context.results / kind)
    return tuple(files)


def evidence_of(context: StageContext, counted: Counted) -> Iterator[Evidence]:
    """The evidence of every model that the job has trained, the scorecard's first."""
    if context.job.scorecard is not None:
        yield scorecard_evidence(context, counted)
    if context.job.risk is not None:
        yield boosting_evidence(context, counted)


def scorecard_evidence(context: StageContext, counted: Counted) -> Evidence:
    """Of the job's scorecard, over the matched people whom every partner has answered."""
    kept, plan = context.kept, scorecard_plan(context.job)
    columns, binning, model = kept.columns, kept.scorecard.binning, kept.scorecard
    rows = np.flatnonzero(columns["pd"].notna().to_numpy())
    codes = binning.transform(context.aligned(binning.fields).values)[rows].astype(np.int64)
    sample = _Sample.of(context, rows)
    return Evidence(
        identification=_identification(context, ModelKind.SCORECARD, model.model_id),
        label=sample.label,
        train=sample.train,
        joint=_numbers(columns["pd"], rows),
        alone=_numbers(columns["pd_alone"], rows),
        points=columns["points"].iloc[rows].to_numpy(dtype=np.int64),
        scale=PointsScale(base=plan.base, base_odds=plan.odds, pdo=plan.pdo, constant=model.constant),
        fields=(*own_fields(context), *partners_fields(context)),
        codes=dict(zip(binning.fields, codes.T, strict=True)),
        reasons=reasons_of(columns["reasons"].iloc[rows], context.home.settings.table.fields),
        **_shared(context, plan, sample, counted, words("limit.seen_points")),
    )


def boosting_evidence(context: StageContext, counted: Counted) -> Evidence:
    """Of the job's trees, over all matched people."""
    kept, plan = context.kept, risk_plan(context.job)
    columns, binning = kept.columns, figure_bins(context, kept.model, kept.train_rows)
    rows = np.arange(len(kept.rows))
    joint, alone = (_numbers(columns[name], rows) for name in ("score", "score_alone"))
    codes = binning.transform(context.aligned(binning.fields).values).astype(np.int64)
    reasons = columns.get("reasons" if context.job.scorecard is None else "reasons_boosted")
    sample = _Sample.of(context, rows)
    return Evidence(
        identification=_identification(context, ModelKind.BOOSTING, kept.model.model_id),
        label=sample.label,
        train=sample.train,
        joint=joint,
        alone=alone,
        importance=tuple(
            Importance(party=party, name=name, share=share)
            for party, name, share in sorted(importance_of(context), key=lambda item: -item[2])
        ),
        codes=dict(zip(binning.fields, codes.T, strict=True)),
        reasons={} if reasons is None else reasons_of(reasons, context.home.settings.table.fields),
        **_shared(context, plan, sample, counted, words("limit.seen_splits")),
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    """label, train (n,) of the people of a report; demographics of the same people."""

    label: np.ndarray[Any, np.dtype[np.int8]]
    train: np.ndarray[Any, np.dtype[np.bool_]]
    demographics: dict[str, Groups]

    @classmethod
    def of(cls, context: StageContext, rows: np.ndarray[Any, np.dtype[np.int64]]) -> _Sample:
        train = np.zeros(len(context.kept.rows), dtype=np.bool_)
        train[context.kept.train_rows] = True
        own = context.kept.rows[rows]
        attributes = {key: found.at(own) for key, found in context.table.attributes.items()}
        return cls(
            context.aligned_label()[rows],
            train[rows],
            demographics_of(attributes, ~train[rows], context.k_min),
        )


def _shared(
    context: StageContext, plan: RiskPlan | ScorecardPlan, sample: _Sample, counted: Counted, seen: Words
) -> dict[str, Any]:
    """What the evidence of both kinds of models has alike. seen: what the label holder saw, as a limit."""
    job, table = context.job, context.home.settings.table
    are_people = table.id_kind is not IdentifierKind.USCC  # firms have no gender
    untested = [key for key in _ATTRIBUTES if are_people and key not in sample.demographics]
    limits = [words("limit.honest"), seen, words("limit.exact")]
    if untested:
        limits.insert(0, _not_tested(untested))
    return {
        "target": words("target_text", column=table.label_column),
        "test_share": plan.test_share,
        "seed": plan.seed,
        "funnel": _funnel(context),
        "demographics": sample.demographics,
        "learnt": learnt_in(job, counted.received),
        "traffic": (counted.traffic(context.plan.name),),
        "stages": counted.stages,
        "undeclared": undeclared_in(job, counted.received),
        "limits": tuple(limits),
        "card": _card(context),
    }


def _numbers(column: Any, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Numbers:
    found: Numbers = column.iloc[rows].to_numpy(dtype=np.float64)
    return found


def _identification(context: StageContext, kind: ModelKind, model_id: bytes) -> Identification:
    job, day = context.job, today().isoformat()
    return Identification(
        model_id=model_id.hex(),
        kind=kind,
        job=job.name,
        job_digest=job.digest,
        purpose=job.purpose,
        label_holder=job.roles.label_holder,
        partners=job.roles.feature_holders,
        trained=day,
        created=day,
        code_version=version("silhouette"),
        k_min=context.k_min,
        key_bits=job.security.key_bits,
    )


def _funnel(context: StageContext) -> tuple[FunnelStep, ...]:
    """From the file to the matched people; reasons that excluded nobody are left out."""
    found = match_release(context, len(context.kept.rows))
    return (
        FunnelStep(reason="rows_in_file", rows=found.rows),
        *(FunnelStep(reason=reason, rows=rows) for reason, rows in found.funnel if rows != 0),
        FunnelStep(reason="eligible", rows=found.eligible),
        FunnelStep(reason="matched", rows=found.matched),
    )


def _card(context: StageContext) -> ModelCard:
    terms, policy = context.gate.terms, active_policy(context.home)
    purpose = terms.purpose
    usual = default_card(owner=policy.handler.name, retention_days=terms.retention_days)
    intended = Words(
        en=text("validation.card.intended_for", language="en", title=purpose.title.en.rstrip(" .")),
        zh=text("validation.card.intended_for", language="zh-CN", title=purpose.title.zh.rstrip(" 。")),
    )
    review = usual.human_review
    if purpose.human_route:
        review = _joined(review, words("card.human_route", route=purpose.human_route))
    return ModelCard(
        intended=_joined(usual.intended, intended),
        not_intended=usual.not_intended,
        human_review=review,
        owner=usual.owner,
        retention_days=usual.retention_days,
        monitoring=usual.monitoring,
    )


def _joined(one: Words, other: Words) -> Words:
    return Words(en=f"{one.en} {other.en}", zh=f"{one.zh}{other.zh}")


def _not_tested(attributes: list[str]) -> Words:
    def said(language: str) -> str:
        names = (text(f"validation.attribute.{key}", language=language) for key in attributes)
        joined = text("validation.list", language=language).join(names)
        return text("validation.limit.not_tested", language=language, attributes=joined)

    return Words(en=said("en"), zh=said("zh-CN"))
