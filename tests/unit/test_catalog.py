"""The field catalogue: complete, consistent, and cautious about names."""

import msgspec
import numpy as np
import pytest

from clients.sample.enterprises import COLUMNS, electricity_columns
from clients.sample.people import FEATURES
from clients.sample.world import PERSON_COLUMNS
from privacy.catalog import Action, Catalog, Consent, Override, Sensitivity, parse_treatment
from privacy.errors import ConfigInvalid
from privacy.minimization import minimise
from privacy.policy import PurposeClass
from privacy.texts import LANGUAGES, catalogue

CATALOG = Catalog.load()
PURPOSES = [purpose.value for purpose in PurposeClass]
REASON = "decided by the data protection officer"


def key_of(column):
    found = CATALOG.classify(column)
    return found and found.key


def override(**given):
    return Override(reason=REASON, **given)


# --- the table


def test_every_class_is_complete_and_has_its_texts():
    assert len(CATALOG.classes) > 50
    for item in CATALOG.classes:
        assert item.article.startswith("PIPL "), item.key
        assert set(item.treatments) == set(PURPOSES), item.key
        for language in LANGUAGES:
            texts = catalogue(language)
            assert texts[f"catalog.field.{item.key}"]
            assert texts[f"catalog.category.{item.category}"]


def test_every_treatment_has_its_texts():
    for language in LANGUAGES:
        texts = catalogue(language)
        for item in CATALOG.classes:
            for treatment in item.treatments.values():
                assert texts[f"catalog.action.{treatment.action.value}"]
                assert texts[f"catalog.minimise.{treatment.minimise}"]


def test_what_may_be_used_has_a_period_and_what_may_not_has_none():
    for item in CATALOG.classes:
        actions = {treatment.action for treatment in item.treatments.values()}
        if actions & {Action.USE, Action.BUCKET, Action.AGGREGATE, Action.TOKEN, Action.LOCAL}:
            assert item.retention_days > 0, item.key
        if actions <= {Action.PROHIBITED}:
            assert item.retention_days == 0, item.key


def test_a_class_of_c3_is_sensitive_and_prohibited_for_everything():
    found = [item for item in CATALOG.classes if item.is_c3]
    assert {item.key for item in found} == {"credential", "one_time_secret", "biometric_template"}
    for item in found:
        assert item.is_prohibited
        assert item.is_sensitive
        assert item.level == 4


def test_buckets_are_never_without_coarseness():
    for item in CATALOG.classes:
        for treatment in item.treatments.values():
            assert (treatment.action is Action.BUCKET) == (treatment.minimise != "none"), item.key
            if treatment.minimise in {"quantiles", "age_band"}:
                assert treatment.number >= 1, item.key


def test_consent_is_asked_for_only_where_a_field_may_be_used():
    for item in CATALOG.classes:
        for treatment in item.treatments.values():
            if treatment.consent is not Consent.NONE:
                assert treatment.action in {Action.USE, Action.BUCKET}, item.key
                assert item.is_sensitive, item.key


def test_no_name_is_an_alias_of_two_classes():
    names = [alias for item in CATALOG.classes for alias in item.aliases]
    assert len(names) == len(set(names))
    assert [name for name in names if name != name.lower()] == []


@pytest.mark.parametrize(
    "key", ["gender", "persona", "shopping_habits", "ecommerce_orders", "merchant_category_counts"]
)
def test_habits_and_personas_have_no_place_in_a_price(key):
    assert CATALOG.of(key).price_prohibited


@pytest.mark.parametrize("key", ["income", "credit_limit", "repayment_status", "age"])
def test_what_tells_of_risk_has(key):
    assert not CATALOG.of(key).price_prohibited


# --- names of columns


def test_every_column_of_the_sample_has_a_class():
    own = {name for columns in PERSON_COLUMNS.values() for name in columns}
    names = {feature.name for feature in FEATURES} | own | {"phone", "remark"}
    assert {name: key_of(name) for name in names if key_of(name) is None} == {}
    assert key_of("default_12m") is None, "the label is no field"
    assert key_of("remark") == "free_text"
    assert key_of("deposit_balance") == "account_balance"


UCI = {
    "LIMIT_BAL": "credit_limit",
    "SEX": "gender",
    "EDUCATION": "education",
    "MARRIAGE": "marital_status",
    "AGE": "age",
    **{f"PAY_{month}": "repayment_status" for month in (0, 2, 3, 4, 5, 6)},
    **{f"BILL_AMT{month}": "bill_amount" for month in range(1, 7)},
    **{f"PAY_AMT{month}": "transaction_amounts" for month in range(1, 7)},
}


