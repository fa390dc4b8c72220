"""The synthetic world has the properties it was designed for, measured with scikit-learn and pandas.

The reference values are those of the design: 60,000 people, several splits. Tolerances allow for the smaller
worlds here; every world is seeded, so a failure means a changed distribution.
"""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from spelled import spell

from clients.sample import (
    FEATURES,
    PARTIES,
    draw_people,
    make_world,
    risk_fields,
    segment_fields,
    write_world,
)
from clients.sample.consents import SENSITIVE_CATEGORIES
from privacy.errors import ConfigInvalid
from privacy.identifiers import IdentifierKind

PEOPLE = 24_000
SEED = 20260
LOG1P = [feature.name for feature in FEATURES if feature.transform == "log1p"]


@pytest.fixture(scope="module")
def people():
    frame = draw_people(PEOPLE, np.random.default_rng(SEED))
    frame[LOG1P] = np.log1p(frame[LOG1P])
    return frame


@pytest.fixture(scope="module")
def joint(people):
    """The customers that all three parties share."""
    return people[people["in_bank"] & people["in_ecommerce"] & people["in_telecom"]]


@pytest.fixture(scope="module")
def world():
    return make_world(PEOPLE, SEED)


def auc(joint, columns, splits=8):
    scores = []
    for split in range(splits):
        train, test = train_test_split(
            joint, test_size=0.3, random_state=split, stratify=joint["default_12m"]
        )
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
        model.fit(train[columns], train["default_12m"])
        scores.append(roc_auc_score(test["default_12m"], model.predict_proba(test[columns])[:, 1]))
    return float(np.mean(scores))


def persona_recovery(joint, columns):
    scaled = StandardScaler().fit_transform(joint[columns])
    found = KMeans(3, n_init=5, random_state=0).fit_predict(scaled)
    return adjusted_rand_score(joint["persona"], found)


def test_joining_helps_the_risk_model_as_designed(joint):
    columns = {party: list(risk_fields(party)) for party in PARTIES}
    bank, telecom, shop = (columns[party] for party in ("bank", "telecom", "ecommerce"))
    # About 600 defaults in all: an AUC has a standard error of about 0.011 here.
    assert auc(joint, bank) == pytest.approx(0.715, abs=0.025)
    assert auc(joint, bank + telecom) == pytest.approx(0.784, abs=0.025)
    assert auc(joint, bank + shop) == pytest.approx(0.770, abs=0.025)
    assert auc(joint, bank + shop + telecom) == pytest.approx(0.793, abs=0.025)


@pytest.mark.parametrize(
    ("parties", "expected"),
    [(["bank"], 0.51), (["ecommerce"], 0.67), (["telecom"], 0.61), (list(PARTIES), 0.91)],
)
def test_no_party_alone_recovers_the_personas(joint, parties, expected):
    columns = [name for party in parties for name in segment_fields(party)]
    assert persona_recovery(joint, columns) == pytest.approx(expected, abs=0.03)


def test_segmentation_uses_the_twelve_columns_of_the_design():
    assert [len(segment_fields(party)) for party in PARTIES] == [4, 5, 3]


def test_shares_of_personas_defaults_and_overlaps(people):
    assert people["persona"].value_counts(normalize=True).sort_index().tolist() == pytest.approx(
        [0.36, 0.30, 0.34], abs=0.012
    )
    bank = people[people["in_bank"]]
    assert bank["default_12m"].mean() == pytest.approx(0.061, abs=0.006)
    assert bank.groupby("persona")["default_12m"].mean().tolist() == pytest.approx(
        [0.067, 0.094, 0.041], abs=0.015
    )
    # Members of 60,000, from the design.
    expected = {
        ("bank",): 38_478, ("ecommerce",): 49_086, ("telecom",): 46_151, ("bank", "ecommerce"): 30_947,
        ("bank", "telecom"): 29_849, ("ecommerce", "telecom"): 37_649, PARTIES: 23_967,
    }  # fmt: skip
    for parties, members in expected.items():
        share = people[[f"in_{party}" for party in parties]].all(axis=1).mean()
        assert share == pytest.approx(members / 60_000, abs=0.012), parties


def test_default_depends_on_hidden_factors_that_no_persona_explains(people):
    for factor in ("affluence", "self_control", "stability"):
        assert people.groupby("persona")[factor].mean().abs().max() < 0.05
        assert people[factor].corr(people["default_probability"]) < -0.1


