"""The scorecard that pooling the tables would have given, beside the federated one of a rehearsal."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from clients.context import StageContext
from clients.plans import scorecard_options, scorecard_plan
from clients.releases import quality_decimals
from federation import metrics
from federation.binning import Integers
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard
from federation.scorecard_fit import (
    Block,
    deal_batches,
    fit_scorecard,
    prevalence_log_odds,
    with_fewer_batches,
)

Part = tuple[StageContext, LabelHolderScorecard | FeatureHolderScorecard]


def compare_scorecard(parties: list[Part], train: Integers, points: np.ndarray[Any, Any]) -> dict[str, Any]:
    """The same fit on pooled columns, and scikit-learn's logistic regression with the same bins and penalty.

    parties: in the job's order, each with its part of the model; train: aligned places; points: the job's scores.
    """
    holder = parties[0][0]
    job, label = holder.job, holder.aligned_label()
    test = np.setdiff1d(np.arange(len(label)), train)
    widths = [len(part.binning.fields) + (place == 0) for place, (_, part) in enumerate(parties)]
    places, seed = holder.file_rows(train), scorecard_plan(job).seed
    options = with_fewer_batches(scorecard_options(job), places, max(widths), seed)
    codes = [part.binning.transform(context.aligned(part.binning.fields).values) for context, part in parties]
    blocks = [
        Block(context.plan.name, of_party[train], part.binning.woe, options, has_intercept=place == 0)
        for place, ((context, part), of_party) in enumerate(zip(parties, codes, strict=True))
    ]
    blocks[0].set_intercept(prevalence_log_odds(label[train]))
    batch = deal_batches(places, options, seed)
    twin = fit_scorecard(blocks, label[train].astype(np.int64), batch, options)
    woe = [part.binning.woe_of(of_party) for (_, part), of_party in zip(parties, codes, strict=True)]
    together = np.hstack(woe)
    pooled = twin[0].intercept + together @ np.concatenate([np.array(weights.weights) for weights in twin])
    oracle = LogisticRegression(C=1 / options.l2, max_iter=1000).fit(together[train], label[train])
    exact = oracle.decision_function(together)
    differences = [
        np.abs(np.array(part.weights.weights) - np.array(weights.weights)).max(initial=0)
        for (_, part), weights in zip(parties, twin, strict=True)
    ]
    # Rounded as the job's own release is, so that the figures can be read side by side.
    decimals = quality_decimals(label[test], job.security.k_min)
    return {
        "auc_pooled": round(metrics.auc(label[test], pooled[test]), decimals),
        "ks_pooled": round(metrics.ks(label[test], pooled[test]), decimals),
        "auc_sklearn": round(metrics.auc(label[test], exact[test]), decimals),
        "ks_sklearn": round(metrics.ks(label[test], exact[test]), decimals),
        "largest_weight_difference": float(max(differences)),
        "rank_correlation": float(np.corrcoef(-points[test], exact[test])[0, 1]),
    }
