"""What every stage of a job tells whom: the protocols' own declarations, stage by stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation import (
    align,
    align_oprf,
    audit_messages,
    boosting,
    collinearity,
    insight,
    kmeans,
    points,
    recall_messages,
    scorecard,
    scoring,
    session,
    shards_messages,
    woe_binning,
)
from federation.enterprise import exchange_messages as enterprise
from federation.jobs import MatchMode, MatchPlan, RiskPlan, Stage
from federation.roles import Disclosures

_BY_STAGE: Final[Mapping[Stage, tuple[Disclosures, ...]]] = {
    Stage.RECALL: (recall_messages.DISCLOSES, session.GATE_DISCLOSES, audit_messages.DISCLOSES),
    Stage.SEGMENTS: (kmeans.DISCLOSES, insight.DISCLOSES, session.SEGMENT_RELEASES),
    Stage.BINS: (woe_binning.DISCLOSES,),
    Stage.SELECT: (collinearity.DISCLOSES,),
    Stage.SCORECARD: (scorecard.DISCLOSES,),
    Stage.POINTS: (points.DISCLOSES, session.SCORECARD_RELEASES),
    Stage.RISK: (boosting.DISCLOSES,),
    Stage.SCORE: (scoring.DISCLOSES, session.RISK_RELEASES),
    Stage.ENTERPRISE: (enterprise.DISCLOSES,),
}


def protocols_of(stage: Stage, match: MatchPlan, risk: RiskPlan | None = None) -> tuple[Disclosures, ...]:
    """What runs in a stage; how customers are matched is the job's choice, and whether trees are trained in shards."""
    if stage is Stage.RISK and risk is not None and risk.shards > 1:
        return (*_BY_STAGE[stage], shards_messages.DISCLOSES)
    if stage is not Stage.MATCH:
        return _BY_STAGE[stage]
    matching = align_oprf.DISCLOSES if match.mode is MatchMode.OPRF else align.disclosures_of(match)
    return (matching, session.GATE_DISCLOSES, audit_messages.DISCLOSES, session.MATCH_RELEASES)
