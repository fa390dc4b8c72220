"""A party's part in the stages of a scorecard: bins, fit, points."""

from __future__ import annotations

from typing import Final

import msgspec

from clients.batches import asked_rows, spread
from clients.context import StageContext
from clients.finished import TRAIN_ROWS
from clients.models import keep_model, model_for
from clients.plans import scorecard_options, scorecard_plan, selection_options, split_rows, woe_options
from clients.releases import write_customers
from clients.scorecard_results import alone_log_odds, calibrated, scorecard_columns, scorecard_release
from federation import collinearity, points, scorecard, woe_binning
from federation.jobs import Method
from federation.messages import Message
from federation.point_scale import PointScale
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard, PublishedName
from federation.scorecard_fit import BlockWeights, deal_batches, with_fewer_batches
from privacy.errors import ConfigInvalid

SCORECARD_RECORD: Final = "scorecard_model"
BINS_RECORD: Final = "bins"
SELECTION_RECORD: Final = "selection"


class BinsStage:
    """Weights of evidence of every party's risk fields."""

    role: woe_binning.LabelHolder | woe_binning.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options = context.job, woe_options(context.job)
        view = context.aligned(context.plan.risk_fields)
        if context.is_label_holder:
            label = context.aligned_label()
            context.kept.train_rows, _ = split_rows(scorecard_plan(job), context.file_places, label)
            self.role = woe_binning.LabelHolder(
                job.roles,
                view,
                label,
                context.kept.train_rows,
                options,
                decryptor=context.decryptor.expect(1),
                public_key=context.key.public,
            )
        else:
            self.role = woe_binning.FeatureHolder(
                job.roles,
                view,
                options,
                job.security.key_bits,
                alpha_keys=job.alpha_keys,
                workers=context.workers,
                zeros=context.zeros,
            )

    def finish(self) -> list[Message]:
        found = self.role.result
        if found is not None:
            self._context.kept.bins = found
            self._context.keep(BINS_RECORD, found.to_bytes())
        return []


class SelectStage:
    """Which of the binned fields stay: by information value, correlation, variance inflation and stability."""

    role: collinearity.LabelHolder | collinearity.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options, bins = context.job, selection_options(context.job), context.kept.bins
        view = context.aligned(bins.binning.fields)
        if context.is_label_holder:
            self.role = collinearity.LabelHolder(
                job.roles,
                view,
                bins,
                context.kept.train_rows,
                options,
                decryptor=context.decryptor.expect(1),
                public_key=context.key.public,
            )
        else:
            self.role = collinearity.FeatureHolder(
                job.roles,
                view,
                bins,
                options,
                job.security.key_bits,
                alpha_keys=job.alpha_keys,
                workers=context.workers,
                zeros=context.zeros,
            )

    def finish(self) -> list[Message]:
        found = self.role.result
        if found is not None:
            self._context.kept.selection = found
            self._context.keep(SELECTION_RECORD, found.to_bytes())
        return []


class ScorecardStage:
    """The logistic regression on the kept fields' weights of evidence."""

    role: scorecard.LabelHolder | scorecard.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, options, kept = context.job, scorecard_options(context.job), context.kept
        self._binning = kept.selection.binning
        codes = self._binning.transform(context.aligned(self._binning.fields).values)
        stopped, _ = kept.training or (None, None)
        start = _weights_of(context, scorecard_plan(job).start, self._binning.fields)
        if context.is_label_holder:
            train = kept.train_rows
            columns = {name: len(numbers) for name, numbers in kept.selection.partners.items()}
            most = max(1 + len(self._binning.fields), *columns.values())
            places, seed = context.file_rows(train), scorecard_plan(job).seed
            options = with_fewer_batches(options, places, most, seed)
            self.role = scorecard.LabelHolder(
                job.roles,
                codes,
                self._binning.woe,
                context.aligned_label(),
                train,
                deal_batches(places, options, seed),
                options,
                decryptor=context.decryptor.expect(options.steps),
                public_key=context.key.public,
                minimum_key_bits=job.security.key_bits,
                alpha_keys=job.alpha_keys,
                workers=context.workers,
                start=stopped.weights_now() if isinstance(stopped, scorecard.LabelHolder) else start,
                partner_columns=columns,
            )
        else:
            before = stopped if isinstance(stopped, scorecard.FeatureHolder) and stopped.has_begun else None
            self.role = scorecard.FeatureHolder(
                job.roles,
                context.plan.name,
                codes,
                self._binning.woe,
                options,
                job.security.key_bits,
                own_key=lambda: (context.decryptor, context.key.public),
                alpha_keys=job.alpha_keys,
                workers=context.workers,
                zeros=context.zeros,
                start=start if before is None else before.weights_now(),
            )
        kept.training = self.role, kept.places

    def finish(self) -> list[Message]:
        weights, context = self.role.result, self._context
        if weights is None:
            return []
        context.kept.training = None
        scale, model_id = _scale_of(context), self.role.model_id
        if context.is_label_holder:
            owners = context.job.roles.all
            context.kept.scorecard = LabelHolderScorecard.of(model_id, owners, scale, self._binning, weights)
        else:
            context.kept.scorecard = FeatureHolderScorecard.of(model_id, scale, self._binning, weights)
            _keep(context)
        return []


