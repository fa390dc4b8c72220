"""The decision whether a job may begin: every failing reason by its code, and what an admitted job has to observe."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest
from decision_scene import ABROAD, CONTRACT, FAULTS, FIELDS, KEYS, Case, case_of
from policy_scene import categories, recipient, titles

from privacy.catalog import Action, Catalog, Consent, Override
from privacy.consent import CROSSBORDER, PROVIDE, SENSITIVE, ConsentKind, Need
from privacy.decision import (
    PEOPLE_CONTRACT,
    PEOPLE_SENSITIVE_CONTRACT,
    check_crossborder_count,
)
from privacy.policy import Basis, MechanismKind, PurposeClass, Relation
from privacy.reasons import Reason

CATALOG = Catalog.load()
GENERAL = Need("marketing")
TO_SHOP = Need("marketing", ConsentKind.SEPARATE, PROVIDE, "shop")


def found(case):
    """The findings of a case as pairs; there are terms exactly when there are none."""
    findings, terms = case.decided()
    assert (terms is None) == bool(findings)
    return [(finding.reason, finding.about) for finding in findings]


def terms_of(case):
    findings, terms = case.decided()
    assert not findings
    return terms


def test_a_job_that_keeps_to_everything_is_admitted():
    terms = terms_of(Case())
    assert terms.needs == (GENERAL, TO_SHOP)
    assert set(terms.treatments) == set(terms.classes) == set(FIELDS)
    assert terms.notices == {"notice-1"}
    assert terms.abroad == ()


@pytest.mark.parametrize("one", [one for group in FAULTS.values() for one in group], ids=str)
def test_each_failing_reason_alone(one):
    assert found(case_of([one])) == list(one.findings)


def test_all_failing_reasons_are_told_at_once():
    first = [group[0] for group in FAULTS.values()]
    assert set(found(case_of(first))) == {pair for one in first for pair in one.findings}
    assert len({reason for one in first for reason, _ in one.findings}) >= 9


@pytest.mark.parametrize("day", [date(2026, 1, 1), date(2026, 12, 31)])
def test_the_first_and_the_last_day_count(day):
    assert found(Case().change("request", today=day)) == []


@pytest.mark.parametrize(
    ("day", "reasons"),
    [
        (date(2025, 12, 31), {Reason.NOTICE_MISSING, Reason.PIPIA_UNAPPROVED, Reason.AGREEMENT_MISSING}),
        (date(2027, 1, 1), {Reason.PIPIA_STALE, Reason.AGREEMENT_EXPIRED}),
    ],
)
def test_the_day_before_and_the_day_after_do_not(day, reasons):
    assert {reason for reason, _ in found(Case().change("request", today=day))} == reasons


# --- purposes and parties


def test_a_purpose_that_is_not_registered():
    case = Case().change("request", purpose="research")
    assert found(case) == [(Reason.PURPOSE_UNREGISTERED, "research")]


def test_lending_on_partners_data_needs_a_licence():
    case = Case().change("purpose", treatment=PurposeClass.CREDIT_RISK)
    assert found(case) == [(Reason.CREDIT_LICENCE, "marketing")]
    assert found(case.change("purpose", licensed_bureau="bureau-1")) == []
    opinion = Case().change("purpose", treatment=PurposeClass.CREDIT_RISK, legal_opinion="opinion-1")
    assert found(opinion) == []
    own = Case().change("purpose", treatment=PurposeClass.CREDIT_RISK)
    assert found(own.change("request", parties=("bank",))) == []


def test_an_automated_decision_with_somebody_who_reviews_it():
    assert found(Case().change("purpose", automated_decision=True, human_route="The branch.")) == []


def test_children_under_rules_of_their_own():
    assert found(Case().change("purpose", minimum_age=8, minor_rules="rules-1")) == []


@pytest.mark.parametrize("basis", [Basis.CONTRACT, Basis.STATUTORY])
def test_another_basis_than_consent_where_it_is_not_profiling(basis):
    changes = {
        "treatment": PurposeClass.CREDIT_RISK,
        "legal_opinion": "opinion-1",
        "basis": basis,
        "basis_reference": "contract 7",
    }
    terms = terms_of(Case().change("purpose", **changes))
    assert GENERAL not in terms.needs
    assert TO_SHOP in terms.needs, "to provide needs a separate consent whatever the basis is"
    assert terms.field_needs == {}


def test_a_party_that_no_purpose_names():
    case = Case().change("request", parties=("bank", "shop", "telecom"))
    assert set(found(case)) == {
        (Reason.RECIPIENT_UNKNOWN, "telecom"), (Reason.NOTICE_VERSION_STALE, "telecom"),
    }  # fmt: skip


def test_nobody_is_its_own_recipient():
    """A party asks for no consent and no agreement to give data to itself."""
    terms = terms_of(Case())
    assert not [need for need in terms.needs if need.recipient == "bank"]


# --- which consents


def test_every_other_data_holder_needs_a_consent_of_its_own():
    both = ("shop", "coordinator", "telecom")
    case = Case().change("request", parties=("bank", "shop", "telecom")).change("notice", recipients=both)
    case.change("shop_agreement", parties=("bank", "shop", "telecom"))
    made, _ = case.built()
    telecom = recipient("telecom", agreement="shop-1")
    case.change("purpose", recipients=(*made.purposes[0].recipients, telecom))
    assert terms_of(case).needs == (GENERAL, TO_SHOP, TO_SHOP._replace(recipient="telecom"))


def test_an_opinion_in_the_place_of_the_consent_to_provide():
    assert terms_of(Case().change("shop", legal_opinion="opinion-1")).needs == (GENERAL,)


def test_joint_handlers_provide_nothing_to_each_other():
    case = Case().change("shop", relation=Relation.JOINT).change("shop_agreement", relation=Relation.JOINT)
    assert terms_of(case).needs == (GENERAL,)


def with_override(**given):
    said = Override(field="monthly_income", reason="decided by the officer", **given)
    return Case().change("policy", overrides=(said,))


@pytest.mark.parametrize(
    ("consent", "kind"),
    [(Consent.SEPARATE, ConsentKind.SEPARATE), (Consent.WRITTEN, ConsentKind.WRITTEN), (Consent.NONE, None)],
)
def test_a_field_asks_for_the_consent_that_the_catalogue_names(consent, kind):
    scope = SENSITIVE + CATALOG.of_column("monthly_income", "").category
    expected = {} if kind is None else {"monthly_income": (Need("marketing", kind, scope),)}
    assert terms_of(with_override(consent=consent)).field_needs == expected


def test_consents_to_earlier_notices_that_still_hold():
    case = Case().change("notice", still_valid=("notice-0", "notice-a"))
    assert terms_of(case).notices == {"notice-0", "notice-1", "notice-a"}


# --- which fields


def test_a_column_that_nobody_knows():
    case = Case().change("request", fields={**dict.fromkeys(FIELDS, ""), "col_17": ""})
    assert found(case) == [(Reason.FIELD_UNCLASSIFIED, "col_17")]
    case.change("request", fields={**dict.fromkeys(FIELDS, ""), "col_17": "no_such_class"})
    assert found(case) == [(Reason.FIELD_UNCLASSIFIED, "col_17")]
    declared = {**dict.fromkeys(FIELDS, ""), "col_17": "account_tenure"}
    case.change("request", fields=declared).change("purpose", fields=(*FIELDS, "col_17"))
    assert found(case) == []


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (Action.PROHIBITED, Reason.FIELD_PROHIBITED),
        (Action.DROP, Reason.FIELD_EXCEEDS_MINIMUM),
        (Action.TOKEN, Reason.FIELD_EXCEEDS_MINIMUM),
        (Action.LOCAL, Reason.FIELD_EXCEEDS_MINIMUM),
        (Action.USE, None),
        (Action.BUCKET, None),
    ],
)
def test_what_a_trainer_may_never_see(action, reason):
    expected = [] if reason is None else [(reason, "monthly_income")]
    assert found(with_override(action=action)) == expected


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        ("cvv2", Reason.FIELD_PROHIBITED),
        ("religion", Reason.FIELD_PROHIBITED),
        ("consent_flag", Reason.FIELD_PROHIBITED),
        ("phone", Reason.FIELD_EXCEEDS_MINIMUM),
        ("resident_id", Reason.FIELD_EXCEEDS_MINIMUM),
    ],
)
def test_columns_that_no_policy_can_want(column, reason):
    case = Case().change("request", fields={column: ""}).change("purpose", fields=(column,))
    covered = categories((column,))
    case.change("notice", categories=covered).change("pipia", categories=covered)
    case.change("shop_agreement", categories=covered).change("coordinator_agreement", categories=covered)
    case.change("purpose", sensitive_necessity=dict.fromkeys(covered, titles()))
    assert found(case) == [(reason, column)]


def test_a_sensitive_category_without_its_necessity():
    column = "deposit_balance"
    covered = categories((column,))
    case = Case().change("request", fields={column: ""})
    case.change("purpose", fields=(column,), sensitive_necessity={})
    case.change("notice", categories=covered).change("pipia", categories=covered)
    case.change("shop_agreement", categories=covered).change("coordinator_agreement", categories=covered)
    assert found(case) == [(Reason.NOTICE_MISSING, covered[0])]
    case.change("purpose", sensitive_necessity={covered[0]: titles()})
    assert found(case) == []


# --- how long and how many


def test_the_shortest_period_counts():
    assert terms_of(Case()).retention_days == 90
    days = min(CATALOG.of_column(name, "").retention_days for name in FIELDS)
    assert terms_of(Case().change("purpose", retention_days=3000)).retention_days == days < 3000
    case = Case().change("request", fields={})
    assert terms_of(case.change("purpose", retention_days=3000)).retention_days == 3000


def going_abroad(kind=MechanismKind.STANDARD_CONTRACT, **changes):
    mechanism = msgspec.structs.replace(CONTRACT, kind=kind)
    return Case().change("shop", **ABROAD).change("policy", mechanisms=(mechanism,), **changes)


def test_a_recipient_abroad_needs_a_mechanism_and_another_consent():
    terms = terms_of(going_abroad())
    assert terms.needs == (GENERAL, TO_SHOP, TO_SHOP._replace(scope=CROSSBORDER))
    assert [(who.party, mechanism.id) for who, mechanism in terms.abroad] == [("shop", "m-1")]
    critical = going_abroad(MechanismKind.ASSESSMENT, critical_infrastructure=True)
    assert found(critical) == []


def test_who_is_abroad_depends_on_where_one_is_oneself():
    here = Case().change("policy", region="SG").change("shop", **ABROAD).change("coordinator", **ABROAD)
    assert terms_of(here).abroad == ()


@pytest.mark.parametrize(
    ("fields", "limit"),
    [(("tenure_months",), PEOPLE_CONTRACT), (("monthly_income",), PEOPLE_SENSITIVE_CONTRACT)],
)
def test_so_many_people_need_an_assessment(fields, limit):
    """促进和规范数据跨境流动规定 articles 7 and 8: a contract does up to the number, but not for it."""
    case = going_abroad().change("request", fields=dict.fromkeys(fields, ""))
    assert CATALOG.of_column(fields[0], "").is_sensitive == (limit == PEOPLE_SENSITIVE_CONTRACT)
    terms = terms_of(case)
    assert not check_crossborder_count(terms, 0, limit - 1)
    assert not check_crossborder_count(terms, limit - 1, 0)
    for before, now in ((0, limit), (limit - 1, 1), (limit, 0)):
        (finding,) = check_crossborder_count(terms, before, now)
        assert (finding.reason, finding.about) == (Reason.CROSSBORDER_THRESHOLD, "shop")
    assessed = going_abroad(MechanismKind.ASSESSMENT).change("request", fields=dict.fromkeys(fields, ""))
    assert not check_crossborder_count(terms_of(assessed), limit, limit)


def test_at_home_nobody_is_counted():
    assert not check_crossborder_count(terms_of(Case()), PEOPLE_CONTRACT, PEOPLE_CONTRACT)


def test_a_coordinator_of_another_operator_is_refused_by_its_keys():
    assert found(Case().change("request", coordinator="f" * 16)) == [
        (Reason.SUBDELEGATION_UNAPPROVED, "coordinator-1")
    ]
    approved = Case().change("coordinator_agreement", coordinator_fingerprints=("f" * 16, KEYS))
    assert found(approved) == []
