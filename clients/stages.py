"""A party's part in each stage of a job: the data its role gets, and what becomes of the result.

Roles receive views; only this module sees both a table and a role. Everything a stage keeps goes into the vault
under `job/<session>/`; what a party may read of its own customers goes to `results/<job>/` in its home.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import pandas as pd
from gmpy2 import mpz
from sklearn.model_selection import train_test_split

from clients.home import NodeHome
from clients.tables import CustomerTable, load
from federation import align, boosting, kmeans, metrics, scoring
from federation import session as control
from federation.clusters import KMeansOptions, standardize
from federation.insight import segment_profile
from federation.jobs import Job, PartyRole, RiskPlan, Stage, encode_job
from federation.messages import Message
from federation.roles import Role, View
from federation.trees import BoostingOptions, fit_trees
from privacy.errors import CohortTooSmall, ConfigInvalid
from privacy.paillier_secret import SecretKey
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.small_cells import hidden_cells, hidden_totals

Integers = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float64]]
PAILLIER_RECORD: Final = "paillier"


class ParallelDecryptor:
    """The secret key as a role sees it, on all cores of this party."""

    def __init__(self, key: SecretKey) -> None:
        self._key = key
        self._jobs = os.cpu_count() or 1

    def encrypt(self, plaintexts: list[int]) -> list[mpz]:
        return self._key.encrypt(plaintexts, n_jobs=self._jobs)

    def decrypt(self, ciphertexts: list[mpz]) -> list[int]:
        return self._key.decrypt(ciphertexts, n_jobs=self._jobs)


@dataclass(slots=True)
class Artefacts:
    """What later stages need of earlier ones."""

    rows: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    segments: Integers | None = None
    train_rows: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    model: Any = None


class StageContext:
    """One party's data and intermediate results in one session."""

    def __init__(self, home: NodeHome, job: Job, session: str) -> None:
        self.home = home
        self.job = job
        self.plan = job.plan_of(home.settings.name)
        self.is_label_holder = self.plan.role is PartyRole.LABEL_HOLDER
        self.kept = Artefacts()
        self._prefix = f"job/{session}/"

    @cached_property
    def table(self) -> CustomerTable:
        """This party's eligible rows, loaded once: only the fields the job names, the label only for its holder."""
        fields = dict.fromkeys((*self.plan.segment_fields, *self.plan.risk_fields))
        with_label = self.is_label_holder and self.job.risk is not None
        spec = self.home.settings.table
        if with_label and spec.label_column is None:
            raise ConfigInvalid("label_not_registered", file=spec.path)
        return load(spec, self.job.purpose, tuple(fields), with_label=with_label)

    @cached_property
    def key(self) -> SecretKey:
        """The job's Paillier key, made at the label holder when it is first needed; it stays in this vault."""
        bits = self.job.security.key_bits
        key = SecretKey.generate(bits, testing_only=bits < MINIMUM_KEY_BITS)
        self.keep(PAILLIER_RECORD, key.to_bytes())
        return key

    def aligned(self, fields: tuple[str, ...]) -> View:
        """The named fields of the matched rows, in aligned order."""
        view = self.table.view(fields)
        return View(view.fields, view.values[self.kept.rows])

    def keep(self, name: str, data: bytes) -> None:
        """Store a record of this job in the vault."""
        self.home.vault.put(self._prefix + name, data)

    def forget(self, name: str) -> None:
        """Remove a record of this job from the vault."""
        self.home.vault.remove(self._prefix + name)


class PartyStage(Protocol):
    """A role, and what to do with its result."""

    @property
    def role(self) -> Role: ...

    def finish(self) -> list[Message]:
        """Keep the result; returns what is released to the coordinator for the report."""
        ...


class MatchStage:
    """`align` over the eligible rows' identifiers."""

    role: align.LabelHolder | align.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        holder = align.LabelHolder if context.is_label_holder else align.FeatureHolder
        self.role = holder(
            context.job.roles,
            str(context.home.settings.table.id_kind),
            context.table.identifiers,
            k_min=context.job.security.k_min,
        )

    def finish(self) -> list[Message]:
        aligned, table = self.role.result, self._context.table
        if aligned is None:
            return []
        self._context.kept.rows = aligned.rows
        self._context.keep("job", encode_job(self._context.job))
        handle = {"rows": aligned.rows.tobytes(), "subject_refs": aligned.subject_refs.tobytes()}
        self._context.keep("handle", msgspec.msgpack.encode(handle))
        first, *excluded, last = table.funnel
        # Rows and eligible rows are shown, so the exclusions' sum is known: never only one of them is hidden.
        counts = np.array([step.rows for step in excluded], dtype=np.int64)
        hidden = hidden_totals(counts, self._context.job.security.k_min).tolist()
        funnel = tuple(
            (step.reason, None if hide else step.rows) for step, hide in zip(excluded, hidden, strict=True)
        )
        return [
            control.MatchRelease(
                rows=first.rows, eligible=last.rows, matched=len(aligned.rows), funnel=funnel
            )
        ]


