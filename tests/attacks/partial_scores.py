"""Decoding a partner's rows from its per-row partial scores: the trap of "nobody sees a row's score".

Who. A label holder that sees u_F = sum_j w_j woe_j[bin_j] of every row and knows the partner's bins' points (it chose
    the weights, was shown the scorecard, or knows the same public fields).
How. Subset sum by meeting in the middle: 10 fields of 6 bins have 60 million combinations, but only 7,776 per half.
"""

from __future__ import annotations

import numpy as np


def half_sums(points, shares):
    """All combinations of the fields' codes: (codes (n, n_fields), sums (n,), log-probabilities (n,))."""
    grids = np.meshgrid(*[np.arange(len(of_field)) for of_field in points], indexing="ij")
    codes = np.stack([grid.ravel() for grid in grids], axis=1)
    sums, logs = np.zeros(len(codes)), np.zeros(len(codes))
    for field, (of_field, share) in enumerate(zip(points, shares, strict=True)):
        sums += np.asarray(of_field)[codes[:, field]]
        logs += np.log(np.maximum(share, 1e-12))[codes[:, field]]
    return codes, sums, logs


def decode(scores, points, shares, tolerance):
    """The rows' codes, (n_rows, n_fields): the most probable combination whose points sum up to the score.

    scores: (n_rows,) partial scores; points, shares: per field, by code. Where no sum is within `tolerance`, the
    nearest one is taken.
    """
    half = len(points) // 2
    first, first_sums, first_logs = half_sums(points[:half], shares[:half])
    second, second_sums, second_logs = half_sums(points[half:], shares[half:])
    order = np.argsort(second_sums)
    second, second_sums, second_logs = second[order], second_sums[order], second_logs[order]
    found = np.empty((len(scores), len(points)), dtype=np.int64)
    for row, score in enumerate(scores):
        wanted = score - first_sums
        at = np.searchsorted(second_sums, wanted).clip(1, len(second_sums) - 1)
        at = np.where(wanted - second_sums[at - 1] < second_sums[at] - wanted, at - 1, at)
        miss = np.abs(wanted - second_sums[at])
        fits = miss <= max(tolerance, float(miss.min()))
        best = int(np.where(fits, first_logs + second_logs[at], -np.inf).argmax())
        found[row, :half], found[row, half:] = first[best], second[at[best]]
    return found


def scores_from_masked(masked, points, shares, rng):
    """A guess at the scores where rows' residuals are seen under masks: the masked numbers' ranks, put to the
    quantiles of what a partial score may be. (n_rows,)."""
    drawn = sum(
        np.asarray(of_field)[rng.choice(len(of_field), size=len(masked), p=share / share.sum())]
        for of_field, share in zip(points, shares, strict=True)
    )
    ranks = np.argsort(np.argsort(np.array(masked, dtype=np.float64)))
    return np.sort(drawn)[ranks]


def scores_from_gradient(design, gradient, own_scores, label):
    """A guess from the label holder's own gradient sum_i x_i d_i, its scores and labels: (n_rows,).

    design: (n_rows, n_columns); the change of d of least norm that explains the gradient.
    """
    expected = 1 / (1 + np.exp(-own_scores))
    missing = gradient - design.T @ (expected - label)
    chance = expected + design @ np.linalg.lstsq(design.T @ design, missing, rcond=None)[0]
    chance = chance.clip(0.01, 0.99)
    return np.log(chance / (1 - chance)) - own_scores
