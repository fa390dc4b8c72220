"""The validation report's record: every section from evidence, nothing about too few people, checked input."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from validation_scene import K_MIN, make_evidence, make_identification

from clients.validation.build import build, strength_of
from clients.validation.evidence import BandPlan, Groups, learnt_by
from clients.validation.record import SCHEMA, Outcome, ValidationReport, Words
from clients.validation.stability import compare
from federation import boosting
from privacy.errors import CohortTooSmall, ConfigInvalid, MessageInvalid


@pytest.fixture(scope="module")
def report() -> ValidationReport:
    return build(make_evidence())


def outcome(report: ValidationReport, key: str) -> Outcome:
    (found,) = [check.outcome for check in report.checks if check.key == key]
    return found


def test_every_section_is_there(report: ValidationReport) -> None:
    empty = [name for name in report.__struct_fields__ if getattr(report, name) in (None, (), "")]
    assert empty == []
    assert outcome(report, "gain") is Outcome.MET
    assert outcome(report, "slope") is Outcome.MET


def test_quality_is_that_of_the_held_out_rows(report: ValidationReport) -> None:
    evidence = make_evidence()
    test = ~evidence.train
    found = report.performance
    assert found is not None
    assert found.alone is not None
    assert found.gain is not None
    held_out = found.joint.held_out
    assert evidence.points is not None
    assert evidence.alone is not None
    assert held_out.auc == round(roc_auc_score(evidence.label[test], -evidence.points[test]), 4)
    assert found.alone.held_out.auc == round(roc_auc_score(evidence.label[test], evidence.alone[test]), 4)
    assert held_out.gini == pytest.approx(2 * held_out.auc - 1, abs=2e-4)
    assert held_out.auc_low is not None
    assert held_out.auc_high is not None
    assert held_out.auc_low < held_out.auc < held_out.auc_high
    assert found.gain.auc == pytest.approx(held_out.auc - found.alone.held_out.auc, abs=2e-4)
    assert held_out.ks_cut is not None
    assert min(evidence.points) <= held_out.ks_cut <= max(evidence.points)


def test_tables_of_the_score_agree_with_each_other(report: ValidationReport) -> None:
    sample = report.sample
    assert sample is not None
    bands = report.bands
    assert sum(band.rows for band in bands) == sample.held_out.rows
    assert sum(band.bads for band in bands) == sample.held_out.bads
    assert bands[-1].cumulative_bads == bands[-1].cumulative_people == 1.0
    assert (bands[0].high, bands[-1].low) == (None, None)
    assert all(better.low == worse.high for better, worse in itertools.pairwise(bands))
    evidence = make_evidence()
    assert evidence.points is not None
    held_out, label = evidence.points[~evidence.train], evidence.label[~evidence.train]
    for cut in report.cut_offs:
        approved = held_out >= cut.score
        assert cut.approved == approved.sum()
        assert cut.bad_rate_approved == pytest.approx(label[approved].mean(), abs=1e-4)
        assert cut.bad_rate_declined == pytest.approx(label[~approved].mean(), abs=1e-4)
    assert {band.low for band in bands[:-1]} <= {cut.score for cut in report.cut_offs}
    assert report.performance is not None
    assert report.performance.curve_joint[0].bads == 0.0
    assert report.performance.curve_joint[-1].bads == 1.0
    for swap in report.swap_sets:
        assert swap.approval_joint == pytest.approx(swap.approval_alone, abs=0.005)
        assert swap.bad_rate_joint < swap.bad_rate_alone


def test_no_two_tables_give_away_those_between_their_cuts(report: ValidationReport) -> None:
    """All cuts of one score, of whichever table: between neighbours there are k_min goods and bads in each sample."""
    evidence = make_evidence()
    assert evidence.points is not None
    assert report.fairness is not None
    cuts = {cut.score for cut in report.cut_offs} | {band.low for band in report.bands[:-1]}
    cuts.add(report.fairness.cut)
    ends = [-np.inf, *sorted(cuts), np.inf]  # type: ignore[type-var]
    for low, high in itertools.pairwise(ends):
        between = (evidence.points >= low) & (evidence.points < high)
        for part in (evidence.train, ~evidence.train):
            assert np.bincount(evidence.label[between & part], minlength=2).min() >= K_MIN


def numbers(node: Any, path: str = "") -> Any:
    if isinstance(node, dict):
        for name, item in node.items():
            yield from numbers(item, f"{path}.{name}")
    elif isinstance(node, list):
        for item in node:
            yield from numbers(item, path)
    else:
        yield path, node


COUNTS = (".goods", ".bads", ".rows", ".approved", ".train_rows")


@pytest.mark.parametrize("rows", [500, 1200, 3000])
def test_nothing_is_shown_about_fewer_than_k_min_people(rows: int) -> None:
    record = json.loads(build(make_evidence(rows)).to_json())
    for section in (
        "sample",
        "fields",
        "bands",
        "cut_offs",
        "swap_sets",
        "calibration",
        "fairness",
        "reasons",
    ):
        for path, number in numbers(record[section]):
            if path.endswith(COUNTS) and isinstance(number, int):
                assert number >= K_MIN, (section, path)


def test_small_classes_leave_out_what_would_tell_about_them() -> None:
    report = build(make_evidence(400))
    assert report.bands == report.cut_offs == report.swap_sets == report.stability == ()
    assert report.calibration is report.fairness is None
    assert report.performance is not None
    assert report.performance.gain is None
    held_out = report.performance.joint.held_out
    assert held_out.auc == round(held_out.auc, 2)
    assert (held_out.auc_low, held_out.ks_cut) == (None, None)
    assert report.sample is not None
    assert (report.sample.held_out.bads, report.sample.train.bads) == (None, None)
    assert {check.outcome for check in report.checks if check.key in ("slope", "gain", "four_fifths")} == {
        Outcome.NOT_ASSESSED
    }


def test_small_bins_hide_their_weight_and_keep_their_points() -> None:
    field = make_evidence().fields[0]
    first, second, *rest = field.bins
    small = [
        type(part)(part.label, part.goods, bads, part.woe, part.points)
        for part, bads in ((first, 3), (second, 60))
    ]
    changed = type(field)(party="bank", name="income", iv=0.3, n_bins=5, bins=(*small, *rest))
    (found,) = build(make_evidence(fields=(changed,))).fields
    hidden = [part for part in found.bins if part.woe is None]
    assert len(hidden) > 1, "never one alone"
    assert found.bins[0] in hidden
    assert all((part.rows, part.goods, part.bads, part.bad_rate) == (None,) * 4 for part in hidden)
    assert all(part.points is not None for part in found.bins)


def test_probabilities_make_bands_the_other_way_round() -> None:
    report = build(make_evidence(points=None, scale=None))
    assert report.score_unit == "probability"
    assert (report.bands[0].low, report.bands[-1].high) == (None, None)
    assert report.bands[0].high is not None
    assert report.bands[0].high < report.cut_offs[-1].score
    rates = [cut.bad_rate_approved for cut in report.cut_offs]
    assert rates == sorted(rates)


def test_bands_follow_the_policys_grades() -> None:
    report = build(make_evidence(bands=BandPlan(("A", "B", "C", "D"), (540, 515, 490))))
    assert [band.name for band in report.bands] == ["A", "B", "C", "D"]
    assert [band.low for band in report.bands] == [540, 515, 490, None]
    assert {540.0, 515.0, 490.0} <= {cut.score for cut in report.cut_offs}
    narrow = build(make_evidence(bands=BandPlan(("A", "B", "C", "D"), (900, 515, 514))))
    assert [band.name for band in narrow.bands] == ["A–B", "C–D"]


def test_people_without_the_attribute_are_a_group() -> None:
    evidence = make_evidence()
    places = np.where(np.arange(8000) % 4 == 0, -1, np.arange(8000) % 2)
    report = build(make_evidence(demographics={"gender": Groups(("f", "m"), places)}))
    assert report.fairness is not None
    (attribute,) = report.fairness.attributes
    assert [group.name for group in attribute.groups] == ["f", "m", "unknown"]
    assert sum(group.rows or 0 for group in attribute.groups) == (~evidence.train).sum()


def test_an_unfair_score_needs_attention() -> None:
    evidence = make_evidence(20_000)
    rng = np.random.default_rng(1)
    penalised = rng.integers(0, 2, 20_000)
    assert evidence.points is not None
    report = build(
        make_evidence(
            20_000,
            points=evidence.points - 60 * penalised,
            demographics={"gender": Groups(("f", "m"), 1 - penalised)},
        )
    )
    assert outcome(report, "four_fifths") is Outcome.ATTENTION
    assert outcome(report, "opportunity") is Outcome.ATTENTION
    assert report.fairness is not None
    assert report.fairness.attributes[0].reference == "m"


def test_bad_calibration_and_drift_need_attention() -> None:
    evidence = make_evidence()
    odds = np.log(evidence.joint / (1 - evidence.joint))
    drifted = dict(evidence.codes)
    drifted["income"] = np.where(evidence.train, drifted["income"], 0)
    report = build(make_evidence(joint=1 / (1 + np.exp(-2 * odds)), codes=drifted, undeclared=2))
    for key in ("slope", "hosmer_lemeshow", "field_stability", "undeclared"):
        assert outcome(report, key) is Outcome.ATTENTION, key
    levels = {shift.name: shift.level for shift in report.stability[0].fields}
    assert levels == {"income": "shift", "debt": "stable"}


def test_a_later_period_is_compared_with_the_sample() -> None:
    early, late = Words(en="2024", zh="2024 年"), Words(en="2025", zh="2025 年")
    counts = (np.array([300, 200, 20, 40, 100]), np.array([60, 200, 90, 10, 300]))
    found = compare(early, late, "ABCDE", counts, {"income": (np.array([5, 95]), np.array([50, 50]))}, K_MIN)
    assert found.bins == ("A", "B", "C–D", "E")
    assert found.score.expected == (0.4545, 0.303, 0.0909, 0.1515)
    assert (found.score.level, found.fields[0].level) == ("shift", "shift")
    report = build(make_evidence(periods=(found,)))
    assert report.stability[-1] == found
    assert len(report.limits) == len(build(make_evidence()).limits) - 1
    with pytest.raises(CohortTooSmall):
        compare(early, late, "ABCDE", (counts[0], counts[1] // 50), {}, K_MIN)


def test_reasons_of_nearly_everybody_are_hidden_as_well() -> None:
    evidence = make_evidence()
    said = evidence.reasons["C01"][0]
    hit = np.ones(8000, dtype=bool)
    hit[np.flatnonzero(~evidence.train)[:3]] = False
    (found,) = build(make_evidence(reasons={"C01": (said, hit)})).reasons
    assert (found.rows, found.share) == (None, None)


def test_the_record_survives_json(report: ValidationReport) -> None:
    data = report.to_json()
    assert ValidationReport.from_json(data) == report
    assert json.loads(data)["schema"] == SCHEMA
    assert b"NaN" not in data
    for other in (data.replace(SCHEMA.encode(), b"silhouette.validation_report/9"), b"[]", data[:-3]):
        with pytest.raises(MessageInvalid) as refused:
            ValidationReport.from_json(other)
        assert refused.value.key == "validation_report_unreadable"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"alone": np.full(3, 0.5)}, "validation_rows_differ"),
        ({"joint": np.full(8000, 1.5)}, "validation_not_probabilities"),
        ({"joint": np.full(8000, np.nan)}, "validation_not_probabilities"),
        ({"label": np.full(8000, 2, dtype=np.int8)}, "validation_labels"),
        ({"bands": BandPlan(("A", "B"), (500, 540))}, "validation_bands"),
        ({"bands": BandPlan(("A", "B", "C"), (500, 540))}, "validation_bands"),
    ],
)
def test_evidence_that_does_not_fit_is_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        build(make_evidence(**changes))
    assert refused.value.key == key


def test_too_few_held_out_rows_are_refused() -> None:
    with pytest.raises(CohortTooSmall):
        build(make_evidence(120, identification=make_identification(k_min=50)))


def test_strengths_and_learnt() -> None:
    assert [strength_of(iv) for iv in (0.0, 0.02, 0.1, 0.3, 0.5)] == [
        "none", "weak", "medium", "strong", "suspicious",
    ]  # fmt: skip
    received = {"boosting.candidates/1": 21}
    by_name = learnt_by("bank", "label_holder", (boosting.DISCLOSES,), received)
    assert {item.messages for item in by_name} >= {21, 0}
    unknown = learnt_by("shop", "feature_holder", (boosting.DISCLOSES,), None)
    assert {item.messages for item in unknown} == {None}
    assert all(item.what.en and item.what.zh for item in (*by_name, *unknown))
