"""What pooling the tables would have given: only where one operator holds every party's home (demo, rehearsal).

Reads the finished session's records from each home's vault and fits plain models on the pooled columns of the same
rows, same bins and same held-out rows. In a real federation nobody can run this: that is the point of it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import adjusted_rand_score

from clients.artefacts import Integers
from clients.compare_scorecard import compare_scorecard
from clients.context import StageContext
from clients.finished import TRAIN_ROWS
from clients.gate.gate import Gate
from clients.home import NodeHome
from clients.plans import boosting_options, risk_plan
from clients.releases import quality_decimals
from clients.risk_shards import MODEL_RECORD, SHARDS_RECORD, figure_bins
from federation import metrics
from federation.binning import Binning
from federation.clusters import standardize
from federation.jobs import Job, decode_job
from federation.points_models import FeatureHolderScorecard, LabelHolderScorecard
from federation.scoring import FeatureHolderModel, LabelHolderModel
from federation.shards_records import LabelShards
from federation.shards_twin import fit_shards
from federation.trees import BoostingOptions, Draws, Floats, Growth, fit_trees
from privacy.errors import ConfigInvalid

COMPARING: Final = "compare"
"""What the log calls the rehearsal's look at the tables after the session."""


class PooledParty:
    """One home's part of a finished session."""

    def __init__(self, folder: Path, session: str) -> None:
        self.home = NodeHome.open(folder)
        self._prefix = f"job/{session}/"
        job = decode_job(self.record("job"))
        gate = Gate(self.home, job, COMPARING, is_preview=True)
        self.context = StageContext(self.home, job, session, gate)
        handle = msgspec.msgpack.decode(self.record("handle"))
        # From places in the file to those in the table as it was loaded now.
        rows = np.searchsorted(self.context.table.rows, np.frombuffer(handle["rows"], dtype=np.int64))
        self.context.kept.match(rows, np.empty((len(rows), 0), dtype=np.uint8))

    def record(self, name: str) -> bytes:
        """A record of the session. Raises `ConfigInvalid` when the session did not get that far here."""
        data = self.home.vault.get(self._prefix + name)
        if data is None:
            raise ConfigInvalid("session_record_missing", name=name, folder=self.home.folder)
        return data

    @cached_property
    def model(self) -> LabelHolderModel | FeatureHolderModel:
        """This party's part of the trees."""
        kind = LabelHolderModel if self.context.is_label_holder else FeatureHolderModel
        return kind.from_bytes(self.record(MODEL_RECORD))

    def values(self) -> np.ndarray[Any, Any]:
        """The risk fields of the model."""
        return self.context.aligned(self.model.binning.fields).values

    def bins(self, train_rows: Integers) -> Binning:
        """By which bins the pooled models see the risk fields: those that the job's model used."""
        return figure_bins(self.context, self.model, train_rows)

    def scorecard(self) -> LabelHolderScorecard | FeatureHolderScorecard:
        """This party's part of the scorecard."""
        kind = LabelHolderScorecard if self.context.is_label_holder else FeatureHolderScorecard
        return kind.from_bytes(self.record("scorecard_model"))

    def standardized(self) -> np.ndarray[Any, Any]:
        """The segment fields as the job clustered them."""
        return standardize(self.context.aligned(self.context.plan.segment_fields).values)[0]


def compare(folders: list[Path], session: str) -> dict[str, Any]:
    """Pooled scikit-learn beside the federated result of one session, as plain numbers."""
    parties = [PooledParty(folder, session) for folder in folders]
    job = parties[0].context.job
    parties.sort(key=lambda party: job.roles.all.index(party.context.plan.name))
    result: dict[str, Any] = {}
    if job.segments is not None:
        result["segments"] = _compare_segments(job, parties)
    if job.risk is not None:
        result["risk"] = _compare_risk(job, parties)
    if job.scorecard is not None:
        result["scorecard"] = compare_scorecard(
            [(party.context, party.scorecard()) for party in parties],
            np.frombuffer(parties[0].record(TRAIN_ROWS), dtype=np.int64),
            np.frombuffer(parties[0].record("points"), dtype=np.int32),
        )
    return result


def _compare_segments(job: Job, parties: list[PooledParty]) -> dict[str, Any]:
    kept = msgspec.msgpack.decode(parties[0].record("segments"))
    assignments = np.frombuffer(kept["assignments"], dtype=np.int64)
    starts = np.frombuffer(kept["starts"], dtype=np.int64)
    pooled = np.hstack([party.standardized() for party in parties])
    own = np.hstack([_centroids(party, len(starts)) for party in parties])
    model = KMeans(
        len(starts),
        init=pooled[starts],
        n_init=1,
        max_iter=job.segments.max_iter if job.segments else 1,
        tol=0.0,
        algorithm="lloyd",
    ).fit(pooled)
    return {
        "ari_pooled": float(adjusted_rand_score(model.labels_, assignments)),
        "largest_centroid_difference": float(np.abs(model.cluster_centers_ - own).max()),
    }


