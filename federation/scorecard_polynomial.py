"""The logistic function as a polynomial with integer coefficients, and its pieces for several parties.

What Paillier can add and scale is a polynomial, so p(u) = 1 / (1 + e^-u) becomes a0 + a1 u + a3 u^3 (+ a5 u^5),
fitted by weighted least squares on [-limit, limit] (Kim, Song, Wang, Xia, Jiang, "Secure logistic regression based on
homomorphic encryption", JMIR Med. Inform. 6(2), 2018, section 3; our weight favours the middle, where rows are).

Integers throughout. A party's score is u_k = round(2^SCORE_BITS x . w); the total is U = sum u_k, and
    d = sum_j a_j U^j - y 2^scale_bits,        scale_bits = degree * SCORE_BITS + LEADING_BITS,
with integer a_j that already carry the scale 2^(scale_bits - j SCORE_BITS). So d is the same integer whether it is
computed in the clear or under encryption, in one piece or party by party:
 - the holder of u_1 and y knows d as a polynomial in the others' sum (`coefficients_at`), leading coefficient a_degree;
 - each further party but the last shifts it by its own u_k (`shifted`, a Taylor shift by repeated synthetic division);
 - the last one evaluates it (`evaluated`, Horner).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from privacy.errors import ConfigInvalid

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
BigIntegers = np.ndarray[Any, np.dtype[np.object_]]
"""An array of Python integers."""

SCORE_BITS: Final = 8
"""Fraction bits of a score while training: 1/256 in log-odds moves a probability by under 0.001."""
LEADING_BITS: Final = 24
"""Fraction bits of the leading coefficient, which is about 10^-4 for degree 5."""
MAXIMUM_SCORE: Final = 16
"""Largest |score| of one party, in log-odds: beyond it a model has gone astray (and e^16 is nine million to one)."""
OFFSET: Final = MAXIMUM_SCORE << SCORE_BITS
"""Added to a partner's score, and taken from the label holder's: a partner's exponents are never negative."""

DEGREES: Final = (3, 5)
_GRID: Final = 2001
_WEIGHT_SPREAD: Final = 2.2
"""The weight in the fit is e^(-u^2 / 2 s^2), s = range / 2.2."""


@dataclass(frozen=True, slots=True)
class LogisticPolynomial:
    """Integer coefficients a_0..a_degree of p(u), and the scale of what they give."""

    coefficients: tuple[int, ...]

    @classmethod
    def fit(cls, degree: int, limit: float) -> LogisticPolynomial:
        """The polynomial of `degree` (3 or 5) on [-limit, limit]. Raises `ConfigInvalid` for another degree."""
        if degree not in DEGREES:
            raise ConfigInvalid("scorecard_degree", name=degree, known=", ".join(map(str, DEGREES)))
        u = np.linspace(-limit, limit, _GRID)
        weight = np.exp(-((u * _WEIGHT_SPREAD / limit) ** 2) / 4)  # the square root of the weight
        odd = list(range(1, degree + 1, 2))
        powers = np.stack([u**power for power in odd], axis=1)
        target = 1.0 / (1.0 + np.exp(-u)) - 0.5
        found, *_ = np.linalg.lstsq(powers * weight[:, None], target * weight, rcond=None)
        scale_bits = degree * SCORE_BITS + LEADING_BITS
        coefficients = [0] * (degree + 1)
        coefficients[0] = 1 << (scale_bits - 1)  # p(0) = 1/2
        for power, value in zip(odd, found.tolist(), strict=True):
            coefficients[power] = round(math.ldexp(value, scale_bits - power * SCORE_BITS))
        return cls(tuple(coefficients))

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @property
    def scale_bits(self) -> int:
        """d is in units of 2^-scale_bits."""
        return self.degree * SCORE_BITS + LEADING_BITS

    @property
    def leading(self) -> int:
        """a_degree: public, so it never travels."""
        return self.coefficients[-1]

    def residual_bits(self, parties: int) -> int:
        """b with |d| < 2^b for every row, when each of the parties' scores stays within `MAXIMUM_SCORE`."""
        largest = parties * OFFSET
        bound: int = sum(abs(a) * largest**power for power, a in enumerate(self.coefficients))
        return (bound + (1 << self.scale_bits)).bit_length()

    def residuals(self, scores: Integers, labels: Integers) -> BigIntegers:
        """d per row, from the *total* scores in units of 2^-SCORE_BITS and labels 0 or 1: (n,)."""
        total = scores.astype(object)
        found = np.full(len(scores), self.leading, dtype=object)
        for a in reversed(self.coefficients[:-1]):
            found = found * total + a
        residuals: BigIntegers = found - (labels.astype(object) << self.scale_bits)
        return residuals

    def coefficients_at(self, scores: Integers, labels: Integers) -> list[BigIntegers]:
        """d as a polynomial in what is still to be added to `scores`: its coefficients 0..degree-1, each (n,)."""
        rest = self.shifted([np.full(len(scores), a, dtype=object) for a in self.coefficients[:-1]], scores)
        rest[0] = rest[0] - (labels.astype(object) << self.scale_bits)
        return rest

    def shifted(self, coefficients: Sequence[BigIntegers], by: Integers) -> list[BigIntegers]:
        """The coefficients of q(x + by) from those of q, without the leading one, which is the same."""
        rest, shift = list(coefficients), by.astype(object)
        for lowest in range(self.degree):
            above: Any = self.leading
            for power in reversed(range(lowest, self.degree)):
                rest[power] = rest[power] + shift * above
                above = rest[power]
        return rest


def in_units(scores: Floats, party: str) -> Integers:
    """Scores in log-odds as integers in units of 2^-SCORE_BITS: (n,). Raises `ConfigInvalid` when one is too large."""
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    if not np.isfinite(scores).all() or float(np.abs(scores).max()) > MAXIMUM_SCORE:
        raise ConfigInvalid("scorecard_diverged", party=party, limit=MAXIMUM_SCORE)
    return np.rint(np.ldexp(scores, SCORE_BITS)).astype(np.int64)
