"""The report of a finished job: its arithmetic, and pages that show it all, safely, in both languages."""

import copy
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from federation import session as control
from federation.insight import FieldProfile, SegmentProfile, segment_profile
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, RiskPlan, SegmentsPlan
from federation.messages import Message
from federation.roles import View
from privacy.texts import LANGUAGES, catalogue, text
from server.report import build_report, print_report, render_page, write_report
from server.report.charts import bar, heat, stability
from server.report.figures import index_to
from server.report.wording import Wording

K_MIN = 50
COMPARE = {
    "segments": {"ari_pooled": 0.9987, "largest_centroid_difference": 2.5e-9},
    "risk": {
        "auc_pooled": 0.7914,
        "ks_pooled": 0.4475,
        "auc_sklearn": 0.7926,
        "ks_sklearn": 0.4481,
        "largest_score_difference": 0.0,
    },
}
HOSTILE = "<script>alert('x')</script>"


def make_job(**changes: Any) -> Job:
    parties = (
        PartyPlan(
            name="bank",
            role=PartyRole.LABEL_HOLDER,
            segment_fields=("income",),
            risk_fields=("income", "debt"),
        ),
        PartyPlan(
            name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("orders",), risk_fields=("orders",)
        ),
    )
    return Job(
        **{
            "name": "spring",
            "purpose": "credit_risk",
            "parties": parties,
            "segments": SegmentsPlan(),
            "risk": RiskPlan(trees=7, depth=3, bins=16, min_child_rows=20),
            **changes,
        }
    )


def builtins(*messages: Message) -> dict[str, Any]:
    return {str(message.__struct_config__.tag): msgspec.to_builtins(message) for message in messages}


def make_result() -> dict[str, Any]:
    income = FieldProfile(
        field="income",
        counts=(600, None, None),
        means=(10.0, 40.0, None),
        band_names=("q1-q2", "q3", "q4", "missing"),
        bands=((400, 100, 100, 0), (None, None, 120, None), (None, None, None, None)),
    )
    orders = FieldProfile(
        field="orders",
        counts=(600, 300, None),
        means=(2.0, -1.0, None),
        band_names=("q1-q4",),
        bands=((600,), (300,), (None,)),
    )
    match = control.MatchRelease(
        rows=2000,
        eligible=1500,
        matched=1000,
        funnel=(("duplicate", 420), ("under_age", 0), ("no_consent", None)),
    )
    clusters = control.ClusterRelease(n_clusters=3, stability=((2, 0.91), (3, 0.987)), iterations=17)
    risk = control.RiskRelease(
        train_rows=700,
        test_rows=300,
        auc_alone=0.7123,
        ks_alone=0.3121,
        auc_joint=0.7897,
        ks_joint=0.4419,
        importance=(("bank", "debt", 0.2), ("shop", "", 0.5), ("bank", "income", 0.3)),
        default_rate=(0.05, 0.125, None),
    )
    sizes = (600, 300, None)
    releases = {
        "bank": builtins(match, SegmentProfile(sizes=sizes, fields=(income,)), clusters, risk),
        "shop": builtins(match, SegmentProfile(sizes=sizes, fields=(orders,))),
    }

    def party(sent: int, received: dict[str, int]) -> dict[str, Any]:
        return {
            "seconds": 1.5,
            "bytes_sent": {"coordinator": sent, "peer": 100},
            "bytes_received": {"coordinator": 7},
            "received": {**received, "session.start_stage/1": 1},
        }

    traffic = {
        "match": {
            "bank": party(1_000, {"align.matched/2": 1}),
            "shop": party(2_000, {"align.key/2": 1, "align.matched/2": 1}),
        },
        "risk": {
            "bank": party(50_000, {"boosting.candidates/1": 21, "boosting.sides/1": 18}),
            "shop": party(80_000, {"boosting.chosen/1": 20, "boosting.finish/1": 1, "boosting.level/1": 21}),
        },
    }
    seconds = {"join": 2.0, "match": 1.25, "risk": 30.5}
    return {"seconds": seconds, "traffic": traffic, "releases": releases}


@pytest.fixture
def report() -> dict[str, Any]:
    return build_report(make_job(), make_result(), COMPARE, {"total": 40.0})


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


