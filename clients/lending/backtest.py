"""What a score would have done: who is approved at a fixed share, and how bad they turned out to be.

Every function takes outcomes of people who were *not* used for training; on training rows all figures flatter.
Approved at share s is whose risk lies strictly below the s-quantile of all risks (numpy's, linear): people of one score
are never told apart, so where many share the score at the cut, fewer are approved; figures give the real share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
import numpy as np

from federation import metrics
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Labels = np.ndarray[Any, Any]
RESAMPLES: Final = 400
INTERVAL: Final = (2.5, 97.5)
"""Percentiles of the bootstrap distribution (Efron 1979)."""
FAST_LANE_BAD_RATE: Final = 0.02


class Figures(msgspec.Struct, frozen=True):
    """One score at one share. gain: balanced accuracy against the first score's, relative; bad_rate_interval: 95 %."""

    auc: float
    ks: float
    approved: float
    bad_rate: float
    bad_rate_interval: tuple[float, float]
    balanced_accuracy: float
    gain: float
    groups: dict[str, float]


def approved(risk: Floats, share: float) -> Mask:
    """(n,): who is approved when the `share` with the lowest (n,) risks is. Raises `ConfigInvalid`."""
    if not 0 < share < 1 or len(risk) < 2 or not np.isfinite(risk).all():
        raise ConfigInvalid("lending_approval")
    found: Mask = risk < np.quantile(risk, share)
    if not found.any():
        raise ConfigInvalid("lending_approval")
    return found


def bad_rate(label: Labels, chosen: Mask) -> float:
    """The share of 1s among the chosen."""
    return float(np.mean(label[chosen]))


def balanced_accuracy(label: Labels, chosen: Mask) -> float:
    """The mean of how many of the bad were declined and how many of the good approved, each as a share."""
    bad = label == 1
    return float((np.mean(~chosen[bad]) + np.mean(chosen[~bad])) / 2)


def approval_share(label: Labels, chosen: Mask, group: Mask) -> float:
    """The share of a group's good members who are approved; NaN for a group without any."""
    good = group & (label == 0)
    return float(np.mean(chosen[good])) if good.any() else float("nan")


def largest_share(label: Labels, risk: Floats, most_bad: float = FAST_LANE_BAD_RATE) -> tuple[float, float]:
    """(share, cut): the largest share, lowest risks first, whose bad rate is at most `most_bad`; (0, -inf) for none.

    Everybody at or below the cut belongs to it. Choose the cut on other rows than those it is judged by.
    """
    _check(label, risk)
    order = np.argsort(risk, kind="stable")
    ordered = risk[order]
    last_of_tie = np.append(np.diff(ordered) > 0, True)
    rates = np.cumsum(label[order]) / np.arange(1, len(order) + 1)
    fitting = np.flatnonzero(last_of_tie & (rates <= most_bad))
    if not len(fitting):
        return 0.0, -np.inf
    return float((fitting[-1] + 1) / len(order)), float(ordered[fitting[-1]])


def backtest(
    label: Labels,
    risks: Mapping[str, Floats],
    share: float,
    groups: Mapping[str, Mask] | None = None,
    seed: int = 0,
) -> dict[str, Figures]:
    """Figures of several scores of the same people at one share; the first one is the baseline.

    label: (n,) of 0 and 1, 1 is bad; risks: (n,) each, more is worse; groups: (n,) each, whose good members' approval
    is told. Raises `ConfigInvalid`.
    """
    found: dict[str, Figures] = {}
    baseline = None
    for name, risk in risks.items():
        _check(label, risk)
        chosen = approved(risk, share)
        accuracy = balanced_accuracy(label, chosen)
        baseline = accuracy if baseline is None else baseline
        found[name] = Figures(
            auc=metrics.auc(label, risk),
            ks=metrics.ks(label, risk),
            approved=float(np.mean(chosen)),
            bad_rate=bad_rate(label, chosen),
            bad_rate_interval=_interval(label, risk, share, seed),
            balanced_accuracy=accuracy,
            gain=accuracy / baseline - 1,
            groups={key: approval_share(label, chosen, group) for key, group in (groups or {}).items()},
        )
    return found


def _interval(label: Labels, risk: Floats, share: float, seed: int) -> tuple[float, float]:
    """The bad rate's percentile interval over `RESAMPLES` resamples of the people, the cut chosen anew in each."""
    random = np.random.default_rng(seed)
    rates = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(label), len(label))
        chosen = risk[rows] < np.quantile(risk[rows], share)
        if chosen.any():
            rates.append(bad_rate(label[rows], chosen))
    low, high = np.percentile(rates, INTERVAL)
    return float(low), float(high)


def _check(label: Labels, risk: Floats) -> None:
    if label.shape != risk.shape or label.ndim != 1 or set(np.unique(label).tolist()) != {0, 1}:
        raise ConfigInvalid("lending_labels")
    if not np.isfinite(risk).all():
        raise ConfigInvalid("lending_approval")
