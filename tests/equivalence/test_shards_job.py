"""A whole job that trains in shards, and another that trains again without somebody: only one shard is touched."""

import numpy as np
import pytest
from in_process import InProcessFederation, sample_plans

from clients.compare import compare
from clients.finished import HANDLE, read_handle, record_name, remove_rows
from clients.risk_shards import SHARDS_RECORD
from clients.sample import make_world, sample_table, write_world
from federation.jobs import Deadlines, ForgetPlan, Job, RiskPlan
from federation.scoring import LabelHolderModel
from federation.shards_records import FeatureShards, LabelShards, content_digest, deal

PARTIES = ("bank", "telecom")
SESSION, AGAIN, FRESH = "5ba4d0" * 5 + "00", "5ba4d1" * 5 + "00", "5ba4d2" * 5 + "00"
TREES = RiskPlan(trees=2, depth=2, bins=8, shards=2, goss_top=0.3, goss_other=0.4)
RELEASE = "session.risk_release/1"


def job_of(**changes):
    fields = {
        "name": "shards", "purpose": "credit_risk", "profile": "TESTING_ONLY", "parties": sample_plans(PARTIES),
        "deadlines": Deadlines(join=30, silence=30, step=120), "risk": TREES,
    }  # fmt: skip
    return Job(**(fields | changes))


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_world(make_world(1500, seed=11), folder / "world")
    return InProcessFederation(
        folder / "homes", {party: sample_table(folder / "world", party) for party in PARTIES}
    )


@pytest.fixture(scope="module")
def trained(federation):
    """What the bank released of the model."""
    with pytest.MonkeyPatch.context() as patch:
        outcome = federation.run(job_of(), SESSION, patch)
    assert outcome.status == "done", outcome.texts
    return outcome.result["releases"]["bank"][RELEASE]


def kept(federation, session):
    records = {
        name: home.vault.get(record_name(session, SHARDS_RECORD)) for name, home in federation.nodes.items()
    }
    return LabelShards.from_bytes(records["bank"]), FeatureShards.from_bytes(records["telecom"])


def model_of(federation, session):
    return LabelHolderModel.from_bytes(federation.nodes["bank"].vault.get(record_name(session, "risk_model")))


def test_every_party_keeps_the_shards_beside_the_merged_model(federation, trained):
    own, others = kept(federation, SESSION)
    assert [part.model.model_id for part in own.parts] == [part.model.model_id for part in others.parts]
    assert [part.trained.rows for part in own.parts] == [part.trained.rows for part in others.parts]
    assert sum(part.trained.rows for part in own.parts) == trained["train_rows"]
    assert len({part.model.seed for part in own.parts}) == TREES.shards
    model = model_of(federation, SESSION)
    assert model.model_id.hex() == trained["model"]
    assert len(model.trees) == TREES.shards * TREES.trees


def test_the_scores_are_those_of_separate_fits_on_pooled_columns(federation, trained):
    found = compare([federation.nodes[name].folder for name in PARTIES], SESSION)["risk"]
    assert found["largest_score_difference"] < 1e-9
    assert found["auc_pooled"] == trained["auc_joint"]


@pytest.fixture
def forgotten(federation, trained):
    """Twelve people of the first shard have left every handle."""
    vaults = {name: home.vault for name, home in federation.nodes.items()}
    places, _ = read_handle(vaults["bank"].get(record_name(SESSION, HANDLE)))
    gone = np.zeros(len(places), dtype=bool)
    gone[np.flatnonzero(deal(places, TREES.shards, TREES.seed) == 0)[:12]] = True
    for vault in vaults.values():
        remove_rows(vault, SESSION, gone)


@pytest.mark.usefixtures("forgotten")
def test_a_job_that_forgets_trains_only_what_has_seen_them(federation, trained, monkeypatch):
    again = job_of(name="again", project="shards", forget=ForgetPlan(session=SESSION))
    outcome = federation.run(again, AGAIN, monkeypatch)
    assert outcome.status == "done", outcome.texts
    for old, new in zip(kept(federation, SESSION), kept(federation, AGAIN), strict=True):
        assert new.parts[1] == old.parts[1]
        assert 0 < old.parts[0].trained.rows - new.parts[0].trained.rows <= 12
        assert new.parts[0].model.model_id != old.parts[0].model.model_id
        assert getattr(new.parts[0].model, "seed", 0) == getattr(old.parts[0].model, "seed", 0)
    digests = {content_digest(model_of(federation, session)) for session in (SESSION, AGAIN)}
    assert len(digests) == 2
    found = compare([federation.nodes[name].folder for name in PARTIES], AGAIN)["risk"]
    assert found["largest_score_difference"] < 1e-9, "that of a training without them"
