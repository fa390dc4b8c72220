"""The synthetic enterprises have the properties they were designed for, measured with scikit-learn and pandas.

The reference values are those of the design: 8,000 firms, eight splits, one seed. Tolerances allow for another seed;
every world is seeded, so a failure means a changed distribution.
"""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pandas as pd
import pytest
from gate_scene import home_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spelled import spell

from clients.gate.gate import Gate
from clients.gate.policy import activate
from clients.sample.enterprise_consents import OWNER_SCOPE
from clients.sample.enterprise_job import enterprise_policy, enterprise_table, write_enterprise_job
from clients.sample.enterprise_world import columns_of, make_enterprises, write_enterprises
from clients.sample.enterprises import (
    COLUMNS,
    ENTERPRISE_PARTIES,
    draw_enterprises,
    electricity_columns,
    enterprise_fields,
)
from federation.jobfile import read_job_file
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

SEED = 41
LOG1P = [column.name for column in COLUMNS if column.transform == "log1p"]


def drawn(count):
    frame = draw_enterprises(count, np.random.default_rng(SEED))
    frame[LOG1P] = np.log1p(frame[LOG1P])
    return frame


@pytest.fixture(scope="module")
def firms():
    return drawn(8_000)


@pytest.fixture(scope="module")
def many():
    return drawn(40_000)


@pytest.fixture(scope="module")
def world():
    return make_enterprises(2_000, SEED)


@pytest.fixture(scope="module")
def folder(world, tmp_path_factory):
    home = tmp_path_factory.mktemp("firms")
    write_enterprises(world, home)
    write_enterprise_job(home)
    return home


def auc(firms, columns, splits=8):
    scores = []
    for split in range(splits):
        train, test = train_test_split(
            firms, test_size=0.3, random_state=split, stratify=firms["default_12m"]
        )
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        model.fit(train[columns], train["default_12m"])
        scores.append(roc_auc_score(test["default_12m"], model.predict_proba(test[columns])[:, 1]))
    return float(np.mean(scores))


def test_joining_helps_the_risk_model_as_designed(firms):
    joint = [name for party in ENTERPRISE_PARTIES for name in enterprise_fields(party)]
    # About 190 defaults in a test part: an AUC has a standard error of about 0.02 here, over one draw of firms.
    assert auc(firms, list(enterprise_fields("bank", financial_only=True))) == pytest.approx(0.579, abs=0.03)
    assert auc(firms, list(enterprise_fields("bank"))) == pytest.approx(0.639, abs=0.03)
    assert auc(firms, joint) == pytest.approx(0.766, abs=0.02)
    assert roc_auc_score(firms["default_12m"], firms["default_probability"]) == pytest.approx(0.823, abs=0.02)


def test_shares_of_types_defaults_and_members(firms):
    assert firms["type"].value_counts(normalize=True).sort_index().tolist() == pytest.approx(
        [0.15, 0.30, 0.55], abs=0.02
    )
    assert firms["default_12m"].mean() == pytest.approx(0.08, abs=0.01)
    by_type = firms.groupby("type")["default_12m"].mean().tolist()
    assert by_type == pytest.approx([0.032, 0.054, 0.106], abs=0.015)
    everywhere = firms[[f"in_{party}" for party in ENTERPRISE_PARTIES]].all(axis=1).mean()
    assert everywhere == pytest.approx(0.61, abs=0.02)


def test_default_depends_on_hidden_factors_that_no_type_explains(firms):
    for factor in ("health", "governance", "owner"):
        assert firms.groupby("type")[factor].mean().abs().max() < 0.08
        assert firms[factor].corr(firms["default_probability"]) < -0.1


