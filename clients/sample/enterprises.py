"""The firms of the synthetic world of enterprises: types, hidden factors, columns at three holders, and default.

Every firm has a type and three hidden factors that are independent of it: operating health, governance, and its owner's
credit. Each holder sees the factors through its own columns only (the bank's statements show little of health and
nothing of governance), which is why joining helps. The probability of default depends on the factors and on the type,
never on a column. All parameters are those of the reference generator of the design, on which they were measured.

Sources are merged into three parties, as they would come to a bank: the bank (statements, history, the owner's credit),
a supply-chain platform (trade, and the registry and patent data that it verifies), and a utility (electricity,
payments, lines, and the court and press records that the operator of a city's public data adds).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from clients.sample.electricity import MONTHS, draw_electricity

Floats = np.ndarray[Any, np.dtype[np.float64]]

ENTERPRISE_PARTIES: Final = ("bank", "platform", "utility")

TYPES: Final = ("steady_state_owned", "growing_technology", "labour_intensive_factory")
"""稳健经营型国企, 高成长科技民企, 传统劳动密集型工厂. All tuples of three below are in this order."""
TYPE_SHARES: Final = (0.15, 0.30, 0.55)
MEMBERS: Final = {"bank": (0.95, 0.75, 0.80), "platform": (0.65, 0.85, 0.85), "utility": (0.98, 0.88, 0.95)}
"""Share of the firms of each type that a party deals with."""

DEFAULT_INTERCEPT: Final = -3.0
"""Gives 8.0 % of firms in default within 12 months: 3.2, 5.4 and 10.6 % by type."""
_TYPE_EFFECTS: Final = (-1.1, -0.6, 0.35)
_HEALTH, _GOVERNANCE, _OWNER = -1.0, -0.55, -0.55

_TEN_THOUSAND: Final = 1e4
_OWNER_SCORE_CENTRE: Final = 650.0
_OWNER_SCORE_POINTS: Final = 60.0
"""The owner's bureau score: 650 + 60 * (0.7 * credit + N(0, 0.7))."""
_LABEL_MONTH: Final = 14
"""Defaults lie in months 15 to 24 of the panel, the firms' columns describe its first year."""


@dataclass(frozen=True, slots=True)
class Column:
    """One numeric column: who holds it, how it is registered, and whether the risk model uses it.

    is_financial: from the financial statement, the baseline that a bank without partners starts from.
    """

    name: str
    party: str
    decimals: int = 4
    transform: Literal["none", "log1p"] = "none"
    minimum: float | None = 0.0
    maximum: float | None = None
    is_risk: bool = True
    is_financial: bool = False


COLUMNS: Final = (
    # The bank: revenue and amounts in 10,000 RMB.
    Column("operating_margin", "bank", minimum=-1.0, maximum=1.0, is_financial=True),
    Column("leverage", "bank", maximum=2.0, is_financial=True),
    Column("current_ratio", "bank", transform="log1p", is_financial=True),
    Column("annual_revenue", "bank", 1, "log1p", is_financial=True),
    Column("firm_past_defaults_36m", "bank", 0, "log1p"),
    Column("owner_credit_score", "bank", 0, minimum=300.0, maximum=1000.0),
    Column("requested_amount", "bank", 0, "log1p", is_risk=False),
    # The platform.
    Column("firm_patents", "platform", 0, "log1p"),
    Column("rd_share", "platform", maximum=1.0),
    Column("years_registered", "platform", 1, "log1p"),
    Column("employees", "platform", 0, "log1p", is_risk=False),
    Column("order_growth", "platform", minimum=-1.0),
    Column("order_stability", "platform", maximum=1.0),
    Column("customer_concentration", "platform", maximum=1.0),
    Column("trade_disputes_12m", "platform", 0, "log1p"),
    # The utility; its monthly electricity is in `electricity_columns`.
    Column("firm_payment_delays_12m", "utility", 0, "log1p"),
    Column("lines_per_employee", "utility", transform="log1p"),
    Column("firm_lawsuits_24m", "utility", 0, "log1p"),
    Column("firm_negative_news_12m", "utility", 0, "log1p"),
)


def electricity_columns() -> tuple[str, ...]:
    """The utility's columns of the panel, oldest month first: an index, 1 where the panel begins."""
    return tuple(f"firm_electricity_{month:02d}" for month in range(1, MONTHS + 1))


