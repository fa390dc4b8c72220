"""A scorecard's logistic regression on weights of evidence: one party's block of it, and the plaintext twin.

`fit_scorecard` is the plaintext twin of `federation.scorecard`: given all parties' codes it makes, step for step, the
same integers, hence the same weights. Both use the same `Block`.

The model. log-odds of the event (label 1) = intercept + sum_j w_j x_j, x_j the WOE of the row's bin. L2 penalty
(l2/2) |w|^2 on the sum of the losses, none on the intercept: scikit-learn's `LogisticRegression(C=1/l2)`.
The steps. Rows are dealt into `batches` parts once, each by its own draw; a pass takes one step per part,
    w <- w - H^-1 (batches * g + l2 w),      H = X'X/4 + l2 I over the party's own block,
the fixed bound of the Hessian of Boehning and Lindsay, "Monotonicity of quadratic-approximation algorithms", Ann. Inst.
Statist. Math. 40 (1988) 641-663, block by block, so that no party needs another's columns. The model is the average of
the weights of the last pass (Polyak and Juditsky 1992), which takes the batches' noise out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np

from federation.binning import Codes
from federation.labels import checked_labels
from federation.scorecard_polynomial import (
    DEGREES,
    BigIntegers,
    Floats,
    Integers,
    LogisticPolynomial,
    in_units,
)
from federation.stable_draws import uniforms
from privacy.errors import ConfigInvalid

WOE_BITS: Final = 10
"""Fraction bits of a weight of evidence."""
MAXIMUM_WOE: Final = 16.0
"""Larger ones are an error: a bin of 50 rows among 100 million has less."""
MOST_PASSES: Final = 50
MOST_BATCHES: Final = 250
LARGEST_LEVERAGE: Final = 0.4
"""Largest share of a single row's residual that one party's sums over a batch may determine (`Block.check`). The sum
over a bin of k rows determines 1/k of each: a bin of two is too small."""

WoeTable = tuple[tuple[float, ...], ...]
"""The WOE per field and code."""


@dataclass(frozen=True, slots=True)
class ScorecardOptions:
    """What the parties agree on before training.

    degree, limit: of the polynomial that stands for the logistic function. batches: parts of the training rows;
    passes: how often each is used. rows_per_column, min_batch_rows: fewest rows of a batch, for each column of one
    party and in all: from gradients of fewer the residuals of single rows could be solved for (docs/attacks.md).
    """

    degree: int = 5
    limit: float = 5.0
    passes: int = 3
    batches: int = 5
    l2: float = 1.0
    rows_per_column: int = 10
    min_batch_rows: int = 1

    def __post_init__(self) -> None:
        if self.degree not in DEGREES:
            raise ConfigInvalid("scorecard_degree", name=self.degree, known=", ".join(map(str, DEGREES)))
        ranges: dict[str, tuple[float, float]] = {
            "limit": (1.0, 16.0), "passes": (1, MOST_PASSES), "batches": (1, MOST_BATCHES), "l2": (1e-6, 1e9),
            "rows_per_column": (10, 1e6), "min_batch_rows": (1, 1e6),
        }  # fmt: skip
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ConfigInvalid("scorecard_option", name=name, low=low, high=high)

    @property
    def polynomial(self) -> LogisticPolynomial:
        return LogisticPolynomial.fit(self.degree, self.limit)

    @property
    def steps(self) -> int:
        return self.passes * self.batches

    def with_batches(self, batches: int) -> ScorecardOptions:
        """The same with fewer, larger batches, and more passes for it: about as many steps, `MOST_PASSES` at most."""
        return replace(self, batches=batches, passes=min(-(-self.steps // batches), MOST_PASSES))

    def rows_needed(self, columns: int) -> int:
        """Fewest rows of a batch when one party has so many columns."""
        return max(columns * self.rows_per_column, self.min_batch_rows)


class BlockWeights(msgspec.Struct, frozen=True):
    """One party's part of a model: intercept (0 at a partner) and a weight per field."""

    intercept: float
    weights: tuple[float, ...]


