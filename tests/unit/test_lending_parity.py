"""Matched pairs: who differs in persona alone gets the same terms."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pandas as pd
import pytest
import tomli_w
from consent_desk import NOTICE, PHONES, make_home
from hypothesis import given, settings
from hypothesis import strategies as st
from lending_scene import condition, plan, rule
from policy_scene import policy as node_policy
from policy_scene import purpose
from typer.testing import CliRunner

from clients.cli import app
from clients.gate.policy import activate
from clients.gate.retention import RESULTS
from clients.home import for_toml
from clients.lending.parity import check_parity, compare
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import Basis, PurposeClass
from privacy.reasons import Reason

POINTS = [700, 700, 620, 620, 580, 580, 500, 500]
SEGMENTS = [0, 1] * 4
FAR = datetime.now(UTC).date() + timedelta(days=300)


def run(*words):
    result = CliRunner().invoke(app, ["lending", *map(str, words)])
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path, f"phone,purpose,status\n{PHONES[9]},marketing,withdrawn\n")
    credit = purpose(
        "credit_risk",
        treatment=PurposeClass.CREDIT_RISK,
        automated_decision=True,
        human_route="The review desk.",
        basis=Basis.CONTRACT,
        basis_reference="loan contract",
    )
    notice = msgspec.structs.replace(node_policy(credit).notices[0], still_valid=(NOTICE,))
    activate(made, msgspec.structs.replace(node_policy(credit), notices=(notice,)))
    made.vault.put(RESULTS + "loans-1", b"", days=10)
    return made


@pytest.fixture
def results(home):
    folder = home.results / "loans-1"
    folder.mkdir(parents=True)
    columns = {"identifier": PHONES[:8], "row": range(8), "segment": SEGMENTS, "points": POINTS}
    pd.DataFrame(columns).to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture
def decided(tmp_path, results):
    made = plan(rule("rich", condition("income", at_least=100.0)), effective_until=FAR)
    file = tmp_path / "policy.toml"
    file.write_text(tomli_w.dumps(for_toml(made)), "utf-8")
    own = tmp_path / "own.csv"
    incomes = [500, 500, 50, 50, 500, 50, 50, 50]
    pd.DataFrame({"identifier": PHONES[:8], "income": incomes}).to_csv(own, index=False)
    run("decide", "--results", results, "--policy", file, "--attributes", own)
    return file, own


def test_equal_grades_and_different_personas_have_the_same_terms(home, results, decided):
    file, own = decided
    found = json.loads(run("parity", "--results", results, "--policy", file, "--attributes", own, "--json"))
    assert (found["people"], found["groups"], found["differing"]) == (6, 3, 0), "C differs in income"
    (event,) = [event for event in home.audit.events() if event.type is EventType.PARITY_TESTED]
    assert event.numbers == {"people": 0, "groups": 3, "differing": 0}
    assert event.reasons == ()


def test_another_systems_prices_that_follow_the_persona_are_found(home, results, decided, tmp_path):
    file, own = decided
    prices = tmp_path / "prices.csv"
    table = pd.DataFrame({"identifier": PHONES[:8], "spread_bp": [10] * 8})
    table.to_csv(prices, index=False)
    assert check_parity(home, results, file, own, prices).holds
    table.loc[1, "spread_bp"] = 30
    table.to_csv(prices, index=False)
    with pytest.raises(Denied) as refusal:
        check_parity(home, results, file, own, prices)
    assert refusal.value.findings[0].reason is Reason.PRICE_FEATURE_PROHIBITED
    event = [event for event in home.audit.events() if event.type is EventType.PARITY_TESTED][-1]
    assert (event.reasons, event.numbers["differing"]) == (("R-PRICE-FEATURE-PROHIBITED",), 1)


def test_a_persona_that_nobody_has(home, results, decided):
    file, own = decided
    with pytest.raises(ConfigInvalid) as problem:
        check_parity(home, results, file, own, persona="tag")
    assert problem.value.key == "lending_column_missing"


def test_nothing_to_compare_is_said(results, decided, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    file, own = decided
    customers = pd.read_csv(results / "customers.csv", dtype=str).assign(segment="0")
    customers.to_csv(results / "customers.csv", index=False)
    shown = run("parity", "--results", results, "--policy", file, "--attributes", own)
    assert "Nothing was compared" in shown


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.sampled_from("xy"), st.integers(0, 1)), min_size=1, max_size=20
    )
)
def test_a_group_differs_exactly_when_some_pair_does(rows):
    frame = pd.DataFrame(rows, columns=["matched", "persona", "spread_bp"])
    found = compare(frame["matched"], frame["persona"], frame[["spread_bp"]])
    groups = {name: part for name, part in frame.groupby("matched") if part["persona"].nunique() > 1}
    assert found.groups == len(groups)
    assert found.differing == sum(part["spread_bp"].nunique() > 1 for part in groups.values())
