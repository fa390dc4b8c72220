"""Which binned fields to keep: by IV, correlation, variance inflation and stability. Pure NumPy, no parties.

Correlations are those of the fields' WOE, rounded to fixed point, from exact sums of integers: parties that each hold
some of the sums find the same matrix. NaN stands for a correlation that nobody knows (two partners' fields).

Rules, in this order: IV below `min_iv` (Siddiqi 2006, chapter 6: under 0.02 unpredictive); of two fields with |r|
above `max_correlation` the one with the lower IV, the fields gone through from the highest IV down; while a variance
inflation factor VIF_j = (R^-1)_jj (Marquardt 1970) is above `max_vif`, the field with the largest. Last, fields that
these rules keep in too few random halves of the rows (stability selection: Meinshausen and Buehlmann, JRSS B 72(4),
2010). A field's IV depends on the rows through its counts of goods and bads alone, so a random half is drawn from the
counts (multivariate hypergeometric): no row is needed, and a partner's unnamed field is treated like an own one. The
fields are halved each by itself and the correlations stay, so what is tested is whether IVs and their order hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from federation.binning import Codes, Integers
from federation.woe_merging import Floats
from privacy import fixed_point
from privacy.errors import ConfigInvalid

SINGULAR: Final = 1e-10
"""1 - R^2 below this is a field that the others determine: its VIF is infinite."""

MISSED: Final = 0.5
"""A count of zero stands as half a row, so that WOE and PSI stay finite."""


class Dropped(StrEnum):
    """Why a field was dropped."""

    IV = "iv"
    CORRELATION = "correlation"
    VIF = "vif"
    STABILITY = "stability"


@dataclass(frozen=True, slots=True)
class SelectionOptions:
    """The limits; every party must hold the same.

    runs: random halves (0: stability is not tested). min_stability: share of them in which a field must be kept.
    scale_bits: fraction bits of a WOE in correlations (10: to a thousandth).
    """

    min_iv: float = 0.02
    max_correlation: float = 0.7
    max_vif: float = 10.0
    runs: int = 100
    min_stability: float = 0.6
    seed: int = 20
    scale_bits: int = 10

    def __post_init__(self) -> None:
        ranges: dict[str, tuple[float, float]] = {
            "min_iv": (0.0, 10.0), "max_correlation": (0.0, 1.0), "max_vif": (1.0, 1e6), "runs": (0, 10_000),
            "min_stability": (0.0, 1.0), "seed": (0, 2**32 - 1), "scale_bits": (6, 12),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigInvalid("woe_option", name=name, low=low, high=high)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field: goods and bads per final bin, and whose it is (0: the label holder's; i: the i-th partner's)."""

    goods: tuple[int, ...]
    bads: tuple[int, ...]
    iv: float
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """dropped: why, or None for a field that is kept. stability: share of the random halves in which the other rules
    keep it (NaN when not tested). vif: among the fields that IV and correlation leave, NaN for the others."""

    dropped: Dropped | None
    stability: float
    vif: float


def select_fields(
    candidates: Sequence[Candidate], correlation: Floats, options: SelectionOptions
) -> tuple[Verdict, ...]:
    """What becomes of every field. correlation: (n, n), NaN where unknown, also for fields of too low an IV."""
    owners = np.array([item.owner for item in candidates], dtype=np.int64)
    ivs = np.array([item.iv for item in candidates], dtype=np.float64)
    dropped, vifs = _apply(ivs, owners, correlation, options)
    stability = np.full(len(candidates), np.nan)
    tested = [place for place, reason in enumerate(dropped) if reason is not Dropped.IV]
    if options.runs and tested:
        halves = np.array([_ivs_of_halves(candidates[place], options) for place in tested])
        part = correlation[np.ix_(tested, tested)]
        kept = np.zeros(len(tested))
        for run in range(options.runs):
            reasons, _ = _apply(halves[:, run], owners[tested], part, options)
            kept += [reason is None for reason in reasons]
        stability[tested] = kept / options.runs
    for place in tested:
        if dropped[place] is None and stability[place] < options.min_stability:
            dropped[place] = Dropped.STABILITY
    return tuple(Verdict(*item) for item in zip(dropped, stability.tolist(), vifs.tolist(), strict=True))


def _apply(
    ivs: Floats, owners: Integers, correlation: Floats, options: SelectionOptions
) -> tuple[list[Dropped | None], Floats]:
    """The rules without stability: reasons, and VIFs among the fields that are left after IV and correlation."""
    dropped: list[Dropped | None] = [Dropped.IV if iv < options.min_iv else None for iv in ivs.tolist()]
    kept: list[int] = []
    for place in np.argsort(-ivs, kind="stable").tolist():
        if dropped[place] is None:
            # An unknown correlation is NaN, which is not above anything.
            if (np.abs(correlation[place, kept]) > options.max_correlation).any():
                dropped[place] = Dropped.CORRELATION
            else:
                kept.append(place)
    vifs = np.full(len(ivs), np.nan)
    left = np.sort(np.array(kept, dtype=np.int64))
    vifs[left] = current = vif_of(correlation[np.ix_(left, left)], owners[left])
    while len(left) and current.max() > options.max_vif:
        # Of equally inflated fields the one with the lowest IV, then the last.
        worst = np.lexsort((-left, ivs[left], -current))[0]
        dropped[int(left[worst])] = Dropped.VIF
        left = np.delete(left, worst)
        current = vif_of(correlation[np.ix_(left, left)], owners[left])
    return dropped, vifs


