"""The validation report as a record: every figure that the page shows, and nothing the page computes.

Its sections follow what a validator asks for under SR 11-7 ("Guidance on Model Risk Management", Federal Reserve and
OCC 2011, section V: conceptual soundness, outcomes analysis, ongoing monitoring). A section is None, or empty, where a
job has no such data. Within a section a None is a hidden number (fewer than k_min people behind it) or one that is not
defined. Rates and shares are in [0, 1]; bytes are bytes; dates are ISO 8601.

The record stays at the label holder: it holds aggregates of its labels.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from privacy.errors import MessageInvalid

SCHEMA: Final = "silhouette.validation_report/1"


class ModelKind(StrEnum):
    """`scorecard`: logistic regression in points; `boosting`: gradient-boosted trees."""

    SCORECARD = "scorecard"
    BOOSTING = "boosting"


class Outcome(StrEnum):
    """Of a check: within its limit, outside, or without a figure."""

    MET = "met"
    ATTENTION = "attention"
    NOT_ASSESSED = "not_assessed"


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the report."""


class Words(Section, frozen=True):
    """A text in both languages of the product."""

    en: str
    zh: str


class Identification(Section, frozen=True):
    """Which model, from which job. partners: the feature holders' names. trained, created: dates."""

    model_id: str
    kind: ModelKind
    job: str
    job_digest: str
    purpose: str
    label_holder: str
    partners: tuple[str, ...]
    trained: str
    created: str
    code_version: str
    k_min: int
    key_bits: int


class Count(Section, frozen=True):
    """Rows of a sample by outcome. bads, goods, bad_rate: None together."""

    rows: int
    goods: int | None
    bads: int | None
    bad_rate: float | None


class FunnelStep(Section, frozen=True):
    """rows: excluded for `reason` (a key under `tables.funnel.`), or there in the beginning and the end."""

    reason: str
    rows: int | None


class Sample(Section, frozen=True):
    """Who the model was made and tested on. test_share, seed: of the split, which is stratified by outcome."""

    target: Words
    window: Words | None
    funnel: tuple[FunnelStep, ...]
    train: Count
    held_out: Count
    test_share: float
    seed: int


class Bin(Section, frozen=True):
    """One final bin of a field on training rows; points are the model's own and shown always, if it has any."""

    label: str
    rows: int | None
    goods: int | None
    bads: int | None
    bad_rate: float | None
    woe: float | None
    points: float | None


class Field(Section, frozen=True):
    """A field of the information value table.

    name: the label holder's own, or what a partner has published; "" for a partner's field that is only numbered.
    strength: by IV (Siddiqi 2006, chapter 6). trend: "ascending", "descending", "none", "" (not known). reason: why it
    was dropped. bins: of own fields only; a partner's table stays with it, and `n_bins` is all that is known here.
    """

    party: str
    name: str
    number: int | None
    iv: float | None
    strength: str
    n_bins: int
    trend: str
    is_monotone: bool | None
    kept: bool
    reason: Words | None
    bins: tuple[Bin, ...] = ()


class PointsScale(Section, frozen=True):
    """Points = offset + factor ln(odds of good): `base` points at odds of `base_odds` to 1, doubled every `pdo`.

    constant: what everybody has before any bin is looked at; None where it is not known.
    """

    base: float
    base_odds: float
    pdo: float
    constant: float | None = None


class Importance(Section, frozen=True):
    """A part of the gain of all splits of trees: of an own field, or of all of a partner's (name: "")."""

    party: str
    name: str
    share: float


class Quality(Section, frozen=True):
    """On one sample; ks_cut: where KS is reached, in points or as a probability."""

    auc: float
    auc_low: float | None
    auc_high: float | None
    gini: float
    ks: float
    ks_cut: float | None


class ModelQuality(Section, frozen=True):
    """Quality is what held-out rows say; training rows stand beside it to show overfitting."""

    held_out: Quality
    train: Quality | None


class CurvePoint(Section, frozen=True):
    """Declining the groups from the worst on: shares of people, goods and bads declined."""

    people: float
    goods: float
    bads: float


class LiftRow(Section, frozen=True):
    """The worst `people` share of rows, the share of all bads among them, and their bad rate over the overall one."""

    people: float
    bads: float
    lift: float


class Gain(Section, frozen=True):
    """AUC of the joint model minus the label holder's own, with interval and p-value (DeLong)."""

    auc: float
    low: float
    high: float
    p_value: float


class Performance(Section, frozen=True):
    """confidence: of all intervals. pooled_auc, pooled_ks: of a rehearsal, where the tables were put together."""

    confidence: float
    joint: ModelQuality
    alone: ModelQuality | None
    gain: Gain | None
    curve_joint: tuple[CurvePoint, ...]
    curve_alone: tuple[CurvePoint, ...]
    lift: tuple[LiftRow, ...]
    pooled_auc: float | None = None
    pooled_ks: float | None = None


class Band(Section, frozen=True):
    """Scores from `low` to `high` (None: open), best band first; cumulative shares from the best band on."""

    name: str
    low: float | None
    high: float | None
    train_rows: int
    rows: int
    goods: int
    bads: int
    bad_rate: float
    cumulative_people: float
    cumulative_goods: float
    cumulative_bads: float


