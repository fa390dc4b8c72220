"""The report of a finished job: pages and a terminal that show it all, safely, in both languages."""

import copy
import io
import json
import re
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import pytest
from report_scene import COMPARE, HOSTILE, Page, builtins, make_job, make_result
from rich.console import Console

from federation import session as control
from federation.jobs import MatchMode, MatchPlan, ScorecardPlan
from privacy.texts import LANGUAGES, catalogue, text
from server.report import build_report, print_report, render_page, write_report
from server.report.charts import bar, heat, stability
from server.report.wording import Wording


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


def scorecard_report() -> dict[str, Any]:
    job, result = make_job(risk=None, scorecard=ScorecardPlan()), make_result()
    release = control.ScorecardRelease(
        model="5c" * 16,
        train_rows=700,
        test_rows=300,
        auc_alone=0.7011,
        ks_alone=0.3022,
        auc_joint=0.7733,
        ks_joint=0.4144,
        importance=(("bank", "debt", 0.25), ("shop", "", 0.75)),
        fields={"bank": 1, "shop": 2},
    )
    result["releases"]["bank"] |= builtins(release)
    pooled = {"auc_pooled": 0.7735, "ks_pooled": 0.4146, "auc_sklearn": 0.7755, "ks_sklearn": 0.4166}
    return build_report(job, result, {"scorecard": pooled}, {"total": 40.0})


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_scorecard_has_its_own_part_of_the_page(language: str) -> None:
    report = scorecard_report()
    assert report["risk"] is None
    assert report["scorecard"]["auc"] == {
        "bank_only": 0.7011, "joint": 0.7733, "pooled": 0.7735, "pooled_sklearn": 0.7755,
    }  # fmt: skip
    text = Page.read(report, language).text
    for figure in ("0.7733", "0.4144", "0.7755", "0.4166", "5c" * 16, "600", "50"):
        assert figure in text
    assert "shop" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_names_the_model_of_the_trees(report: dict[str, Any], language: str) -> None:
    assert report["risk"]["model"] == "7e" * 16
    assert "7e" * 16 in Page.read(report, language).text
    report["risk"]["model"] = None
    assert (
        text("report.scorecard.number", language=language, model="") not in Page.read(report, language).text
    )
