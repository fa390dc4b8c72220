"""Trees in shards at one party: the roles of a job, what it keeps of them, and the bins of figures beside them."""

from __future__ import annotations

from typing import Final

from clients.artefacts import Integers
from clients.context import StageContext
from clients.finished import record_name
from clients.plans import boosting_options, risk_plan
from federation import shards
from federation.binning import Binning, Bools, fit_bins
from federation.jobs import Job, Stage
from federation.scoring import FeatureHolderModel, LabelHolderModel
from federation.shards_records import FeatureShards, LabelShards

SHARDS_RECORD: Final = "shards"
"""This party's parts of a model in shards, under its session: a retraining takes over what nobody has left."""
MODEL_RECORD: Final = "risk_model"

ShardedRole = shards.ShardedLabelHolder | shards.ShardedFeatureHolder


def sharded_label_holder(context: StageContext, stopped: object, staying: Bools) -> ShardedRole:
    """The label holder's role. stopped: the role that trained until rows left; staying: which of its rows are here."""
    job, options, plan = context.job, boosting_options(context.job), risk_plan(context.job)
    before = stopped.carry_on(staying) if isinstance(stopped, shards.ShardedLabelHolder) else None
    record = earlier_record(context, SHARDS_RECORD)
    lists = plan.shards * (options.trees - options.first_tree_local)
    return shards.ShardedLabelHolder(
        job.roles,
        context.aligned(context.plan.risk_fields),
        context.aligned_label(),
        context.kept.train_rows,
        options,
        shards=plan.shards,
        deal_seed=plan.seed,
        decryptor=context.decryptor.expect(lists),
        public_key=context.key.public,
        before=before,
        categorical=context.home.settings.table.categorical_fields,
        row_keys=context.file_rows(context.kept.train_rows),
        store=context.shelf(Stage.RISK),
        kept=None if record is None else LabelShards.from_bytes(record),
    )


def sharded_feature_holder(context: StageContext, stopped: object) -> ShardedRole:
    """A feature holder's role."""
    job, record = context.job, earlier_record(context, SHARDS_RECORD)
    return shards.ShardedFeatureHolder(
        job.roles,
        context.aligned(context.plan.risk_fields),
        boosting_options(job),
        job.security.key_bits,
        shards=risk_plan(job).shards,
        row_keys=context.file_places,
        alpha_keys=job.alpha_keys,
        workers=context.workers,
        zeros=context.zeros,
        before=stopped if isinstance(stopped, shards.ShardedFeatureHolder) else None,
        categorical=context.home.settings.table.categorical_fields,
        store=context.shelf(Stage.RISK),
        kept=None if record is None else FeatureShards.from_bytes(record),
    )


def keep_shards(context: StageContext, role: object) -> None:
    """Store the parts of a model in shards; of another model there are none."""
    if isinstance(role, ShardedRole) and role.shards is not None:
        context.keep(SHARDS_RECORD, role.shards.to_bytes())


def earlier_record(context: StageContext, name: str) -> bytes | None:
    """A record of the session whose model is trained again without some people; None when the job trains a new one."""
    session = session_before(context.job)
    return context.home.vault.get(record_name(session, name)) if session else None


def seed_before(context: StageContext) -> int | None:
    """The seed of the model that is trained again, where it has no shards; None: a new one is drawn."""
    record = earlier_record(context, MODEL_RECORD)
    return None if record is None else LabelHolderModel.from_bytes(record).seed


def session_before(job: Job) -> str:
    """The session whose models a job trains again; empty for a job that does not."""
    return "" if job.forget is None else job.forget.session


def figure_bins(
    context: StageContext, model: LabelHolderModel | FeatureHolderModel, train_rows: Integers
) -> Binning:
    """By which bins this party's own risk fields are shown, and a baseline is trained on them: the model's.

    A model in shards has the edges of all of them, too many for either: then bins of all training rows.
    """
    plan = risk_plan(context.job)
    if plan.shards == 1:
        return model.binning
    view = context.aligned(model.binning.fields)
    return fit_bins(
        view.fields,
        view.values[train_rows],
        plan.bins,
        categorical=context.home.settings.table.categorical_fields,
        k_min=context.k_min,
    )
