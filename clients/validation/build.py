"""From evidence to the validation report: computes every figure, hides what is too small, rounds.

Rounding is part of hiding (`clients.releases.quality_decimals`) and makes the record readable; the page shows these
numbers, perhaps shorter, and computes none of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from clients.releases import quality_decimals
from clients.validation import measures
from clients.validation.checks import make_checks
from clients.validation.evidence import Evidence, FieldEvidence, words
from clients.validation.fairness import FOUR_FIFTHS, group_outcomes
from clients.validation.groups import hidden_bins
from clients.validation.measures import Counts, Floats
from clients.validation.record import (
    Attribute,
    Bin,
    Comparison,
    Count,
    Disclosed,
    FairGroup,
    Fairness,
    Field,
    Gain,
    ModelCard,
    ModelQuality,
    Performance,
    Quality,
    Reason,
    Sample,
    Shift,
    ValidationReport,
    Words,
)
from clients.validation.tables import ScoreTables
from federation import metrics
from privacy.errors import CohortTooSmall

DECIMALS: Final = 4
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
        performance=_performance(evidence, tables),
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


def _performance(evidence: Evidence, tables: ScoreTables) -> Performance:
    test = ~evidence.train
    joint = _model_quality(evidence, tables.risk, is_joint=True)
    alone = None if evidence.alone is None else _model_quality(evidence, evidence.alone, is_joint=False)
    gain = None
    if evidence.alone is not None and _is_large(evidence, test):
        difference, p_value = measures.auc_difference(
            evidence.label[test], tables.risk[test], evidence.alone[test]
        )
        gain = Gain(
            auc=rounded(difference.value),
            low=rounded(difference.low),
            high=rounded(difference.high),
            p_value=rounded(p_value, 6),
        )
    pooled_auc, pooled_ks = evidence.pooled or (None, None)
    return Performance(
        confidence=measures.CONFIDENCE,
        joint=joint,
        alone=alone,
        gain=gain,
        curve_joint=tables.curve(),
        curve_alone=tables.curve_alone(),
        lift=tables.lift(),
        pooled_auc=None if pooled_auc is None else rounded(pooled_auc),
        pooled_ks=None if pooled_ks is None else rounded(pooled_ks),
    )


def _model_quality(evidence: Evidence, risk: Floats, *, is_joint: bool) -> ModelQuality:
    def on(part: measures.Mask) -> Quality:
        label, decimals = (
            evidence.label[part],
            quality_decimals(evidence.label[part], evidence.identification.k_min),
        )
        ks, cut = measures.ks_cut(label, risk[part])
        area = metrics.auc(label, risk[part])
        interval = measures.auc_interval(label, risk[part]) if _is_large(evidence, part) else None
        shown_cut = -cut if is_joint and evidence.points is not None else cut
        return Quality(
            auc=rounded(area, decimals),
            auc_low=None if interval is None else rounded(interval.low, decimals),
            auc_high=None if interval is None else rounded(interval.high, decimals),
            gini=rounded(2 * area - 1, decimals),
            ks=rounded(ks, decimals),
            ks_cut=rounded(shown_cut, 3) if interval is not None else None,
        )

    train = evidence.train
    both = 0 < int(evidence.label[train].sum()) < int(train.sum())
    return ModelQuality(held_out=on(~train), train=on(train) if both else None)


def _is_large(evidence: Evidence, part: measures.Mask) -> bool:
    """Whether both classes are large enough for more than a coarse AUC."""
    return int(np.bincount(evidence.label[part], minlength=2).min()) >= evidence.identification.k_min


def _stability(evidence: Evidence, tables: ScoreTables) -> tuple[Comparison, ...]:
    if not tables.is_useful or not evidence.train.any():
        return ()
    expected, actual = tables.band_rows()
    fields = [
        _shift(name, *_code_counts(codes, evidence.train)) for name, codes in sorted(evidence.codes.items())
    ]
    score = _shift("", expected, actual)
    return (
        Comparison(
            expected=words("stability.train"),
            actual=words("stability.held_out"),
            bins=tuple(band.name for band in tables.bands()),
            score=Shift(
                name="",
                index=score.index,
                level=score.level,
                expected=tuple(rounded(share) for share in (expected / expected.sum()).tolist()),
                actual=tuple(rounded(share) for share in (actual / actual.sum()).tolist()),
            ),
            fields=tuple(fields),
        ),
    )


def _code_counts(codes: Counts, train: measures.Mask) -> tuple[Counts, Counts]:
    length = int(codes.max()) + 1
    return np.bincount(codes[train], minlength=length), np.bincount(codes[~train], minlength=length)


def _shift(name: str, expected: Counts, actual: Counts) -> Shift:
    index = measures.stability_index(expected, actual)
    levels = ((measures.PSI_WATCH, "stable"), (measures.PSI_SHIFT, "watch"))
    level = next((level for limit, level in levels if index < limit), "shift")
    return Shift(name=name, index=rounded(index), level=level)


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
                        approval=_maybe(group.approval),
                        bad_rate=_maybe(group.bad_rate),
                        good_approval=_maybe(group.good_approval),
                        auc=_maybe(group.auc),
                        impact_ratio=_maybe(group.impact_ratio),
                        opportunity=_maybe(group.opportunity),
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
    return Disclosed(learnt=evidence.learnt, traffic=evidence.traffic, undeclared=evidence.undeclared)


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


def _maybe(value: float | None) -> float | None:
    return None if value is None else rounded(value)


def rounded(value: float, decimals: int = DECIMALS) -> float:
    """Without a negative zero; NaN and infinity cannot be shown. Raises `ValueError` for them."""
    if not math.isfinite(value):
        raise ValueError("not finite")
    return round(float(value), decimals) + 0.0