class Page(HTMLParser):
    """Tags must balance; text, attributes and ids are kept."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []

    @classmethod
    def read(cls, report: dict[str, Any], language: str) -> "Page":
        page = cls()
        page.feed(render_page(report, language))
        page.close()
        assert page.open == []
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.pieces).split())

    @property
    def ids(self) -> set[str | None]:
        return {attributes.get("id") for _, attributes in self.tags}


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_shows_every_headline_figure(report: dict[str, Any], language: str) -> None:
    page = Page.read(report, language)
    wanted = [
        "1,000",
        "1,500",
        "2,000",
        "−420",
        "<50",
        "0.7123",
        "0.7897",
        "0.7914",
        "0.3121",
        "0.4419",
        "0.4475",
    ]
    wanted += [
        "+0.0774",
        "0.9987",
        "60.0%",
        "12.5%",
        "50.0%",
        "51.2 kB",
        "82.2 kB",
        "30.5",
        "credit_risk",
        "spring",
    ]
    wanted += ["700", "300", make_job().digest, "2048", "2.5 × 10⁻⁹", "income", "orders", "40.0", "17"]
    assert [figure for figure in wanted if figure not in page.text] == []
    everything = page.text + " ".join(
        str(value) for _, attributes in page.tags for value in attributes.values()
    )
    assert not re.search(r"\b(None|nan|inf|Undefined|True|False)\b", everything)
    assert ("html", {"lang": language}) in page.tags
    texts = catalogue(language)
    for key in ("report.learned.title", "tables.funnel.no_consent", "disclosures.boosting.candidate_sums"):
        assert texts[key] in page.text


def test_page_needs_nothing_from_outside(report: dict[str, Any]) -> None:
    page = Page.read(report, "en")
    assert {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert not any({"src", "href", "onclick", "onload"} & attributes.keys() for _, attributes in page.tags)
    assert "url(" not in render_page(report, "en")
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) > 10
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)


def test_hostile_names_are_escaped() -> None:
    result = json.loads(json.dumps(make_result()))
    bank = result["releases"]["bank"]
    income = bank["insight.segment_profile/1"]["fields"][0]
    income["field"] = "[red]\x1b[2J\u202e" + HOSTILE
    income["band_names"] = [HOSTILE, "q3", "q4", "missing"]
    bank["session.match_release/1"]["funnel"] = [[HOSTILE, 5]]
    bank["session.risk_release/1"]["importance"] = [["bank", HOSTILE, 1.0]]
    plain = json.dumps(build_report(make_job(), result, COMPARE, {}))
    # A job refuses such names; a page made from a report that was tampered with must hold all the same.
    for name in ("bank", "shop", "spring", "credit_risk"):
        plain = plain.replace(f'"{name}"', json.dumps(f'"><b>{name}{HOSTILE}'))
    report = json.loads(plain)
    page = Page.read(report, "en")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(tag == "b" and attributes for tag, attributes in page.tags)
    for name in ("bank", "shop", "spring", "credit_risk"):
        assert f'"><b>{name}{HOSTILE}' in page.text
    assert any(HOSTILE in (attributes.get("aria-label") or "") for _, attributes in page.tags)
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=300, color_system="truecolor", force_terminal=True), "en")
    assert "[red]" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue() + render_page(report, "en")


def test_odd_releases_still_make_a_report() -> None:
    result = json.loads(json.dumps(make_result()))
    result["releases"]["bank"]["session.risk_release/1"] |= {
        "auc_joint": float("nan"),
        "default_rate": (0.1,),
    }
    shop = result["releases"]["shop"]["insight.segment_profile/1"]
    shop["sizes"] = (1,)
    shop["fields"][0] |= {"means": (float("inf"), 1.0, 2.0, 3.0, 4.0), "counts": (), "bands": ((1, 2, 3),)}
    del result["releases"]["shop"]["session.match_release/1"]
    report = build_report(make_job(), result, None, {})
    assert report["risk"]["auc"]["joint"] is None
    assert report["segments"]["default_rate"] == [0.1, None, None]
    assert len(report["segments"]["profiles"]["shop"]["fields"][0]["means"]) == 3
    json.dumps(report, allow_nan=False)
    for language in LANGUAGES:
        assert not re.search(r"\b(None|nan|inf)\b", Page.read(report, language).text)
        print_report(report, Console(file=io.StringIO()), language)


def test_write_report_writes_both_files_whole(report: dict[str, Any], tmp_path: Path) -> None:
    figures, page = write_report(copy.deepcopy(report), tmp_path, "zh-CN")
    assert (figures, page) == (tmp_path / "report.json", tmp_path / "report.html")
    assert json.loads(figures.read_text("utf-8")) == report
    assert page.read_text("utf-8") == render_page(report, "zh-CN")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["report.html", "report.json"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_console_shows_the_key_figures(report: dict[str, Any], language: str) -> None:
    stream = io.StringIO()
    print_report(report, Console(file=stream, width=160), language)
    printed = stream.getvalue()
    for figure in (
        "1,000",
        "<50",
        "12.5%",
        "0.7123",
        "0.7897",
        "0.7914",
        "0.4419",
        "0.9987",
        "82.2 kB",
        "k = 3",
    ):
        assert figure in printed
    assert not re.search(r"\b(None|nan)\b", printed)


def test_numbers_read_well() -> None:
    w = Wording("en")
    assert [w.size(value) for value in (0, 999, 1000, 999_600, 12_345_678, None)] == [
        "0 B", "999 B", "1.0 kB", "1.0 MB", "12.3 MB", "–",
    ]  # fmt: skip
    assert [w.seconds(value) for value in (1.234, 59.96, 125.4, 3599.9)] == [
        "1.23 s", "60.0 s", "2 min 05 s", "60 min 00 s",
    ]  # fmt: skip
    assert [w.mean(value) for value in (12345.6, -123.45, 4.5678, 0.0123, 0.0, -0.00045)] == [
        "12,346", "−123.5", "4.57", "0.012", "0", "−4.5 × 10⁻⁴",
    ]  # fmt: skip
    assert w.change(-0.01) == "−0.0100"
    assert w.reason("a_new_reason") == "a_new_reason"


def test_charts_draw_to_scale() -> None:
    assert 'class="fill" width="50.00"' in bar(0.75, 1.0, "AUC", start=0.5)
    assert 'class="fill" width="0.00"' in bar(0.4, 1.0, "AUC", start=0.5)
    assert 'class="fill" width="0.60"' in bar(1, 1_000_000, "few")
    assert bar(None, 1.0, "") == bar(1.0, None, "") == ""
    assert [heat(index) for index in (None, 100, 104, 110, 130, 151, 90, 70, 40, 0)] == [
        "h0", "h0", "h0", "above1", "above2", "above3", "below1", "below2", "below3", "below3",
    ]  # fmt: skip
    assert stability([(3, 0.9)], 3, "one candidate") == ""
    heights = [
        float(y)
        for y in re.findall(r'<circle [^>]*cy="([\d.]+)"', stability([(2, 1.0), (3, 0.5), (4, 0.0)], 2, ""))
    ]
    assert heights[1] == pytest.approx((heights[0] + heights[2]) / 2, abs=0.1)
    assert heights[0] < heights[2]


def test_both_languages_say_the_same() -> None:
    english, chinese = (
        {key: value for key, value in catalogue(language).items() if key.startswith("report.")}
        for language in LANGUAGES
    )
    assert english.keys() == chinese.keys()
    for key, value in english.items():
        holes = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        assert holes == {name for _, name, _, _ in Formatter().parse(chinese[key]) if name is not None}, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_size_or_a_set_expression_says_so_in_terminal_and_page(language: str) -> None:
    plan = MatchPlan(mode=MatchMode.KEYED, members="bank - shop", size_only=True)
    job = msgspec.structs.replace(make_job(), match=plan, segments=None, risk=None)
    report = build_report(job, make_result(), None, {})
    console = Console(record=True, width=200, file=io.StringIO())
    print_report(report, console, language)
    shown = [console.export_text(), render_page(report, language)]
    for wanted in ("bank - shop", text("report.match.size_only", language=language)):
        assert all(wanted in one for one in shown)
    assert all(text("report.match.how.keyed", language=language) in one for one in shown)
    assert text("report.match.matched_all", language=language) not in shown[1]