def _ivs_of_halves(candidate: Candidate, options: SelectionOptions) -> Floats:
    """The field's IV in random halves of the rows, (runs,).

    The draw depends on the seed and the counts alone: neither on a field's place nor on the order of its bins.
    """
    counts = np.array(sorted(zip(candidate.goods, candidate.bads, strict=True)), dtype=np.int64)
    rng = np.random.default_rng([options.seed, *counts.ravel().tolist()])
    half = int(counts.sum()) // 2
    drawn = rng.multivariate_hypergeometric(counts.ravel(), half, size=options.runs, method="marginals")
    cells = np.where(drawn, drawn, MISSED).reshape(options.runs, -1, 2)
    shares = cells / cells.sum(axis=1, keepdims=True)
    goods, bads = shares[..., 0], shares[..., 1]
    ivs: Floats = ((goods - bads) * np.log(goods / bads)).sum(axis=1)
    return ivs


def woe_integers(woe: Sequence[float], options: SelectionOptions) -> Integers:
    """WOE per final bin in units of 2^-scale_bits."""
    return fixed_point.encode(woe, options.scale_bits)


def moments_of(codes: Codes, woe: Sequence[Integers]) -> Integers:
    """sum over the rows of the product of two fields' WOE, (n_fields, n_fields). codes: (n_rows, n_fields) final codes;
    woe: per field, integers by code."""
    columns = np.empty(codes.shape, dtype=np.int64)
    for place, of_code in enumerate(woe):
        columns[:, place] = of_code[codes[:, place]]
    moments: Integers = columns.T @ columns
    return moments


def centred(moments: Sequence[Sequence[int]], sums: Sequence[int], n_rows: int) -> list[list[int]]:
    """n_rows^2 times the covariances, exactly. moments: sums of products, square; sums: of each field."""
    pairs = zip(moments, sums, strict=True)
    return [
        [n_rows * moment - one * other for moment, other in zip(row, sums, strict=True)] for row, one in pairs
    ]


def correlation_of(covariances: Sequence[Sequence[int]]) -> Floats:
    """Correlations from `centred`; of a constant field 0 with all others."""
    spread = np.sqrt(np.array([float(row[place]) for place, row in enumerate(covariances)]))
    scale = np.where(spread > 0, spread, 1.0)
    floats = np.array(covariances, dtype=np.float64).reshape(len(spread), len(spread))
    correlation: Floats = floats / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return correlation


def vif_of(correlation: Floats, owners: Integers) -> Floats:
    """Variance inflation factors, (n,); infinite for a field that others determine.

    Where the correlations of two partners are unknown, a field's is the largest among its blocks: the label holder's
    fields with each single partner's.
    """
    vifs = np.ones(len(owners))
    for partner in sorted({1, *owners.tolist()} - {0}):
        places = np.flatnonzero((owners == 0) | (owners == partner))
        block = correlation[np.ix_(places, places)]
        vifs[places] = np.maximum(vifs[places], _vif_of_block(block))
    return vifs


def _vif_of_block(correlation: Floats) -> Floats:
    """(R^-1)_jj = 1 / (1 - R_j^2)."""
    n = len(correlation)
    if n and np.linalg.eigvalsh(correlation)[0] > SINGULAR:
        return np.diag(np.linalg.inv(correlation)).copy()
    vifs = np.ones(n)
    for place in range(n):
        others = np.delete(np.arange(n), place)
        row = correlation[place, others]
        unexplained = 1 - row @ np.linalg.pinv(correlation[np.ix_(others, others)], hermitian=True) @ row
        vifs[place] = 1 / unexplained if unexplained > SINGULAR else np.inf
    return vifs


def stability_index(before: Sequence[int], after: Sequence[int]) -> float:
    """Population stability index of one field's bins between two samples: sum of (a - b) ln(a / b) over the bins'
    shares b and a (Siddiqi 2006, chapter 9; 0.1 and 0.25 are the usual bounds). before, after: rows per bin."""
    first, second = (np.where(np.array(rows) > 0, rows, MISSED) for rows in (before, after))
    first, second = first / first.sum(), second / second.sum()
    return float(((second - first) * np.log(second / first)).sum())


def bin_stability(before: Codes, after: Codes, n_codes: Sequence[int]) -> tuple[float, ...]:
    """`stability_index` per field, from final codes (n_rows, n_fields) of two samples."""
    return tuple(
        stability_index(
            np.bincount(before[:, place], minlength=size).tolist(),
            np.bincount(after[:, place], minlength=size).tolist(),
        )
        for place, size in enumerate(n_codes)
    )
