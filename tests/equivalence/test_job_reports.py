"""A job with a scorecard and trees leaves a validation report of each at the label holder, and nowhere else."""

import itertools
import json
import re

import numpy as np
import pandas as pd
import pytest
from in_process import InProcessFederation, sample_plans
from needles import found_in_bytes

from clients.sample import make_world, sample_table, write_world
from clients.validation.record import ModelKind, Outcome, ValidationReport
from clients.validation.render import JSON_FILE, page_file, render
from federation.jobs import Deadlines, Job, RiskPlan, ScorecardPlan
from privacy.texts import LANGUAGES

PARTIES = ("bank", "ecommerce", "telecom")
SESSION = "c0de50" * 5
KINDS = (ModelKind.SCORECARD, ModelKind.BOOSTING)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(federation, releases of the bank, its results, its world)."""
    folder = tmp_path_factory.mktemp("reports")
    world = make_world(6000, seed=11)
    write_world(world, folder / "world")
    federation = InProcessFederation(
        folder / "homes", {party: sample_table(folder / "world", party) for party in PARTIES}
    )
    job = Job(
        name="both", purpose="credit_risk", profile="TESTING_ONLY", parties=sample_plans(PARTIES),
        scorecard=ScorecardPlan(pre_bins=8, degree=3, passes=2, batches=2, min_iv=0.03),
        risk=RiskPlan(trees=3, depth=3, bins=16),
        deadlines=Deadlines(join=30, silence=30, step=120),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        outcome = federation.run(job, SESSION, patch)
    assert outcome.status == "done", outcome.texts
    federation.job = job
    results = federation.nodes["bank"].results / f"both-{SESSION[:8]}"
    return federation, outcome.result, results, world


def folder_of(results, kind):
    return results if kind is ModelKind.SCORECARD else results / kind.value


@pytest.fixture(scope="module")
def reports(finished):
    _, _, results, _ = finished
    return {
        kind: ValidationReport.from_json((folder_of(results, kind) / JSON_FILE).read_bytes())
        for kind in KINDS
    }


def test_reports_lie_at_the_label_holder_alone(finished):
    federation, _, results, _ = finished
    names = {JSON_FILE, *(page_file(language) for language in LANGUAGES)}
    found = {file for file in federation.folder.rglob("validation*") if file.is_file()}
    assert found == {folder_of(results, kind) / name for kind in KINDS for name in names}
    assert all(file.stat().st_mode & 0o077 == 0 for file in found)


def test_figures_are_those_of_the_release(finished, reports):
    _, result, _, _ = finished
    released = result["releases"]["bank"]
    for kind, tag in zip(KINDS, ("scorecard", "risk"), strict=True):
        report, release = reports[kind], released[f"session.{tag}_release/1"]
        assert report.performance.joint.held_out.auc == release["auc_joint"]
        assert report.performance.joint.held_out.ks == release["ks_joint"]
        assert report.performance.alone.held_out.auc == release["auc_alone"]
        assert report.performance.alone.held_out.ks == release["ks_alone"]
        assert report.sample.held_out.rows == release["test_rows"]
        assert report.sample.train.rows == release["train_rows"]
        assert report.identification.kind is kind
    assert (
        reports[ModelKind.SCORECARD].identification.model_id
        == (released["session.scorecard_release/1"]["model"])
    )
    shares = {(item.party, item.name): item.share for item in reports[ModelKind.BOOSTING].importance}
    assert shares == {
        (party, name): round(share, 4)
        for party, name, share in released["session.risk_release/1"]["importance"]
    }
    funnel = reports[ModelKind.SCORECARD].sample.funnel
    assert funnel[-1].rows == released["session.match_release/1"]["matched"]


def test_the_pages_show_the_json(finished):
    _, _, results, _ = finished
    for kind, language in itertools.product(KINDS, LANGUAGES):
        folder = folder_of(results, kind)
        page = (folder / page_file(language)).read_text("utf-8")
        assert page == render((folder / JSON_FILE).read_bytes(), language)
        assert not re.search(r"https?:|//|src=|href=|url\(|@import|<script|<link", page)


def test_fields_have_bins_with_points_of_their_own_and_numbers_elsewhere(finished, reports):
    federation, result, _, _ = finished
    fields = reports[ModelKind.SCORECARD].fields
    own = [field for field in fields if field.party == "bank"]
    assert {field.name for field in own} == set(federation.job.plan_of("bank").risk_fields)
    for field in own:
        assert len(field.bins) == field.n_bins == len({part.label for part in field.bins})
        assert all((part.points is not None) == field.kept for part in field.bins)
        assert (field.reason is None) == field.kept
    partners = [field for field in fields if field.party != "bank"]
    assert {field.party for field in partners} == {"ecommerce", "telecom"}
    assert all(not field.name and not field.bins and field.number is not None for field in partners)
    stayed = result["releases"]["bank"]["session.scorecard_release/1"]["fields"]
    for party, count in stayed.items():
        assert sum(field.kept for field in fields if field.party == party) == count
    assert 0 < sum(field.kept for field in fields) < len(fields)


def test_points_can_be_recomputed_from_the_report(finished, reports):
    """The constant and a bin of every kept field: the best and the worst that anybody has of the bank's part."""
    _, _, results, _ = finished
    report = reports[ModelKind.SCORECARD]
    assert report.points.constant is not None
    customers = pd.read_csv(results / "customers.csv")
    assert report.points.constant < customers["points"].max() + 200
    spread = [
        [part.points for part in field.bins]
        for field in report.fields
        if field.party == "bank" and field.kept
    ]
    assert sum(map(max, spread)) > 0 > sum(map(min, spread))


