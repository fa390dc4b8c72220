"""How well a score ranks, fits and lasts: pure functions of labels and risks, without any hiding of small cells.

`labels` are 0 (good) and 1 (bad), `risk` is any score whose higher values are worse (a probability of default, or
points with the sign turned). What may be shown of all this is decided in `clients.validation.groups`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np

from federation import metrics
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int8]]
Counts = np.ndarray[Any, np.dtype[np.int64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

CONFIDENCE: Final = 0.95
"""Of every interval in the report."""
_NORMAL: Final = NormalDist()
PSI_FLOOR: Final = 1e-4
"""A share of nobody counts as this much, so that one empty bin does not make an infinite index."""
PSI_WATCH: Final = 0.10
PSI_SHIFT: Final = 0.25
"""Below the first: no change worth a look; from the second on: a shift (Siddiqi 2006, chapter 9)."""
_NEWTON_STEPS: Final = 100
_NEWTON_TOLERANCE: Final = 1e-10
_PROBABILITY_FLOOR: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its `CONFIDENCE` interval."""

    value: float
    low: float
    high: float


def auc_interval(labels: Labels, risk: Floats) -> Interval:
    """AUC with DeLong's interval (DeLong et al. 1988, section 2; midranks as in Sun and Xu 2014, algorithm 2).

    The normal interval, cut to [0, 1]. Raises `ConfigInvalid` when a class has fewer than two rows.
    """
    (area,), covariance = _delong(labels, risk[None, :])
    reach = _NORMAL.inv_cdf(0.5 + CONFIDENCE / 2) * float(np.sqrt(max(covariance[0, 0], 0.0)))
    return Interval(float(area), max(float(area) - reach, 0.0), min(float(area) + reach, 1.0))


def auc_difference(labels: Labels, risk: Floats, baseline: Floats) -> tuple[Interval, float]:
    """(AUC of `risk` minus AUC of `baseline` on the same rows with its interval, two-sided p-value).

    DeLong's test for correlated curves (DeLong et al. 1988, section 3). Where both rank alike the p-value is 1.
    """
    areas, covariance = _delong(labels, np.stack([risk, baseline]))
    difference = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    deviation = float(np.sqrt(max(variance, 0.0)))
    reach = _NORMAL.inv_cdf(0.5 + CONFIDENCE / 2) * deviation
    alike = 1.0 if difference == 0 else 0.0
    p_value = 2 * _NORMAL.cdf(-abs(difference) / deviation) if deviation > 0 else alike
    return Interval(difference, max(difference - reach, -1.0), min(difference + reach, 1.0)), p_value


def _delong(labels: Labels, risks: Floats) -> tuple[Floats, Floats]:
    """(AUCs (m,), their covariance (m, m)) of m risks (m, n) on the same rows."""
    bad = np.asarray(labels) == 1
    n_bad, n_good = int(bad.sum()), int((~bad).sum())
    if min(n_bad, n_good) < 2:
        raise ConfigInvalid("metrics_one_class")
    of_bad, of_good = np.empty((len(risks), n_bad)), np.empty((len(risks), n_good))
    for row, risk in enumerate(risks):
        everywhere = _midranks(risk)
        of_bad[row] = (everywhere[bad] - _midranks(risk[bad])) / n_good
        of_good[row] = 1 - (everywhere[~bad] - _midranks(risk[~bad])) / n_bad
    covariance = np.atleast_2d(np.cov(of_bad)) / n_bad + np.atleast_2d(np.cov(of_good)) / n_good
    return of_bad.mean(axis=1), covariance


def _midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their average: (n,)."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    average: Floats = (np.cumsum(sizes) - (sizes - 1) / 2).astype(np.float64)
    return average[group]


def gini(labels: Labels, risk: Floats) -> float:
    """2 AUC - 1, also called the accuracy ratio: in [-1, 1]."""
    return 2 * metrics.auc(labels, risk) - 1


