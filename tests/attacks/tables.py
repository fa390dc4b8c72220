"""A pooled credit table in two parties' binned columns, and a scorecard's training that is watched.

Values come from four common factors, so that columns of both parties go together; a third of the columns is zero for
most rows, as amounts and arrears are, so that guessing the most frequent bin is not hopeless.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federation.binning import Codes
from federation.scorecard_fit import Block, ScorecardOptions, fit_scorecard, prevalence_log_odds

FACTORS = 4
MOSTLY_ZERO = 3
"""Every third column."""


@dataclass(frozen=True)
class CreditTable:
    """codes: (n_rows, fields) per party, from 0; woe: per party, field and code; label: 1 is bad."""

    codes: dict[str, Codes]
    woe: dict[str, tuple[tuple[float, ...], ...]]
    label: np.ndarray

    def columns(self, party):
        """WOE of every row, (n_rows, n_fields)."""
        return np.stack(
            [np.array(t)[c] for t, c in zip(self.woe[party], self.codes[party].T, strict=True)], 1
        )

    def shares(self, party):
        """Per field, the share of rows per code."""
        codes = self.codes[party]
        return [
            np.bincount(codes[:, field], minlength=len(table)) / len(codes)
            for field, table in enumerate(self.woe[party])
        ]

    def blocks(self, options, kind=Block):
        """The bank's block and the partner's, ready to be trained."""
        bank = kind("bank", self.codes["bank"], self.woe["bank"], options, has_intercept=True)
        bank.set_intercept(prevalence_log_odds(self.label))
        return [bank, kind("shop", self.codes["shop"], self.woe["shop"], options, has_intercept=False)]


def credit_table(seed, n_rows, *, fields=10, own_fields=8, bins=6, strength=1.0, partner_strength=1.0):
    """strength, partner_strength: how much the factors and the partner's own part say about the label (0: nothing)."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(n_rows, FACTORS))

    def values_of(count):
        loads = rng.normal(size=(FACTORS, count)) * 0.5
        values = factors @ loads + rng.normal(size=(n_rows, count))
        zero = np.arange(count) % MOSTLY_ZERO == MOSTLY_ZERO - 1
        return np.where(zero & (values < np.median(values, axis=0)), -9.0, values)

    values = {"bank": values_of(own_fields), "shop": values_of(fields)}
    own = partner_strength * values["shop"][:, : (fields + 1) // 2].clip(-2).mean(axis=1)
    score = -1.3 + strength * factors[:, :2].sum(axis=1) * 0.8 + 0.7 * strength * own
    label = (rng.random(n_rows) < 1 / (1 + np.exp(-score))).astype(np.int64)
    codes, woe = {}, {}
    for party, of_party in values.items():
        codes[party] = np.stack([_binned(column, bins, rng) for column in of_party.T], axis=1)
        woe[party] = tuple(_woe(column, label) for column in codes[party].T)
    return CreditTable(codes, woe, label)


def _binned(column, bins, rng):
    """Codes of unequal bins of 5 % of the rows or more, as merged bins are: (n_rows,)."""
    shares = 0.05 + (1 - 0.05 * bins) * rng.dirichlet(np.full(bins, 3.0))
    edges = np.unique(np.quantile(column, np.cumsum(shares)[:-1]))
    _, codes = np.unique(np.searchsorted(edges, column, side="left"), return_inverse=True)
    return codes.astype(np.uint8)


def _woe(codes, label):
    bads = np.bincount(codes, weights=label) + 0.5
    goods = np.bincount(codes, weights=1 - label) + 0.5
    return tuple(np.round(np.log(goods / goods.sum() * bads.sum() / bads), 6).tolist())


class Watched(Block):
    """A block that keeps what passes through it, step after step: its rows' scores, all residuals, its gradient."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seen_weights, self.seen_rows, self.seen_scores = [], [], []
        self.seen_residuals, self.seen_gradients = [], []

    def scores(self, rows):
        found = super().scores(rows)
        self.seen_weights.append(self._weights.copy())
        self.seen_rows.append(rows)
        self.seen_scores.append(found)
        return found

    def gradient(self, rows, residuals):
        found = super().gradient(rows, residuals)
        self.seen_residuals.append(residuals)
        self.seen_gradients.append(found)
        return found


def train(table: CreditTable, options: ScorecardOptions, seed=3):
    """(bank's block, shop's block, their weights, batch per row) of a training in the clear."""
    blocks = table.blocks(options, Watched)
    batch = np.random.default_rng(seed).permutation(len(table.label)) % options.batches
    weights = fit_scorecard(blocks, table.label, batch, options)
    return blocks[0], blocks[1], weights, batch


def most_frequent(codes):
    """What guessing every field's most frequent code gets right: (share of rows, share of cells)."""
    guess = np.array([np.bincount(column).argmax() for column in codes.T])
    return float((codes == guess).all(axis=1).mean()), float((codes == guess).mean())


def right(found, codes):
    """(share of rows found exactly, share of cells)."""
    return float((found == codes).all(axis=1).mean()), float((found == codes).mean())


def show(attack, **numbers):
    """Print what was measured: `pytest tests/attacks -rP` shows it."""
    print(f"{attack}: " + ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()))
