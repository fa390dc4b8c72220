"""The report's own checks: a figure, a limit, and whether it is met. A validator may set other limits.

A limit says when somebody has to look, not whether a model may be used.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from clients.validation.fairness import FOUR_FIFTHS
from clients.validation.measures import PSI_WATCH
from clients.validation.record import Check, Outcome, ValidationReport

OVERFIT_LIMIT: Final = 0.03
"""AUC on training rows minus AUC on held-out rows. Ours: about the half-width of its interval on a few thousand."""
SLOPE_LIMITS: Final = (0.8, 1.25)
"""Of the calibration line. Ours: beyond them log-odds are off by a quarter."""
SIGNIFICANCE: Final = 0.05
"""A p-value under it speaks against the fit (Hosmer, Lemeshow and Sturdivant 2013, section 5.2)."""
OPPORTUNITY_LIMIT: Final = 0.1
"""Largest distance of approvals among the good. Ours: half of what the four-fifths rule allows at full approval."""

_Limits = tuple[float | None, float | None]


def make_checks(report: ValidationReport) -> tuple[Check, ...]:
    """Every check, also those without a figure."""
    return tuple(_check(*found) for found in _figures(report))


def _check(key: str, figure: float | None, limits: _Limits, strict: bool = False) -> Check:
    low, high = limits
    if figure is None:
        outcome = Outcome.NOT_ASSESSED
    else:
        over_low = low is None or (figure > low if strict else figure >= low)
        outcome = Outcome.MET if over_low and (high is None or figure <= high) else Outcome.ATTENTION
    return Check(key=key, figure=figure, low=low, high=high, outcome=outcome)


def _figures(
    report: ValidationReport,
) -> Iterator[tuple[str, float | None, _Limits] | tuple[str, float | None, _Limits, bool]]:
    quality = report.performance
    yield "gain", quality.gain.low if quality and quality.gain else None, (0.0, None), True
    train = quality.joint.train if quality else None
    gap = round(train.auc - quality.joint.held_out.auc, 4) if quality and train else None
    yield "overfit", gap, (None, OVERFIT_LIMIT)
    yield "rank_order", _inversions(report), (None, 0.0)
    line = report.calibration
    yield "slope", line.slope if line else None, SLOPE_LIMITS
    yield "hosmer_lemeshow", line.p_value if line else None, (SIGNIFICANCE, None)
    yield "score_stability", report.stability[0].score.index if report.stability else None, (None, PSI_WATCH)
    fields = [shift.index for shift in report.stability[0].fields] if report.stability else []
    yield "field_stability", max(fields, default=None), (None, PSI_WATCH)
    groups = (
        [group for item in report.fairness.attributes for group in item.groups] if report.fairness else []
    )
    ratios = [group.impact_ratio for group in groups if group.impact_ratio is not None]
    yield "four_fifths", min(ratios, default=None), (FOUR_FIFTHS, None)
    distances = [abs(group.opportunity) for group in groups if group.opportunity is not None]
    yield "opportunity", max(distances, default=None), (None, OPPORTUNITY_LIMIT)
    yield "undeclared", float(report.disclosed.undeclared) if report.disclosed else None, (None, 0.0)


def _inversions(report: ValidationReport) -> float | None:
    """How many bands have a lower bad rate than the better band beside them."""
    rates = [band.bad_rate for band in report.bands]
    if len(rates) < 2:
        return None
    return float(sum(worse < better for better, worse in pairwise(rates)))