class Block:
    """One party's columns and weights while they are trained.

    codes: (n_rows, n_fields) of the training rows; woe: per field and code. has_intercept: at the label holder.
    start: weights to go on from.
    """

    def __init__(
        self,
        party: str,
        codes: Codes,
        woe: WoeTable,
        options: ScorecardOptions,
        *,
        has_intercept: bool,
        start: BlockWeights | None = None,
    ) -> None:
        self._party, self._options = party, options
        self.integer_woe = integer_woe(woe)
        columns = [table[codes[:, field]] for field, table in enumerate(self.integer_woe)]
        if has_intercept:
            columns.insert(0, np.full(len(codes), 1 << WOE_BITS, dtype=np.int64))
        self.columns: Integers = np.stack(columns, axis=1) if columns else np.zeros((len(codes), 0), np.int64)
        self._design = np.ldexp(self.columns.astype(np.float64), -WOE_BITS)
        width = self.columns.shape[1]
        self._penalty = np.full(width, options.l2)
        if has_intercept:
            self._penalty[0] = 0.0
        self._bound = self._design.T @ self._design / 4 + options.l2 * np.eye(width)
        self._has_intercept = has_intercept
        self._weights: Floats = np.zeros(width)
        if start is not None:
            given = [start.intercept, *start.weights] if has_intercept else list(start.weights)
            if len(given) != width:
                raise ConfigInvalid("scorecard_start", party=party, expected=width, found=len(given))
            self._weights = np.array(given)
        self._sum = np.zeros(width)
        self._summed = 0

    def __len__(self) -> int:
        return len(self.columns)

    def check(self, batches: Sequence[Integers]) -> None:
        """Refuse batches (each: row numbers) in which this party's own sums would single a row out.

        The sums X'd determine of d_i what the span of X holds of the i-th unit vector: the row's leverage, a diagonal
        element of X (X'X)^-1 X' (Hoaglin and Welsch, "The hat matrix in regression and ANOVA", American Statistician
        32(1), 1978). It is 1 when a bin's only row can be solved for. Raises `ConfigInvalid`.
        """
        for rows in batches:
            span, sizes, _ = np.linalg.svd(self.columns[rows].astype(np.float64), full_matrices=False)
            kept = sizes > sizes.max(initial=0.0) * len(rows) * np.finfo(np.float64).eps
            leverage = (span[:, kept] ** 2).sum(axis=1)
            if leverage.max(initial=0.0) > LARGEST_LEVERAGE:
                raise ConfigInvalid("scorecard_row_singled_out", party=self._party, rows=len(rows))

    def scores(self, rows: Integers) -> Integers:
        """This party's part of the rows' log-odds, in units of 2^-SCORE_BITS: (len(rows),)."""
        return in_units(self._design[rows] @ self._weights, self._party)

    def gradient(self, rows: Integers, residuals: BigIntegers) -> list[int]:
        """sum_i x_ij d_i over the rows, per column, exact; in units of 2^-(scale_bits + WOE_BITS)."""
        return [int(value) for value in self.columns[rows].astype(object).T @ residuals]

    def step(self, gradient: Sequence[int], is_last_pass: bool) -> None:
        """Take one step from a batch's gradient (as `gradient` gives it)."""
        unit = 1 << (self._options.polynomial.scale_bits + WOE_BITS)
        slope = np.array([value / unit for value in gradient]) * self._options.batches
        self._weights = self._weights - np.linalg.solve(self._bound, slope + self._penalty * self._weights)
        if is_last_pass:
            self._sum = self._sum + self._weights
            self._summed += 1

    def set_intercept(self, value: float) -> None:
        self._weights[0] = value

    def now(self) -> BlockWeights:
        """The weights as they stand."""
        return self._as_weights(self._weights)

    def average(self) -> BlockWeights:
        """The average over the last pass: the model. Before its first step, the weights as they stand."""
        return self._as_weights(self._sum / self._summed) if self._summed else self.now()

    def _as_weights(self, weights: Floats) -> BlockWeights:
        values = weights.tolist()
        return BlockWeights(values.pop(0) if self._has_intercept else 0.0, tuple(values))


