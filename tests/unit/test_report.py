"""The report of a finished job: its arithmetic."""

import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_scene import COMPARE, K_MIN, Page, builtins, make_job, make_result
from rich.console import Console

from federation.insight import segment_profile
from federation.jobs import ScorecardPlan
from federation.roles import View
from privacy.texts import LANGUAGES, catalogue
from server.report import build_report, print_report, render_page
from server.report.figures import index_to


def test_index_is_relative_to_the_shown_segments(report: dict[str, Any]) -> None:
    income = report["segments"]["profiles"]["bank"]["fields"][0]
    # The second count is hidden, so its segment's size weighs it; the third mean is hidden and weighs nothing.
    overall = (600 * 10 + 300 * 40) / 900
    assert income["mean_overall"] == pytest.approx(overall)
    assert income["index"] == [pytest.approx(50), pytest.approx(200), None]
    assert income["means"][2] is None


def test_index_of_negative_means_is_not_a_ratio(report: dict[str, Any]) -> None:
    orders = report["segments"]["profiles"]["shop"]["fields"][0]
    assert orders["mean_overall"] == pytest.approx(1.0)
    assert orders["index"] == [pytest.approx(200), None, None]
    assert index_to(-2.0, [1.0, -3.0]) == [None, None]
    assert index_to(None, [None]) == [None]


def test_index_equals_pandas_where_nothing_is_hidden() -> None:
    rng = np.random.default_rng(4)
    segments, values = rng.integers(0, 3, 900), rng.gamma(2.0, 30.0, (900, 2))
    values[rng.random(900) < 0.3, 1] = np.nan
    result = make_result()
    profile = segment_profile(View(("a", "b"), values), segments, 3, 1)
    result["releases"]["shop"] |= builtins(profile)
    shop = build_report(make_job(), result, None, {})["segments"]["profiles"]["shop"]
    frame = pd.DataFrame(values, columns=["a", "b"])
    expected = 100 * frame.groupby(segments).mean() / frame.mean()
    for field in shop["fields"]:
        np.testing.assert_allclose(field["index"], expected[field["field"]], rtol=2e-3)


def test_highlights_name_the_farthest_fields_first(report: dict[str, Any]) -> None:
    first, second, third = report["segments"]["highlights"]
    assert {item["field"] for item in first} == {"income", "orders"}
    assert [(item["party"], item["field"]) for item in second] == [("bank", "income")]
    assert third == []


def test_figures_of_all_stages(report: dict[str, Any]) -> None:
    assert report["match"]["matched"] == 1000
    bank = report["match"]["parties"]["bank"]
    assert bank == {
        "rows": 2000,
        "eligible": 1500,
        "matched": 1000,
        "funnel": [["duplicate", 420], ["under_age", 0], ["no_consent", None]],
    }
    segments = report["segments"]
    assert (segments["k"], segments["iterations"], segments["ari_pooled"]) == (3, 17, 0.9987)
    assert segments["sizes"] == [600, 300, None]
    assert segments["stability"] == [[2, 0.91], [3, 0.987]]
    assert segments["default_rate"] == [0.05, 0.125, None]
    assert segments["default_rate_overall"] is None  # it would give the hidden rate away
    risk = report["risk"]
    assert risk["auc"] == {"bank_only": 0.7123, "joint": 0.7897, "pooled": 0.7914, "pooled_sklearn": 0.7926}
    assert risk["ks"] == {"bank_only": 0.3121, "joint": 0.4419, "pooled": 0.4475, "pooled_sklearn": 0.4481}
    assert (risk["train_rows"], risk["test_rows"]) == (700, 300)
    assert risk["importance"] == [["shop", "", 0.5], ["bank", "income", 0.3], ["bank", "debt", 0.2]]
    assert report["job"]["risk"]["min_child_rows"] == K_MIN
    assert (report["job"]["key_bits"], report["job"]["k_min"]) == (2048, K_MIN)
    assert report["job"]["digest"] == make_job().digest


