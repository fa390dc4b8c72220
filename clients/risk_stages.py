"""A party's part in training boosted trees, and in scoring with them: this job's, or an earlier one's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from clients.batches import asked_rows, spread
from clients.context import StageContext
from clients.finished import TRAIN_ROWS
from clients.lending.scored import contribution_reasons
from clients.models import keep_model, model_for
from clients.plans import boosting_options, risk_plan, split_rows
from clients.releases import risk_release, score_columns, scores_alone, write_customers
from clients.risk_shards import (
    MODEL_RECORD,
    ShardedRole,
    keep_shards,
    seed_before,
    sharded_feature_holder,
    sharded_label_holder,
)
from federation import boosting, scoring
from federation.jobs import Method, ScoringPlan, Stage
from federation.messages import Message
from federation.path_attributions import Contributions
from privacy.errors import ConfigInvalid, DisclosureNotAccepted


class RiskStage:
    """SecureBoost training over the risk fields, in one piece or in shards."""

    role: boosting.LabelHolder | boosting.FeatureHolder | ShardedRole

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options, plan = context.job, boosting_options(context.job), risk_plan(context.job)
        view = context.aligned(context.plan.risk_fields)
        stopped, places = context.kept.training or (None, context.kept.places)
        staying = np.isin(places, context.kept.places)
        categorical, store = context.home.settings.table.categorical_fields, context.shelf(Stage.RISK)
        if context.is_label_holder and stopped is None and job.scorecard is None:
            # A scorecard has made the same split already, but for people who have left since.
            context.kept.train_rows, _ = split_rows(plan, context.file_places, context.aligned_label())
        if plan.shards > 1 and context.is_label_holder:
            self.role = sharded_label_holder(context, stopped, staying)
        elif plan.shards > 1:
            self.role = sharded_feature_holder(context, stopped)
        elif context.is_label_holder:
            self.role = boosting.LabelHolder(
                job.roles,
                view,
                context.aligned_label(),
                context.kept.train_rows,
                options,
                decryptor=context.decryptor.expect(options.trees - options.first_tree_local),
                public_key=context.key.public,
                before=stopped.carry_on(staying) if isinstance(stopped, boosting.LabelHolder) else None,
                categorical=categorical,
                row_keys=context.file_rows(context.kept.train_rows),
                seed=seed_before(context),
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
            context.keep(MODEL_RECORD, data)
            keep_shards(context, self.role)
            keep_model(context, Method.SECUREBOOST, model.model_id, data)
            context.keep(TRAIN_ROWS, context.kept.train_rows.tobytes())
        return []


class ScoreStage:
    """Scores of all matched rows, and their reasons; quality on the held-out rows where this job trained the model."""

    role: scoring.LabelHolder | scoring.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        if context.job.scoring is not None:
            _take_model(context, context.job.scoring)
        model = context.kept.model
        view = context.aligned(model.binning.fields)
        if context.is_label_holder:
            self._rows = asked_rows(context)
            self.role = scoring.LabelHolder(context.job.roles, view, model, self._rows)
            return
        _count_answers(context)
        self.role = scoring.FeatureHolder(context.job.roles, view, model)

    def finish(self) -> list[Message]:
        role, context = self.role, self._context
        if not isinstance(role, scoring.LabelHolder) or role.result is None:
            return []
        scores, contributions = role.result, role.contributions()
        if context.job.scoring is not None:
            found = _with_reasons(context, pd.DataFrame({"score": scores}), contributions)
            context.kept.put_columns(spread(found, self._rows, context))
            write_customers(context)
            return []
        context.keep("scores", scores.tobytes())
        alone = scores_alone(context)
        context.keep(TRAIN_ROWS, context.kept.train_rows.tobytes())  # rows may have left since the training
        columns = score_columns(context, scores, alone)
        context.kept.put_columns(_with_reasons(context, columns, contributions))
        write_customers(context)
        return [risk_release(context, scores, alone)]


def _take_model(context: StageContext, plan: ScoringPlan) -> None:
    """This party's part of the model that the job names. Raises `ConfigInvalid` when it does not fit the job."""
    part = scoring.LabelHolderModel if context.is_label_holder else scoring.FeatureHolderModel
    model = part.from_bytes(model_for(context, plan.method, plan.model))
    if not set(model.binning.fields) <= set(context.admitted(context.plan.risk_fields)):
        raise ConfigInvalid("model_fields", party=context.plan.name)
    context.kept.model = model


def _count_answers(context: StageContext) -> None:
    """Count one more answer per matched person, before any is given: a job that is broken off then counts as well.

    Raises `DisclosureNotAccepted` when a later job asks about somebody who is at this node's limit. The job that trains
    the model is not refused: its training has shown the same sides already.
    """
    answered = context.answered(context.kept.model.model_id)
    people = context.table.own_identifiers[context.kept.rows]
    if context.job.scoring is not None and not answered.allowed(people).all():
        limit = context.home.settings.scores_per_day
        raise DisclosureNotAccepted("scored_too_often", party=context.plan.name, limit=limit)
    answered.add(people)


def _with_reasons(context: StageContext, columns: pd.DataFrame, found: Contributions) -> pd.DataFrame:
    """The columns, and the trees' reasons: `reasons`, unless a scorecard of the same job has them."""
    name = "reasons" if context.job.scorecard is None else "reasons_boosted"
    columns[name] = contribution_reasons(found, context.home.settings.table.fields)
    return columns
