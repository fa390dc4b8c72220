"""A job that forgets: the same model, digest by digest, as a training without the people who left."""

from io import StringIO
from types import SimpleNamespace

import msgspec
import numpy as np
import pandas as pd
import pytest
from in_process import InProcessFederation, sample_plans
from plain_segments import lloyd
from rich.console import Console

from clients.finished import read_handle, record_name, remove_rows
from clients.forgetting.cards import ModelState, cards, tainted_by
from clients.forgetting.earlier import EarlierSegments, starts_among
from clients.forgetting.stage import RecallStage
from clients.sample import make_world, sample_table, write_world
from federation.jobs import Deadlines, ForgetPlan, Job, RiskPlan, ScorecardPlan, SegmentsPlan
from privacy.audit import EventType
from privacy.errors import ConfigInvalid
from privacy.texts import LANGUAGES
from server.report import build_report, print_report, write_report

PARTIES = ("bank", "ecommerce", "telecom")
FIRST, AGAIN, TWIN, FEW = "0f" * 16, "1f" * 16, "2f" * 16, "3f" * 16
LEAVING = 12


def plans():
    return {
        "segments": SegmentsPlan(n_clusters="auto", candidates=(2, 3), n_init=2),
        "scorecard": ScorecardPlan(pre_bins=8, degree=3, passes=1, batches=2),
        "risk": RiskPlan(trees=2, depth=2, bins=8, shards=2),
    }


def job_of(**changes):
    fields = {
        "name": "lending", "purpose": "credit_risk", "profile": "TESTING_ONLY", "parties": sample_plans(PARTIES),
        "project": "loans", "deadlines": Deadlines(join=30, silence=30, step=120),
    }  # fmt: skip
    return Job(**(fields | plans() | changes))


def run(federation, job, session):
    with pytest.MonkeyPatch.context() as patch:
        return federation.run(job, session, patch)


def federation_in(folder):
    write_world(make_world(3000, seed=11), folder / "world")
    tables = {party: sample_table(folder / "world", party) for party in PARTIES}
    return InProcessFederation(folder / "homes", tables)


def handle_of(home, session):
    return read_handle(home.vault.get(record_name(session, "handle")))


def empty_rows(home, places):
    """What a deletion does to the table: the rows keep their places, and their cells are empty."""
    file = home.settings.table.path
    table = pd.read_csv(file, dtype=str, keep_default_na=False)
    table.iloc[places] = ""
    table.to_csv(file, index=False)


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    """One whose twelve people have left after the first training, the first start row's and others."""
    made = federation_in(tmp_path_factory.mktemp("forget"))
    outcome = run(made, job_of(), FIRST)
    assert outcome.status == "done", outcome.texts
    bank = made.nodes["bank"]
    places, _ = handle_of(bank, FIRST)
    start = EarlierSegments.read(bank, FIRST).starts[0]
    others = np.flatnonzero(~np.isin(places, EarlierSegments.read(bank, FIRST).starts))[: LEAVING - 1]
    gone = np.isin(np.arange(len(places)), others) | (places == start)
    made.gone = {}
    for name, home in made.nodes.items():
        rows, _ = handle_of(home, FIRST)
        made.gone[name] = rows[gone]
        remove_rows(home.vault, FIRST, gone)
        empty_rows(home, rows[gone])
    return made


@pytest.fixture(scope="module")
def forgotten(federation):
    outcome = run(federation, job_of(forget=ForgetPlan(session=FIRST)), AGAIN)
    assert outcome.status == "done", outcome.texts
    return outcome


@pytest.fixture(scope="module")
def twin(federation, tmp_path_factory):
    """Another federation with the same people, which never had those who left."""
    made = federation_in(tmp_path_factory.mktemp("twin"))
    for name, home in made.nodes.items():
        empty_rows(home, federation.gone[name])
    outcome = run(made, job_of(segments=None), TWIN)
    assert outcome.status == "done", outcome.texts
    return made


def has_rows(federation, session):
    return any(home.vault.get(record_name(session, "handle")) for home in federation.nodes.values())


def digests(home, session):
    return {card.kind: card.digest for card in cards(home, session)}


def test_exactly_those_who_left_are_missing(federation, forgotten):
    for name, home in federation.nodes.items():
        (before, _), (after, refs) = handle_of(home, FIRST), handle_of(home, AGAIN)
        assert after.tolist() == before.tolist()
        assert not set(federation.gone[name].tolist()) & set(after.tolist())
        assert refs.tobytes() == handle_of(federation.nodes["bank"], AGAIN)[1].tobytes()


def test_scorecard_and_trees_are_those_of_a_training_without_the_people(federation, forgotten, twin):
    for name, home in federation.nodes.items():
        found, expected = digests(home, AGAIN), digests(twin.nodes[name], TWIN)
        assert {kind: found[kind] for kind in ("scorecard", "secureboost")} == expected
        first = digests(home, FIRST)
        assert all(found[kind] != first[kind] for kind in found if kind != "secureboost" or name == "bank")


def test_points_and_scores_are_those_of_a_training_without_the_people(federation, forgotten, twin):
    found, expected = (
        pd.read_csv(
            made.nodes["bank"].results / f"lending-{session[:8]}" / "customers.csv", dtype={"identifier": str}
        ).set_index("identifier")
        for made, session in ((federation, AGAIN), (twin, TWIN))
    )
    expected = expected.loc[found.index]
    for column in ("points", "pd", "score", "held_out"):
        assert found[column].tolist() == expected[column].tolist()