def test_the_public_credit_data_has_its_classes():
    assert {name: key_of(name) for name in UCI} == UCI


@pytest.mark.parametrize(
    "name", ["col_17", "x0", "", "default.payment.next.month", "MonthlyIncome", "expectancy"]
)
def test_an_unknown_column_has_none(name):
    assert key_of(name) is None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("CVN2", "credential"),
        ("ｃｖｎ２", "credential"),
        ("card_cvv2", "credential"),
        ("login_password", "credential"),
        ("支付密码", "credential"),
        ("debit card PIN", "credential"),
        ("track2_equivalent", "credential"),
        ("短信验证码", "one_time_secret"),
        ("login_otp", "one_time_secret"),
        ("fingerprint_left", "biometric_template"),
        ("religion_3", "belief"),
        ("民族", "ethnicity"),
        ("diagnosis_code", "health"),
        ("mcc_8062_3m", "sensitive_purchases"),
        ("mcc_medical_6m", "sensitive_purchases"),
        ("mcc_pharmacy", "sensitive_purchases"),
        ("mcc_church_3m", "sensitive_purchases"),
        ("religious_spend", "belief"),
        ("民族_汉", "ethnicity"),
        ("userPassword", "credential"),
        ("password_resets", None),
        ("phone_number", "phone"),
        ("mcc_5411", "merchant_category_counts"),
        ("marketing_consent", "consent_flag"),
        ("sms_opt_out", "consent_flag"),
        ("是否同意", "consent_flag"),
        ("spouse_income", "third_party"),
        ("monthly_income", "income"),
        ("car_loan_balance", "loans"),
        ("savings_balance", "account_balance"),
        ("shipping", None),
        ("opinion", None),
        ("icdc_score", None),
        ("身份证号", "resident_id"),
    ],
)
def test_a_name_tells_of(name, key):
    assert key_of(name) == key


# --- declarations and overrides


def test_a_declaration_outweighs_a_name_and_an_unknown_one_is_none():
    assert CATALOG.of_column("orders", "bill_amount").key == "bill_amount"
    assert CATALOG.of_column("x0", "model_feature").key == "model_feature"
    assert CATALOG.of_column("orders", "no_such_class") is None
    assert CATALOG.of_column("x0", "") is None


@pytest.mark.parametrize("name", ["cvn2", "religion", "marketing_consent", "mcc_medical"])
def test_a_prohibited_name_cannot_be_declared_away(name):
    assert CATALOG.of_column(name, "model_feature").is_prohibited


def test_a_column_registered_as_a_credential_cannot_be_admitted():
    made = CATALOG.with_overrides((override(field="x0", kind="model_feature"),))
    assert made.of_column("x0", "").key == "model_feature"
    assert made.of_column("x0", "credential").is_c3


def test_sensitive_information_that_is_let_in_asks_for_its_consent():
    let_in = {"kind": "credit_report", "action": Action.BUCKET}
    assert treated("marketing", field="x0", **let_in).consent is Consent.SEPARATE
    assert treated("credit_risk", field="x0", **let_in).consent is Consent.WRITTEN, "as the catalogue says"
    assert treated("marketing", field="x0", consent=Consent.NONE, **let_in).consent is Consent.NONE
    assert treated("credit_risk", field="gender", action=Action.USE).consent is Consent.NONE
    assert treated("marketing", field="loans", number=5).consent is Consent.NONE, "still left out"


def test_an_override_with_a_reason_can_unless_it_is_a_credential():
    made = CATALOG.with_overrides((override(field="nation", kind="city_tier"),))
    assert made.of_column("nation", "").key == "city_tier"
    assert CATALOG.of_column("nation", "").key == "ethnicity", "the catalogue itself stays as it was"
    for kind in ("", "model_feature"):
        with pytest.raises(ConfigInvalid) as refused:
            CATALOG.with_overrides((override(field="card_cvv2", kind=kind, action=Action.USE),))
        assert refused.value.key == "catalog_override_secret"
    with pytest.raises(ConfigInvalid) as refused:
        CATALOG.with_overrides((override(field="x0", kind="biometric_template", action=Action.USE),))
    assert refused.value.key == "catalog_override_secret"


def test_an_override_of_nothing_is_refused():
    for given in (override(field="x0"), override(field="x0", kind="no_such_class")):
        with pytest.raises(ConfigInvalid) as refused:
            CATALOG.with_overrides((given,))
        assert refused.value.key == "catalog_override_unknown"