@pytest.mark.parametrize(
    ("feature", "self_control", "stability"),
    [
        # Correlations of the reference generator at 200,000 people.
        ("card_utilisation", -0.288, 0.0), ("deposit_balance", 0.139, 0.0), ("enquiries_6m", -0.176, 0.0),
        ("late_payments_12m", -0.141, 0.0), ("night_order_rate", -0.644, 0.0), ("return_rate", -0.651, 0.0),
        ("instalment_rate", -0.505, 0.0), ("coupon_rate", 0.0, 0.0), ("network_age_months", 0.0, 0.328),
        ("arrears_12m", -0.318, -0.159), ("city_moves_12m", 0.0, -0.416), ("night_call_rate", -0.587, -0.245),
    ],
)  # fmt: skip
def test_what_each_column_tells_about_the_hidden_factors(people, feature, self_control, stability):
    assert people[feature].corr(people["self_control"]) == pytest.approx(self_control, abs=0.025)
    assert people[feature].corr(people["stability"]) == pytest.approx(stability, abs=0.025)


def test_the_same_seed_makes_the_same_world_and_another_one_does_not():
    first, again, other = make_world(500, 1), make_world(500, 1), make_world(500, 2)
    for party in PARTIES:
        pd.testing.assert_frame_equal(first.tables[party], again.tables[party])
        pd.testing.assert_frame_equal(first.consents[party], again.consents[party])
        assert not first.tables[party].equals(other.tables[party])
    pd.testing.assert_frame_equal(first.truth, again.truth)
    assert first.summary == again.summary


def clean_phones(column):
    return pd.Series(spell(IdentifierKind.PHONE, list(column), ("12",)), dtype="object")


def test_every_readable_row_belongs_to_the_person_the_truth_names(world):
    for party in PARTIES:
        phones = clean_phones(world.tables[party]["phone"])
        known = set(world.truth[f"phone_{party}"]) - {""}
        assert set(phones.dropna()) <= known
        assert phones.isna().mean() < 0.004
        assert len(known) == world.summary["parties"][party]["customers"]


def test_normalisation_repairs_matching(world):
    """Share of the pairs of rows that two parties should find, before and after normalisation.

    A pair is a person who is a customer of both and has the same phone on record at both.
    """
    for one, other in combinations(PARTIES, 2):
        left, right = world.truth[f"phone_{one}"], world.truth[f"phone_{other}"]
        both = (left != "") & (right != "")
        changed = (left != right)[both].mean()
        assert changed == pytest.approx(0.02, abs=0.006)  # 3 % of people, at one of three parties
        same = set(left[both & (left == right)])
        raw = set(world.tables[one]["phone"]) & set(world.tables[other]["phone"])
        clean = set(clean_phones(world.tables[one]["phone"])) & set(
            clean_phones(world.tables[other]["phone"])
        )
        assert 0.86 < len(raw & same) / len(same) < 0.93
        assert 0.99 < len(clean & same) / len(same) <= 1
        assert clean - {None} <= same


def test_dirt_has_the_planned_amount(world):
    for party in PARTIES:
        table, plan = world.tables[party], world.summary["parties"][party]
        rows = len(table)
        features = [feature.name for feature in FEATURES if feature.party == party]
        assert rows == plan["rows"] == plan["customers"] + plan["dirt"]["duplicate_rows"]
        assert plan["dirt"]["duplicate_rows"] == pytest.approx(0.01 * plan["customers"], abs=1)
        unusual = (~table["phone"].str.fullmatch(r"12[0-9]{9}")).sum()
        assert unusual == plan["dirt"]["formatted_phones"] + plan["dirt"]["broken_phones"]
        assert unusual / rows == pytest.approx(0.052, abs=0.006)
        assert table[features].isna().mean().mean() == pytest.approx(0.04, abs=0.004)
        assert plan["dirt"]["impossible_ages"] / rows == pytest.approx(0.005, abs=0.002)
        if "age" in table:
            assert (~table["age"].between(0, 120)).sum() == plan["dirt"]["impossible_ages"]
    assert world.truth["minor"].mean() == pytest.approx(0.002, abs=0.001)
    young = world.tables["telecom"]["age"].between(0, 13).mean()
    assert young == pytest.approx(0.002, abs=0.001)