def test_segments_are_those_of_a_plain_run_from_the_recorded_rows(federation, forgotten):
    from clients.compare import PooledParty

    bank = federation.nodes["bank"]
    before, after = EarlierSegments.read(bank, FIRST), EarlierSegments.read(bank, AGAIN)
    places, _ = handle_of(bank, AGAIN)
    starts = starts_among(before.starts, places)
    assert places[starts].tolist() == after.starts.tolist()
    assert before.starts[0] in federation.gone["bank"]
    assert after.starts[0] != before.starts[0]
    assert after.starts[1:].tolist() == before.starts[1:].tolist()
    homes = [federation.nodes[name] for name in PARTIES]
    values = [PooledParty(home.folder, AGAIN).standardized() for home in homes]
    labels, centroids = lloyd(values, starts, before.n_clusters)
    for home, expected in zip(homes, centroids, strict=True):
        kept = msgspec.msgpack.decode(home.vault.get(record_name(AGAIN, "segments")))
        assert np.frombuffer(kept["assignments"], np.int64).tolist() == labels.tolist()
        assert kept["centroids"] == expected.tobytes()


def test_cards_say_what_replaced_what(federation, forgotten):
    for home in federation.nodes.values():
        old, new = cards(home, FIRST), cards(home, AGAIN)
        assert {card.kind for card in new} == {"kmeans", "scorecard", "secureboost"}
        by_kind = {card.kind: card for card in new}
        for card in old:
            follower = by_kind[card.kind]
            assert card.state(card.trained) is ModelState.SUPERSEDED
            assert (card.superseded_by, follower.supersedes) == (follower.number, card.number)
            assert follower.honoured == LEAVING
            assert follower.state(card.trained) is ModelState.ACTIVE
            assert tainted_by(home, follower) == 0
        events = [event.type for event in home.audit.events()]
        assert events.count(EventType.MODEL_SUPERSEDED) == 3


def test_the_coordinator_hears_no_count_of_rows_in_a_recall(federation, forgotten):
    for releases in forgotten.result["releases"].values():
        assert "session.match_release/1" not in releases


def test_the_report_shows_what_was_learned_and_nothing_undeclared(forgotten, tmp_path):
    report = build_report(job_of(forget=ForgetPlan(session=FIRST)), forgotten.result, None, {})
    assert report["undeclared"] == []
    assert report["match"]["matched"] is None
    told = {(item["protocol"], item["what"]) for item in report["disclosures"]}
    assert ("recall", "rows_agree") in told
    assert "align" not in {protocol for protocol, _ in told}
    for language in LANGUAGES:
        print_report(report, Console(file=StringIO()), language)
    assert write_report(report, tmp_path)


def test_again_with_few_who_left_is_refused_by_everybody(federation, forgotten):
    for home in federation.nodes.values():
        rows, _ = handle_of(home, AGAIN)
        gone = np.zeros(len(rows), dtype=bool)
        gone[:9] = True
        remove_rows(home.vault, AGAIN, gone)
    outcome = run(federation, job_of(forget=ForgetPlan(session=AGAIN)), FEW)
    assert outcome.status == "failed"
    assert "R-DIFFERENCING-RISK" in outcome.texts["en"]
    noted = [event for event in federation.nodes["bank"].audit.events() if event.session == FEW]
    refusals = [event.reasons for event in noted if event.type is EventType.ROUND_UPDATE_REFUSED]
    assert refusals == [("R-DIFFERENCING-RISK",)]
    assert all(not card.superseded_by for card in cards(federation.nodes["bank"], AGAIN))


def test_a_job_that_is_not_the_earlier_one_again_is_refused(federation, forgotten):
    other = job_of(forget=ForgetPlan(session=FIRST), risk=RiskPlan(trees=3, depth=2, bins=8, shards=2))
    outcome = run(federation, other, "4f" * 16)
    assert outcome.status == "failed"
    assert not has_rows(federation, "4f" * 16)


def test_a_job_that_was_trained_again_already_is_not_forgotten_again(federation, forgotten):
    """Its changes would be counted from the first model, and not from the one that has replaced it."""
    job = job_of(forget=ForgetPlan(session=FIRST))
    for home in federation.nodes.values():
        with pytest.raises(ConfigInvalid) as caught:
            RecallStage(SimpleNamespace(home=home, job=job))
        assert caught.value.key == "forget_superseded"
    outcome = run(federation, job, "5f" * 16)
    assert outcome.status == "failed"
    assert not has_rows(federation, "5f" * 16)
    assert all(not cards(home, "5f" * 16) for home in federation.nodes.values())


def test_a_table_that_has_been_replaced_is_not_trained_on_again(federation, forgotten):
    """In a new extract a row's place is somebody else's: who is in a split or a shard would be anybody."""
    file = federation.nodes["bank"].settings.table.path
    pd.read_csv(file, dtype=str, keep_default_na=False)[::-1].to_csv(file, index=False)
    outcome = run(federation, job_of(forget=ForgetPlan(session=AGAIN)), "6f" * 16)
    assert outcome.status == "failed"
    assert outcome.texts["en"].startswith("bank: ")  # what else is in its own log alone
    assert not has_rows(federation, "6f" * 16)
