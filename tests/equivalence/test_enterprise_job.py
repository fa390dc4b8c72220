"""A job over firms in one process: health, levels, warnings, tasks at the bank, and decisions from these columns."""

from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from in_process import InProcessFederation
from lending_scene import EXAMPLES
from scipy.stats import spearmanr
from typer.testing import CliRunner

from clients.cli import app
from clients.enterprise import desk
from clients.enterprise.desk import AlertDesk
from clients.gate.policy import activate
from clients.gate.rehearsal import with_coordinator
from clients.lending.cases import decide_about
from clients.sample.enterprise_job import enterprise_policy, enterprise_table, write_enterprise_job
from clients.sample.enterprise_world import make_enterprises, write_enterprises
from clients.sample.enterprises import ENTERPRISE_PARTIES, TYPES
from federation import wire
from federation.enterprise import health
from federation.enterprise.alerts import CHAIN, Outcome, State
from federation.enterprise.exchange import Answer
from federation.enterprise.levels import PD_BOUNDS, Level
from federation.jobfile import read_job_file
from federation.jobs import Deadlines, EnterprisePlan, ScorecardPlan, ScoringPlan
from federation.pace import today

FIRMS, SEED, SESSION = 1_800, 77, "e17e" * 10
LEVELS = [level.name for level in Level]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A federation after one job, its world's folder, and the results at the bank."""
    folder = tmp_path_factory.mktemp("enterprises")
    write_enterprises(make_enterprises(FIRMS, SEED), folder / "world")
    file = write_enterprise_job(folder / "world")
    job = msgspec.structs.replace(
        read_job_file(file).job,
        profile="TESTING_ONLY",
        scorecard=ScorecardPlan(pre_bins=8, degree=3, passes=1, batches=2, min_stability=0),
        deadlines=Deadlines(join=30, silence=30, step=120),
    )
    tables = {party: enterprise_table(folder / "world", party) for party in ENTERPRISE_PARTIES}
    federation = InProcessFederation(folder / "homes", tables)
    for party, home in federation.nodes.items():
        fingerprint = home.roster.identities(party)["coordinator"].fingerprint
        policy = enterprise_policy(party, job, folder / "world")
        activate(home, with_coordinator(policy, fingerprint), is_rehearsal=True)
    with pytest.MonkeyPatch.context() as patch:
        outcome = federation.run(job, SESSION, patch, with_policies=False)
    assert outcome.status == "done", outcome.texts
    return SimpleNamespace(
        federation=federation,
        world=folder / "world",
        job=job,
        model=outcome.result["releases"]["bank"]["session.scorecard_release/1"]["model"],
        results=federation.nodes["bank"].results / f"{job.name}-{SESSION[:8]}",
    )


@pytest.fixture(scope="module")
def customers(scene):
    found = pd.read_csv(scene.results / "customers.csv", dtype={"identifier": str}, keep_default_na=False)
    return found.set_index("identifier")


@pytest.fixture(scope="module")
def truth(scene, customers):
    found = pd.read_csv(scene.world / "truth.csv", dtype={"uscc_bank": str}, keep_default_na=False)
    return found.set_index("uscc_bank").loc[customers.index]


def test_the_bank_gets_a_health_score_with_each_topics_part(customers, truth):
    parts = customers[[f"health_{topic.name}" for topic in health.TOPICS]]
    assert (parts.sum(axis=1) == customers["health_score"]).all()
    weights = [topic.weight for topic in health.TOPICS]
    assert (parts.max() <= weights).all()
    assert customers["health_score"].between(0, 100).all()
    assert spearmanr(customers["health_score"], truth["health"])[0] > 0.7, "buckets and gaps cost a little"


def test_levels_follow_probability_and_rules(customers, truth):
    base = np.searchsorted(PD_BOUNDS, customers["pd"].astype(float), side="right")
    level = customers["risk_level"].map(LEVELS.index)
    notches = [0 if not cell else len(cell.split(";")) for cell in customers["level_reasons"]]
    assert (level == np.minimum(4, base + np.minimum(2, notches))).all()
    named = {reason for cell in customers["level_reasons"] for reason in cell.split(";") if reason}
    assert named == {"default_history", "litigation", "negative_news"}
    worst = truth["default_12m"][(level >= 3).to_numpy()].mean()
    assert worst > 2 * truth["default_12m"][(level <= 1).to_numpy()].mean()


def test_types_are_those_of_the_world(customers, truth):
    found = customers["enterprise_type"].map(dict(zip(TYPES, range(3), strict=True)))
    assert (found == truth["type"]).mean() > 0.93


def test_warnings_find_firms_that_decline(customers, truth):
    warned = (customers["warning_month"] != "").to_numpy()
    declining = ((truth["default_12m"] == 1) & (truth["decline_month"] >= 0)).to_numpy()
    assert warned[declining].mean() >= 0.85
    assert warned[(truth["default_12m"] == 0).to_numpy()].mean() <= 0.10
    assert ((customers["warning_strength"] != "") == warned).all()
    assert ((customers["task"] != "") == warned).all()


def test_partners_results_say_nothing_of_it(scene):
    for party in ("platform", "utility"):
        for file in scene.federation.nodes[party].results.rglob("customers.csv"):
            assert "health_score" not in file.read_text("utf-8").splitlines()[0]


