"""How well scores rank outcomes: the area under the ROC curve and the Kolmogorov-Smirnov distance.

Both equal scikit-learn's (`roc_auc_score`; the largest `tpr - fpr` of `roc_curve`), and both need the labels,
so only the label holder computes them. Use held-out rows: a figure measured on training rows says little.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]


def auc(labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties counted half.

    labels: (n,) of 0 and 1; scores: (n,), finite. Mann-Whitney's U from average ranks
    (Hanley and McNeil 1982). Raises `ConfigInvalid` when one of the classes is absent.
    """
    positive, order = _checked(labels, scores)
    _, group, sizes = np.unique(order, return_inverse=True, return_counts=True)
    average_rank = np.cumsum(sizes) - (sizes - 1) / 2
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    rank_sum = float(average_rank[group][positive].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def ks(labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]) -> float:
    """Largest distance between the score distributions of the two classes, in [0, 1].

    labels: (n,) of 0 and 1; scores: (n,), finite. Raises `ConfigInvalid` when one of the classes is absent.
    """
    positive, values = _checked(labels, scores)
    order = np.argsort(values, kind="stable")
    last_of_tie = np.append(np.diff(values[order]) > 0, True)
    share_positive = np.cumsum(positive[order])[last_of_tie] / positive.sum()
    share_negative = np.cumsum(~positive[order])[last_of_tie] / (~positive).sum()
    return float(np.abs(share_positive - share_negative).max())


def _checked(
    labels: np.ndarray[Any, Any], scores: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], Floats]:
    positive = np.asarray(labels) == 1
    values = np.asarray(scores, dtype=np.float64)
    if positive.shape != values.shape or positive.ndim != 1:
        raise ConfigInvalid("metrics_shape", labels=positive.shape, scores=values.shape)
    if not np.isfinite(values).all():
        raise ConfigInvalid("metrics_not_finite")
    if positive.all() or not positive.any():
        raise ConfigInvalid("metrics_one_class")
    return positive, values