def enterprise_fields(party: str, *, financial_only: bool = False) -> tuple[str, ...]:
    """The columns of one party that the risk model uses."""
    return tuple(
        column.name
        for column in COLUMNS
        if column.party == party and column.is_risk and (column.is_financial or not financial_only)
    )


def draw_enterprises(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """`count` firms before any dirt, a row each.

    Columns: type (0 to 2), health, governance, owner, one for each of `COLUMNS` and of `electricity_columns`,
    default_probability, default_12m (0 or 1), default_month and decline_month (0 to 23, -1 for never: of the default,
    and of the beginning of a decline or of a false dip), and in_<party> for each party.
    """
    kind = rng.choice(len(TYPES), count, p=TYPE_SHARES)
    health, governance, owner = (rng.normal(size=count) for _ in range(3))

    def of_type(*levels: float) -> Floats:
        return np.array(levels, np.float64)[kind]

    def noise(deviation: float) -> Floats:
        return rng.normal(0.0, deviation, count)

    def events(logarithm: Floats) -> Floats:
        return rng.poisson(np.exp(logarithm)).astype(np.float64)

    revenue = np.exp(of_type(18.6, 16.4, 17.0) + noise(0.9)) / _TEN_THOUSAND
    columns: dict[str, Any] = {
        "operating_margin": of_type(0.06, -0.05, 0.05) + 0.025 * health + noise(0.05),
        "leverage": np.clip(of_type(0.52, 0.66, 0.58) - 0.03 * health + noise(0.12), 0.05, 1.3),
        "current_ratio": np.exp(of_type(0.35, 0.10, 0.25) + 0.12 * health + noise(0.35)),
        "annual_revenue": revenue,
        "firm_past_defaults_36m": events(of_type(-2.5, -2.2, -1.4) - 0.35 * owner - 0.2 * health),
        "owner_credit_score": _OWNER_SCORE_CENTRE + _OWNER_SCORE_POINTS * (0.7 * owner + noise(0.7)),
        "requested_amount": 0.15 * revenue * np.exp(noise(0.5)),
        "firm_patents": events(of_type(0.8, 2.5, -0.7) + noise(0.5)),
        "rd_share": np.clip(of_type(0.02, 0.14, 0.008) * np.exp(noise(0.4)), 0, 0.6),
        "years_registered": np.clip(rng.gamma(3.0, of_type(7, 2.2, 4)), 1, 60),
        "employees": np.exp(of_type(5.6, 3.7, 4.6) + noise(0.6)),
        "order_growth": of_type(0.04, 0.35, 0.0) + 0.09 * health + noise(0.12),
        "order_stability": _share(of_type(1.4, 0.6, 0.5) + 0.9 * health + noise(0.6)),
        "customer_concentration": _share(of_type(-0.7, -0.1, 0.0) - 0.4 * health + noise(0.6)),
        "trade_disputes_12m": events(-1.6 - 0.6 * health - 0.3 * governance),
        "firm_payment_delays_12m": events(of_type(-2.0, -1.3, -0.9) - 0.55 * health - 0.35 * owner),
        "lines_per_employee": np.exp(0.15 * health + noise(0.3)),
        "firm_lawsuits_24m": events(of_type(-1.6, -1.9, -1.3) - 0.75 * governance),
        "firm_negative_news_12m": events(-1.2 - 0.6 * governance),
    }
    logit = DEFAULT_INTERCEPT + of_type(*_TYPE_EFFECTS)
    probability = _share(logit + _HEALTH * health + _GOVERNANCE * governance + _OWNER * owner)
    defaults = rng.random(count) < probability
    default_month = np.where(defaults, rng.integers(_LABEL_MONTH, MONTHS, count), -1)
    panel, decline_month = draw_electricity(columns["order_growth"], default_month, rng)
    drawn = {
        column.name: np.round(columns[column.name], column.decimals).astype(
            np.int64 if column.decimals == 0 else np.float64
        )
        for column in COLUMNS
    }
    drawn |= dict(zip(electricity_columns(), np.round(panel, 4).T, strict=True))
    truth = {"type": kind, "health": health, "governance": governance, "owner": owner}
    outcome = {
        "default_probability": probability,
        "default_12m": defaults.astype(np.int64),
        "default_month": default_month,
        "decline_month": decline_month,
    }
    members = {f"in_{party}": rng.random(count) < of_type(*shares) for party, shares in MEMBERS.items()}
    return pd.DataFrame({**truth, **drawn, **outcome, **members})


def _share(logit: Floats) -> Floats:
    shares: Floats = 1.0 / (1.0 + np.exp(-logit))
    return shares
