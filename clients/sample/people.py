"""The people of the synthetic world: personas, hidden factors, features at three holders, and default.

Every person has a persona and three hidden factors that are independent of it: affluence, self-control and
residential stability. Each holder sees the factors through its own columns only (the bank little of
self-control and nothing of stability), which is why joining helps. The default depends on the factors and on
two bank columns, never on the persona, so that no single holder can explain it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

Floats = np.ndarray[Any, np.dtype[np.float64]]

PARTIES: Final = ("bank", "ecommerce", "telecom")

PERSONAS: Final = ("trend_follower", "price_sensitive", "quality_seeker")
"""时尚追随者, 价格敏感型学生/新人, 品质生活家. All tuples of three below are in this order."""

PERSONA_SHARES: Final = (0.36, 0.30, 0.34)
FEMALE_SHARES: Final = (0.78, 0.52, 0.69)
AGES: Final = ((25.0, 2.6), (21.5, 2.0), (34.0, 5.0))
"""Mean and standard deviation in years, before clipping to `ADULT_AGES`."""
ADULT_AGES: Final = (18, 60)
CITY_TIER_SHARES: Final = ((0.38, 0.40, 0.15, 0.07), (0.25, 0.33, 0.27, 0.15), (0.46, 0.34, 0.14, 0.06))
MEMBERSHIP: Final[Mapping[str, tuple[float, float, float]]] = {
    "bank": (0.66, 0.42, 0.82),
    "ecommerce": (0.90, 0.85, 0.70),
    "telecom": (0.78, 0.72, 0.80),
}

DEFAULT_INTERCEPT: Final = -3.75
"""Gives 6.1 % of bank customers 90 days past due within 12 months."""

_LONGEST_MONTHS: Final = 240.0


class Family(StrEnum):
    """How a feature follows from its predictor eta = level[persona] + effects + N(0, noise)."""

    LOGNORMAL = "lognormal"
    """exp(eta): amounts."""
    SHARE = "share"
    """1 / (1 + exp(-eta)): a share of something, in (0, 1)."""
    COUNT = "count"
    """Poisson(exp(eta))."""
    MONTHS = "months"
    """Gamma(shape, level[persona]) * exp(effects), at most 240."""
    DAYS = "days"
    """Gamma(shape, level[persona]), in whole days."""
    INDEX = "index"
    """eta, clipped to [0, 1]."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One numeric column: who holds it and how it is drawn.

    effects: coefficient by driver: `affluence`, `self_control`, `stability` (standard normal each),
        `city_tier` (0 for a first-tier city) and `log_income`.
    transform, minimum, maximum: how the column is registered for modelling.
    segmenting: whether segmentation uses it (the other columns only serve risk).
    """

    name: str
    party: str
    family: Family
    level: tuple[float, float, float]
    effects: Mapping[str, float] = field(default_factory=dict)
    noise: float = 0.0
    shape: float = 1.0
    decimals: int = 2
    transform: Literal["none", "log1p"] = "none"
    minimum: float = 0.0
    maximum: float | None = None
    segmenting: bool = False


def _amount(
    name: str, party: str, level: tuple[float, float, float], noise: float, **effects: float
) -> Feature:
    return Feature(name, party, Family.LOGNORMAL, level, effects, noise, transform="log1p", segmenting=True)


def _share(
    name: str,
    party: str,
    level: tuple[float, float, float],
    noise: float,
    *,
    segmenting: bool = False,
    **effects: float,
) -> Feature:
    return Feature(
        name, party, Family.SHARE, level, effects, noise, decimals=4, maximum=1.0, segmenting=segmenting
    )


def _count(
    name: str,
    party: str,
    level: tuple[float, float, float],
    noise: float = 0.0,
    *,
    segmenting: bool = False,
    **effects: float,
) -> Feature:
    return Feature(
        name, party, Family.COUNT, level, effects, noise, decimals=0, transform="log1p", segmenting=segmenting
    )


def _time(
    name: str, party: str, family: Family, level: tuple[float, float, float], shape: float, **effects: float
) -> Feature:
    decimals = 0 if family is Family.DAYS else 1
    return Feature(
        name,
        party,
        family,
        level,
        effects,
        shape=shape,
        decimals=decimals,
        transform="log1p",
        segmenting=True,
    )


FEATURES: Final = (
    # The bank: money in RMB. Income comes first: deposits and the default refer to it.
    _amount("monthly_income", "bank", (9.05, 8.15, 9.85), 0.2, affluence=0.35, city_tier=-0.12),
    _share(
        "card_utilisation", "bank", (-0.2, 0.1, -1.1), 0.8, segmenting=True,
        self_control=-0.30, affluence=-0.25,
    ),
    _amount("deposit_balance", "bank", (0.2, -0.6, 1.1), 1.0, log_income=1.0, self_control=0.25),
    _time("tenure_months", "bank", Family.MONTHS, (9, 5, 26), 2.0),
    _count("enquiries_6m", "bank", (0.3, 0.55, -0.4), self_control=-0.18),
    _count("late_payments_12m", "bank", (-1.1, -0.9, -2.0), self_control=-0.28),
    # The shop.
    _count("orders_12m", "ecommerce", (2.7, 1.6, 2.3), 0.40, segmenting=True, affluence=0.15),
    _amount("average_order_value", "ecommerce", (5.77, 4.25, 6.55), 0.55, affluence=0.25),
    _share("coupon_rate", "ecommerce", (-0.5, 1.9, -1.7), 1.1, segmenting=True, affluence=-0.1),
    _share("night_order_rate", "ecommerce", (-0.6, 0.1, -1.6), 0.5, self_control=-0.75),
    _share("return_rate", "ecommerce", (-1.3, -2.2, -2.2), 0.5, self_control=-0.65),
    _share("instalment_rate", "ecommerce", (-0.3, 0.5, -1.7), 0.7, self_control=-0.70),
    Feature(
        "brand_loyalty", "ecommerce", Family.INDEX, (0.35, 0.2, 0.68), noise=0.20, decimals=4, maximum=1.0,
        segmenting=True,
    ),
    _time("days_since_order", "ecommerce", Family.DAYS, (13, 40, 18), 1.4),
    # The telephone company: monthly_spend is its ARPU.
    _amount("monthly_spend", "telecom", (4.35, 3.55, 4.85), 0.2, affluence=0.18),
    _time("network_age_months", "telecom", Family.MONTHS, (15, 7, 36), 2.2, stability=0.35),
    _count("arrears_12m", "telecom", (-1.0, -0.75, -2.1), self_control=-0.60, stability=-0.30),
    _count("city_moves_12m", "telecom", (-0.6, -0.2, -1.4), stability=-0.65),
    _amount("data_gb_month", "telecom", (3.2, 3.5, 2.7), 0.3),
    _share("night_call_rate", "telecom", (-1.5, -1.0, -2.3), 0.5, self_control=-0.6, stability=-0.25),
)  # fmt: skip


def draw_people(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """`count` people before any dirt, a row each.

    Columns: persona (0 to 2), affluence, self_control, stability, female, age, city_tier (1 to 4), one column
    per feature, default_probability, default_12m (0 or 1), and in_<party> for each party.
    """
    persona = rng.choice(len(PERSONAS), count, p=PERSONA_SHARES)
    factors = {name: rng.normal(size=count) for name in ("affluence", "self_control", "stability")}
    mean, deviation = np.array(AGES)[persona].T
    tier_limits = np.cumsum(CITY_TIER_SHARES, axis=1)[persona, :-1]
    columns: dict[str, Any] = {
        "persona": persona,
        **factors,
        "female": rng.random(count) < np.array(FEMALE_SHARES)[persona],
        "age": np.clip(rng.normal(mean, deviation), *ADULT_AGES).round().astype(np.int64),
        "city_tier": 1 + (rng.random(count)[:, None] > tier_limits).sum(axis=1),
    }
    drivers: dict[str, Floats] = {**factors, "city_tier": columns["city_tier"] - 1.0}
    for feature in FEATURES:
        values = _draw(feature, persona, drivers, rng)
        if feature.name == "monthly_income":
            drivers["log_income"] = np.log(values)
        columns[feature.name] = np.round(values, feature.decimals)
        if feature.decimals == 0:
            columns[feature.name] = columns[feature.name].astype(np.int64)
    probability = 1.0 / (1.0 + np.exp(-_default_logit(columns)))
    columns["default_probability"] = probability
    columns["default_12m"] = (rng.random(count) < probability).astype(np.int64)
    for party, shares in MEMBERSHIP.items():
        columns[f"in_{party}"] = rng.random(count) < np.array(shares)[persona]
    return pd.DataFrame(columns)


def _draw(
    feature: Feature,
    persona: np.ndarray[Any, np.dtype[np.int64]],
    drivers: Mapping[str, Floats],
    rng: np.random.Generator,
) -> Floats:
    level = np.array(feature.level, dtype=np.float64)[persona]
    effect = np.zeros(len(persona))
    for driver, coefficient in feature.effects.items():
        effect += coefficient * drivers[driver]
    values: Floats
    if feature.family in {Family.MONTHS, Family.DAYS}:
        values = rng.gamma(feature.shape, level) * np.exp(effect)
        return np.minimum(values, _LONGEST_MONTHS) if feature.family is Family.MONTHS else values
    predictor = level + effect + rng.normal(0.0, feature.noise, len(persona))
    match feature.family:
        case Family.LOGNORMAL:
            values = np.exp(predictor)
        case Family.SHARE:
            values = 1.0 / (1.0 + np.exp(-predictor))
        case Family.COUNT:
            values = rng.poisson(np.exp(predictor)).astype(np.float64)
        case _:
            values = np.clip(predictor, 0.0, 1.0)
    return values


def _default_logit(columns: Mapping[str, Any]) -> Floats:
    logit: Floats = (
        DEFAULT_INTERCEPT
        + 0.8 * np.log1p(columns["late_payments_12m"])
        + 1.2 * (columns["card_utilisation"] - 0.4)
        - 0.35 * (np.log(columns["monthly_income"]) - 9.0)
        - 1.0 * columns["self_control"]
        - 0.80 * columns["stability"]
        - 0.20 * columns["affluence"]
    )
    return logit
