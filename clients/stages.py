"""A party's part in each stage of a job: the data its role gets, and what becomes of the result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
import numpy as np

from clients.context import StageContext
from clients.enterprise.stage import EnterpriseStage
from clients.plans import boosting_options, kmeans_options, risk_plan, split_rows
from clients.releases import (
    match_release,
    profile,
    risk_release,
    score_columns,
    scores_alone,
    write_customers,
)
from clients.scorecard_stages import BinsStage, PointsStage, ScorecardStage, SelectStage
from federation import align, align_oprf, boosting, kmeans, scoring
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
        if context.is_label_holder:
            self.role = kmeans.LabelHolder(
                job.roles,
                standardized,
                decryptor=context.decryptor,
                public_key=context.key.public,
                options=options,
                profile=job.security,
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
        record = {"assignments": found.assignments.tobytes(), "centroids": found.centroids.tobytes()}
        releases: list[Message] = [profile(context, found)]
        if isinstance(found, kmeans.ChosenClustering):
            record["starts"] = found.starts.tobytes()
            write_customers(context)
            releases.append(
                ClusterRelease(
                    n_clusters=found.n_clusters,
                    stability=tuple(sorted(found.stability.items())),
                    iterations=found.iterations,
                )
            )
        context.keep("segments", msgspec.msgpack.encode(record))
        return releases


class RiskStage:
    """SecureBoost training over the risk fields."""

    role: boosting.LabelHolder | boosting.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options = context.job, boosting_options(context.job)
        view = context.aligned(context.plan.risk_fields)
        stopped, places = context.kept.training or (None, context.kept.places)
        categorical, store = context.home.settings.table.categorical_fields, context.shelf(Stage.RISK)
        if context.is_label_holder:
            label = context.aligned_label()
            before = None
            if isinstance(stopped, boosting.LabelHolder):
                before = stopped.carry_on(np.isin(places, context.kept.places))
            elif job.scorecard is None:  # else its split, which is the same but for people who have left since
                context.kept.train_rows, _ = split_rows(risk_plan(job), context.kept.rows, label)
            self.role = boosting.LabelHolder(
                job.roles,
                view,
                label,
                context.kept.train_rows,
                options,
                decryptor=context.decryptor.expect(options.trees - options.first_tree_local),
                public_key=context.key.public,
                before=before,
                categorical=categorical,
                row_keys=context.file_rows(context.kept.train_rows),
                store=store,
            )
        else:
            self.role = boosting.FeatureHolder(
                job.roles,
                view,
                options,
                job.security.key_bits,
                alpha_keys=job.alpha_keys,
                workers=context.workers,
                zeros=context.zeros,
                before=stopped if isinstance(stopped, boosting.FeatureHolder) else None,
                categorical=categorical,
                store=store,
            )
        context.kept.training = self.role, context.kept.places

    def finish(self) -> list[Message]:
        model, context = self.role.result, self._context
        if model is not None:
            context.kept.model, context.kept.training = model, None
            data = model.to_bytes()
            context.keep("risk_model", data)
            digests = {"model": hashlib.sha256(data).hexdigest()}
            context.gate.note(EventType.MODEL_REGISTERED, artefact=Method.SECUREBOOST.value, digests=digests)
            context.keep("train_rows", context.kept.train_rows.tobytes())
        return []


class ScoreStage:
    """Scores of all matched rows with the finished model; quality on the held-out rows."""

    role: scoring.LabelHolder | scoring.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        holder = scoring.LabelHolder if context.is_label_holder else scoring.FeatureHolder
        view = context.aligned(context.plan.risk_fields)
        self.role = holder(context.job.roles, view, context.kept.model)

    def finish(self) -> list[Message]:
        scores, context = self.role.result, self._context
        if not isinstance(scores, np.ndarray):  # a partner's result is only a count of its answers
            return []
        alone = scores_alone(context)
        context.keep("scores", scores.tobytes())
        context.keep("train_rows", context.kept.train_rows.tobytes())  # rows may have left since the training
        context.kept.put_columns(score_columns(context, scores, alone))
        write_customers(context)
        return [risk_release(context, scores, alone)]


def build_stage(stage: Stage, context: StageContext) -> PartyStage:
    """This party's part of a stage."""
    return _STAGES[stage](context)


_STAGES: Final[dict[Stage, Callable[[StageContext], PartyStage]]] = {
    Stage.MATCH: MatchStage,
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
