"""A party's part in each stage of a job: the data its role gets, and what becomes of the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Protocol

import msgspec

from clients.context import StageContext
from clients.enterprise.stage import EnterpriseStage
from clients.forgetting.cards import keep_card, segments_number
from clients.forgetting.digests import segments_part
from clients.forgetting.earlier import EarlierSegments, starts_among
from clients.forgetting.stage import RecallStage, keep_rows
from clients.plans import kmeans_options
from clients.releases import (
    match_release,
    profile,
    write_customers,
)
from clients.risk_stages import RiskStage, ScoreStage
from clients.scorecard_stages import BinsStage, PointsStage, ScorecardStage, SelectStage
from federation import align, align_oprf, kmeans
from federation.clusters import standardize
from federation.jobs import MatchMode, Method, Stage, encode_job
from federation.messages import Message
from federation.roles import Role, View
from federation.session import ClusterRelease
from federation.witnessing import CheckpointExchange
from privacy.audit import EventType


class PartyStage(Protocol):
    """A role, and what to do with its result."""

    @property
    def role(self) -> Role: ...

    def finish(self) -> list[Message]:
        """Keep the result; returns what is released to the coordinator for the report."""
        ...


class WitnessStage:
    """Everybody signs everybody's audit log: nobody can change its own afterwards."""

    role: CheckpointExchange

    def __init__(self, context: StageContext) -> None:
        self.role = CheckpointExchange(context.plan.name, context.peers, context.home.audit)

    def finish(self) -> list[Message]:
        return []


class MatchStage:
    """`align` over the eligible rows' identifiers."""

    role: align.LabelHolder | align.FeatureHolder | align_oprf.LabelHolder | align_oprf.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, spec = context.job, context.home.settings.table
        # A list of hashes matches only lists of the same hash.
        kind = f"{spec.id_kind}/{job.match.id_format}"
        if job.match.mode is MatchMode.OPRF:
            experimental = align_oprf.LabelHolder if context.is_label_holder else align_oprf.FeatureHolder
            self.role = experimental(job.roles, kind, context.table.identifiers, k_min=context.k_min)
            return
        holder = align.LabelHolder if context.is_label_holder else align.FeatureHolder
        self.role = holder(
            job.roles,
            context.plan.name,
            kind,
            context.table.identifiers,
            plan=job.match,
            k_min=context.k_min,
            store=context.shelf(Stage.MATCH),
            workers=context.local_workers,
        )

    def finish(self) -> list[Message]:
        aligned, context = self.role.result, self._context
        if aligned is None:
            return []
        context.match(aligned.rows, aligned.subject_refs)
        context.keep("job", encode_job(context.job))
        context.keep_handle()
        seen = {"matched": len(aligned.rows)} if len(aligned.rows) >= context.k_min else {}
        context.gate.note(EventType.MATCH_RUN, numbers=seen)
        context.at_end(lambda: keep_rows(context))
        if len(context.job.stages) == 1 and len(aligned.rows):
            # Not yet: the label holder may still find that the coordinator has paired other rows.
            context.at_end(lambda: write_customers(context))
        return [match_release(context, aligned.size)]


class SegmentsStage:
    """Vertical k-means over the segment fields."""

    role: kmeans.LabelHolder | kmeans.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options = context.job, kmeans_options(context.job)
        view = context.aligned(context.plan.segment_fields)
        standardized = View(view.fields, standardize(view.values)[0])
        starts = None
        if job.forget is not None:  # as it was chosen then: one run, from the same rows
            again = EarlierSegments.read(context.home, job.forget.session)
            options = replace(options, n_clusters=again.n_clusters, n_init=1)
            starts = starts_among(again.starts, context.file_places)
        if context.is_label_holder:
            self.role = kmeans.LabelHolder(
                job.roles,
                standardized,
                decryptor=context.decryptor,
                public_key=context.key.public,
                options=options,
                profile=job.security,
                starts=starts,
            )
        else:
            self.role = kmeans.FeatureHolder(
                job.roles,
                standardized,
                options=options,
                profile=job.security,
                alpha_keys=job.alpha_keys,
            )

    def finish(self) -> list[Message]:
        found, context = self.role.result, self._context
        if found is None:
            return []
        context.kept.segments, context.kept.n_segments = found.assignments, found.n_clusters
        record: dict[str, Any] = {
            "assignments": found.assignments.tobytes(),
            "centroids": found.centroids.tobytes(),
            "n_clusters": found.n_clusters,
            "fields": context.admitted(context.plan.segment_fields),
        }
        releases: list[Message] = [profile(context, found)]
        if isinstance(found, kmeans.ChosenClustering):
            record["starts"] = found.starts.tobytes()
            record["start_rows"] = context.file_rows(found.starts).tobytes()
            write_customers(context)
            releases.append(
                ClusterRelease(
                    n_clusters=found.n_clusters,
                    stability=tuple(sorted(found.stability.items())),
                    iterations=found.iterations,
                )
            )
        context.keep("segments", msgspec.msgpack.encode(record))
        part = segments_part(found.n_clusters, context.admitted(context.plan.segment_fields), found.centroids)
        keep_card(context, Method.KMEANS, segments_number(context.session), part)
        return releases


def build_stage(stage: Stage, context: StageContext) -> PartyStage:
    """This party's part of a stage."""
    return _STAGES[stage](context)


_STAGES: Final[dict[Stage, Callable[[StageContext], PartyStage]]] = {
    Stage.MATCH: MatchStage,
    Stage.RECALL: RecallStage,
    Stage.SEGMENTS: SegmentsStage,
    Stage.BINS: BinsStage,
    Stage.SELECT: SelectStage,
    Stage.SCORECARD: ScorecardStage,
    Stage.POINTS: PointsStage,
    Stage.RISK: RiskStage,
    Stage.SCORE: ScoreStage,
    Stage.ENTERPRISE: EnterpriseStage,
    Stage.WITNESS: WitnessStage,
}
