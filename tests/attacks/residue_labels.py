"""Labels from a partner's own gradients, batch by batch.

Who. A feature holder: it knows its columns x and, per step, sum_i x_i d_i over a batch, d = p - y. Source: Tan et al.,
arXiv 2205.04166: with no more rows than columns the system is solved for d, whose sign is the label.
Two ways: least squares for any size; and, for very small batches at the first step (all d are p_0 - y then, exact
integers), all subsets of rows that could be the bad ones, met in the middle.
"""

from __future__ import annotations

import numpy as np

from federation.scorecard_fit import WOE_BITS


def guess_by_least_squares(design, gradient):
    """-d of least norm, (n_rows,): high where a row seems bad. design: (n_rows, n_columns)."""
    return -np.linalg.pinv(design.T) @ gradient


def guesses(block, options):
    """The guess for every training row, averaged over the passes: (n_rows,). block: the partner's, watched."""
    total, times = np.zeros(len(block)), np.zeros(len(block))
    unit = 1 << (options.polynomial.scale_bits + WOE_BITS)
    for rows, gradient in zip(block.seen_rows, block.seen_gradients, strict=True):
        design = np.ldexp(block.columns[rows].astype(float), -WOE_BITS)
        total[rows] += guess_by_least_squares(design, np.array([value / unit for value in gradient]))
        times[rows] += 1
    return total / times


def subset_sums(columns):
    """Every subset's sums over the rows of integer columns (n_rows, n_columns), as one number each modulo 2^64."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 1 << 62, size=columns.shape[1], dtype=np.uint64) | np.uint64(1)
    per_row = (columns.astype(np.int64).view(np.uint64) * weights).sum(axis=1, dtype=np.uint64)
    sums = np.zeros(1, dtype=np.uint64)
    for value in per_row:
        sums = np.concatenate([sums, sums + value])
    return sums, weights


def labels_by_subsets(columns, gradient, chance, scale_bits):
    """(a labelling that explains the first gradient exactly, how many do). For up to 40 rows.

    columns: (n_rows, n_columns) integers; gradient: their exact sums with d; chance: p_0 in units of 2^-scale_bits.
    """
    target = [
        (int(total) * chance - value) >> scale_bits
        for total, value in zip(columns.sum(0), gradient, strict=True)
    ]
    half = len(columns) // 2
    first, weights = subset_sums(columns[:half])
    second, _ = subset_sums(columns[half:])
    wanted = (np.array(target, dtype=np.int64).view(np.uint64) * weights).sum(dtype=np.uint64) - first
    order = np.argsort(second)
    low = np.searchsorted(second[order], wanted, side="left")
    high = np.searchsorted(second[order], wanted, side="right")
    fits = np.flatnonzero(high > low)
    if not len(fits):
        return np.zeros(len(columns), dtype=np.int64), 0
    a, b = int(fits[0]), int(order[low[fits[0]]])
    bits = [a >> row & 1 for row in range(half)] + [b >> row & 1 for row in range(len(columns) - half)]
    return np.array(bits), int((high - low).sum())
