"""The predictors of a finished scorecard: own fields by bin with points, partners' by their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from clients.context import StageContext
from clients.tables import FieldSpec
from clients.validation.evidence import BinEvidence, FieldEvidence, words
from clients.validation.record import Words
from federation.woe import FieldBins, FoundTrend
from federation.woe_selection import Dropped

_OF_BAD_RATE: Final[dict[FoundTrend, str]] = {
    "ascending": "descending",
    "descending": "ascending",
    "flat": "",
    "none": "none",
}
"""A high WOE is a low rate of bads."""
MISSING: Final = "NA"


def own_fields(context: StageContext) -> Iterator[FieldEvidence]:
    """The label holder's binned fields, with points where the model has them."""
    kept, specs = context.kept, {item.name: item for item in context.home.settings.table.fields}
    binning = kept.bins.binning
    points: dict[str, tuple[float, ...]] = dict(
        zip(kept.scorecard.binning.fields, kept.scorecard.table, strict=True)
    )
    dropped = {
        item.field: item.dropped for item in kept.selection.verdicts if item.party == context.plan.name
    }
    for name, field in zip(binning.fields, binning.bins, strict=True):
        yield FieldEvidence(
            party=context.plan.name,
            name=name,
            iv=field.iv,
            n_bins=len(field.woe),
            trend=_OF_BAD_RATE[field.trend],
            is_monotone=field.monotone,
            kept=dropped[name] is None,
            reason=_reason(dropped[name]),
            bins=tuple(_bins(field, points.get(name), specs[name])),
        )


def partners_fields(context: StageContext) -> Iterator[FieldEvidence]:
    """The partners' fields as the label holder knows them: a number, counts by bin in no order."""
    kept = context.kept
    dropped = {(item.party, item.number): item.dropped for item in kept.selection.verdicts if not item.field}
    for party, fields in kept.bins.partners.items():
        for field in sorted(fields, key=lambda item: -item.iv):
            why = dropped[party, field.number]
            yield FieldEvidence(
                party=party,
                name="",
                number=field.number,
                iv=field.iv,
                n_bins=field.n_bins,
                is_monotone=field.monotone,
                kept=why is None,
                reason=_reason(why),
            )


def _reason(dropped: Dropped | None) -> Words | None:
    match dropped:
        case Dropped.IV:
            return words("dropped.iv")
        case Dropped.CORRELATION:
            return words("dropped.correlation")
        case Dropped.VIF:
            return words("dropped.vif")
        case Dropped.STABILITY:
            return words("dropped.stability")
    return None


def _bins(field: FieldBins, points: tuple[float, ...] | None, spec: FieldSpec) -> Iterator[BinEvidence]:
    for place, label in enumerate(bin_labels(field, spec)):
        yield BinEvidence(
            label=label,
            goods=field.goods[place],
            bads=field.bads[place],
            woe=field.woe[place],
            points=None if points is None else points[place],
        )


def bin_labels(field: FieldBins, spec: FieldSpec) -> tuple[str, ...]:
    """What each final bin holds, in the field's own unit: a range, special values, `MISSING`, or several of them."""
    parts: list[list[str]] = [[] for _ in field.woe]
    n_ordinary = len(field.edges) + 1
    for place, code in enumerate(field.final[1 : n_ordinary + 1]):
        low = None if place == 0 else _shown(field.edges[place - 1], spec)
        high = None if place == n_ordinary - 1 else _shown(field.edges[place], spec)
        parts[code].append(_range(low, high))
    for value, code in zip(field.special, field.final[n_ordinary + 1 :], strict=True):
        parts[code].append(f"= {_shown(value, spec)}")
    parts[field.final[0]].append(MISSING)
    return tuple(", ".join(part) for part in parts)


def _range(low: str | None, high: str | None) -> str:
    if low is None:
        return "–" if high is None else f"≤ {high}"
    return f"> {low}" if high is None else f"{low} – {high}"


def _shown(value: float, spec: FieldSpec) -> str:
    return f"{np.expm1(value) if spec.transform == 'log1p' else value:.6g}"