def test_fairness_is_tested_by_age_gender_and_region(reports):
    for report in reports.values():
        groups = {item.key: [group.name for group in item.groups] for item in report.fairness.attributes}
        assert set(groups) == {"age_band", "gender", "region"}
        assert {"female", "male"} <= set(groups["gender"])
        rows = [group.rows for item in report.fairness.attributes for group in item.groups]
        assert all(row is None or row >= report.identification.k_min for row in rows)
        assert not any("not tested" in limit.en for limit in report.limits)


@pytest.mark.parametrize(("kind", "column"), [(KINDS[0], "reasons"), (KINDS[1], "reasons_boosted")])
def test_reasons_are_counted_among_the_held_out(finished, reports, kind, column):
    _, _, results, _ = finished
    customers = pd.read_csv(results / "customers.csv")
    told = customers.loc[customers["held_out"], column].fillna("")
    names = [[part.removesuffix(":raises").split("|")[-1] for part in cell.split(";")] for cell in told]
    shown = [reason for reason in reports[kind].reasons if reason.rows is not None]
    assert shown
    for reason in shown:
        assert reason.rows == sum(reason.code in cell for cell in names)
        assert reason.text.en != reason.text.zh


def test_disclosures_have_the_counts_of_the_session(finished, reports):
    federation, *_ = finished
    for report in reports.values():
        disclosed = report.disclosed
        assert disclosed.undeclared == 0
        assert {item.party for item in disclosed.learnt} == {*PARTIES, "coordinator"}
        counted = [item for item in disclosed.learnt if item.party == "bank"]
        assert all(item.messages is not None for item in counted)
        assert {item.protocol for item in counted} >= {
            "woe_binning",
            "collinearity",
            "scorecard",
            "points",
            "boosting",
        }
        assert all(item.messages is None for item in disclosed.learnt if item.party != "bank")
        (traffic,) = disclosed.traffic
        assert traffic.party == "bank"
        received = sum(1 for _, recipient, _ in federation.messages if recipient == "bank")
        assert traffic.messages_received == received
        assert traffic.ciphertexts_opened > 100
        stages = {item.stage: item for item in disclosed.stages}
        assert next(iter(stages)) == "match"
        assert set(stages) == {stage.value for stage in federation.job.stages} | {"witness"}
        assert sum(item.bytes_sent for item in disclosed.stages) <= traffic.bytes_sent
    answers = [item for item in disclosed.learnt if item.protocol == "points" and item.party == "bank"]
    assert [item.messages for item in answers] == [len(PARTIES) - 1]


def test_the_card_says_what_the_policy_says(reports):
    for report in reports.values():
        assert report.card.retention_days == 180
        assert report.card.owner == "bank"
        assert report.identification.purpose == "credit_risk"


def numbers_of(node, path=""):
    if isinstance(node, dict):
        for name, item in node.items():
            yield from numbers_of(item, f"{path}.{name}")
    elif isinstance(node, list):
        for item in node:
            yield from numbers_of(item, path)
    else:
        yield path, node


def test_nothing_is_about_too_few_and_nobody_is_in_it(finished, reports):
    _, _, results, world = finished
    phones = [phone.encode() for phone in world.truth["phone_bank"] if phone]
    remarks = [text.encode() for text in world.tables["bank"]["remark"].dropna().unique() if len(text) >= 8]
    remarks += [text.encode() for text in world.tables["bank"]["resident_id"].dropna()]
    for kind in KINDS:
        folder = folder_of(results, kind)
        for file in (folder / JSON_FILE, *(folder / page_file(language) for language in LANGUAGES)):
            assert found_in_bytes(file.read_bytes(), phones + remarks) == []
        data = json.loads((folder / JSON_FILE).read_bytes())
        k_min = data["identification"]["k_min"]
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
            for path, value in numbers_of(data[section], section):
                if (
                    path.endswith((".goods", ".bads", ".rows", ".approved", ".train_rows"))
                    and value is not None
                ):
                    assert (value == 0 and "funnel" in path) or value >= k_min, (kind, path, value)


def test_checks_have_figures(reports):
    for report in reports.values():
        assert {check.key for check in report.checks if check.outcome is Outcome.NOT_ASSESSED} <= {
            "opportunity"
        }
        assert np.isfinite(report.stability[0].score.index)
