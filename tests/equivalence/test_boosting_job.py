"""A job that trains trees, and a later one that scores with them: the same scores and reasons, nothing released."""

from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from gate_scene import admit
from in_process import InProcessFederation, sample_plans
from lending_scene import CHANCES, TODAY, plan

from clients.answered import AnsweredToday
from clients.context import StageContext
from clients.gate.gate import Gate
from clients.lending.cases import _applicants, read_table
from clients.lending.decide import decide
from clients.lending.plan import Lane, Scale
from clients.lending.reasons import Direction, information_from, parse_reasons
from clients.results import CUSTOMERS
from clients.risk_stages import _with_reasons
from clients.sample import make_world, sample_table, write_world
from clients.stages import build_stage
from federation.jobs import Deadlines, Job, RiskPlan, ScoringPlan
from federation.path_attributions import Contributions
from privacy.errors import ConfigInvalid

PARTIES = ("bank", "ecommerce", "telecom")
SESSION, AGAIN = "b0057e" * 5, "b0057f" * 5
RELEASE = "session.risk_release/1"


def job_of(**changes):
    fields = {
        "name": "trees", "purpose": "credit_risk", "profile": "TESTING_ONLY", "parties": sample_plans(PARTIES),
        "deadlines": Deadlines(join=30, silence=30, step=120),
    }  # fmt: skip
    return Job(**(fields | changes))


def batch_of(model, name="batch", kind="boosting"):
    return job_of(name=name, scoring=ScoringPlan(model=model, kind=kind))


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    write_world(make_world(1500, seed=11), folder / "world")
    return InProcessFederation(
        folder / "homes", {party: sample_table(folder / "world", party) for party in PARTIES}
    )


@pytest.fixture(scope="module")
def trained(federation):
    """The number of the model, as the job's release tells it."""
    with pytest.MonkeyPatch.context() as patch:
        trees = RiskPlan(trees=3, depth=3, bins=8, first_tree_local=False)
        outcome = federation.run(job_of(risk=trees), SESSION, patch)
    assert outcome.status == "done", outcome.texts
    return outcome.result["releases"]["bank"][RELEASE]["model"]


@pytest.fixture(scope="module")
def scored_later(federation, trained):
    """What a later job with the model released."""
    with pytest.MonkeyPatch.context() as patch:
        outcome = federation.run(batch_of(trained), AGAIN, patch)
    assert outcome.status == "done", outcome.texts
    return outcome.result["releases"]


def customers(federation, session, name="trees"):
    folder = federation.nodes["bank"].results / f"{name}-{session[:8]}"
    return pd.read_csv(folder / "customers.csv", dtype={"identifier": str}).set_index("identifier")


def test_the_banks_people_get_scores_with_reasons(federation, trained):
    found = customers(federation, SESSION)
    assert {"held_out", "score", "score_alone", "reasons"} <= set(found.columns)
    reasons = [parse_reasons(cell) for cell in found["reasons"].fillna("")]
    assert {reason.direction for of_row in reasons for reason in of_row} == {Direction.RAISES}
    names = {reason.name for of_row in reasons for reason in of_row}
    partners = {information_from(party) for party in PARTIES[1:]}
    own = {field.name for field in federation.nodes["bank"].settings.table.fields}
    assert names & partners
    assert names - partners <= own | {name for name in names if "|" in name}
    weighty = np.array([len(of_row) for of_row in reasons])
    assert weighty[found["score"] > found["score"].median()].mean() > weighty.mean()


def test_every_party_keeps_its_part_of_the_model_under_one_number(federation, trained):
    for home in federation.nodes.values():
        assert [name for name in home.vault.names("job/") if name.endswith(f"/model/{trained}")]


def test_a_later_job_gives_the_same_scores_and_reasons_and_releases_nothing(
    federation, trained, scored_later
):
    before, after = customers(federation, SESSION), customers(federation, AGAIN, "batch")
    assert after["score"].to_dict() == before["score"].to_dict()
    assert after["reasons"].fillna("").to_dict() == before["reasons"].fillna("").to_dict()
    assert not {"held_out", "score_alone"} & set(after.columns)
    assert all(RELEASE not in releases for releases in scored_later.values())


def test_decisions_are_made_from_boosted_scores_and_tell_their_reasons(federation, trained):
    file = federation.nodes["bank"].results / f"trees-{SESSION[:8]}" / CUSTOMERS
    policy = plan(scale=Scale.PD, grades=CHANCES)
    table = read_table(file, "identifier")
    applicants = _applicants(policy, table, np.zeros(len(table), dtype=np.bool_), None)
    assert applicants.scores.tolist() == pd.read_csv(file)["score"].tolist()
    found = decide(policy, applicants, TODAY).table("en")
    declined = found[found["lane"] == Lane.DECLINE.value]
    assert declined["explanation"].str.len().gt(0).mean() > 0.9
    assert declined["explanation"].str.contains("information from (?:ecommerce|telecom) weighed").any()


def counted(home, trained):
    """How often a partner has answered with the model today, per person."""
    return list(AnsweredToday(home, bytes.fromhex(trained))._counts.values())


def test_a_partner_at_its_limit_answers_nothing(federation, trained, scored_later, monkeypatch):
    home = federation.nodes["telecom"]
    assert set(counted(home, trained)) == {2}
    monkeypatch.setattr(home, "settings", msgspec.structs.replace(home.settings, scores_per_day=2))
    before = len(federation.messages)
    outcome = federation.run(batch_of(trained, "once-more"), "b00580" * 5, monkeypatch)
    assert outcome.status != "done"
    assert "scores_per_day" in outcome.texts["en"]
    assert "telecom" in outcome.texts["zh-CN"]
    sent = [data for sender, _, data in federation.messages[before:] if sender == "telecom"]
    assert sent
    assert not [data for data in sent if b"scoring.sides" in data]
    assert set(counted(home, trained)) == {2}, "what is refused is not counted"


def test_a_model_that_does_not_fit_the_job_is_refused(federation, trained, monkeypatch):
    home, usual = federation.nodes["bank"], batch_of(trained)
    bank = usual.parties[0]
    fewer = msgspec.structs.replace(bank, risk_fields=bank.risk_fields[1:])
    others = {
        "model_unknown": [batch_of(trained, kind="scorecard"), batch_of("0" * 32)],
        "model_fields": [msgspec.structs.replace(usual, parties=(fewer, *usual.parties[1:]))],
    }
    for key, jobs in others.items():
        for job in jobs:
            admit(home, job)
            context = StageContext(home, job, "b00581" * 5, Gate(home, job, "look", is_preview=True))
            with pytest.raises(ConfigInvalid) as caught:
                build_stage(job.stages[-1], context)
            assert caught.value.key == key


def test_a_scorecards_reasons_stay_beside_those_of_the_trees():
    found = Contributions(0.0, ("income",), ("shop",), np.array([[1.0, -1.0], [0.0, 2.0]]))
    home = SimpleNamespace(settings=SimpleNamespace(table=SimpleNamespace(fields=())))
    for scorecard, name in ((None, "reasons"), (object(), "reasons_boosted")):
        context = SimpleNamespace(job=SimpleNamespace(scorecard=scorecard), home=home)
        columns = _with_reasons(context, pd.DataFrame({"score": [0.5, 0.7]}), found)
        assert list(columns.columns) == ["score", name]
        assert columns[name].tolist() == ["income:raises", f"{information_from('shop')}:raises"]