def test_time_and_traffic(report: dict[str, Any]) -> None:
    assert report["seconds"] == {"total": 40.0, "join": 2.0, "match": 1.25, "risk": 30.5, "other": 6.25}
    assert report["bytes"]["sent"] == {"bank": 51_200, "shop": 82_200}
    assert report["bytes"]["received"] == {"bank": 14, "shop": 14}
    assert report["bytes"]["by_stage"] == {
        "match": {"bank": 1_100, "shop": 2_100},
        "risk": {"bank": 50_100, "shop": 80_100},
    }
    alone = build_report(make_job(), make_result(), None, {})["seconds"]
    assert alone["total"] == pytest.approx(33.75)


def test_disclosures_carry_real_counts(report: dict[str, Any]) -> None:
    counts = {
        (entry["party"], entry["protocol"], entry["what"]): entry["messages"]
        for entry in report["disclosures"]
    }
    assert counts["bank", "boosting", "candidate_sums"] == 21
    assert counts["shop", "boosting", "chosen_splits"] == 21  # two kinds of message
    assert counts["shop", "align", "reference_key"] == 1
    assert counts["shop", "boosting", "encrypted_gradients"] == 0  # declared, but nothing came
    assert counts["coordinator", "insight", "segment_profile"] == 2  # the releases are at hand
    assert counts["coordinator", "boosting", "sizes"] is None
    assert ("bank", "align", "reference_key") not in counts
    roles = {entry["party"]: entry["role"] for entry in report["disclosures"]}
    assert roles == {"bank": "label_holder", "shop": "feature_holder", "coordinator": "coordinator"}


def test_a_message_that_no_protocol_declares_is_reported(report: dict[str, Any]) -> None:
    assert report["undeclared"] == []
    result = make_result()
    result["traffic"]["risk"]["bank"]["received"]["boosting.gradients/1"] = 3
    odd = build_report(make_job(), result, None, {})
    assert odd["undeclared"] == [{"party": "bank", "message": "boosting.gradients/1", "messages": 3}]
    assert "boosting.gradients/1" in render_page(odd, "en")


def test_without_a_rehearsal_nothing_is_pooled() -> None:
    report = build_report(make_job(), make_result(), None, {})
    assert report["risk"]["auc"]["pooled"] is report["risk"]["ks"]["pooled"] is None
    assert report["segments"]["ari_pooled"] is None
    for language in LANGUAGES:
        page = Page.read(report, language)
        assert catalogue(language)["report.pooled_impossible"] in page.text
        assert catalogue(language)["report.pooled_rehearsal"] not in page.text


@pytest.mark.parametrize(
    ("plans", "times"),
    [
        ({}, 1),
        ({"scorecard": ScorecardPlan(test_share=0.3, seed=42)}, 1),
        ({"segments": None, "risk": None}, 0),
    ],
)
def test_the_terminal_says_once_that_nothing_is_pooled(plans: dict[str, Any], times: int) -> None:
    stream = io.StringIO()
    print_report(
        build_report(make_job(**plans), make_result(), None, {}), Console(file=stream, width=400), "en"
    )
    assert stream.getvalue().count(catalogue("en")["report.pooled_impossible"]) == times


@pytest.mark.parametrize("missing", ["segments", "risk"])
def test_a_job_without_a_stage_leaves_its_section_out(missing: str) -> None:
    report = build_report(make_job(**{missing: None}), make_result(), None, {})
    assert report[missing] is None
    page = Page.read(report, "en")
    assert missing not in page.ids
    assert {"match", "learned", "traffic"} <= page.ids
    print_report(report, Console(file=io.StringIO()))


def test_the_outcome_may_have_been_json(report: dict[str, Any]) -> None:
    read_back = json.loads(json.dumps(make_result()))
    again = build_report(make_job(), read_back, COMPARE, {"total": 40.0})
    assert {**again, "created": ""} == {**report, "created": ""}