def _centroids(party: PooledParty, n_clusters: int) -> np.ndarray[Any, Any]:
    kept = msgspec.msgpack.decode(party.record("segments"))
    return np.frombuffer(kept["centroids"], dtype=np.float64).reshape(n_clusters, -1)


def histogram_boosting(
    options: BoostingOptions, levels: frozenset[int] = frozenset()
) -> HistGradientBoostingClassifier:
    """scikit-learn's model with our parameters, to be fitted on bin codes.

    levels: features whose codes have no order. It knows no GOSS, and draws validation rows of its own.
    """
    weight = options.class_weight
    return HistGradientBoostingClassifier(
        max_iter=options.trees,
        max_depth=options.depth,
        max_leaf_nodes=options.max_leaves if options.growth is Growth.LEAF else None,
        learning_rate=options.learning_rate,
        l2_regularization=options.l2,
        min_samples_leaf=options.min_child_rows,
        max_bins=255,
        early_stopping=options.patience > 0,
        n_iter_no_change=max(options.patience, 1),
        validation_fraction=options.validation_share,
        random_state=0,
        categorical_features=sorted(levels) or None,
        class_weight={"none": None, "balanced": "balanced"}[weight]
        if isinstance(weight, str)
        else {0: 1.0, 1: weight},
    )


def _pooled_levels(binnings: list[Binning]) -> frozenset[int]:
    """Which columns of the pooled codes hold levels."""
    starts = np.cumsum([0, *(len(binning.fields) for binning in binnings)]).tolist()
    return frozenset(
        start + feature
        for start, binning in zip(starts, binnings, strict=False)
        for feature in binning.level_features
    )


def _pooled_scores(
    job: Job,
    parties: list[PooledParty],
    label: np.ndarray[Any, Any],
    train: Integers,
    codes: np.ndarray[Any, Any],
    levels: frozenset[int],
) -> Floats:
    """What the plaintext twin of the job's own training gives every matched row."""
    options, holder, plan = boosting_options(job), parties[0], risk_plan(job)
    keys, n_local = holder.context.file_rows(train), len(holder.model.binning.fields)
    if plan.shards == 1:
        seed = holder.model.seed if isinstance(holder.model, LabelHolderModel) else 0
        draws = Draws(seed, keys)
        twin = fit_trees(codes[train], label[train], options, n_local=n_local, draws=draws, levels=levels)
        return twin.predict_proba(codes)
    fields = [f"{place}.{name}" for place, party in enumerate(parties) for name in party.model.binning.fields]
    values = np.hstack([party.values() for party in parties])
    kept = LabelShards.from_bytes(holder.record(SHARDS_RECORD))
    return fit_shards(
        fields,
        values[train],
        label[train],
        options,
        keys=keys,
        deal_seed=plan.seed,
        seeds=[part.model.seed for part in kept.parts],
        n_local=n_local,
        categorical=[fields[place] for place in levels],
    ).predict_proba(values)


def _compare_risk(job: Job, parties: list[PooledParty]) -> dict[str, Any]:
    """The same trees on pooled plain columns, and scikit-learn's histogram boosting with the same parameters.

    Both see the same bins, training rows and held-out rows. scikit-learn knows neither `first_tree_local` nor the
    merging of small bins, and on a few hundred held-out rows its figure differs by chance alone.
    """
    options, holder = boosting_options(job), parties[0]
    label = holder.context.aligned_label()
    train = np.frombuffer(holder.record(TRAIN_ROWS), dtype=np.int64)
    test = np.setdiff1d(np.arange(len(label)), train)
    binnings = [party.bins(train) for party in parties]
    codes = np.hstack([bins.transform(party.values()) for bins, party in zip(binnings, parties, strict=True)])
    levels = _pooled_levels(binnings)
    pooled = _pooled_scores(job, parties, label, train, codes, levels)
    federated = np.frombuffer(holder.record("scores"), dtype=np.float64)
    oracle = histogram_boosting(options, levels).fit(codes[train], label[train])
    sklearn_scores = oracle.predict_proba(codes[test])[:, 1]
    # Rounded as the job's own release is, so that the figures can be read side by side.
    decimals = quality_decimals(label[test], job.security.k_min)
    return {
        "auc_pooled": round(metrics.auc(label[test], pooled[test]), decimals),
        "ks_pooled": round(metrics.ks(label[test], pooled[test]), decimals),
        "largest_score_difference": float(np.abs(pooled - federated).max()),
        "auc_sklearn": round(metrics.auc(label[test], sklearn_scores), decimals),
        "ks_sklearn": round(metrics.ks(label[test], sklearn_scores), decimals),
    }