def test_an_override_without_a_reason_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"field": "income", "reason": "because"}, Override)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"field": "income", "reason": REASON, "retention": 9}, Override)


def treated(purpose, **given):
    return CATALOG.with_overrides((override(**given),)).of_column(given["field"], "").treatment(purpose)


def test_an_override_changes_what_it_names_and_nothing_else():
    usual = CATALOG.of("income").treatment("credit_risk")
    assert treated("credit_risk", field="income", number=7) == msgspec.structs.replace(usual, number=7)
    assert treated("credit_risk", field="income", consent=Consent.NONE).consent is Consent.NONE
    assert treated("marketing", field="income", action=Action.DROP).action is Action.DROP


def test_overrides_of_one_column_add_up():
    both = (override(field="income", number=7), override(field="income", consent=Consent.NONE))
    for given in (both, both[::-1]):
        made = CATALOG.with_overrides(given).of_column("income", "").treatment("credit_risk")
        assert (made.number, made.consent) == (7, Consent.NONE)


def test_an_override_never_leaves_a_bucket_without_a_size():
    assert treated("marketing", field="city_tier", action=Action.BUCKET).number == 20
    assert treated("marketing", field="city_tier", action=Action.BUCKET).minimise == "quantiles"
    assert treated("marketing", field="income", minimise="age_band").number == 5
    assert treated("marketing", field="income", number=0).number == 20
    assert treated("marketing", field="income", action=Action.USE).minimise == "none"


def test_identity_numbers_are_sensitive_unless_a_deployment_decides_otherwise():
    assert CATALOG.of("resident_id").sensitivity is Sensitivity.CONSERVATIVE
    assert CATALOG.of("resident_id").is_sensitive
    assert not Catalog.load(resident_id_sensitive=False).of("resident_id").is_sensitive


def test_the_digest_names_the_content():
    same = Catalog.load()
    others = [
        Catalog.load(resident_id_sensitive=False),
        CATALOG.with_overrides((override(field="income", number=7),)),
        CATALOG.with_overrides((override(field="income", number=8),)),
    ]
    digests = [CATALOG.digest, *(other.digest for other in others)]
    assert same.digest == CATALOG.digest
    assert len(set(digests)) == 4
    assert all(len(digest) == 64 for digest in digests)


@pytest.mark.parametrize("wrong", ["", "bucket:", "buckets", "use+", "use+secret", "drop:x", "BUCKET"])
def test_an_unreadable_treatment_is_an_error(wrong):
    with pytest.raises(ValueError, match=r".*"):
        parse_treatment(wrong)


def test_dates_of_birth_are_no_finer_than_five_years():
    values = np.array([19900101.0, 19941231.0, 1993.0, 199207.0, np.nan])
    for purpose in PURPOSES:
        done = minimise(values, CATALOG.of("birth_date").treatment(purpose), 1).values
        assert done[:4].tolist() == [1992.0] * 4
        assert np.isnan(done[4])


# --- firms


def test_every_column_of_the_sample_firms_has_a_class():
    names = {column.name for column in COLUMNS} | set(electricity_columns()) | {"uscc", "firm_name"}
    assert {name: key_of(name) for name in names if key_of(name) is None} == {}
    assert key_of("uscc") == "enterprise_id"
    assert key_of("firm_electricity_24") == "enterprise_electricity"


def test_what_is_said_of_a_firm_is_not_personal_but_its_owners_credit_is():
    for column in COLUMNS:
        item = CATALOG.classify(column.name)
        if column.name.startswith("owner_"):
            assert (item.category, item.sensitivity) == ("credit_reference", Sensitivity.SENSITIVE)
            assert item.treatment("credit_risk").consent is Consent.WRITTEN
            assert item.treatment("marketing").action is Action.PROHIBITED
        else:
            assert (item.category, item.sensitivity) == ("enterprise", Sensitivity.GENERAL)
            assert item.treatment("credit_risk").consent is Consent.NONE


@pytest.mark.parametrize(
    "name", ["owner_pboc_score", "guarantor_income", "legal_representative_debt", "企业主征信"]
)
def test_a_persons_credit_stays_a_persons_under_any_name(name):
    assert key_of(name) == "owner_credit"
    assert CATALOG.of_column(name, "enterprise_financials").key == "owner_credit", "not declared away"


@pytest.mark.parametrize("name", ["lawsuits_24m", "past_defaults", "payment_delays", "electricity_01"])
def test_a_name_that_a_table_of_people_could_have_is_not_taken_for_a_firms(name):
    assert key_of(name) is None
