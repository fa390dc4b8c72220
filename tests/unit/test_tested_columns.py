"""Columns that only test a model for fairness: what the policy lets through, and what they are read as."""

from datetime import date

import msgspec
import numpy as np
import pandas as pd
import pytest
from gate_scene import admit, home_of, job_for, policy_for

from clients.gate.gate import Gate
from clients.gate.policy import activate, catalog_of
from clients.tables import FieldSpec, TableSpec
from clients.tables.attributes import AGE_BANDS, attribute_of
from federation.jobs import RiskPlan
from privacy.identifiers import IdentifierKind
from privacy.policy import Purpose
from privacy.testing_columns import testable_columns as allowed_of

TODAY = date(2026, 3, 1)
COLUMNS = {"age_band": "age", "gender": "gender", "region": "city_tier"}


def spec_of(folder, **changes):
    rows = "".join(
        f"1{number:04d},{100 + number},{number % 2},{20 + number % 50},{'FM'[number % 2]},{1 + number % 3}\n"
        for number in range(80)
    )
    file = folder / "customers.csv"
    file.write_text("number,income,bad,age,gender,city_tier\n" + rows, "utf-8")
    given = {
        "path": str(file), "id_column": "number", "id_kind": IdentifierKind.OPAQUE,
        "fields": (FieldSpec(name="income", kind="income"),), "label_column": "bad",
        "age_column": "age", "gender_column": "gender", "region_column": "city_tier",
    }  # fmt: skip
    return TableSpec(**given | changes)


def risk_job():
    job = job_for("bank", ("income",), risk=RiskPlan())
    parties = tuple(msgspec.structs.replace(plan, risk_fields=plan.segment_fields) for plan in job.parties)
    return msgspec.structs.replace(job, parties=parties)


@pytest.fixture
def home(tmp_path):
    return home_of(tmp_path / "home", spec_of(tmp_path))


def loaded(home, job, with_label=True):
    return Gate(home, job, "look", is_preview=True).load(("income",), with_label=with_label)


def test_registered_columns_are_read_beside_the_label(home):
    admit(home, risk_job())
    table = loaded(home, risk_job())
    assert table.fields == ("income",)
    assert table.attributes["gender"].names == ("female", "male")
    assert np.array_equal(table.attributes["gender"].places, np.arange(80)[table.rows] % 2)
    assert table.attributes["region"].names == ("1", "2", "3")
    kept = table.without(np.arange(10))
    assert all(len(attribute.places) == len(kept) for attribute in kept.attributes.values())
    assert "female" not in repr(table)


def test_nothing_is_read_where_no_model_is_trained(home):
    job = job_for("bank", ("income",))
    admit(home, job)
    assert loaded(home, job, with_label=False).attributes == {}


@pytest.mark.parametrize("unlisted", ["age", "gender", "city_tier"])
def test_a_column_that_the_purpose_does_not_list_stays_unread(home, unlisted):
    policy = policy_for(home, risk_job())
    fields = tuple(name for name in policy.purposes[0].fields if name != unlisted)
    admit(home, risk_job(), fields=fields)
    assert set(loaded(home, risk_job()).attributes) == {
        key for key, column in COLUMNS.items() if column != unlisted
    }


def test_a_category_that_notice_or_assessment_do_not_cover_stays_unread(home):
    policy = policy_for(home, risk_job())
    (notice,), (pipia,) = policy.notices, policy.assessments
    assert "basic_profile" in notice.categories
    without = tuple(name for name in notice.categories if name != "basic_profile")
    replace = msgspec.structs.replace
    for changed in (
        replace(policy, notices=(replace(notice, categories=without),)),
        replace(policy, assessments=(replace(pipia, categories=without),)),
    ):
        activate(home, changed, is_rehearsal=True)
        assert loaded(home, risk_job()).attributes == {}


def test_what_may_be_tested_ends_with_the_policy(home):
    admit(home, risk_job())
    gate = Gate(home, risk_job(), "look", is_preview=True)
    gate.load(("income",), with_label=True)
    admit(home, risk_job(), fields=("income",))
    with pytest.raises(Exception, match="R-CONSENT-STALE-SNAPSHOT"):
        gate.recheck()


def test_a_trainer_still_never_sees_a_gender(tmp_path):
    spec = spec_of(tmp_path, fields=(FieldSpec(name="income", kind="income"), FieldSpec(name="gender")))
    home = home_of(tmp_path / "home", spec)
    job = job_for("bank", ("income", "gender"), risk=RiskPlan())
    admit(home, job)
    with pytest.raises(Exception, match="R-FIELD-EXCEEDS-MINIMUM"):
        Gate(home, job, "look", is_preview=True)


def test_only_classes_that_tell_the_attribute_count(home):
    policy = policy_for(home, risk_job())
    wide: Purpose = msgspec.structs.replace(
        policy.purposes[0], fields=("gender", "phone", "ethnicity", "city_tier", "something")
    )
    given = {"gender": "ethnicity", "region": "phone", "age_band": "something"}
    assert allowed_of(policy, catalog_of(policy), wide, policy.notices[0], given) == {}
    swapped = {"gender": "city_tier", "region": "gender"}
    assert allowed_of(policy, catalog_of(policy), wide, policy.notices[0], swapped) == {}


def test_ages_become_bands():
    found = attribute_of("age_band", pd.Series([18, 29, 30, 44.0, 45, 59, 60, 99, None, 300, -1]), TODAY)
    assert found.names == tuple(name for name, _ in AGE_BANDS)
    assert found.places.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, -1, -1, -1]
    births = pd.Series(["1996-03-02", "1996-03-01", "nonsense", None])
    assert attribute_of("age_band", births, TODAY, is_birth_date=True).places.tolist() == [0, 1, -1, -1]


def test_genders_and_regions_are_named():
    cells = pd.Series(["F", "male", "女", "1", " m ", "9", "x", None])
    assert attribute_of("gender", cells, TODAY).places.tolist() == [0, 1, 0, 1, 1, -1, -1, -1]
    assert attribute_of("gender", pd.Series([1.0, 2.0, np.nan]), TODAY).places.tolist() == [1, 0, -1]
    found = attribute_of("region", pd.Series(["north", "", "east", "north"]), TODAY)
    assert (found.names, found.places.tolist()) == (("east", "north"), [1, -1, 0, 1])
