"""A scorecard job over sealed sessions, and a job that scores with its model: as good as pooled tables."""

import numpy as np
import pandas as pd
import pytest
from gate_scene import admit
from in_process import InProcessFederation, sample_plans

from clients.compare import compare
from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.context import StageContext
from clients.gate.gate import Gate
from clients.lending.automation import AUTOMATED_DECISION
from clients.models import model_for
from clients.sample import make_world, sample_table, write_world
from federation.frames import Endpoint
from federation.jobs import Deadlines, Job, ScorecardPlan, ScoringPlan
from federation.wire import tag_of
from privacy.errors import Denied

PARTIES = ("bank", "ecommerce", "telecom")
SESSION, AGAIN = "c0de10" * 5, "c0de20" * 5
DEADLINES = Deadlines(join=30, silence=30, step=120)


def job_of(**changes):
    fields = {
        "name": "score-card", "purpose": "credit_risk", "profile": "TESTING_ONLY",
        "parties": sample_plans(PARTIES), "deadlines": DEADLINES,
    }  # fmt: skip
    return Job(**(fields | changes))


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scorecard")
    write_world(make_world(3000, seed=11), folder / "world")
    return InProcessFederation(
        folder / "homes", {party: sample_table(folder / "world", party) for party in PARTIES}
    )


@pytest.fixture(scope="module")
def trained(federation):
    plan = ScorecardPlan(pre_bins=10, degree=3, passes=2, batches=2)
    with pytest.MonkeyPatch.context() as patch:
        outcome = federation.run(job_of(scorecard=plan), SESSION, patch)
    assert outcome.status == "done", outcome.texts
    return outcome.result["releases"]["bank"]["session.scorecard_release/1"]


def customers(federation, session, name="score-card"):
    folder = federation.nodes["bank"].results / f"{name}-{session[:8]}"
    return pd.read_csv(folder / "customers.csv", dtype={"identifier": str}).set_index("identifier")


def test_the_job_gives_the_pooled_weights(federation, trained):
    found = compare([home.folder for home in federation.nodes.values()], SESSION)["scorecard"]
    assert found["largest_weight_difference"] < 1e-9
    assert found["rank_correlation"] > 0.9
    assert trained["auc_joint"] == pytest.approx(found["auc_pooled"], abs=0.01)
    assert trained["auc_joint"] == pytest.approx(found["auc_sklearn"], abs=0.03)
    assert trained["auc_joint"] > 0.55


def test_the_banks_people_get_points_probabilities_and_reasons(federation, trained):
    found = customers(federation, SESSION)
    assert found["points"].between(300, 900).all()
    assert np.corrcoef(found["points"], found["pd"])[0, 1] < -0.7
    assert found["pd"].between(0, 1).all()
    assert found["held_out"].sum() == trained["test_rows"]
    assert found["reasons"].notna().any()


def test_a_later_job_scores_with_the_model_without_training(federation, trained, monkeypatch):
    job = job_of(name="batch", scoring=ScoringPlan(model=trained["model"], reasons=2))
    outcome = federation.run(job, AGAIN, monkeypatch)
    assert outcome.status == "done", outcome.texts
    assert "session.scorecard_release/1" not in outcome.result["releases"]["bank"]
    before, after = customers(federation, SESSION), customers(federation, AGAIN, "batch")
    assert after["points"].to_dict() == before["points"].to_dict()
    assert "held_out" not in after


def test_a_later_training_goes_on_from_the_models_weights(federation, trained, monkeypatch):
    plan = ScorecardPlan(pre_bins=10, degree=3, passes=1, batches=1, start=trained["model"])
    outcome = federation.run(job_of(name="again", scorecard=plan), "c0de50" * 5, monkeypatch)
    assert outcome.status == "done", outcome.texts
    first, second = (
        customers(federation, session, name)["points"]
        for session, name in ((SESSION, "score-card"), ("c0de50" * 5, "again"))
    )
    assert np.corrcoef(first, second.loc[first.index])[0, 1] > 0.95
    assert outcome.result["releases"]["bank"]["session.scorecard_release/1"]["model"] != trained["model"]


def test_who_refused_automated_decisions_is_not_scored_in_a_batch(federation, trained, monkeypatch):
    home, before = federation.nodes["bank"], customers(federation, SESSION)
    changes = changes_of(home, Source.CLI)
    changes.withdraw(changes.identifiers([before.index[3]]), AUTOMATED_DECISION)
    job = job_of(name="refused", scoring=ScoringPlan(model=trained["model"]))
    outcome = federation.run(job, "c0de60" * 5, monkeypatch)
    assert outcome.status == "done", outcome.texts
    found = customers(federation, "c0de60" * 5, "refused")
    assert found.index[found["needs_human"]].tolist() == [before.index[3]]
    assert found["points"].isna().tolist() == found["needs_human"].tolist()
    assert found.loc[before.index[3], "reasons"] != found.loc[before.index[3], "reasons"]  # none
    assert found["points"].dropna().to_dict() == before["points"].drop(before.index[3]).to_dict()


def test_a_model_of_another_purpose_is_refused(federation, trained):
    home = federation.nodes["bank"]
    job = job_of(name="sell", purpose="credit_limits", scoring=ScoringPlan(model=trained["model"]))
    admit(home, job)
    context = StageContext(home, job, "c0de30" * 5, Gate(home, job, "look", is_preview=True))
    with pytest.raises(Denied) as caught:
        model_for(context, "scorecard", trained["model"])
    assert caught.value.findings.codes == ("R-PURPOSE-MISMATCH",)


def test_an_unknown_model_is_a_clear_error(federation, monkeypatch):
    job = job_of(name="none", scoring=ScoringPlan(model="0" * 32))
    outcome = federation.run(job, "c0de40" * 5, monkeypatch)
    assert outcome.status != "done"
    assert "its own log says why" in outcome.texts["en"]


@pytest.mark.parametrize(
    ("party", "message"),
    [("ecommerce", "collinearity.moments/1"), ("telecom", "scorecard.masked_gradient/1")],
)
def test_a_withdrawal_while_the_scorecard_is_made(federation, trained, monkeypatch, party, message):
    """The stage begins again without the person, with the bins that stand."""
    person = customers(federation, SESSION).index[7 if party == "telecom" else 9]
    changes, seal, done = changes_of(federation.nodes[party], Source.CLI), Endpoint.seal, []

    def withdrawing(endpoint, recipient, stage, sent):
        if endpoint.own == party and tag_of(sent) == message and not done:
            done.append(changes.withdraw(changes.identifiers([person]), "credit_risk"))
        return seal(endpoint, recipient, stage, sent)

    monkeypatch.setattr(Endpoint, "seal", withdrawing)
    plan = ScorecardPlan(pre_bins=10, degree=3, passes=2, batches=2)
    session = ("c0de70" if party == "telecom" else "c0de80") * 5
    outcome = federation.run(job_of(name=f"leave-{party}", scorecard=plan), session, monkeypatch)
    assert outcome.status == "done", outcome.texts
    assert done
    found = customers(federation, session, f"leave-{party}")
    assert person not in found.index
    assert found["points"].notna().all()