def ks_cut(labels: Labels, risk: Floats) -> tuple[float, float]:
    """(KS, the risk up to which rows lie on the better side where it is reached; the lowest of several)."""
    best = metrics.ks(labels, risk)
    values, group = np.unique(np.asarray(risk, dtype=np.float64), return_inverse=True)
    bad = np.bincount(group, weights=labels, minlength=len(values))
    good = np.bincount(group, minlength=len(values)) - bad
    distance = np.abs(np.cumsum(bad) / bad.sum() - np.cumsum(good) / good.sum())
    return best, float(values[int(np.argmax(distance >= best - 1e-12))])


def roc_of_groups(counts: Counts) -> list[tuple[float, float, float]]:
    """Shares of (people, goods, bads) declined where whole groups are, the worst first.

    The last two are the false and the true positive rate of the ROC curve.

    counts: (g, 2) of goods and bads, groups from best to worst. From (0, 0) to (1, 1): g + 1 points. With one group
    per distinct risk it is the whole curve.
    """
    columns = np.column_stack([counts.sum(axis=1), counts])
    shares = np.cumsum(columns[::-1], axis=0) / columns.sum(axis=0)
    return [(0.0, 0.0, 0.0), *((float(people), float(good), float(bad)) for people, good, bad in shares)]


def stability_index(expected: Counts, actual: Counts) -> float:
    """Population stability index of two counts over the same bins (b,): sum of (a - e) ln(a / e) over shares.

    Also the characteristic stability index when the bins are those of a field (Siddiqi 2006, chapter 9).
    Raises `ConfigInvalid` when one of them is empty or the bins differ.
    """
    if expected.shape != actual.shape or not expected.sum() or not actual.sum():
        raise ConfigInvalid("metrics_shape", labels=expected.shape, scores=actual.shape)
    e = np.maximum(expected / expected.sum(), PSI_FLOOR)
    a = np.maximum(actual / actual.sum(), PSI_FLOOR)
    return float(((a - e) * np.log(a / e)).sum())


def brier(labels: Labels, probability: Floats) -> float:
    """Mean squared difference of probability and outcome (Brier 1950): 0 is perfect."""
    return float(np.mean((probability - labels) ** 2))


def calibration_line(labels: Labels, probability: Floats) -> tuple[float, float]:
    """(slope, intercept) of a logistic regression of the label on the score's log-odds (Cox 1958).

    Slope 1 and intercept 0 are perfect; a slope under 1 says that the scores are spread too far. Both are NaN where
    the fit does not exist: one class, log-odds that are all alike, or classes that they separate.
    """
    odds = logit(probability)
    nowhere = (float("nan"), float("nan"))
    if labels.min() == labels.max() or float(np.ptp(odds)) < _NEWTON_TOLERANCE:
        return nowhere
    design = np.column_stack([odds, np.ones_like(odds)])
    coefficients = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS):
        fitted = 1 / (1 + np.exp(-np.clip(design @ coefficients, -500, 500)))
        hessian = (design * (fitted * (1 - fitted))[:, None]).T @ design
        try:
            step = np.linalg.solve(hessian, design.T @ (labels - fitted))
        except np.linalg.LinAlgError:
            return nowhere
        # Newton from far away may overshoot; a bounded step still converges, as the likelihood is concave.
        coefficients = coefficients + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        if float(np.abs(step).max()) < _NEWTON_TOLERANCE:
            return float(coefficients[0]), float(coefficients[1])
    return nowhere


def hosmer_lemeshow(rows: Counts, bads: Counts, predicted: Floats) -> tuple[float, float]:
    """(statistic, p-value) over g groups of held-out rows.

    rows, bads: (g,); predicted: (g,), mean probabilities. Chi-squared with g degrees of freedom, as the rows did not
    take part in the fit (Hosmer, Lemeshow and Sturdivant 2013, section 5.2.2; g - 2 would be for training rows).
    """
    from scipy.special import chdtrc  # here: no node needs it to start

    expected = rows * predicted
    variance = np.maximum(expected * (1 - predicted), _PROBABILITY_FLOOR)
    statistic = float(((bads - expected) ** 2 / variance).sum())
    return statistic, float(chdtrc(len(rows), statistic))


def logit(probability: Floats) -> Floats:
    """Log-odds, of probabilities kept away from 0 and 1: (n,)."""
    kept = np.clip(probability, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
    odds: Floats = np.log(kept / (1 - kept))
    return odds
