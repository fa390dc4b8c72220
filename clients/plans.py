"""A job's parameters in the terms of the protocols' own options, and the rows that train."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from clients.artefacts import Integers
from federation.clusters import KMeansOptions
from federation.jobs import Job, RiskPlan, ScorecardPlan
from federation.scorecard_fit import ScorecardOptions
from federation.stable_draws import held_out, uniforms
from federation.trees import BoostingOptions
from federation.woe_options import WoeOptions
from federation.woe_selection import SelectionOptions
from privacy.errors import ConfigInvalid

SMALLEST_BATCH: Final = 20
"""Fewest rows of a scorecard's batch, in multiples of k_min."""

_SPLIT_STREAM: Final = 1
"""The split has draws of its own beside those of the batches."""

Labels = np.ndarray[Any, np.dtype[np.int8]]


def risk_plan(job: Job) -> RiskPlan:
    """The job's risk plan. Raises `ConfigInvalid` when it has none."""
    if job.risk is None:
        raise ConfigInvalid("job_invalid", job=job.name, problem="risk")
    return job.risk


def boosting_options(job: Job) -> BoostingOptions:
    """The job's parameters for trees; sums under k_min rows never leave a partner."""
    plan, k_min = risk_plan(job), job.security.k_min
    return BoostingOptions(
        trees=plan.trees,
        depth=plan.depth,
        bins=plan.bins,
        learning_rate=plan.learning_rate,
        l2=plan.l2,
        min_child_rows=max(plan.min_child_rows or k_min, k_min),
        k_min=k_min,
        first_tree_local=plan.first_tree_local,
        scale_bits=job.security.gradient_scale_bits,
        patience=plan.patience,
        validation_share=plan.validation_share,
        class_weight=plan.class_weight,
        goss_top=plan.goss_top,
        goss_other=plan.goss_other,
        growth=plan.growth,
        max_leaves=plan.max_leaves,
    )


def kmeans_options(job: Job) -> KMeansOptions:
    """The job's parameters for k-means. Raises `ConfigInvalid` when it has none."""
    plan = job.segments
    if plan is None:
        raise ConfigInvalid("job_invalid", job=job.name, problem="segments")
    return KMeansOptions(
        n_clusters=plan.n_clusters,
        candidates=plan.candidates,
        n_init=plan.n_init,
        max_iter=plan.max_iter,
        seed=plan.seed,
    )


def scorecard_plan(job: Job) -> ScorecardPlan:
    """The job's scorecard plan. Raises `ConfigInvalid` when it has none."""
    if job.scorecard is None:
        raise ConfigInvalid("job_invalid", job=job.name, problem="scorecard")
    return job.scorecard


def woe_options(job: Job) -> WoeOptions:
    """The job's parameters for bins; counts under k_min rows never leave a partner."""
    plan = scorecard_plan(job)
    return WoeOptions(
        pre_bins=plan.pre_bins,
        max_bins=plan.max_bins,
        min_bin_share=plan.min_bin_share,
        k_min=job.security.k_min,
        trend=plan.trend,
        special=plan.special,
    )


def selection_options(job: Job) -> SelectionOptions:
    """The job's rules for which fields stay."""
    plan = scorecard_plan(job)
    return SelectionOptions(
        min_iv=plan.min_iv,
        max_correlation=plan.max_correlation,
        max_vif=plan.max_vif,
        min_stability=plan.min_stability,
        seed=plan.seed,
    )


def scorecard_options(job: Job) -> ScorecardOptions:
    """The job's parameters for the fit."""
    plan = scorecard_plan(job)
    return ScorecardOptions(
        degree=plan.degree,
        passes=plan.passes,
        batches=plan.batches,
        l2=plan.l2,
        rows_per_column=max(10, job.security.k_min),
        min_batch_rows=SMALLEST_BATCH * job.security.k_min,
    )


def split_rows(plan: RiskPlan | ScorecardPlan, places: Integers, label: Labels) -> tuple[Integers, Integers]:
    """(training, held-out) rows as increasing aligned positions; about the plan's share of either label is held out.

    places: the rows' places in the label holder's file. A row's side depends on its own place and the seed alone: it
    changes neither with the matching key nor when other rows leave (`federation.stable_draws`).
    """
    is_held = held_out(label, uniforms(plan.seed, places, _SPLIT_STREAM), plan.test_share)
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)
