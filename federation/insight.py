"""Segment profiles: what each party says about the segments on its own columns.

Parties. Any data holder; the coordinator, which gathers the profiles for the report. Rounds: one message.
What each party learns. C: per segment its size, and per field of a party the mean, the number of values and
how they spread over the field's quartiles; nothing about fewer than `k_min` people. Data holders: nothing.
Source. Cell suppression and the dominance rule as in `privacy.small_cells`. A mean is hidden where it would say
what a hidden cell or a single row holds, and rounded where it would tell its hidden count.
Deviations. Quartile limits stay at the party. Means have at most `MEAN_DIGITS` significant digits. Against *repeated*
releases on nearly the same people suppression does not help: the caller decides whether a profile may be made
again.
Cost. One pass over the party's columns.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from federation.clusters import Floats, Integers
from federation.messages import Message
from federation.roles import Disclosure, Disclosures, View
from privacy.errors import SchemaMismatch
from privacy.small_cells import Counts, Mask, hidden_cells, hidden_means, hidden_totals

DISCLOSES: Final = Disclosures(
    protocol="insight",
    coordinator=(Disclosure("segment_profile", ("insight.segment_profile/1",)),),
)

MEAN_DIGITS: Final = 4
"""Significant digits of a released mean. An exact mean of whole numbers is a fraction that tells its denominator."""
_FINEST_STEPS: Final = 1_000_000.0
_GRID_TOLERANCE: Final = 0.01
_LARGEST_WHOLE: Final = 2.0**53
"""Values are looked for on grids down to a millionth, within what double precision can tell."""
_QUARTILES: Final = (0.25, 0.5, 0.75)


class FieldProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One field by segment, in the field's own units; None where it is hidden.

    counts: people with a value. means: of those, to `MEAN_DIGITS` significant digits.
    band_names: quartiles of the field over all segments, "q1" (lowest) to "q4"; quartiles with equal limits are
    one band ("q1-q2"); "missing" is the last when there are missing values.
    bands: people per segment and band.
    """

    field: str
    counts: tuple[int | None, ...]
    means: tuple[float | None, ...]
    band_names: tuple[str, ...]
    bands: tuple[tuple[int | None, ...], ...]


class SegmentProfile(Message, frozen=True, tag="insight.segment_profile/1"):
    """Party -> C, a release: sizes per segment (None where hidden) and one profile per own field."""

    sizes: tuple[int | None, ...]
    fields: tuple[FieldProfile, ...]


MESSAGES: Final = (SegmentProfile,)


def segment_profile(view: View, assignments: Integers, n_clusters: int, k_min: int) -> SegmentProfile:
    """Profile of the segments on one party's columns, small cells hidden.

    view: raw values (n, f), a missing value is NaN; assignments: (n,) in 0..n_clusters-1, same row order.
    Raises `SchemaMismatch` when the two do not fit.
    """
    if assignments.shape != (len(view),) or (
        len(view) and not 0 <= assignments.min() <= assignments.max() < n_clusters
    ):
        raise SchemaMismatch("insight_assignments")
    sizes = np.bincount(assignments, minlength=n_clusters)
    hidden_sizes = hidden_totals(sizes, k_min)
    profiles = [
        _field_profile(name, view.values[:, place], assignments, hidden_sizes, k_min)
        for place, name in enumerate(view.fields)
    ]
    return SegmentProfile(sizes=_shown(sizes, hidden_sizes), fields=tuple(profiles))


def _field_profile(
    name: str, column: Floats, assignments: Integers, hidden_sizes: Mask, k_min: int
) -> FieldProfile:
    names, band = _bands(column)
    n_clusters = len(hidden_sizes)
    cells = np.bincount(assignments * len(names) + band, minlength=n_clusters * len(names))
    table = cells.reshape(n_clusters, len(names))
    hidden = hidden_cells(table, k_min, hidden_sizes)
    present = ~np.isnan(column)
    counts = np.bincount(assignments[present], minlength=n_clusters)
    sums = np.bincount(assignments[present], weights=column[present], minlength=n_clusters)
    # With the segment's size the count tells the number of missing values, so it hides with that cell.
    hidden_counts = hidden_sizes | (counts < k_min)
    if "missing" in names:
        hidden_counts = hidden_counts | hidden[:, -1]
    masked = hidden_means(column[present], assignments[present], k_min, hidden_sizes | (counts < k_min))
    step = _resolution(column[present])
    return FieldProfile(
        field=name,
        counts=_shown(counts, hidden_counts),
        means=tuple(
            None if hide else _rounded(total / count, step / count if hide_count else 0.0)
            for total, count, hide, hide_count in zip(sums, counts, masked, hidden_counts, strict=True)
        ),
        band_names=names,
        bands=tuple(_shown(row, mask) for row, mask in zip(table, hidden, strict=True)),
    )


def _resolution(values: Floats) -> float:
    """The largest step of which all values are multiples (1 for most counts), 0.0 when they lie on no grid."""
    scaled = values * _FINEST_STEPS
    whole = np.rint(scaled)
    if (
        not len(values)
        or np.abs(scaled - whole).max() > _GRID_TOLERANCE
        or np.abs(whole).max() > _LARGEST_WHOLE
    ):
        return 0.0
    return float(np.gcd.reduce(whole.astype(np.int64))) / _FINEST_STEPS


def _rounded(mean: float, fraction: float) -> float:
    """The mean to `MEAN_DIGITS` digits, and where its count is hidden more coarsely still.

    fraction: step / count. Sums on a grid make means that are multiples of it, so an exact mean has few possible
    counts. Rounded to a unit of at least twice that, every count from half of this one up fits some sum.
    """
    mean = float(f"{mean:.{MEAN_DIGITS}g}")
    return mean if fraction == 0.0 else round(mean, -math.ceil(math.log10(2 * fraction)))


def _bands(column: Floats) -> tuple[tuple[str, ...], Integers]:
    """Names of the bands that hold somebody, and each row's band. A band ends with its quartile's limit."""
    missing = np.isnan(column)
    present = column[~missing]
    limits = np.quantile(present, _QUARTILES) if len(present) else np.zeros(0)
    ends = np.unique(limits)
    ends = ends[ends < present.max()] if len(present) else ends
    band = np.searchsorted(ends, column, side="left")
    last_quartiles = [*(int((limits <= end).sum()) for end in ends), len(_QUARTILES) + 1]
    names: list[str] = []
    first = 1
    for last in last_quartiles if len(present) else []:
        names.append(f"q{first}" if first == last else f"q{first}-q{last}")
        first = last + 1
    if missing.any():
        band[missing] = len(names)
        names.append("missing")
    return tuple(names), band


def _shown(counts: Counts, hidden: Mask) -> tuple[int | None, ...]:
    return tuple(None if hide else int(count) for count, hide in zip(counts, hidden, strict=True))
