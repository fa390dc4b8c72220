"""The tables about one score, all on one grid: bands, cut-offs, swap sets, lift, curves and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from clients.validation import measures
from clients.validation.evidence import BandPlan, Evidence
from clients.validation.groups import (
    BAND_GROUPS,
    Grid,
    Swap,
    coarser,
    cut_near,
    joined,
    make_grid,
    swap_sets,
)
from clients.validation.measures import Counts, Floats, Mask
from clients.validation.record import (
    Band,
    Calibration,
    CalibrationGroup,
    CurvePoint,
    CutOff,
    LiftRow,
    SwapCell,
    SwapSet,
)

SWAP_APPROVALS: Final = (0.6, 0.7, 0.8)
"""Shares of approvals at which the two models are compared, as nearly as the grid allows."""
_EDGE_DECIMALS: Final = 4
_SHARE_DECIMALS: Final = 4
_KINDS: Final = (("both", 1, 1), ("in", 1, 0), ("out", 0, 1), ("neither", 0, 0))


@dataclass(frozen=True, slots=True)
class ScoreTables:
    """evidence, and under its scores: risk (n,), grid (None: too few people for any), counts (g, 2) held out."""

    evidence: Evidence
    risk: Floats
    grid: Grid | None
    counts: Counts

    @classmethod
    def of(cls, evidence: Evidence) -> ScoreTables:
        risk = evidence.joint if evidence.points is None else -evidence.points.astype(np.float64)
        risk = np.asarray(risk, dtype=np.float64)
        wanted = () if evidence.bands is None else _as_risk(evidence.bands, evidence.points is not None)
        grid = make_grid(risk, evidence.label, evidence.train, evidence.identification.k_min, wanted)
        test = ~evidence.train
        empty = np.empty((0, 2), dtype=np.int64)
        return cls(
            evidence, risk, grid, empty if grid is None else grid.counts(risk[test], evidence.label[test])
        )

    @property
    def is_useful(self) -> bool:
        """Whether there are at least two groups to compare."""
        return len(self.counts) > 1

    @property
    def rows(self) -> Counts:
        """Held-out people per group: (g,)."""
        rows: Counts = self.counts.sum(axis=1)
        return rows

    def shown_edge(self, place: int) -> float:
        """The score at the worse end of the best `place` groups."""
        return self._shown(float(self._edges[place - 1]))

    @property
    def _edges(self) -> Floats:
        return np.empty(0) if self.grid is None else self.grid.edges

    def _shown(self, risk: float) -> float:
        return round(risk if self.evidence.points is None else -risk, _EDGE_DECIMALS)

    def cut(self, approval: float) -> int:
        """How many of the best groups make about this share of approvals."""
        return cut_near(self.rows, approval)

    def approved(self, cut: int) -> Mask:
        """Who is in the best `cut` groups: (n,)."""
        approved: Mask = self.risk <= self._edges[cut - 1]
        return approved

    def _band_ends(self) -> list[int]:
        if self.grid is not None and self.grid.outer:
            return list(self.grid.outer)
        return coarser(self.rows, BAND_GROUPS)

    def band_rows(self) -> tuple[Counts, Counts]:
        """People per band in (training, held-out) rows."""
        evidence = self.evidence
        if self.grid is None or not self.is_useful:
            nobody = np.empty(0, dtype=np.int64)
            return nobody, nobody
        train = self.grid.counts(self.risk[evidence.train], evidence.label[evidence.train]).sum(axis=1)
        ends = self._band_ends()
        return joined(train, ends), joined(self.rows, ends)

    def bands(self) -> tuple[Band, ...]:
        if not self.is_useful:
            return ()
        ends = self._band_ends()
        train, rows = self.band_rows()
        counts = joined(self.counts, ends)
        shares = np.cumsum(np.column_stack([rows, counts]), axis=0) / np.array(
            [rows.sum(), *counts.sum(axis=0)]
        )
        names = self._band_names(ends)
        found = []
        for place, end in enumerate(ends):
            better = self.shown_edge(ends[place - 1]) if place else None
            worse = self.shown_edge(end) if place + 1 < len(ends) else None
            low, high = (better, worse) if self.evidence.points is None else (worse, better)
            people, goods, bads = (_share(share) for share in shares[place])
            found.append(
                Band(
                    name=names[place],
                    low=low,
                    high=high,
                    train_rows=int(train[place]),
                    rows=int(rows[place]),
                    goods=int(counts[place, 0]),
                    bads=int(counts[place, 1]),
                    bad_rate=_share(counts[place, 1] / rows[place]),
                    cumulative_people=people,
                    cumulative_goods=goods,
                    cumulative_bads=bads,
                )
            )
        return tuple(found)

    def _band_names(self, ends: list[int]) -> list[str]:
        plan = self.evidence.bands
        if plan is None or self.grid is None or not self.grid.outer:
            return [str(place) for place in range(1, len(ends) + 1)]
        outer = [float(self._edges[end - 1]) for end in ends[:-1]]
        wanted = [*_as_risk(plan, self.evidence.points is not None), np.inf]
        into = np.searchsorted(np.array(outer), np.array(wanted) - 1e-9)
        grades = [
            [name for name, place in zip(plan.names, into, strict=True) if place == band]
            for band in range(len(ends))
        ]
        return ["–".join(dict.fromkeys((names[0], names[-1]))) for names in grades]

    def cut_offs(self) -> tuple[CutOff, ...]:
        """One row per cut of the grid, the strictest first."""
        if not self.is_useful:
            return ()
        goods, bads = self.counts.sum(axis=0).tolist()
        found = []
        for cut, (good, bad) in enumerate(np.cumsum(self.counts, axis=0)[:-1].tolist(), 1):
            approved, declined = good + bad, goods + bads - good - bad
            found.append(
                CutOff(
                    score=self.shown_edge(cut),
                    approval=_share(approved / (goods + bads)),
                    approved=approved,
                    bad_rate_approved=_share(bad / approved),
                    bad_rate_declined=_share((bads - bad) / declined),
                    bads_avoided=_share(1 - bad / bads),
                    goods_lost=_share(1 - good / goods),
                )
            )
        return tuple(found)

    def curve(self) -> tuple[CurvePoint, ...]:
        return _curve(self.counts)

    def lift(self) -> tuple[LiftRow, ...]:
        if not self.is_useful:
            return ()
        ends = coarser(self.rows[::-1], BAND_GROUPS)
        counts = np.cumsum(joined(self.counts[::-1], ends), axis=0)
        people, bads = counts.sum(axis=1) / counts[-1].sum(), counts[:, 1] / counts[-1, 1]
        return tuple(
            LiftRow(people=_share(share), bads=_share(caught), lift=_share(caught / share))
            for share, caught in zip(people, bads, strict=True)
        )

    def calibration(self) -> Calibration | None:
        if self.grid is None or not self.is_useful:
            return None
        test = ~self.evidence.train
        label, probability = self.evidence.label[test], self.evidence.joint[test]
        ends = coarser(self.rows, BAND_GROUPS)
        sums = np.bincount(self.grid.groups(self.risk[test]), weights=probability, minlength=len(self.grid))
        counts = joined(self.counts, ends)
        rows, bads = counts.sum(axis=1), counts[:, 1]
        predicted = joined(sums, ends) / rows
        statistic, p_value = measures.hosmer_lemeshow(rows, bads, predicted)
        slope, intercept = measures.calibration_line(label, probability)
        overall = float(label.mean())
        return Calibration(
            groups=tuple(
                CalibrationGroup(rows=int(n), predicted=_share(p), observed=_share(bad / n))
                for n, p, bad in zip(rows, predicted, bads, strict=True)
            ),
            predicted=_share(probability.mean()),
            observed=_share(overall),
            slope=round(slope, 4) if np.isfinite(slope) else None,
            intercept=round(intercept, 4) if np.isfinite(intercept) else None,
            brier=round(measures.brier(label, probability), 5),
            brier_reference=round(overall * (1 - overall), 5),
            hosmer_lemeshow=round(statistic, 3),
            degrees=len(rows),
            p_value=round(p_value, 6),
        )

    def swap_sets(self) -> tuple[SwapSet, ...]:
        found = self._swaps()
        return tuple(_swap_set(swap, int(self.rows.sum())) for swap in found)

    def curve_alone(self) -> tuple[CurvePoint, ...]:
        grid, test = self._alone_grid()[0], ~self.evidence.train
        if grid is None or self.evidence.alone is None:
            return ()
        return _curve(grid.counts(self.evidence.alone[test], self.evidence.label[test]))

    def _alone_grid(self) -> tuple[Grid | None, list[tuple[int, float]]]:
        """(the grid of the label holder's own score, per cut of ours its score at the same share of approvals)."""
        evidence, test = self.evidence, ~self.evidence.train
        if evidence.alone is None or not self.is_useful:
            return None, []
        risk = evidence.alone
        values = np.unique(np.round(risk[test], _EDGE_DECIMALS))
        approved = np.searchsorted(np.sort(risk[test]), values, side="right")
        reached = np.cumsum(self.rows)
        cuts = sorted({self.cut(approval) for approval in SWAP_APPROVALS})
        same = [(cut, float(values[np.argmin(np.abs(approved - reached[cut - 1]))])) for cut in cuts]
        grid = make_grid(
            risk, evidence.label, evidence.train, evidence.identification.k_min, [edge for _, edge in same]
        )
        return grid, [] if grid is None else [(cut, edge) for cut, edge in same if grid.is_edge(edge)]

    def _swaps(self) -> list[Swap]:
        evidence, test = self.evidence, ~self.evidence.train
        _, cuts = self._alone_grid()
        if evidence.alone is None:
            return []
        pairs = [(self.approved(cut)[test], (evidence.alone <= edge)[test]) for cut, edge in cuts]
        return swap_sets(evidence.label[test], pairs, evidence.identification.k_min)


def _as_risk(plan: BandPlan, higher_is_better: bool) -> tuple[float, ...]:
    return tuple(round(-edge if higher_is_better else edge, _EDGE_DECIMALS) for edge in plan.edges)


def _curve(counts: Counts) -> tuple[CurvePoint, ...]:
    if len(counts) < 2:
        return ()
    return tuple(
        CurvePoint(people=_share(people), goods=_share(goods), bads=_share(bads))
        for people, goods, bads in measures.roc_of_groups(counts)
    )


def _swap_set(swap: Swap, n_rows: int) -> SwapSet:
    cells = []
    for kind, joint, alone in _KINDS:
        rows = None if swap.rows is None else int(swap.rows[joint, alone])
        bads = None if swap.cells is None else int(swap.cells[joint, alone, 1])
        rate = None if rows is None or bads is None else _share(bads / rows)
        cells.append(SwapCell(kind=kind, rows=rows, bads=bads, bad_rate=rate))
    return SwapSet(
        approval_joint=_share(swap.joint.sum() / n_rows),
        approval_alone=_share(swap.alone.sum() / n_rows),
        bad_rate_joint=_share(swap.joint[1] / swap.joint.sum()),
        bad_rate_alone=_share(swap.alone[1] / swap.alone.sum()),
        cells=tuple(cells),
    )


def _share(value: float) -> float:
    return round(float(value), _SHARE_DECIMALS) + 0.0
