"""From evidence to the validation report: computes every figure, hides what is too small, rounds.

The page shows these numbers, perhaps shorter, and computes none of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from clients.validation.checks import make_checks
from clients.validation.evidence import Evidence, FieldEvidence, words
from clients.validation.fairness import FOUR_FIFTHS, group_outcomes
from clients.validation.groups import hidden_bins
from clients.validation.performance import performance_of
from clients.validation.record import (
    Attribute,
    Bin,
    Comparison,
    Count,
    Disclosed,
    FairGroup,
    Fairness,
    Field,
    ModelCard,
    Reason,
    Sample,
    ValidationReport,
    Words,
)
from clients.validation.rounding import maybe, rounded
from clients.validation.stability import compare
from clients.validation.tables import ScoreTables
from privacy.errors import CohortTooSmall

_IV_STRENGTHS: Final = ((0.02, "none"), (0.1, "weak"), (0.3, "medium"), (0.5, "strong"))
"""Up to these values; above the last one a field is too good not to be looked at (Siddiqi 2006, chapter 6)."""


def build(evidence: Evidence) -> ValidationReport:
    """The report of a finished model.

    Raises `ConfigInvalid` when the evidence does not fit together, `CohortTooSmall` when fewer than k_min rows are
    held out.
    """
    evidence.check()
    k_min = evidence.identification.k_min
    if int((~evidence.train).sum()) < k_min:
        raise CohortTooSmall("test_rows_small", k_min=k_min)
    tables = ScoreTables.of(evidence)
    report = ValidationReport(
        identification=evidence.identification,
        score_unit="probability" if evidence.points is None else "points",
        sample=_sample(evidence),
        fields=tuple(_field(item, k_min) for item in evidence.fields),
        points=evidence.scale,
        importance=tuple(
            msgspec.structs.replace(item, share=rounded(item.share)) for item in evidence.importance
        ),
        performance=performance_of(evidence, tables),
        bands=tables.bands(),
        cut_offs=tables.cut_offs(),
        swap_sets=tables.swap_sets(),
        calibration=tables.calibration(),
        stability=(*_stability(evidence, tables), *evidence.periods),
        fairness=_fairness(evidence, tables),
        reasons=_reasons(evidence),
        disclosed=_disclosed(evidence),
        limits=(*_limits(evidence, tables), *evidence.limits),
        card=evidence.card or default_card(),
        signatures=evidence.signatures,
    )
    return _with_checks(report)


def _with_checks(report: ValidationReport) -> ValidationReport:
    parts = {name: getattr(report, name) for name in report.__struct_fields__}
    return ValidationReport(**parts | {"checks": make_checks(report)})


def default_card(owner: str = "", retention_days: int | None = None) -> ModelCard:
    """The model card's texts where a bank has not written its own."""
    return ModelCard(
        intended=words("card.intended_text"),
        not_intended=words("card.not_intended_text"),
        human_review=words("card.human_review_text"),
        owner=owner,
        retention_days=retention_days,
        monitoring=words("card.monitoring_text"),
    )


def _sample(evidence: Evidence) -> Sample:
    label, train, k_min = evidence.label, evidence.train, evidence.identification.k_min
    cells = np.array([np.bincount(label[part], minlength=2) for part in (train, ~train)])
    shown = bool((cells >= k_min).all())

    def count(goods: int, bads: int) -> Count:
        rows = goods + bads
        if not shown:
            return Count(rows=rows, goods=None, bads=None, bad_rate=None)
        return Count(rows=rows, goods=goods, bads=bads, bad_rate=rounded(bads / rows))

    return Sample(
        target=evidence.target,
        window=evidence.window,
        funnel=evidence.funnel,
        train=count(*cells[0].tolist()),
        held_out=count(*cells[1].tolist()),
        test_share=evidence.test_share,
        seed=evidence.seed,
    )


def strength_of(iv: float) -> str:
    """What an information value says: none, weak, medium, strong or suspicious."""
    return next((name for limit, name in _IV_STRENGTHS if iv < limit), "suspicious")


