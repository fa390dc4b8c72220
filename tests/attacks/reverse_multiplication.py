"""Reverse multiplication: a partner's columns from how its partial scores change between steps.

Who. A label holder that decrypts for the partner (or colludes with who does). Source: Weng et al., arXiv 2011.09290:
with w_(t+1) = w_t - rate g_t, a row's scores change by -rate x . g_t. Gradients and changes known, as many steps as
columns give a linear system for x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Textbook:
    """What a label holder sees in textbook vertical descent, where scores and gradients are opened: per step.

    gradients: (steps, n_columns) of the partner; scores: (steps, n_rows).
    """

    gradients: np.ndarray
    scores: np.ndarray


def textbook_descent(own, partner, label, steps, rate):
    """Plain gradient descent over two blocks of columns, with scores and gradients in the clear."""
    own = np.hstack([np.ones((len(own), 1)), own])
    own_weights, weights = np.zeros(own.shape[1]), np.zeros(partner.shape[1])
    gradients, scores = [], []
    rng = np.random.default_rng(0)
    for _ in range(steps):
        scores.append(partner @ weights)
        batch = rng.permutation(len(label))[: len(label) // 5]
        residual = 1 / (1 + np.exp(-(own @ own_weights + scores[-1]))) - label
        gradients.append(partner[batch].T @ residual[batch] / len(batch))
        own_weights = own_weights - rate * own[batch].T @ residual[batch] / len(batch)
        weights = weights - rate * gradients[-1]
    return Textbook(np.array(gradients), np.array(scores))


def columns_from_steps(gradients, scores, rate):
    """The partner's columns (n_rows, n_columns), least squares over the steps."""
    changes = np.diff(np.asarray(scores, dtype=float), axis=0)
    steps = -rate * np.asarray(gradients, dtype=float)[:-1]
    return np.linalg.lstsq(steps, changes, rcond=None)[0].T


def space_of_columns(scores, n_columns):
    """An orthonormal basis (n_rows, n_columns) of the space that the rows' scores over the steps span."""
    return np.linalg.svd(np.asarray(scores, dtype=float).T, full_matrices=False)[0][:, :n_columns]


def explained(basis, columns):
    """The mean over columns of the share of their variation that lies in a space."""
    inside = basis @ (basis.T @ columns)
    return float(((inside**2).sum(axis=0) / (columns**2).sum(axis=0)).mean())


def closest_correlation(found, columns):
    """The mean over columns of |correlation| with what was found for it."""
    pairs = [np.corrcoef(a, b)[0, 1] for a, b in zip(found.T, columns.T, strict=True)]
    return float(np.abs(pairs).mean())