def test_resident_ids_are_well_formed_unassigned_and_agree_with_the_age(world):
    bank = world.tables["bank"]
    ids = bank["resident_id"].tolist()
    assert spell(IdentifierKind.RESIDENT_ID, ids) == ids
    assert bank["resident_id"].str.startswith("99").all()
    assert bank["resident_id"].nunique() == world.summary["parties"]["bank"]["customers"]
    possible = bank[bank["age"].between(0, 120)]
    born = pd.to_datetime(possible["resident_id"].str[6:14])
    age = 2026 - born.dt.year - ((born.dt.month > 1) | (born.dt.day > 1))
    assert (age == possible["age"]).all()
    even = possible["resident_id"].str[16].astype(int) % 2 == 0
    assert (even == (possible["gender"] == "F")).all()


def test_consents_have_the_planned_shares_and_are_correlated(world):
    willing = {}
    for party in PARTIES:
        log = world.consents[party]
        latest = log.drop_duplicates(["phone", "purpose", "scope"], keep="last")
        granted = latest[latest["status"] == "granted"]
        is_provision = granted["scope"] == "provide"
        others = ";".join(name for name in PARTIES if name != party)
        sensitive = {f"sensitive:{category}" for category in SENSITIVE_CATEGORIES.get(party, ())}
        assert set(zip(log["kind"], log["scope"], log["recipient"], strict=True)) == {
            ("general", "", ""), ("separate", "provide", others), *(("separate", scope, "") for scope in sensitive),
        }  # fmt: skip
        lending = set(
            granted.loc[(granted["purpose"] == "credit_risk") & (granted["kind"] == "general"), "phone"]
        )
        for scope in sensitive:
            assert set(granted.loc[granted["scope"] == scope, "phone"]) == lending
        assert set(log["notice"]) == {f"{party}-2026-1"}
        provided = granted[is_provision].groupby("purpose")["phone"].agg(set)
        assert provided["credit_risk"] == provided["marketing"], (
            "who agrees to provision agrees for every purpose"
        )
        granted = granted.assign(purpose=granted["purpose"].mask(is_provision, "provision"))
        subjects = [phone for phone in world.truth[f"phone_{party}"] if phone]
        assert set(log["phone"]) <= set(subjects)
        for purpose, share in (("credit_risk", 0.85), ("marketing", 0.70), ("provision", 0.60)):
            agreed = pd.Series(subjects).isin(granted.loc[granted["purpose"] == purpose, "phone"])
            assert agreed.mean() == pytest.approx(share, abs=0.01)
            willing[party, purpose] = pd.Series(agreed.to_numpy(), index=subjects).astype(int)
        assert willing[party, "credit_risk"].corr(willing[party, "marketing"]) > 0.4
        assert (log["status"] == "withdrawn").any()
    across = pd.concat([willing["bank", "provision"], willing["telecom", "provision"]], axis=1, join="inner")
    assert across.corr().iloc[0, 1] > 0.2


def test_the_canaries_lie_where_the_summary_says(world):
    texts = set()
    for party in PARTIES:
        canary = world.summary["parties"][party]["canaries"]
        table = world.tables[party]
        texts.add(canary["text"])
        assert (table["remark"] == canary["text"]).sum() == 1
        column = table[canary["number_column"]]
        assert (column == canary["number"]).sum() == 1
        odd = (column * 100 - (column * 100).round()).abs() > 1e-4
        assert odd.sum() == 1
        identifiers = table["remark"].str.contains(
            r"12[0-9]{9}|99[0-9]{15}[0-9X]|999999[0-9]{10}", regex=True
        )
        assert 0.005 < identifiers.mean() < 0.03
    assert len(texts) == len(PARTIES)


def test_what_write_world_writes(tmp_path):
    small = make_world(300, 3)
    write_world(small, tmp_path)
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    parts = {f"{party}/{name}.csv" for party in PARTIES for name in ("customers", "consents")}
    assert written == parts | {"truth.csv", "truth.json"}
    for party in PARTIES:
        back = pd.read_csv(tmp_path / party / "customers.csv", dtype={"phone": str}, keep_default_na=False)
        assert back["phone"].tolist() == small.tables[party]["phone"].tolist()
        assert not {"persona", "person", "affluence", "default_probability"} & set(back.columns)
    summary = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert summary == small.summary
    truth = pd.read_csv(tmp_path / "truth.csv")
    assert truth["default_12m"].tolist() == small.truth["default_12m"].tolist()


def test_a_world_needs_people():
    with pytest.raises(ConfigInvalid, match="100"):
        make_world(99, 1)