class PointsStage:
    """Every matched row's points with this job's scorecard, or with an earlier one that the job names."""

    role: points.LabelHolder | points.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        scoring, kept = context.job.scoring, context.kept
        if scoring is not None:
            part = LabelHolderScorecard if context.is_label_holder else FeatureHolderScorecard
            kept.scorecard = part.from_bytes(model_for(context, scoring.method, scoring.model))
        model = kept.scorecard
        if not set(model.binning.fields) <= set(context.admitted(context.plan.risk_fields)):
            raise ConfigInvalid("model_fields", party=context.plan.name)
        view = context.aligned(model.binning.fields)
        if context.is_label_holder:
            self._rows = asked_rows(context)
            reasons = 0 if scoring is None else scoring.reasons
            self.role = points.LabelHolder(context.job.roles, view, model, self._rows, reasons)
            return
        answered, people = context.answered(model.model_id), context.table.own_identifiers[kept.rows]
        allowed = answered.allowed(people)
        answered.add(people[allowed])
        published = {
            item.name: PublishedName(item.published.zh, item.published.en)
            for item in context.home.settings.table.fields
            if item.published is not None
        }
        self.role = points.FeatureHolder(
            context.job.roles,
            view,
            model,
            allowed=allowed,
            names=published,
        )

    def finish(self) -> list[Message]:
        scores, context = self.role.result, self._context
        if not isinstance(scores, points.PointScores):
            return []
        kept = context.kept
        if context.job.scoring is not None:
            kept.put_columns(spread(scorecard_columns(context, scores), self._rows, context))
            write_customers(context)
            return []
        kept.scorecard = msgspec.structs.replace(kept.scorecard, calibration=calibrated(context, scores))
        _keep(context)
        context.keep("points", scores.total.tobytes())
        context.keep(TRAIN_ROWS, kept.train_rows.tobytes())
        alone = alone_log_odds(context)
        kept.put_columns(scorecard_columns(context, scores, alone))
        write_customers(context)
        return [scorecard_release(context, scores, alone)]


def _weights_of(context: StageContext, number: str, fields: tuple[str, ...]) -> BlockWeights | None:
    """An earlier scorecard's weights for these fields, 0 for those that it did not have."""
    if not number:
        return None
    part = LabelHolderScorecard if context.is_label_holder else FeatureHolderScorecard
    earlier = part.from_bytes(model_for(context, Method.SCORECARD, number))
    known = dict(zip(earlier.binning.fields, earlier.weights.weights, strict=True))
    return BlockWeights(earlier.weights.intercept, tuple(known.get(name, 0.0) for name in fields))


def _scale_of(context: StageContext) -> PointScale:
    plan = scorecard_plan(context.job)
    return PointScale(plan.base, plan.pdo, plan.odds, plan.step)


def _keep(context: StageContext) -> None:
    """The finished model: for this session's records, and under its number for later jobs."""
    model = context.kept.scorecard
    data = model.to_bytes()
    context.keep(SCORECARD_RECORD, data)
    keep_model(context, Method.SCORECARD, model.model_id, data)
