"""Reconstruction at scoring time: a partner's bins from its rounded points, or from the sides of its splits.

Who. A label holder that scores rows. Source: Rassouli, Varasteh and Gündüz, arXiv 2207.11788, for scores of a logistic
regression; here the score is a partner's part of a scorecard, and columns are binned. Bayes' rule over all combinations
of bins, with the fields taken as independent: exact, by convolution on the grid of a table's tenths of points.
"""

from __future__ import annotations

import numpy as np

from federation.point_scale import deductions, most_deducted, sum_of

TENTHS = 10


def _spread(values, weights):
    """(lowest, weights) of numbers of tenths on a grid without gaps."""
    low = int(values.min())
    return low, np.bincount(values - low, weights=weights)


def _sum_of_spreads(spreads):
    low, total = 0, np.ones(1)
    for of_low, weights in spreads:
        low, total = low + of_low, np.convolve(total, weights)
    return low, total


def _rounded(tenths, step):
    """`PointScale.rounded` on tenths."""
    return np.rint(np.round(tenths / TENTHS, 1) / step).astype(int) * step


def _in_tenths(table):
    return [np.rint(np.asarray(of_field) * TENTHS).astype(int) for of_field in table]


def posterior_codes(seen, table, shares, step):
    """(most probable code per row and field, its probability): both (n_rows, n_fields). seen: rounded points."""
    tenths = _in_tenths(table)
    spreads = [_spread(values, share) for values, share in zip(tenths, shares, strict=True)]
    found = np.empty((len(seen), len(table)), dtype=int)
    sure = np.empty((len(seen), len(table)))
    distinct, place = np.unique(seen, return_inverse=True)
    for field, values in enumerate(tenths):
        low, others = _sum_of_spreads(spreads[:field] + spreads[field + 1 :])
        chances = np.zeros((len(distinct), len(values)))
        for code, value in enumerate(values):
            rounded = _rounded(np.arange(low, low + len(others)) + value, step)
            at = np.searchsorted(distinct, rounded).clip(0, len(distinct) - 1)
            hit = distinct[at] == rounded
            chances[:, code] = np.bincount(at[hit], weights=others[hit], minlength=len(distinct))
            chances[:, code] *= shares[field][code]
        chances += shares[field] * 1e-300  # a total that the table cannot give: as before it was seen
        chances /= chances.sum(axis=1, keepdims=True)
        found[:, field], sure[:, field] = chances.argmax(axis=1)[place], chances.max(axis=1)[place]
    return found, sure


def combinations_of(seen, table, step):
    """How many combinations of bins give each row's rounded points: (n_rows,)."""
    low, counts = _sum_of_spreads([_spread(values, np.ones(len(values))) for values in _in_tenths(table)])
    rounded = _rounded(np.arange(low, low + len(counts)), step)
    per_total = np.bincount(rounded - rounded.min(), weights=counts)
    return np.rint(per_total[np.asarray(seen) - rounded.min()])


def assumed_table(shares, seen):
    """What somebody without the table might assume: points evenly spaced over a field's bins, all fields alike, as
    widely spread in sum as the points seen."""
    even = [np.linspace(-1, 1, len(share)) for share in shares]
    spread = [(share * (e - share @ e) ** 2).sum() for share, e in zip(shares, even, strict=True)]
    scale = np.std(seen) / np.sqrt(sum(spread))
    centre = np.mean(seen) / len(shares)
    return tuple(
        tuple(np.round((e - share @ e) * scale + centre, 1).tolist())
        for share, e in zip(shares, even, strict=True)
    )


def codes_with_reasons(seen, reasons, table, shares, scale, draws=300_000):
    """The most probable codes where the fields that deducted the most are named too, in turn: (n_rows, n_fields).

    By drawing rows from the fields' shares and keeping those with the same reasons, near ones in points first.
    """
    rng = np.random.default_rng(0)
    drawn = np.stack([rng.choice(len(share), size=draws, p=share / share.sum()) for share in shares], axis=1)
    points = scale.rounded(sum_of(table, drawn))
    named = most_deducted(deductions(table, drawn), reasons.shape[1]).astype(np.int64)
    base = len(shares) + 1
    key = (named + 1) @ base ** np.arange(reasons.shape[1])
    order = np.argsort(key, kind="stable")
    wanted = (reasons.astype(np.int64) + 1) @ base ** np.arange(reasons.shape[1])
    low, high = np.searchsorted(key[order], wanted), np.searchsorted(key[order], wanted, side="right")
    found = np.empty((len(seen), len(table)), dtype=int)
    for row, (start, end) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        of_row = order[start:end] if end > start else np.arange(1000)
        weight = np.exp(-np.abs(points[of_row] - seen[row]) / scale.step)
        for field in range(len(table)):
            found[row, field] = np.bincount(drawn[of_row, field], weights=weight).argmax()
    return found


def bounds_from_sides(model, codes, own_features):
    """What the sides of the partner's splits say to who knows the splits: lowest and highest code per row and own
    field, each (n_rows, n_own), and how many sides of each row are seen."""
    columns = {feature: place for place, feature in enumerate(sorted(own_features))}
    low = np.ones((len(codes), len(columns)), dtype=int)
    high = np.full((len(codes), len(columns)), 255)
    bits = np.zeros(len(codes), dtype=int)
    for tree in model.trees:
        place = np.zeros(len(codes), dtype=int)
        for node, left in enumerate(tree.left):
            rows = np.flatnonzero(place == node)
            if left < 0 or not len(rows):
                continue
            split = model.splits[tree.split[node]]
            goes_left = split.goes_left(codes[rows])
            place[rows] = np.where(goes_left, left, left + 1)
            if split.feature in columns:
                column = columns[split.feature]
                bits[rows] += 1
                yes, no = rows[goes_left], rows[~goes_left]
                high[yes, column] = np.minimum(high[yes, column], split.cut)
                low[no, column] = np.maximum(low[no, column], split.cut + 1)
    return low, high, bits