class CutOff(Section, frozen=True):
    """Approving everybody at `score` or better."""

    score: float
    approval: float
    approved: int
    bad_rate_approved: float
    bad_rate_declined: float
    bads_avoided: float
    goods_lost: float


class SwapCell(Section, frozen=True):
    """kind: both, in (approved by the joint model alone), out (by the label holder's own model alone), neither."""

    kind: str
    rows: int | None
    bads: int | None
    bad_rate: float | None


class SwapSet(Section, frozen=True):
    """Joint against the label holder's own model at the same approval share, as nearly as ties allow."""

    approval_joint: float
    approval_alone: float
    bad_rate_joint: float
    bad_rate_alone: float
    cells: tuple[SwapCell, ...]


class CalibrationGroup(Section, frozen=True):
    rows: int
    predicted: float
    observed: float


class Calibration(Section, frozen=True):
    """Of held-out rows. brier_reference: of the constant prediction of the overall rate. degrees: of freedom."""

    groups: tuple[CalibrationGroup, ...]
    predicted: float
    observed: float
    slope: float | None
    intercept: float | None
    brier: float
    brier_reference: float
    hosmer_lemeshow: float
    degrees: int
    p_value: float


class Shift(Section, frozen=True):
    """name: a field, or "" for the score. level: stable, watch, shift. expected, actual: shares, of the score only."""

    name: str
    index: float
    level: str
    expected: tuple[float, ...] = ()
    actual: tuple[float, ...] = ()


class Comparison(Section, frozen=True):
    """Stability between two samples, such as training and held-out, or two periods; bins: of the score."""

    expected: Words
    actual: Words
    bins: tuple[str, ...]
    score: Shift
    fields: tuple[Shift, ...]


class FairGroup(Section, frozen=True):
    """As `fairness.GroupOutcome`. four_fifths: whether the impact ratio is at least 0.8."""

    name: str
    rows: int | None
    approval: float | None
    bad_rate: float | None
    good_approval: float | None
    auc: float | None
    impact_ratio: float | None
    opportunity: float | None
    four_fifths: bool | None


class Attribute(Section, frozen=True):
    """key: age_band, gender or region; reference: the group with the highest approval rate."""

    key: str
    reference: str | None
    groups: tuple[FairGroup, ...]


class Fairness(Section, frozen=True):
    """cut: the score from which people count as approved; approval: their share."""

    cut: float
    approval: float
    attributes: tuple[Attribute, ...]


class Reason(Section, frozen=True):
    """A reason code, and for how many held-out people it was among the top reasons."""

    code: str
    text: Words
    rows: int | None
    share: float | None


class Learnt(Section, frozen=True):
    """What one party learnt: a protocol's declared disclosure, and how many messages carried it (None: not counted)."""

    party: str
    role: str
    protocol: str
    what: Words
    per_row: bool
    messages: int | None


class Traffic(Section, frozen=True):
    """What one party counted in the whole job; None: it does not count that."""

    party: str
    messages_received: int | None
    bytes_sent: int | None
    bytes_received: int | None
    ciphertexts_opened: int | None
    seconds: float | None


class StageTraffic(Section, frozen=True):
    """What the label holder counted in one stage (`federation.jobs.Stage`), however often it was begun again."""

    stage: str
    messages_received: int
    bytes_sent: int
    bytes_received: int
    seconds: float


class Disclosed(Section, frozen=True):
    """undeclared: messages that reached the label holder and that no protocol of the job declares."""

    learnt: tuple[Learnt, ...]
    traffic: tuple[Traffic, ...]
    undeclared: int
    stages: tuple[StageTraffic, ...] = ()


class Check(Section, frozen=True):
    """A figure against its limit. key: under `validation.check.`; low, high: the limits (None: none on that side)."""

    key: str
    figure: float | None
    low: float | None
    high: float | None
    outcome: Outcome


class ModelCard(Section, frozen=True):
    intended: Words
    not_intended: Words
    human_review: Words
    owner: str
    retention_days: int | None
    monitoring: Words


class ValidationReport(Section, frozen=True, tag_field="schema", tag=SCHEMA):
    """The whole report. score_unit: "points" (higher is better) or "probability" (of being bad)."""

    identification: Identification
    score_unit: str
    checks: tuple[Check, ...] = ()
    sample: Sample | None = None
    fields: tuple[Field, ...] = ()
    points: PointsScale | None = None
    importance: tuple[Importance, ...] = ()
    performance: Performance | None = None
    bands: tuple[Band, ...] = ()
    cut_offs: tuple[CutOff, ...] = ()
    swap_sets: tuple[SwapSet, ...] = ()
    calibration: Calibration | None = None
    stability: tuple[Comparison, ...] = ()
    fairness: Fairness | None = None
    reasons: tuple[Reason, ...] = ()
    disclosed: Disclosed | None = None
    limits: tuple[Words, ...] = ()
    card: ModelCard | None = None
    signatures: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """UTF-8, indented, with a line end: what is written beside the page."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> ValidationReport:
        """Read what `to_json` wrote. Raises `MessageInvalid` when it is something else, or of another version."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.MsgspecError:
            raise MessageInvalid("validation_report_unreadable", expected=SCHEMA) from None
