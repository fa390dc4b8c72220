"""Rows left of a partner's root candidates, solved for over many trees.

Who. A label holder that follows the protocol: at the root of every joint tree it decrypts the sums of g and h left of
the same row sets, shuffled, under gradients that it knows. By analogy to TimberStrike (Di Gennaro et al., arXiv
2506.07605), which inverts sums of gradients and Hessians in horizontal trees.
How. (1) Candidates are matched from tree to tree by what their rows found so far predict for the next sums. (2) The
memberships m in [0, 1] with A m = b, A the gradients and Hessians of all trees, are found by alternating projections
onto the solutions and the box, drawn towards 0 and 1.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits

from federation.binning import Candidates
from federation.row_weights import gradients_of
from federation.trees import BoostedTrees


def gradients_by_tree(model, codes, label, options):
    """(g, h) that every joint tree is grown from, in log-odds units: two (n_joint_trees, n_rows)."""
    first = 1 if options.first_tree_local else 0
    found = []
    for number in range(first, len(model.trees)):
        so_far = BoostedTrees(model.base_score, model.trees[:number], model.splits)
        found.append(gradients_of(label, so_far.decision_function(codes), options.scale_bits))
    unit = 2.0**-options.scale_bits
    return np.array([g for g, _ in found]) * unit, np.array([h for _, h in found]) * unit


def sums_at_roots(codes, gradients, hessians, options, seed):
    """(sums (n_trees, n_candidates, 2), shuffled tree by tree; the orders; the true sets (n_candidates, n_rows))."""
    rng = np.random.default_rng(seed)
    candidates: Candidates = options.candidates(codes, 0)
    truth = np.stack([candidates[place].goes_left(codes) for place in range(len(candidates))])
    sums, orders = [], []
    for g, h in zip(gradients, hessians, strict=True):
        order = rng.permutation(len(candidates))
        sums.append(np.stack([truth @ g, truth @ h], axis=1)[order])
        orders.append(order)
    return np.array(sums), np.array(orders), truth


def solve(equations, sums, rounds=400, push=0.02):
    """Memberships (n_candidates, n_rows) in [0, 1].

    equations: (n_equations, n_rows); sums: (n_candidates, n_equations).
    """
    inverse = np.linalg.pinv(equations, rcond=1e-7)
    found = np.clip(sums @ inverse.T, 0, 1)
    for number in range(rounds):
        found = found + (sums - found @ equations.T) @ inverse.T
        found = np.clip(found + push * (number / rounds) * np.sign(found - 0.5), 0, 1)
    return found


def _predict(of_tree, equations, values):
    """What the sums of another tree should be, (n_candidates, 2), and the inverse covariance of the error.

    As if memberships were independent. of_tree: its (2, n_rows) g and h; values: (n_candidates, n_equations).
    """
    share = (
        values[:, [-1]] / equations[-1].sum()
    )  # the last equation is of Hessians: nearly the share of rows
    inverse = np.linalg.pinv(equations, rcond=1e-7)
    known = of_tree @ inverse
    rest = of_tree - known @ equations
    start = share * np.ones(equations.shape[1])
    predicted = start @ of_tree.T + (values - start @ equations.T) @ known.T
    return predicted, np.linalg.inv(rest @ rest.T / 4 + 1e-9 * np.eye(2))


def _matched(predicted, precision, seen):
    """The tree's sums in the order that fits the prediction best."""
    apart = predicted[:, None, :] - seen[None, :, :]
    cost = np.einsum("abi,ij,abj->ab", apart, precision, apart)
    return seen[linear_sum_assignment(cost)[1]]


def attack(sums, gradients, hessians, passes=1):
    """(memberships (n_candidates, n_rows), the sums as matched), candidates in the first tree's order."""
    with threadpool_limits(1):
        return _attack(sums, gradients, hessians, passes)


def _attack(sums, gradients, hessians, passes):
    ordered, of_tree = sums.copy(), np.stack([gradients, hessians], axis=1)

    def known(trees):
        return of_tree[trees].reshape(-1, of_tree.shape[2]), ordered[trees].transpose(1, 0, 2).reshape(
            sums.shape[1], -1
        )

    for tree in range(1, len(sums)):
        ordered[tree] = _matched(*_predict(of_tree[tree], *known(np.arange(tree))), sums[tree])
    for _ in range(passes):
        for tree in range(1, len(sums)):
            others = np.delete(np.arange(len(sums)), tree)
            ordered[tree] = _matched(*_predict(of_tree[tree], *known(others)), sums[tree])
    return solve(*known(np.arange(len(sums)))), ordered


def memberships_right(found, truth):
    """(share right, share right by saying of every candidate what most rows do)."""
    return float(((found > 0.5) == truth).mean()), float(np.maximum(truth.mean(1), 1 - truth.mean(1)).mean())
