"""How well the score ranks: the section of AUC, KS, curves and lift, beside the label holder's own model.

Rounding is part of hiding (`clients.releases.quality_decimals`): exact figures of small classes give their counts away.
"""

from __future__ import annotations

import numpy as np

from clients.releases import quality_decimals
from clients.validation import measures
from clients.validation.evidence import Evidence
from clients.validation.measures import Floats, Mask
from clients.validation.record import Gain, ModelQuality, Performance, Quality
from clients.validation.rounding import maybe, rounded
from clients.validation.tables import ScoreTables
from federation import metrics


def performance_of(evidence: Evidence, tables: ScoreTables) -> Performance:
    """Raises `ConfigInvalid` when a class is absent among the held-out rows."""
    test = ~evidence.train
    joint = _model_quality(evidence, tables.risk, is_joint=True)
    alone = None if evidence.alone is None else _model_quality(evidence, evidence.alone, is_joint=False)
    gain = None
    if evidence.alone is not None and _is_large(evidence, test):
        difference, p_value = measures.auc_difference(
            evidence.label[test], tables.risk[test], evidence.alone[test]
        )
        gain = Gain(
            auc=rounded(difference.value),
            low=rounded(difference.low),
            high=rounded(difference.high),
            p_value=rounded(p_value, 6),
        )
    pooled_auc, pooled_ks = evidence.pooled or (None, None)
    return Performance(
        confidence=measures.CONFIDENCE,
        joint=joint,
        alone=alone,
        gain=gain,
        curve_joint=tables.curve(),
        curve_alone=tables.curve_alone(),
        lift=tables.lift(),
        pooled_auc=maybe(pooled_auc),
        pooled_ks=maybe(pooled_ks),
    )


def _model_quality(evidence: Evidence, risk: Floats, *, is_joint: bool) -> ModelQuality:
    def on(part: Mask) -> Quality:
        label, decimals = (
            evidence.label[part],
            quality_decimals(evidence.label[part], evidence.identification.k_min),
        )
        ks, cut = measures.ks_cut(label, risk[part])
        area = metrics.auc(label, risk[part])
        interval = measures.auc_interval(label, risk[part]) if _is_large(evidence, part) else None
        shown_cut = -cut if is_joint and evidence.points is not None else cut
        return Quality(
            auc=rounded(area, decimals),
            auc_low=None if interval is None else rounded(interval.low, decimals),
            auc_high=None if interval is None else rounded(interval.high, decimals),
            gini=rounded(2 * area - 1, decimals),
            ks=rounded(ks, decimals),
            ks_cut=rounded(shown_cut, 3) if interval is not None else None,
        )

    train = evidence.train
    both = 0 < int(evidence.label[train].sum()) < int(train.sum())
    return ModelQuality(held_out=on(~train), train=on(train) if both else None)


def _is_large(evidence: Evidence, part: Mask) -> bool:
    """Whether both classes are large enough for more than a coarse AUC."""
    return int(np.bincount(evidence.label[part], minlength=2).min()) >= evidence.identification.k_min
