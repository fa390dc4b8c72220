"""Segments from pooled tables, from given rows: what the protocol has to come to, bit by bit."""

import numpy as np

from federation.clusters import LocalRun, RunPlan, assign
from privacy.fixed_point import encode
from privacy.parameters import profile_named


def lloyd(values, starts, k):
    """Labels and every party's centroids of a plain run from these rows; sums are the protocol's fixed-point ones."""
    plan = RunPlan(np.arange(len(values[0])), np.arange(0), k, 300)
    runs = [LocalRun(plan, own, starts) for own in values]
    while True:
        total = sum(
            encode(run.differences(), profile_named("TESTING_ONLY").distance_scale_bits) for run in runs
        )
        labels = assign(total)
        stop = runs[0].ends_with(labels)
        for each in runs:
            each.take(labels, stop=stop)
        if stop:
            return runs[0].labels, [each.centroids for each in runs]
