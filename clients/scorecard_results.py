"""What the label holder makes of points: probabilities, columns for its own people, figures for the report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from clients.context import StageContext
from clients.lending.scored import columns_of
from clients.plans import scorecard_plan
from clients.releases import held_out_rows, quality_decimals
from federation import metrics
from federation.points import PointScores
from federation.points_models import Calibration, LabelHolderScorecard
from federation.session import ScorecardRelease
from federation.trees import probabilities
from privacy.errors import ConfigInvalid

Floats = np.ndarray[Any, np.dtype[np.float64]]

_UNPENALISED: Final = 1e6
"""scikit-learn's C: two numbers from thousands of rows need no penalty."""


def calibrated(context: StageContext, scores: PointScores) -> Calibration:
    """Intercept and slope that make log-odds from points right on the training rows.

    Cox, "Two further applications of a model for binary regression", Biometrika 45 (1958). Raises `ConfigInvalid` when
    the partners have answered for too few training rows of both classes.
    """
    from sklearn.linear_model import LogisticRegression  # here: no node needs it to start

    train = context.kept.train_rows
    train = train[scores.answered[train]]
    # In the order of the file, so that the same people give the same sums to the last bit.
    train = train[np.argsort(context.file_rows(train), kind="stable")]
    label = context.aligned_label()[train]
    if len(train) < context.k_min or label.min(initial=1) == label.max(initial=0):
        raise ConfigInvalid("training_one_class")
    log_odds = context.kept.scorecard.scale.log_odds(scores.total[train])[:, None]
    fit = LogisticRegression(C=_UNPENALISED).fit(log_odds, label)
    return Calibration(float(fit.intercept_[0]), float(fit.coef_[0, 0]))


def probability_of(model: LabelHolderScorecard, scores: np.ndarray[Any, Any]) -> Floats:
    """The calibrated probability of the event for scores in points: (n,)."""
    calibration = model.calibration or Calibration()
    return probabilities(calibration.intercept + calibration.slope * model.scale.log_odds(scores))


def alone_log_odds(context: StageContext) -> Floats:
    """The baseline: a scorecard on the label holder's own fields; log-odds of the event of every matched row."""
    from sklearn.linear_model import LogisticRegression

    binning, train = context.kept.selection.binning, context.kept.train_rows
    columns = binning.woe_of(binning.transform(context.aligned(binning.fields).values))
    label = context.aligned_label()
    fit = LogisticRegression(C=1 / scorecard_plan(context.job).l2, max_iter=1000).fit(
        columns[train], label[train]
    )
    found: Floats = fit.decision_function(columns)
    return found


def scorecard_columns(
    context: StageContext, scores: PointScores, alone: Floats | None = None
) -> pd.DataFrame:
    """Points, reasons and probability per matched row; beside them the baseline's, where the job trained one.

    alone: the baseline's log-odds (`alone_log_odds`).
    """
    model, kept = context.kept.scorecard, context.kept
    found = columns_of(scores, model.binning.fields, context.home.settings.table.fields)
    found["pd"] = np.where(scores.answered, probability_of(model, scores.total), np.nan)
    if alone is not None:
        found["pd_alone"] = probabilities(alone)
        held_out = np.ones(len(found), dtype=np.bool_)
        held_out[kept.train_rows] = False
        found["held_out"] = held_out
    return found


def scorecard_release(context: StageContext, scores: PointScores, alone: Floats) -> ScorecardRelease:
    """Quality on the held-out rows. Raises `CohortTooSmall` when these are fewer than k_min."""
    label, kept = context.aligned_label(), context.kept
    test = held_out_rows(context)
    test = test[scores.answered[test]]
    decimals = quality_decimals(label[test], context.k_min)
    joint = -scores.total[test]
    selection = kept.selection
    return ScorecardRelease(
        model=kept.scorecard.model_id.hex(),
        train_rows=len(kept.train_rows),
        test_rows=len(test),
        auc_alone=round(metrics.auc(label[test], alone[test]), decimals),
        ks_alone=round(metrics.ks(label[test], alone[test]), decimals),
        auc_joint=round(metrics.auc(label[test], joint), decimals),
        ks_joint=round(metrics.ks(label[test], joint), decimals),
        importance=_importance(context),
        fields={
            context.plan.name: len(selection.binning.fields),
            **{name: len(numbers) for name, numbers in selection.partners.items()},
        },
    )


def _importance(context: StageContext) -> tuple[tuple[str, str, float], ...]:
    own, kept = context.plan.name, [item for item in context.kept.selection.verdicts if item.dropped is None]
    values = [(own, item.field, item.iv) for item in kept if item.party == own]
    for party in context.job.roles.feature_holders:
        values.append((party, "", sum(item.iv for item in kept if item.party == party)))
    total = sum(iv for _, _, iv in values) or 1.0
    return tuple((party, name, iv / total) for party, name, iv in values)