@pytest.mark.parametrize(
    ("column", "health", "governance", "owner"),
    [
        # Correlations of the reference generator at 200,000 firms.
        ("operating_margin", 0.345, 0, 0), ("leverage", -0.228, 0, 0), ("annual_revenue", 0, 0, 0),
        ("order_growth", 0.413, 0, 0), ("order_stability", 0.787, 0, 0), ("lines_per_employee", 0.445, 0, 0),
        ("trade_disputes_12m", -0.278, -0.139, 0), ("firm_payment_delays_12m", -0.307, 0, -0.197),
        ("firm_lawsuits_24m", 0, -0.364, 0), ("firm_negative_news_12m", 0, -0.329, 0),
        ("owner_credit_score", 0, 0, 0.705), ("firm_past_defaults_36m", -0.083, 0, -0.149),
    ],
)  # fmt: skip
def test_what_each_column_tells_about_the_hidden_factors(many, column, health, governance, owner):
    for factor, expected in (("health", health), ("governance", governance), ("owner", owner)):
        assert many[column].corr(many[factor]) == pytest.approx(expected, abs=0.02), factor


def test_the_type_shows_in_registration_patents_research_and_size(firms):
    """Design row 141: 0.976 with these columns."""
    scale = ["annual_revenue", "employees"]
    known = firms[["firm_patents", "rd_share", "years_registered", *scale]].copy()
    known["rd_share"] = np.log(known["rd_share"] + 1e-3)
    found = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), known, firms["type"], cv=3
    )
    assert (found == firms["type"]).mean() >= 0.95


def test_electricity_falls_before_most_defaults_and_dips_for_few_others(firms):
    panel = np.log(firms[list(electricity_columns())].to_numpy())
    bad = firms["default_12m"].to_numpy() == 1
    declines = firms["decline_month"].to_numpy() >= 0
    assert declines[bad].mean() == pytest.approx(0.75, abs=0.05)
    assert declines[~bad].mean() == pytest.approx(0.05, abs=0.01)
    lead = (firms["default_month"] - firms["decline_month"])[bad & declines]
    assert set(lead) == {4, 5, 6, 7}
    # Spring Festival is the second month of each year, and the last month of a decline lies far below its beginning.
    assert np.median(panel[~bad, 1] - panel[~bad, 0]) == pytest.approx(np.log(0.85), abs=0.03)
    rows = np.flatnonzero(bad & declines)
    end = firms["default_month"].to_numpy()[rows] - 1
    drop = panel[rows, end] - panel[rows, firms["decline_month"].to_numpy()[rows]]
    assert np.median(drop) < -0.4


def test_the_same_seed_makes_the_same_firms_and_another_one_does_not():
    first, again, other = make_enterprises(300, 1), make_enterprises(300, 1), make_enterprises(300, 2)
    for party in ENTERPRISE_PARTIES:
        pd.testing.assert_frame_equal(first.tables[party], again.tables[party])
        assert not first.tables[party].equals(other.tables[party])
    pd.testing.assert_frame_equal(first.consents["bank"], again.consents["bank"])
    pd.testing.assert_frame_equal(first.truth, again.truth)
    assert first.summary == again.summary


def test_codes_are_well_formed_and_of_no_region(world):
    for party in ENTERPRISE_PARTIES:
        codes = [code for code in world.truth[f"uscc_{party}"] if code]
        assert spell(IdentifierKind.USCC, codes) == codes
        assert {code[:8] for code in codes} == {"91990000"}
        assert len(set(codes)) == len(codes) == world.summary["parties"][party]["customers"]
        readable = pd.Series(spell(IdentifierKind.USCC, list(world.tables[party]["uscc"])), dtype="object")
        assert set(readable.dropna()) <= set(codes)
        assert readable.isna().sum() == world.summary["parties"][party]["dirt"]["broken_codes"] <= 12
        assert world.tables[party]["firm_name"].str.startswith("示例").all()


