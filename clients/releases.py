"""What a party makes of a finished stage: a file for its own people, aggregates for the report.

Every figure that leaves here has been through the small-cell rule: nothing about fewer than k_min people.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from clients.artefacts import Integers
from clients.context import StageContext
from clients.gate.retention import RESULTS
from clients.gate.rows import steps_of
from clients.plans import Labels, boosting_options
from clients.results import write_customers_file
from clients.risk_shards import figure_bins
from federation import metrics
from federation.insight import SegmentProfile, segment_profile
from federation.kmeans import Clustering
from federation.roles import View
from federation.session import MatchRelease, RiskRelease
from federation.trees import Draws, fit_trees
from privacy.consent import STEP_REASONS
from privacy.errors import CohortTooSmall
from privacy.small_cells import hidden_cells, hidden_totals
from privacy.texts import catalogue

Floats = np.ndarray[Any, np.dtype[np.float64]]
_FUNNEL: Final = "tables.funnel."
_ENDS: Final = ("rows_in_file", "eligible")
_TOLD_AS: Final = {"deleted": "identifier_missing"}
"""How many people had their data deleted is nobody else's business: to others such a row has no identifier."""
EXCLUSION_REASONS: Final = tuple(
    reason
    for key in catalogue("en")
    if key.startswith(_FUNNEL) and (reason := key.removeprefix(_FUNNEL)) not in {*_ENDS, *_TOLD_AS}
)
"""Everything that may exclude a row, in the order in which `clients.tables` asks."""
_OF_THE_FILE: Final = frozenset(EXCLUSION_REASONS) - frozenset(STEP_REASONS)
"""Those that no rule of the gate is behind."""
_QUALITY_DECIMALS: Final = 4
_QUALITY_DECIMALS_SMALL_CLASS: Final = 2
_RATE_DECIMALS: Final = 3


def match_release(context: StageContext, matched: int) -> MatchRelease:
    """How the table shrank to the `matched` rows."""
    first, *excluded, last = context.table.funnel
    # Every reason that the job's terms know is listed, whether it excluded anybody or not: a missing one would say
    # "nobody".
    asked = steps_of(context.gate.terms) | _OF_THE_FILE
    found = {reason: 0 for reason in EXCLUSION_REASONS if reason in asked}
    for step in excluded:
        # Consents for several recipients are asked about one by one.
        found[_TOLD_AS.get(step.reason, step.reason)] += step.rows
    # Rows and eligible rows are shown, so the exclusions' sum is known: never only one of them is hidden.
    hidden = hidden_totals(np.array(list(found.values()), dtype=np.int64), context.k_min).tolist()
    funnel = tuple(
        (reason, None if hide else rows) for (reason, rows), hide in zip(found.items(), hidden, strict=True)
    )
    return MatchRelease(rows=first.rows, eligible=last.rows, matched=matched, funnel=funnel)


def profile(context: StageContext, found: Clustering) -> SegmentProfile:
    """The segments on this party's fields, in the fields' own units."""
    view = context.aligned(context.fields)
    logs = {item.name for item in context.home.settings.table.fields if item.transform == "log1p"}
    columns = [
        np.expm1(column) if name in logs else column
        for name, column in zip(view.fields, view.values.T, strict=True)
    ]
    raw = View(view.fields, np.column_stack(columns))
    return segment_profile(raw, found.assignments, found.n_clusters, context.k_min)


def scores_alone(context: StageContext) -> Floats:
    """The baseline: the same trees on the label holder's own fields, without partners; one score per matched row."""
    label, train = context.aligned_label(), context.kept.train_rows
    model = context.kept.model
    binning = figure_bins(context, model, train)
    codes = binning.transform(context.aligned(context.plan.risk_fields).values)
    baseline = fit_trees(
        codes[train],
        label[train],
        boosting_options(context.job),
        draws=Draws(model.seed, context.file_rows(train)),
        levels=binning.level_features,
    )
    return baseline.predict_proba(codes)


