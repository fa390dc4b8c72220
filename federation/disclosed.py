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
    scorecard,
    scoring,
    session,
    woe_binning,
)
from federation.enterprise import exchange_messages as enterprise
from federation.jobs import MatchMode, MatchPlan, Stage
from federation.roles import Disclosures

_AFTER_MATCHING: Final[Mapping[Stage, tuple[Disclosures, ...]]] = {
    Stage.SEGMENTS: (kmeans.DISCLOSES, insight.DISCLOSES, session.SEGMENT_RELEASES),
    Stage.BINS: (woe_binning.DISCLOSES,),
    Stage.SELECT: (collinearity.DISCLOSES,),
    Stage.SCORECARD: (scorecard.DISCLOSES,),
    Stage.POINTS: (points.DISCLOSES, session.SCORECARD_RELEASES),
    Stage.RISK: (boosting.DISCLOSES,),
    Stage.SCORE: (scoring.DISCLOSES, session.RISK_RELEASES),
    Stage.ENTERPRISE: (enterprise.DISCLOSES,),
}


def protocols_of(stage: Stage, match: MatchPlan) -> tuple[Disclosures, ...]:
    """What runs in a stage; how customers are matched is the job's choice."""
    if stage is not Stage.MATCH:
        return _AFTER_MATCHING[stage]
    matching = align_oprf.DISCLOSES if match.mode is MatchMode.OPRF else align.disclosures_of(match)
    return (matching, session.GATE_DISCLOSES, audit_messages.DISCLOSES, session.MATCH_RELEASES)