def integer_woe(woe: WoeTable) -> tuple[Integers, ...]:
    """The WOE per field and code in units of 2^-WOE_BITS. Raises `ConfigInvalid` for one not finite or too large."""
    tables = [np.asarray(table, dtype=np.float64) for table in woe]
    if not all(np.isfinite(table).all() and (np.abs(table) <= MAXIMUM_WOE).all() for table in tables):
        raise ConfigInvalid("scorecard_woe", limit=MAXIMUM_WOE)
    return tuple(np.rint(np.ldexp(table, WOE_BITS)).astype(np.int64) for table in tables)


def deal_batches(places: Integers, options: ScorecardOptions, seed: int) -> Integers:
    """The batch of every training row: (n,) in 0..batches-1.

    places: (n,) the rows' places in the label holder's file. A row's batch depends on its own place and on the number
    of batches alone (`federation.stable_draws`), so sizes are equal only on average. The steps allow for that: over a
    pass the batches' gradients add up to the whole one, whatever their sizes.
    """
    batch: Integers = (uniforms(seed, places) * options.batches).astype(np.int64)
    return batch


def max_columns(batch_rows: int, options: ScorecardOptions) -> int:
    """How many columns' gradients a batch of so many rows may give one party."""
    return batch_rows // options.rows_per_column


def with_fewer_batches(
    options: ScorecardOptions, places: Integers, columns: int, seed: int
) -> ScorecardOptions:
    """The options with as many batches, up to theirs, as the training rows allow for `columns` of one party.

    places, seed: as `deal_batches` takes them: the smallest batch decides. With a single one it is the roles that
    refuse too few rows.
    """
    needed = options.rows_needed(columns)
    for batches in range(min(options.batches, len(places) // needed), 1, -1):
        fewer = options.with_batches(batches)
        if np.bincount(deal_batches(places, fewer, seed), minlength=batches).min() >= needed:
            return fewer
    return options.with_batches(1)


def batch_rows(batch: Integers, n_rows: int, columns: int, options: ScorecardOptions) -> list[Integers]:
    """The training rows of every batch, increasing.

    Raises `ConfigInvalid` when the batches do not fit, or one has too few rows for a party's number of columns.
    """
    if batch.shape != (n_rows,) or (batch < 0).any() or (batch >= options.batches).any():
        raise ConfigInvalid("scorecard_batches")
    rows = [np.flatnonzero(batch == number) for number in range(options.batches)]
    smallest = min(len(of_batch) for of_batch in rows)
    needed = options.rows_needed(columns)
    if smallest < needed:
        raise ConfigInvalid("scorecard_batch_small", rows=smallest, columns=columns, minimum=needed)
    return rows


def prevalence_log_odds(labels: np.ndarray[Any, Any]) -> float:
    """ln(events / others). Raises `ConfigInvalid` when the labels are not 0 and 1, or all the same."""
    events = int(checked_labels(labels).sum())
    return float(np.log(events / (len(labels) - events)))


def fit_scorecard(
    blocks: Sequence[Block], labels: Integers, batch: Integers, options: ScorecardOptions
) -> list[BlockWeights]:
    """Train all blocks in the clear, the label holder's first; labels and batch: (n_rows,). Returns their averages."""
    polynomial = options.polynomial
    for step in range(options.steps):
        rows = np.flatnonzero(batch == step % options.batches)
        total = sum((block.scores(rows) for block in blocks), np.zeros(len(rows), dtype=np.int64))
        residuals = polynomial.residuals(total, labels[rows])
        for block in blocks:
            block.step(block.gradient(rows, residuals), step >= options.steps - options.batches)
    return [block.average() for block in blocks]