def _field(item: FieldEvidence, k_min: int) -> Field:
    counts = np.array([(part.goods, part.bads) for part in item.bins], dtype=np.int64).reshape(-1, 2)
    hidden = hidden_bins(counts, k_min) if len(counts) else np.empty(0, dtype=np.bool_)
    bins = tuple(
        Bin(
            label=part.label,
            rows=None if hide else part.goods + part.bads,
            goods=None if hide else part.goods,
            bads=None if hide else part.bads,
            bad_rate=None if hide else rounded(part.bads / (part.goods + part.bads)),
            woe=None if hide else rounded(part.woe),  # of two hidden bins, it would tell the counts
            points=part.points,
        )
        for part, hide in zip(item.bins, hidden.tolist(), strict=True)
    )
    return Field(
        party=item.party,
        name=item.name,
        number=item.number,
        iv=rounded(item.iv),
        strength=strength_of(item.iv),
        n_bins=item.n_bins,
        trend=item.trend,
        is_monotone=item.is_monotone,
        kept=item.kept,
        reason=item.reason,
        bins=bins,
    )


def _stability(evidence: Evidence, tables: ScoreTables) -> tuple[Comparison, ...]:
    if not tables.is_useful or not evidence.train.any():
        return ()
    train = evidence.train
    fields = {}
    for name, codes in sorted(evidence.codes.items()):
        length = int(codes.max()) + 1
        fields[name] = tuple(np.bincount(codes[part], minlength=length) for part in (train, ~train))
    return (
        compare(
            words("stability.train"),
            words("stability.held_out"),
            [band.name for band in tables.bands()],
            tables.band_rows(),
            fields,
            evidence.identification.k_min,
        ),
    )


def _fairness(evidence: Evidence, tables: ScoreTables) -> Fairness | None:
    if not evidence.demographics or not tables.is_useful:
        return None
    test, cut = ~evidence.train, tables.cut(evidence.approval)
    approved = tables.approved(cut)[test]
    attributes = []
    for key, given in evidence.demographics.items():
        places, names = given.places[test], given.names
        if (places < 0).any():
            places, names = np.where(places < 0, len(names), places), (*names, "unknown")
        groups, reference = group_outcomes(
            names, places, evidence.label[test], approved, tables.risk[test], evidence.identification.k_min
        )
        attributes.append(
            Attribute(
                key=key,
                reference=reference,
                groups=tuple(
                    FairGroup(
                        name=group.name,
                        rows=group.rows,
                        approval=maybe(group.approval),
                        bad_rate=maybe(group.bad_rate),
                        good_approval=maybe(group.good_approval),
                        auc=maybe(group.auc),
                        impact_ratio=maybe(group.impact_ratio),
                        opportunity=maybe(group.opportunity),
                        four_fifths=None if group.impact_ratio is None else group.impact_ratio >= FOUR_FIFTHS,
                    )
                    for group in groups
                ),
            )
        )
    return Fairness(
        cut=tables.shown_edge(cut), approval=rounded(float(approved.mean())), attributes=tuple(attributes)
    )


def _reasons(evidence: Evidence) -> tuple[Reason, ...]:
    test, k_min = ~evidence.train, evidence.identification.k_min
    found = []
    for code, (said, hit) in evidence.reasons.items():
        rows = int(hit[test].sum())
        hidden = min(rows, int(test.sum()) - rows) < k_min  # "all but three" tells about the three
        share = None if hidden else rounded(rows / int(test.sum()))
        found.append(Reason(code=code, text=said, rows=None if hidden else rows, share=share))
    return tuple(sorted(found, key=lambda reason: (-(reason.rows or 0), reason.code)))


def _disclosed(evidence: Evidence) -> Disclosed | None:
    if not evidence.learnt and not evidence.traffic:
        return None
    return Disclosed(
        learnt=evidence.learnt,
        traffic=evidence.traffic,
        undeclared=evidence.undeclared,
        stages=evidence.stages,
    )


def _limits(evidence: Evidence, tables: ScoreTables) -> Sequence[Words]:
    found = [words("limit.small_cells", k_min=evidence.identification.k_min), words("limit.rejects")]
    if tables.grid is not None:
        found.append(words("limit.one_grid"))
    else:
        found.append(words("limit.too_few", k_min=evidence.identification.k_min))
    if evidence.identification.partners:
        found.append(words("limit.partner_fields"))
    if not evidence.periods:
        found.append(words("limit.one_period"))
    if evidence.demographics:
        found.append(words("limit.fairness"))
    return found