def risk_release(context: StageContext, scores: Floats, alone: Floats) -> RiskRelease:
    """Quality on the held-out rows. Raises `CohortTooSmall` when these are fewer than k_min."""
    label, train = context.aligned_label(), context.kept.train_rows
    test = held_out_rows(context)
    decimals = quality_decimals(label[test], context.k_min)
    return RiskRelease(
        model=context.kept.model.model_id.hex(),
        train_rows=len(train),
        test_rows=len(test),
        auc_alone=round(metrics.auc(label[test], alone[test]), decimals),
        ks_alone=round(metrics.ks(label[test], alone[test]), decimals),
        auc_joint=round(metrics.auc(label[test], scores[test]), decimals),
        ks_joint=round(metrics.ks(label[test], scores[test]), decimals),
        importance=importance_of(context),
        default_rate=_default_rate(context),
    )


def held_out_rows(context: StageContext) -> Integers:
    """Aligned places of the rows that do not train. Raises `CohortTooSmall` when these are fewer than k_min."""
    test = np.setdiff1d(np.arange(len(context.aligned_label())), context.kept.train_rows)
    if len(test) < context.k_min:
        raise CohortTooSmall("test_rows_small", k_min=context.k_min)
    return test


def score_columns(context: StageContext, scores: Floats, alone: Floats) -> pd.DataFrame:
    """The trees' scores, one per matched row, and which rows were held out."""
    held_out = np.ones(len(scores), dtype=bool)
    held_out[context.kept.train_rows] = False
    return pd.DataFrame({"held_out": held_out, "score": scores, "score_alone": alone})


def quality_decimals(label: Labels, k_min: int) -> int:
    """Decimals of AUC and KS on these held-out rows.

    An exact AUC is a fraction over positives * negatives, an exact KS one over their least common multiple:
    with the number of rows, which is shown, they give the number of positives away. Four decimals leave
    hundreds of candidates where both classes are large. Small classes make coarse fractions: two decimals.
    """
    positives = int(label.sum())
    small = min(positives, len(label) - positives) < k_min
    return _QUALITY_DECIMALS_SMALL_CLASS if small else _QUALITY_DECIMALS


def importance_of(context: StageContext) -> tuple[tuple[str, str, float], ...]:
    """(party, own field or "" for all of a partner's, share of the gain of all splits) of the job's trees."""
    model, own = context.kept.model, context.plan.name
    gains = [(own, name, gain) for name, gain in model.field_gains.items()]
    gains += [(party, "", gain) for party, gain in model.partner_gains.items()]
    total = sum(gain for _, _, gain in gains) or 1.0
    return tuple((party, name, gain / total) for party, name, gain in gains)


def _default_rate(context: StageContext) -> tuple[float | None, ...]:
    segments, label = context.kept.segments, context.aligned_label()
    if segments is None:
        return ()
    n_segments = context.kept.n_segments  # a cluster may be empty
    cells = np.bincount(segments * 2 + label, minlength=2 * n_segments).reshape(n_segments, 2)
    # A rate beside a hidden size would tell about that size: it hides with it.
    hidden = hidden_cells(cells, context.k_min, hidden_totals(cells.sum(axis=1), context.k_min))
    return tuple(
        None if any(hide) else round(bad / (good + bad), _RATE_DECIMALS)
        for (good, bad), hide in zip(cells.tolist(), hidden.tolist(), strict=True)
    )


def write_customers(context: StageContext) -> None:
    """`results/<job>-<session>/customers.csv` in this party's home: its own customers, their segments and scores."""
    kept, table = context.kept, context.table
    identifiers = np.strings.decode(table.own_identifiers[kept.rows], "utf-8")
    result = pd.DataFrame({"identifier": identifiers, "row": table.rows[kept.rows]})
    if kept.segments is not None:
        result["segment"] = kept.segments
    for name, column in kept.columns.items():
        result[name] = column
    # First: until when it may stay (`clients.gate.retention`).
    days = context.gate.terms.retention_days
    context.home.vault.put(RESULTS + context.results.name, b"", days=days)
    write_customers_file(context.results, result)
