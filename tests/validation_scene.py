"""A bank's evidence for a validation report: a sample in which joining helps, drawn from a seed."""

from typing import Any

import msgspec
import numpy as np

from clients.validation.evidence import BinEvidence, Evidence, FieldEvidence, Groups, learnt_by
from clients.validation.record import (
    FunnelStep,
    Identification,
    Importance,
    ModelKind,
    PointsScale,
    StageTraffic,
    Traffic,
    Words,
)
from federation import boosting, scoring

K_MIN = 50


def make_identification(**changes: Any) -> Identification:
    made = Identification(
        model_id="9f2c1e5ab7d04c1d8a3350e2b1c7d9aa",
        kind=ModelKind.SCORECARD,
        job="spring",
        job_digest="4be1" * 16,
        purpose="credit_risk",
        label_holder="bank",
        partners=("shop", "telecom"),
        trained="2026-03-02",
        created="2026-03-03",
        code_version="0.1.0",
        k_min=K_MIN,
        key_bits=2048,
    )
    return msgspec.structs.replace(made, **changes)


def field_of(name: str, values: np.ndarray, label: np.ndarray, weight: float) -> tuple[FieldEvidence, Any]:
    """An own field in five bins of equal size, with counts of the given rows."""
    edges = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
    codes = np.searchsorted(edges, values)
    goods, bads = (np.bincount(codes[label == side], minlength=5) for side in (0, 1))
    woe = np.log((goods + 0.5) / goods.sum() / ((bads + 0.5) / bads.sum()))
    iv = float(((goods / goods.sum() - bads / bads.sum()) * woe).sum())
    ends = ["", *(f"{edge:.2f}" for edge in edges), ""]
    bins = tuple(
        BinEvidence(
            f"{ends[place]} – {ends[place + 1]}".strip(),
            int(goods[place]),
            int(bads[place]),
            float(woe[place]),
            round(weight * float(woe[place])),
        )
        for place in range(5)
    )
    made = FieldEvidence(
        party="bank", name=name, iv=iv, n_bins=5, trend="descending", is_monotone=True, bins=bins
    )
    return made, codes


def make_evidence(rows: int = 8000, seed: int = 7, **changes: Any) -> Evidence:
    """rows: matched people, 70 % of them for training, a fifth of them bad."""
    rng = np.random.default_rng(seed)
    income, debt, orders = rng.normal(size=(3, rows))
    odds = -1.6 - 0.9 * income + 0.5 * debt - 0.9 * orders
    label = (rng.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int8)
    alone_odds = -1.45 - 0.8 * income + 0.45 * debt
    train = np.zeros(rows, dtype=bool)
    train[rng.permutation(rows)[: int(0.7 * rows)]] = True
    factor = 20 / np.log(2)
    found = [
        field_of(name, values[train], label[train], factor)
        for name, values in (("income", income), ("debt", debt))
    ]
    age = rng.integers(0, 4, rows)
    reasons = {
        "C01": (Words(en="Income is low for the loan", zh="收入相对贷款偏低"), income < -0.5),
        "C02": (Words(en="Debt is high", zh="负债偏高"), debt > 0.8),
        "P07": (Words(en="Few orders in the last year", zh="近一年订单较少"), orders < -0.6),
    }
    partner = [
        FieldEvidence(party="shop", name="", number=number, iv=iv, n_bins=bins, kept=iv > 0.02)
        for number, iv, bins in ((17, 0.31, 6), (4, 0.012, 3))
    ]
    partner.append(FieldEvidence(party="telecom", name="Contract length", number=8, iv=0.08, n_bins=4))
    codes = {
        name: np.searchsorted(np.quantile(values, [0.2, 0.4, 0.6, 0.8]), values)
        for name, values in (("income", income), ("debt", debt))
    }
    evidence = Evidence(
        identification=make_identification(),
        label=label,
        train=train,
        joint=1 / (1 + np.exp(-odds)),
        alone=1 / (1 + np.exp(-alone_odds)),
        points=np.round(600 - 20 * np.log2(50) - factor * odds).astype(np.int64),
        scale=PointsScale(base=600, base_odds=50.0, pdo=20, constant=512.3),
        importance=(
            Importance(party="shop", name="", share=0.6125),
            Importance(party="bank", name="income", share=0.3875),
        ),
        target=Words(en="90 days past due within 12 months", zh="12 个月内逾期 90 天"),
        window=Words(en="Applications of 2024, outcome in 2025", zh="2024 年的申请，2025 年的结果"),
        test_share=0.3,
        seed=42,
        funnel=(
            FunnelStep(reason="rows_in_file", rows=11_200),
            FunnelStep(reason="no_consent", rows=None),
            FunnelStep(reason="eligible", rows=9_000),
        ),
        fields=(*(made for made, _ in found), *partner),
        codes=codes,
        demographics={
            "age_band": Groups(("18-29", "30-44", "45-59", "60+"), age),
            "gender": Groups(("female", "male"), rng.integers(0, 2, rows)),
            "region": Groups(
                ("east", "west", "north"), np.where(rng.random(rows) < 0.01, -1, rng.integers(0, 3, rows))
            ),
        },
        reasons=reasons,
        learnt=(
            *learnt_by(
                "bank",
                "label_holder",
                (boosting.DISCLOSES, scoring.DISCLOSES),
                {"boosting.candidates/1": 21, "boosting.sides/1": 18},
            ),
            *learnt_by("shop", "feature_holder", (boosting.DISCLOSES,), None),
        ),
        traffic=(
            Traffic(
                party="bank",
                messages_received=39,
                bytes_sent=51_234_567,
                bytes_received=8_345_678,
                ciphertexts_opened=12_345,
                seconds=41.25,
            ),
        ),
        stages=(
            StageTraffic(
                stage="risk",
                messages_received=30,
                bytes_sent=40_234_567,
                bytes_received=7_345_678,
                seconds=31.5,
            ),
        ),
    )
    given = {name: getattr(evidence, name) for name in evidence.__dataclass_fields__}
    return Evidence(**given | changes)