class SegmentsStage:
    """Vertical k-means over the segment fields."""

    role: kmeans.LabelHolder | kmeans.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job, plan = context.job, context.job.segments
        if plan is None:
            raise ConfigInvalid("job_invalid", job=job.name, problem="segments")
        view = context.aligned(context.plan.segment_fields)
        values, _ = standardize(view.values)
        standardized = View(view.fields, values)
        options = KMeansOptions(
            n_clusters=plan.n_clusters,
            candidates=plan.candidates,
            n_init=plan.n_init,
            max_iter=plan.max_iter,
            seed=plan.seed,
        )
        if context.is_label_holder:
            self.role = kmeans.LabelHolder(
                job.roles,
                standardized,
                decryptor=ParallelDecryptor(context.key),
                public_key=context.key.public,
                options=options,
                profile=job.security,
            )
        else:
            self.role = kmeans.FeatureHolder(job.roles, standardized, options=options, profile=job.security)

    def finish(self) -> list[Message]:
        found, context = self.role.result, self._context
        if found is None:
            return []
        context.kept.segments = found.assignments
        kept = {"assignments": found.assignments.tobytes(), "centroids": found.centroids.tobytes()}
        if isinstance(found, kmeans.ChosenClustering):
            kept["starts"] = found.starts.tobytes()
        context.keep("segments", msgspec.msgpack.encode(kept))
        fields = tuple(dict.fromkeys((*context.plan.segment_fields, *context.plan.risk_fields)))
        raw = untransformed(context, context.aligned(fields))
        profile = segment_profile(raw, found.assignments, found.n_clusters, context.job.security.k_min)
        if not isinstance(self.role, kmeans.LabelHolder) or self.role.result is None:
            return [profile]
        chosen = self.role.result
        write_results(context)
        release = control.ClusterRelease(
            n_clusters=chosen.n_clusters,
            stability=tuple(sorted(chosen.stability.items())),
            iterations=chosen.iterations,
            inertia=chosen.inertia,
        )
        return [profile, release]


class RiskStage:
    """SecureBoost training over the risk fields."""

    role: boosting.LabelHolder | boosting.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        job = context.job
        view = context.aligned(context.plan.risk_fields)
        options = boosting_options(job)
        if context.is_label_holder:
            label = aligned_label(context)
            context.kept.train_rows, _ = split_rows(risk_plan(job), context.kept.rows, label)
            self.role = boosting.LabelHolder(
                job.roles,
                view,
                label,
                context.kept.train_rows,
                options,
                decryptor=ParallelDecryptor(context.key),
                public_key=context.key.public,
            )
        else:
            self.role = boosting.FeatureHolder(job.roles, view, options, job.security.key_bits)

    def finish(self) -> list[Message]:
        model = self.role.result
        if model is not None:
            self._context.kept.model = model
            self._context.keep("risk_model", model.to_bytes())
            self._context.keep("train_rows", self._context.kept.train_rows.tobytes())
        if self._context.is_label_holder:
            # Nothing after training needs the secret key: the vault forgets it.
            self._context.forget(PAILLIER_RECORD)
        return []