def test_dirt_is_light_and_counted(world):
    for party in ENTERPRISE_PARTIES:
        table, plan = world.tables[party], world.summary["parties"][party]
        assert len(table) == plan["rows"] == plan["customers"] + plan["dirt"]["duplicate_rows"]
        unusual = (~table["uscc"].str.fullmatch("[0-9A-Z]{18}")).sum()
        assert 0 < unusual <= plan["dirt"]["formatted_codes"] + plan["dirt"]["broken_codes"]
        assert table[list(columns_of(party))].isna().mean().mean() == pytest.approx(0.02, abs=0.005)


def test_the_canaries_lie_where_the_summary_says(world):
    for party in ENTERPRISE_PARTIES:
        canary, table = world.summary["parties"][party]["canaries"], world.tables[party]
        assert (table["remark"] == canary["text"]).sum() == 1
        assert (table[canary["number_column"]] == canary["number"]).sum() == 1


def test_firms_authorise_and_owners_agree_for_themselves(world):
    log = world.consents["bank"]
    assert set(log["purpose"]) == {"enterprise_credit"}
    latest = log.drop_duplicates(["uscc", "kind", "scope"], keep="last")
    granted = latest[latest["status"] == "granted"]
    book = {code for code in world.truth["uscc_bank"] if code}
    firms = set(granted.loc[granted["kind"] == "general", "uscc"])
    owners = set(granted.loc[granted["scope"] == OWNER_SCOPE, "uscc"])
    assert set(granted.loc[granted["scope"] == OWNER_SCOPE, "kind"]) == {"written"}
    assert len(firms) / len(book) == pytest.approx(0.92, abs=0.02)
    assert len(owners) / len(book) == pytest.approx(0.80, abs=0.03)
    assert len(firms & owners) / len(firms) == pytest.approx(0.80, abs=0.03)
    assert (log["status"] == "withdrawn").any()


def test_what_is_written(folder, world):
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    parts = {f"{party}/{name}" for party in ENTERPRISE_PARTIES for name in ("firms.csv", "policy.toml")}
    assert written == parts | {"bank/consents.csv", "truth.csv", "truth.json", "job.toml"}
    assert json.loads((folder / "truth.json").read_text("utf-8")) == world.summary
    hidden = {"type", "health", "governance", "owner", "default_probability", "decline_month"}
    for party in ENTERPRISE_PARTIES:
        assert not hidden & set(pd.read_csv(folder / party / "firms.csv", nrows=1).columns)


@pytest.mark.parametrize("party", ENTERPRISE_PARTIES)
def test_the_gate_lets_the_job_through(folder, world, tmp_path, party):
    """Every party's table, policy and job file fit; the bank's owners who have not agreed have no score."""
    job = read_job_file(folder / "job.toml").job
    others = tuple(name for name in ENTERPRISE_PARTIES if name != party)
    home = home_of(tmp_path / party, enterprise_table(folder, party), party, others)
    policy = enterprise_policy(party, job, folder)
    coordinator = home.roster.identities(party)["coordinator"].fingerprint
    activate(home, with_coordinator(policy, coordinator), is_rehearsal=True)
    table = Gate(home, job, "s1", is_preview=True).load(job.plan_of(party).fields, with_label=party == "bank")
    members = world.summary["parties"][party]["customers"]
    if party != "bank":
        assert members - 12 <= len(table) <= members
        return
    assert len(table) / members == pytest.approx(0.92, abs=0.02)
    known = ~np.isnan(table.values[:, table.fields.index("owner_credit_score")])
    assert known.mean() == pytest.approx(0.80 * 0.98, abs=0.03)


def with_coordinator(policy, fingerprint):
    agreements = tuple(
        msgspec.structs.replace(item, coordinator_fingerprints=(fingerprint,))
        if item.relation.value == "entrusted"
        else item
        for item in policy.agreements
    )
    return msgspec.structs.replace(policy, agreements=agreements)


def test_a_sample_needs_firms():
    with pytest.raises(ConfigInvalid, match="100"):
        make_enterprises(99, 1)
