"""`silhouette-node lending`: checks a policy, and decides about a finished job's customers by what they said."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import pandas as pd
import pytest
import tomli_w
from consent_desk import NOTICE, PHONES, make_home
from lending_scene import EXAMPLES, condition, plan, rule
from policy_scene import policy as node_policy
from policy_scene import purpose
from typer.testing import CliRunner

from clients.cli import app
from clients.consents.node import changes_of
from clients.consents.tables import Restriction, Source
from clients.gate.policy import activate
from clients.gate.retention import RESULTS
from clients.home import for_toml
from clients.lending.automation import AUTOMATED_DECISION
from clients.lending.cases import DECISIONS
from clients.tables import FieldSpec
from privacy.audit import EventType
from privacy.consent import Statement
from privacy.errors import ConfigInvalid, Denied, SilhouetteError
from privacy.policy import Basis, PurposeClass
from privacy.reasons import Reason

POINTS = [700, 620, 580, 500, 700, 620, 580, 500]
CUSTOMERS = PHONES[:8]
FAR = datetime.now(UTC).date() + timedelta(days=300)


def credit(**changes):
    given = {
        "treatment": PurposeClass.CREDIT_RISK,
        "automated_decision": True,
        "human_route": "The review desk.",
        "basis": Basis.CONTRACT,
        "basis_reference": "loan contract",
        **changes,
    }
    return purpose("credit_risk", **given)


def in_force(home, purpose):
    """Puts a policy with this purpose in force, whose notice also relies on the one of the consent log."""
    made = node_policy(purpose)
    (notice,) = made.notices
    notice = msgspec.structs.replace(notice, still_valid=(NOTICE,))
    activate(home, msgspec.structs.replace(made, notices=(notice,)))


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path, f"phone,purpose,status\n{PHONES[9]},marketing,withdrawn\n")
    in_force(made, credit())
    made.vault.put(RESULTS + "loans-1", b"", days=10)
    return made


@pytest.fixture
def results(home):
    folder = home.results / "loans-1"
    folder.mkdir(parents=True)
    columns = {
        "identifier": CUSTOMERS,
        "row": range(8),
        "segment": [0, 1] * 4,
        "points": POINTS,
        "reasons": ["income:raises;tenure_months:lowers"] * 8,
    }
    pd.DataFrame(columns).to_csv(folder / "customers.csv", index=False)
    return folder


@pytest.fixture
def policy_file(tmp_path):
    return write(tmp_path / "policy.toml", plan(effective_until=FAR))


def write(file, made):
    file.write_text(tomli_w.dumps(for_toml(made)), "utf-8")
    return file


def run(*words):
    """Runs a command: what it printed. Raises what it raised."""
    result = CliRunner().invoke(app, ["lending", *map(str, words)])
    if isinstance(result.exception, SilhouetteError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def decided(results, policy_file, *words):
    """The counts and the table by identifier."""
    counts = json.loads(run("decide", "--results", results, "--policy", policy_file, "--json", *words))
    return counts, pd.read_csv(results / DECISIONS, dtype=str, keep_default_na=False, index_col="identifier")


@pytest.mark.parametrize("name", ["people", "enterprises"])
def test_the_examples_pass_the_check(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "may be used" in run("check", EXAMPLES / f"{name}.toml")
    found = json.loads(run("check", EXAMPLES / f"{name}.toml", "--json"))
    assert len(found["digest"]) == 64
    assert [grade["name"] for grade in found["policy"]["grade"]] == list("ABCDE")


def test_a_persona_in_a_price_does_not_pass(tmp_path):
    file = write(tmp_path / "bad.toml", plan(rule("dear", condition("coupon_rate"))))
    with pytest.raises(Denied) as refusal:
        run("check", file)
    assert "dear: coupon_rate" in refusal.value.render("en")


def test_customers_are_decided_about(home, results, policy_file):
    counts, table = decided(results, policy_file)
    assert counts["lanes"] == {"fast_lane": 4, "manual": 2, "decline": 2}
    assert counts["grades"] == {"A": 2, "B": 2, "C": 2, "D": 2}
    assert (counts["needs_human"], counts["left_out"]) == (4, 0)
    assert list(table.index) == CUSTOMERS
    assert table["lane"].tolist() == ["fast_lane", "fast_lane", "manual", "decline"] * 2
    assert table["grade"].tolist() == ["A", "B", "C", "D"] * 2
    assert table["score"].tolist() == [str(points) for points in POINTS]
    assert table["rule"].tolist() == ["ordinary", "ordinary", "ordinary", ""] * 2
    assert set(table["policy"]) == {counts["version"]}
    assert "segment" not in table, "no persona beside a decision"
    assert (results / DECISIONS).stat().st_mode & 0o077 == 0
    (event,) = [event for event in home.audit.events() if event.type is EventType.ADM_DECIDED]
    assert event.digests["lending_policy"] == counts["version"]
    assert set(event.numbers.values()) == {0}, "fewer than ten are not counted in the log"


def test_people_read_what_was_done(home, results, policy_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = run("decide", "--results", results, "--policy", policy_file, "--home", home.folder)
    assert "proposal to decline" in shown
    assert "A person has to look at 4" in shown
    assert not any(phone in shown for phone in CUSTOMERS)


def test_who_refused_automated_decisions_goes_to_a_person(home, results, policy_file):
    changes = changes_of(home, Source.CLI)
    changes.withdraw(changes.identifiers([CUSTOMERS[0], CUSTOMERS[3]]), AUTOMATED_DECISION)
    counts, table = decided(results, policy_file)
    assert counts["refused_automation"] == 2
    for customer in (CUSTOMERS[0], CUSTOMERS[3]):
        row = table.loc[customer]
        assert (row["lane"], row["why"], row["needs_human"]) == ("manual", "R-ADM-REFUSED-BY-SUBJECT", "True")
        assert {
            row[name] for name in ("score", "grade", "rule", "limit_multiple", "reasons", "explanation")
        } == {""}
    assert (table["why"] == "R-ADM-REFUSED-BY-SUBJECT").sum() == 2
    said = Statement(purpose=AUTOMATED_DECISION, granted=True, notice=NOTICE)
    changes.give(changes.identifiers([CUSTOMERS[0]]), [said])
    assert decided(results, policy_file)[0]["refused_automation"] == 1


def test_nothing_is_decided_about_who_is_restricted(home, results, policy_file):
    changes = changes_of(home, Source.CLI)
    changes.restrict(changes.identifiers([CUSTOMERS[1]]), Restriction.REQUEST)
    counts, table = decided(results, policy_file)
    assert counts["left_out"] == 1
    assert CUSTOMERS[1] not in table.index
    assert table.loc[CUSTOMERS[2], "lane"] == "manual"


def test_where_consent_is_the_basis_it_has_to_hold(home, results, policy_file):
    in_force(home, credit(basis=Basis.CONSENT, basis_reference=""))
    changes = changes_of(home, Source.CLI)
    said = Statement(purpose="credit_risk", granted=True, notice="notice-1")
    changes.give(changes.identifiers(CUSTOMERS[:3]), [said])
    changes.withdraw(changes.identifiers([CUSTOMERS[2]]), "credit_risk")
    counts, table = decided(results, policy_file)
    assert list(table.index) == CUSTOMERS[:2]
    assert counts["left_out"] == 6


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"human_route": ""}, Reason.ADM_NO_HUMAN_PATH),
        ({"automated_decision": False}, Reason.ADM_NO_HUMAN_PATH),
        ({"treatment": PurposeClass.MARKETING}, Reason.PURPOSE_MISMATCH),
        ({"name": "other"}, Reason.PURPOSE_UNREGISTERED),
    ],
)
def test_a_purpose_that_does_not_allow_decisions(home, results, policy_file, changed, reason):
    in_force(home, msgspec.structs.replace(credit(), **changed))
    with pytest.raises(Denied) as refusal:
        run("decide", "--results", results, "--policy", policy_file)
    assert [finding.reason for finding in refusal.value.findings] == [reason]
    assert not (results / DECISIONS).exists()


def test_results_whose_time_is_over(home, results, policy_file):
    home.vault.put(RESULTS + "loans-1", b"", days=-1)
    with pytest.raises(Denied) as refusal:
        run("decide", "--results", results, "--policy", policy_file)
    assert refusal.value.findings[0].reason is Reason.RETENTION_EXPIRED


def test_rules_ask_the_lenders_own_columns(results, tmp_path):
    file = write(
        tmp_path / "policy.toml",
        plan(rule("rich", condition("income", at_least=100.0)), effective_until=FAR),
    )
    with pytest.raises(ConfigInvalid) as problem:
        run("decide", "--results", results, "--policy", file)
    assert problem.value.key == "lending_column_missing"
    own = tmp_path / "own.csv"
    own.write_text(f"identifier,income,persona\n{CUSTOMERS[0]},500,x\n{CUSTOMERS[1]},50,x\n", "utf-8")
    _, table = decided(results, file, "--attributes", own)
    assert table["rule"].tolist()[:3] == ["rich", "ordinary", "ordinary"]
    assert "persona" not in table
    assert "income" not in table
    own.write_text(f"identifier,income\n+86 {CUSTOMERS[0][:3]} {CUSTOMERS[0][3:]},500\nnobody,900\n", "utf-8")
    _, table = decided(results, file, "--attributes", own)
    assert table["rule"].tolist()[:3] == ["rich", "ordinary", "ordinary"], (
        "spelled otherwise, the same person"
    )
    own.write_text("identifier,income\n", "utf-8")
    _, table = decided(results, file, "--attributes", own)
    assert set(table["rule"]) == {"ordinary", ""}
    for content, key in (
        (f"identifier,income\n{CUSTOMERS[0]},much\n", "lending_column_numbers"),
        (f"identifier,income\n{CUSTOMERS[0]},1\n{CUSTOMERS[0]},2\n", "lending_attributes"),
        ("phone,income\n1,2\n", "lending_attributes"),
    ):
        own.write_text(content, "utf-8")
        with pytest.raises(ConfigInvalid) as problem:
            run("decide", "--results", results, "--policy", file, "--attributes", own)
        assert problem.value.key == key


def test_a_policy_on_another_scale_than_the_results(results, tmp_path):
    file = write(tmp_path / "policy.toml", msgspec.structs.replace(plan(), name="other", effective_until=FAR))
    customers = pd.read_csv(results / "customers.csv", dtype=str)
    customers.drop(columns="points").to_csv(results / "customers.csv", index=False)
    with pytest.raises(ConfigInvalid) as problem:
        run("decide", "--results", results, "--policy", file)
    assert problem.value.key == "lending_score_column"
    customers.assign(points="n/a").to_csv(results / "customers.csv", index=False)
    with pytest.raises(ConfigInvalid) as problem:
        run("decide", "--results", results, "--policy", file)
    assert problem.value.key == "lending_scores"


def test_a_declared_class_puts_a_reason_into_words(home, results, policy_file):
    customers = pd.read_csv(results / "customers.csv", dtype=str).assign(reasons="x7:raises")
    customers.to_csv(results / "customers.csv", index=False)
    _, table = decided(results, policy_file)
    assert "'x7'" in table["explanation"].iloc[3]
    spec = msgspec.structs.replace(
        home.settings.table, fields=(FieldSpec(name="x7", kind="repayment_status"),)
    )
    write(home.folder / "node.toml", msgspec.structs.replace(home.settings, table=spec))
    _, table = decided(results, policy_file)
    assert table["explanation"].iloc[3] == "There were late payments in your repayment record."


def test_whose_score_is_missing_goes_to_a_person(results, policy_file):
    customers = pd.read_csv(results / "customers.csv", dtype=str)
    customers.loc[0, "points"] = ""
    customers.to_csv(results / "customers.csv", index=False)
    _, table = decided(results, policy_file)
    assert table.loc[CUSTOMERS[0], ["lane", "why"]].tolist() == ["manual", "no_score"]


def test_a_new_version_is_compared(tmp_path, policy_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    new = write(tmp_path / "new.toml", plan(rule("rich", condition("income")), effective_until=FAR))
    shown = run("check", new, "--against", policy_file)
    assert "'rich' is new." in shown
    found = json.loads(run("check", new, "--against", policy_file, "--json"))
    assert found["changes"] == [{"kind": "added", "about": "rich", "keys": []}]


def test_decisions_are_simulated(results, policy_file, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(ConfigInvalid) as problem:
        run("simulate", "--results", results)
    assert problem.value.key == "file_missing"
    decided(results, policy_file)
    report = json.loads(run("simulate", "--results", results, "--json"))
    assert report["applications"] == 8
    assert report["lanes"]["fast_lane"]["share"] == 0.5
    assert "all, without lanes" in run("simulate", "--results", results)
    slow = tmp_path / "slow.toml"
    slow.write_text("fast_papers_days = 30.0\n", "utf-8")
    slower = json.loads(run("simulate", "--results", results, "--assumptions", slow, "--json"))
    assert slower["targets"]["fast_lane_days"] is False


def appeal(*words, who=None):
    result = CliRunner().invoke(app, ["lending", "appeal", *map(str, words), "--json"], input=who)
    if isinstance(result.exception, SilhouetteError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_an_appeal_by_command(home, policy_file, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    at = ("--home", home.folder)
    (made,) = appeal("request", *at, "--policy", policy_file, "--about", "D", who=CUSTOMERS[3] + "\n")
    assert len(made["sref"]) == 64
    assert CUSTOMERS[3] not in json.dumps(made)
    (again,) = appeal("request", *at, "--policy", policy_file, "--about", "D", who=CUSTOMERS[3] + "\n")
    assert again["sref"] == made["sref"]
    number = made["number"]
    appeal("assign", number, *at, "--reviewer", "reviewer")
    answer = ("--reviewer", "reviewer", "--outcome", "upheld")
    with pytest.raises(ConfigInvalid) as problem:
        appeal("decide", number, *at, *answer, "--ground", "because")
    assert problem.value.key == "lending_appeal_choice"
    (closed,) = appeal("decide", number, *at, *answer, "--ground", "confirmed")
    assert (closed["status"], closed["outcome"]) == ("decided", "upheld")
    appeal("withdraw", again["number"], *at)
    assert {one["status"] for one in appeal("list", *at)} == {"decided", "withdrawn"}
    shown = run("appeal", "list", *at)
    assert "answered" in shown
    assert number in shown


@pytest.mark.parametrize("who", ["", f"{CUSTOMERS[0]}\n{CUSTOMERS[1]}\n"])
def test_an_appeal_is_one_persons(home, policy_file, who):
    with pytest.raises(ConfigInvalid) as problem:
        appeal("request", "--home", home.folder, "--policy", policy_file, "--about", "D", who=who)
    assert problem.value.key == "lending_appeal_one"