class ScoreStage:
    """Scores of all matched rows with the finished model; quality on the held-out rows."""

    role: scoring.LabelHolder | scoring.FeatureHolder

    def __init__(self, context: StageContext) -> None:
        self._context = context
        view = context.aligned(context.plan.risk_fields)
        holder = scoring.LabelHolder if context.is_label_holder else scoring.FeatureHolder
        self.role = holder(context.job.roles, view, context.kept.model)

    def finish(self) -> list[Message]:
        scores, context = self.role.result, self._context
        if not context.is_label_holder or not isinstance(scores, np.ndarray):
            return []
        label, train = aligned_label(context), context.kept.train_rows
        test = np.setdiff1d(np.arange(len(label)), train)
        if len(test) < context.job.security.k_min:
            raise CohortTooSmall("test_rows_small", k_min=context.job.security.k_min)
        alone = self._scores_alone(label, train)
        context.keep("scores", scores.tobytes())
        write_results(context, scores=scores, scores_alone=alone)
        return [
            control.RiskRelease(
                train_rows=len(train),
                test_rows=len(test),
                auc_alone=metrics.auc(label[test], alone[test]),
                ks_alone=metrics.ks(label[test], alone[test]),
                auc_joint=metrics.auc(label[test], scores[test]),
                ks_joint=metrics.ks(label[test], scores[test]),
                importance=self._importance(),
                default_rate=self._default_rate(label),
            )
        ]

    def _scores_alone(self, label: np.ndarray[Any, Any], train: Integers) -> Floats:
        """The baseline: the same trees on the label holder's own fields, without partners."""
        model = self._context.kept.model
        codes = model.binning.transform(self._context.aligned(self._context.plan.risk_fields).values)
        baseline = fit_trees(codes[train], label[train], boosting_options(self._context.job))
        return baseline.predict_proba(codes)

    def _importance(self) -> tuple[tuple[str, str, float], ...]:
        model, own = self._context.kept.model, self._context.plan.name
        gains = [(own, name, gain) for name, gain in model.field_gains.items()]
        gains += [(party, "", gain) for party, gain in model.partner_gains.items()]
        total = sum(gain for _, _, gain in gains) or 1.0
        return tuple((party, name, gain / total) for party, name, gain in gains)

    def _default_rate(self, label: np.ndarray[Any, Any]) -> tuple[float | None, ...]:
        segments = self._context.kept.segments
        if segments is None:
            return ()
        n_segments = int(segments.max()) + 1
        cells = np.bincount(segments * 2 + label, minlength=2 * n_segments).reshape(n_segments, 2)
        hidden = hidden_cells(cells, self._context.job.security.k_min)
        return tuple(
            None if any(hide) else bad / (good + bad)
            for (good, bad), hide in zip(cells.tolist(), hidden.tolist(), strict=True)
        )


def build_stage(stage: Stage, context: StageContext) -> PartyStage:
    """This party's part of a stage."""
    match stage:
        case Stage.MATCH:
            return MatchStage(context)
        case Stage.SEGMENTS:
            return SegmentsStage(context)
        case Stage.RISK:
            return RiskStage(context)
        case Stage.SCORE:
            return ScoreStage(context)


def risk_plan(job: Job) -> RiskPlan:
    """The job's risk plan. Raises `ConfigInvalid` when it has none."""
    if job.risk is None:
        raise ConfigInvalid("job_invalid", job=job.name, problem="risk")
    return job.risk


def boosting_options(job: Job) -> BoostingOptions:
    """The job's parameters for trees; sums under k_min rows never leave a partner."""
    plan, k_min = risk_plan(job), job.security.k_min
    return BoostingOptions(
        trees=plan.trees,
        depth=plan.depth,
        bins=plan.bins,
        learning_rate=plan.learning_rate,
        l2=plan.l2,
        min_child_rows=max(plan.min_child_rows or k_min, k_min),
        k_min=k_min,
        first_tree_local=plan.first_tree_local,
        scale_bits=job.security.gradient_scale_bits,
    )


def aligned_label(context: StageContext) -> np.ndarray[Any, np.dtype[np.int8]]:
    """The label of the matched rows. Raises `ConfigInvalid` when the table has none."""
    if context.table.label is None:
        raise ConfigInvalid("label_not_registered", file=context.table.file)
    return context.table.label[context.kept.rows]


def split_rows(plan: RiskPlan, rows: Integers, label: np.ndarray[Any, Any]) -> tuple[Integers, Integers]:
    """Training and held-out rows, stratified by label. The split follows the label holder's own row order, so that
    it does not change with the matching key. Returns increasing aligned positions."""
    by_own_row = np.argsort(rows, kind="stable")
    train, test = train_test_split(
        by_own_row, test_size=plan.test_share, random_state=plan.seed, stratify=label[by_own_row]
    )
    return np.sort(train), np.sort(test)


def untransformed(context: StageContext, view: View) -> View:
    """The view in the fields' own units, for profiles that people read."""
    logs = {item.name for item in context.home.settings.table.fields if item.transform == "log1p"}
    columns = [
        np.expm1(column) if name in logs else column
        for name, column in zip(view.fields, view.values.T, strict=True)
    ]
    return View(view.fields, np.column_stack(columns))


def write_results(
    context: StageContext, scores: Floats | None = None, scores_alone: Floats | None = None
) -> None:
    """What the label holder may read of its own customers: identifier, segment, scores, which rows were held out."""
    kept, table = context.kept, context.table
    identifiers = np.array(table.identifiers, dtype=object)
    result = pd.DataFrame({"identifier": identifiers[kept.rows], "row": table.rows[kept.rows]})
    if kept.segments is not None:
        result["segment"] = kept.segments
    if scores is not None and scores_alone is not None:
        held_out = np.ones(len(result), dtype=bool)
        held_out[kept.train_rows] = False
        result["held_out"], result["score"], result["score_alone"] = held_out, scores, scores_alone
    folder = context.home.results / context.job.name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "customers.csv"
    file.touch(mode=0o600)
    result.sort_values("row").to_csv(file, index=False)