def test_nothing_but_the_answers_and_no_canary_crosses(scene):
    federation, world = scene.federation, scene.world
    sent = b"".join(data for _, _, data in federation.messages)
    planted = json.loads((world / "truth.json").read_text("utf-8"))["parties"]
    for party in planted.values():
        text, number = party["canaries"]["text"], party["canaries"]["number"]
        for needle in (
            text.encode(),
            str(number).encode(),
            *(np.array(number, kind).tobytes() for kind in ("<f8", ">f8")),
        ):
            assert needle not in sent
    answers = [
        (sender, to) for sender, to, data in federation.messages if isinstance(wire.decode(data), Answer)
    ]
    assert sorted(answers) == [("platform", "bank"), ("utility", "bank")]


def test_the_vault_keeps_who_answered_and_firms_by_level(scene, customers):
    data = scene.federation.nodes["bank"].vault.get(f"job/{SESSION}/enterprise")
    record = json.loads(data)
    assert record["holders"]["warning"] == "utility"
    assert record["known"] == 1.0
    assert {row["level"]: row["firms"] for row in record["levels"]} == {
        name: int((customers["risk_level"] == name).sum()) for name in LEVELS
    }


# --- tasks


def test_tasks_name_no_firm_and_end_with_a_finding(scene, customers, monkeypatch):
    home = scene.federation.nodes["bank"]
    work = AlertDesk(home)
    tasks = work.all()
    assert {task.number for task in tasks} == set(customers["task"]) - {""}
    assert not {task.firm for task in tasks} & set(customers.index)
    assert {item.party for task in tasks for item in task.evidence} == {"utility"}
    first, second, *_ = tasks
    taken = work.acknowledge(first.number, "zhang")
    assert taken.state is State.ACKNOWLEDGED
    ended = work.conclude(first.number, Outcome.EXPLAINED, "zhang")
    assert (ended.outcome, work.all()[-1].number) == (Outcome.EXPLAINED, first.number)
    monkeypatch.setattr(desk, "today", lambda: second.due + timedelta(days=60))
    later = {task.number: task for task in work.all()}
    assert later[second.number].role == CHAIN[-1]
    assert desk.overdue(list(later.values())) == len(tasks) - 1
    assert later[first.number].state is State.CONCLUDED


def test_tasks_are_handled_by_command(scene, monkeypatch):
    home = scene.federation.nodes["bank"]
    where = ["--home", str(home.folder)]
    monkeypatch.setenv("SILHOUETTE_LANG", "en")

    def run(*words):
        return CliRunner().invoke(app, ["alerts", *words, *where])

    listed = json.loads(run("list", "--json").output)
    number = next(task["number"] for task in listed if task["state"] == "open")
    assert number in run("list").output
    assert "acknowledged" in run("acknowledge", number, "--by", "li").output
    assert run("conclude", number, "--by", "li", "--outcome", "guilty").exit_code != 0
    assert "the firm is in trouble" in run("conclude", number, "--by", "li", "--outcome", "confirmed").output
    assert run("conclude", number, "--by", "li", "--outcome", "confirmed").exit_code != 0
    assert run("acknowledge", "nothing", "--by", "li").exit_code != 0


def test_tasks_stay_as_long_as_results(scene):
    home = scene.federation.nodes["bank"]
    names = home.vault.names(desk.ALERTS)
    assert names
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("clients.vault._now", lambda: pd.Timestamp(today() + timedelta(days=4000), tz="UTC"))
        assert set(names) <= set(home.vault.expired())
        assert AlertDesk(home).all() == []


# --- decisions


def test_the_example_decides_from_these_columns_alone(scene, customers):
    home, results = scene.federation.nodes["bank"], scene.results
    found = decide_about(home, results, EXAMPLES / "enterprises.toml")
    table = pd.read_csv(found.file, dtype={"identifier": str}, keep_default_na=False).set_index("identifier")
    assert len(table) == len(customers)
    joined = customers.drop(columns=["row", "reasons"]).join(table.drop(columns="row"))
    healthy = joined[joined["rule"] == "technology-healthy"]
    assert len(healthy) > 20
    assert (healthy["enterprise_type"] == "growing_technology").all()
    assert (healthy["health_score"] >= 60).all()
    assert healthy["risk_level"].isin(["A", "B"]).all()
    assert {"steady-state-owned", "seasonal-factory", "ordinary"} <= set(joined["rule"])
    assert (joined["lane"] == "decline").sum() == (joined["score"].astype(float) >= 0.2).sum()


# --- month by month


def test_a_later_job_watches_with_the_same_model_and_opens_no_task_twice(scene, customers, monkeypatch):
    federation, results = scene.federation, scene.results
    job = msgspec.structs.replace(
        scene.job,
        name="watch",
        scorecard=None,
        scoring=ScoringPlan(model=scene.model, reasons=0),
        enterprise=EnterprisePlan(since=22),
    )
    before = {task.number: task for task in AlertDesk(federation.nodes["bank"]).all()}
    outcome = federation.run(job, "e17f" * 10, monkeypatch, with_policies=False)
    assert outcome.status == "done", outcome.texts
    found = pd.read_csv(results.parent / "watch-e17fe17f" / "customers.csv", dtype=str, keep_default_na=False)
    found = found.set_index("identifier").loc[customers.index]
    assert (found["risk_level"] == customers["risk_level"]).all()
    warned = found["warning_month"] != ""
    assert set(found.loc[warned, "warning_month"].astype(int)) <= {22, 23, 24}
    assert 0 < warned.sum() < (customers["task"] != "").sum()
    still_open = {number for number, task in before.items() if task.state is not State.CONCLUDED}
    known = warned & customers["task"].isin(still_open)
    assert known.sum() > 0
    assert (found.loc[known, "task"] == customers.loc[known, "task"]).all()
