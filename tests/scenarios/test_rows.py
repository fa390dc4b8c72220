"""Scenarios 4, 5, 8, 10: who is left out, and what a missing consent takes with it."""

from datetime import timedelta

import msgspec
import pytest
from gate_scene import today
from scenario_world import NOTICE, at_noon, funnel_of, lending_job, refused, segments_job, with_fields

from clients.gate.policy import activate
from clients.tables import FieldSpec
from federation.wire import tag_of
from privacy.audit import EventType
from privacy.consent import PROVIDE, SENSITIVE, ConsentKind, Statement
from privacy.policy import Missing

CHILDREN = 6
YEAR_DAYS = 365.25


def born(years):
    """A birthday so many years ago, with a month to either side."""
    return (today() - timedelta(days=round((years + 0.2) * YEAR_DAYS))).isoformat()


def admitted(scene, party="bank"):
    return scene.events(party, EventType.DATASET_ADMITTED)[-1]


def told_of_no_subject(event):
    """Counts of the whole table alone."""
    assert (event.sref, event.commit) == ("", "")
    assert event.numbers.keys() == {"rows", "eligible"}


# --- 4


@pytest.fixture
def with_children(world):
    """The first `CHILDREN` people are 13; everybody but them has agreed for themselves."""
    scene = world()
    children, adults = scene.phones[:CHILDREN], scene.phones[CHILDREN:]
    for table in scene.tables.values():
        table.loc[: CHILDREN - 1, "birth_date"] = born(13)
    for party, other in (("bank", "shop"), ("shop", "bank")):
        scene.word(party, "marketing", adults)
        scene.word(party, "marketing", kind="separate", scope=PROVIDE, recipient=other)
    return scene, children


@pytest.mark.scenario(4)
def test_children_are_left_out(with_children):
    """Minor under 14: nobody of 13 takes part, and the log holds a count alone."""
    scene, _ = with_children
    scene.agree(who=scene.phones[:CHILDREN])  # a child's own word counts for nothing
    scene.build()
    job = segments_job()
    scene.admit(job)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 84, "matched": 84}
    assert admitted(scene).reasons == ("R-GUARDIAN-CONSENT-MISSING",)
    assert admitted(scene).numbers == {"rows": 90, "eligible": 80}
    told_of_no_subject(admitted(scene))
    assert scene.leaks() == []


@pytest.mark.scenario(4)
def test_people_of_14_to_17_are_left_out_as_well(with_children):
    """Minor under 14: those just above are no part of marketing either."""
    scene, _ = with_children
    for table in scene.tables.values():
        table.loc[: CHILDREN - 1, "birth_date"] = born(15)
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    outcome = scene.run(job)
    assert funnel_of(outcome, "bank")["eligible"] == 84
    assert admitted(scene).reasons == ("R-FIELD-PROHIBITED",)


@pytest.mark.scenario(4)
def test_children_need_rules_of_their_own(with_children):
    """Minor under 14: a purpose for children without rules for them is no purpose."""
    scene, _ = with_children
    scene.build()
    job = segments_job()
    scene.admit(job, minimum_age=0)
    refused(scene, scene.run(job), "bank", "R-MINOR-RULES-MISSING")


@pytest.mark.scenario(4)
def test_a_guardians_word_holds_until_the_fourteenth_birthday(with_children):
    """Minor under 14: with a guardian's consent in, and out on turning 14, until there is an own one."""
    scene, children = with_children
    for party in scene.parties:
        scene.word(party, "marketing", children[:3], kind="guardian")
    scene.build()
    job = segments_job()
    scene.admit(job, minimum_age=0, minor_rules="rules-1")
    outcome = scene.run(job)
    assert funnel_of(outcome, "bank")["eligible"] == 87
    assert admitted(scene).reasons == ("R-GUARDIAN-CONSENT-MISSING",)

    after_birthday = at_noon(today() + timedelta(days=330))
    scene.clocks = dict.fromkeys(scene.parties, lambda: after_birthday)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank")["eligible"] == 84
    assert admitted(scene).reasons == ("R-CONSENT-MISSING",)

    for party in scene.parties:
        changes = scene.changes(party)
        own = Statement(purpose="marketing", granted=True, notice=NOTICE)
        changes.give(changes.identifiers(children[:1]), [own])
    outcome = scene.run(job)
    assert funnel_of(outcome, "bank")["eligible"] == 85
    assert scene.leaks() == []


@pytest.mark.scenario(4)
@pytest.mark.parametrize("renewed", [True, False], ids=["renews", "withdraws"])
def test_a_guardian_speaks_while_a_job_runs(with_children, renewed):
    """Minor under 14: a guardian who withdraws takes the child out, one who renews does not."""
    scene, children = with_children
    for party in scene.parties:
        scene.word(party, "marketing", children, kind="guardian")
    scene.build()
    job = segments_job()
    scene.admit(job, minimum_age=0, minor_rules="rules-1")
    said = Statement(purpose="marketing", granted=renewed, kind=ConsentKind.GUARDIAN, notice=NOTICE)
    asked = []

    def speak(own, recipient, message):
        if (own, tag_of(message)) == ("bank", "kmeans.assignments/1") and not asked:
            changes = scene.changes("bank")
            asked.append(changes.give(changes.identifiers(children[:1]), [said]))

    outcome = scene.run(job, speak)
    assert outcome.status == "done", outcome.texts
    assert asked
    assert len(scene.customers("bank", job)) == (90 if renewed else 89)
    voided = [event.reasons for event in scene.events("bank", EventType.ROUND_VOIDED)]
    assert voided == ([] if renewed else [("R-CONSENT-WITHDRAWN",)])


# --- 5


@pytest.mark.scenario(5)
def test_people_of_unknown_age_are_left_out(world):
    """Age unknown: no date, none that can be, or one in the future."""
    scene = world()
    unknown = ["", "0000-00-00", "2199-12-31", "1800-01-01", "soon"]
    for table in scene.tables.values():
        table.loc[: len(unknown) - 1, "birth_date"] = unknown
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 85, "matched": 85}
    assert admitted(scene).reasons == ("R-AGE-UNKNOWN",)
    told_of_no_subject(admitted(scene))
    assert scene.leaks() == []
    for party in scene.parties:
        activate(scene.home(party), scene.policy(party, job, keep_unknown_age=True))
    assert funnel_of(scene.run(job), "bank")["eligible"] == 90


@pytest.mark.scenario(5)
def test_a_table_without_any_age(world):
    """Age unknown: a table that says nothing about ages has nobody to offer."""
    scene = world()
    scene.register("bank", birth_date_column=None)
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, keep_unknown_age=False)
    refused(scene, scene.run(job), "bank", "R-AGE-UNKNOWN")


# --- 8


@pytest.fixture
def with_balance(world):
    """The bank has balances, to which nobody has agreed separately."""
    scene = world()
    scene.tables["bank"]["deposit_balance"] = [100.5 + 10 * number for number in range(len(scene.phones))]
    scene.register("bank", FieldSpec(name="deposit_balance"))
    scene.agree()
    job = with_fields(segments_job(), "bank", "monthly_income", "tenure_months", "deposit_balance")
    return scene, job


@pytest.mark.scenario(8)
def test_a_sensitive_column_without_anybodys_separate_consent(with_balance):
    """Sensitive without separate consent: the column is refused, and with it the job."""
    scene, job = with_balance
    scene.build()
    scene.admit(job)
    event = refused(scene, scene.run(job), "bank", "R-SEPARATE-CONSENT-SENSITIVE")
    assert event.numbers == {}
    assert scene.events("bank", EventType.DATASET_ADMITTED) == []


@pytest.mark.scenario(8)
def test_the_other_columns_are_used_where_the_policy_says_so(with_balance):
    """Sensitive without separate consent: left out alone, when the purpose decides so."""
    scene, job = with_balance
    scene.build()
    scene.admit(job, when_separate_consent_is_missing=Missing.DROP_FIELD)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    profile = outcome.result["releases"]["bank"]["insight.segment_profile/1"]
    assert [field["field"] for field in profile["fields"]] == ["monthly_income", "tenure_months"]
    assert funnel_of(outcome, "bank")["eligible"] == 90
    assert scene.leaks() == []


@pytest.mark.scenario(8)
def test_rows_with_the_separate_consent_are_used(with_balance):
    """Sensitive without separate consent: whoever gave it takes part, the others do not."""
    scene, job = with_balance
    scene.word(
        "bank", "marketing", scene.phones[:50], kind="separate", scope=SENSITIVE + "financial_situation"
    )
    scene.build()
    scene.admit(job)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 50, "matched": 50}
    assert admitted(scene).reasons == ("R-SEPARATE-CONSENT-SENSITIVE",)
    assert scene.leaks() == []


@pytest.mark.scenario(8)
def test_an_account_number_is_no_feature_whatever_was_agreed(with_balance):
    """Sensitive without separate consent: an account number is for matching, never for a model."""
    scene, job = with_balance
    scene.tables["bank"]["bank_account_no"] = range(10**6, 10**6 + len(scene.phones))
    scene.register("bank", FieldSpec(name="bank_account_no"))
    scene.word("bank", "marketing", kind="separate", scope=SENSITIVE + "financial_account")
    scene.build()
    job = with_fields(job, "bank", "monthly_income", "bank_account_no")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-FIELD-EXCEEDS-MINIMUM")


@pytest.mark.scenario(8)
def test_what_needs_a_written_consent_is_not_had_by_another(world):
    """Sensitive without separate consent: assets in lending need it in writing."""
    scene = world()
    scene.tables["bank"]["total_assets"] = range(10**4, 10**4 + len(scene.phones))
    scene.register("bank", FieldSpec(name="total_assets"))
    scene.agree("credit_risk")
    scene.build()
    job = with_fields(lending_job(), "bank", "tenure_months", "total_assets")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-WRITTEN-CONSENT-MISSING")
    for status in (ConsentKind.SEPARATE, ConsentKind.WRITTEN):
        said = Statement(
            purpose="credit_risk",
            granted=True,
            kind=status,
            scope=SENSITIVE + "financial_situation",
            notice=NOTICE,
        )
        changes = scene.changes("bank")
        changes.give(changes.identifiers(scene.phones), [said])
        done = scene.run(job).status == "done"
        assert done is (status is ConsentKind.WRITTEN)


# --- 10


def amended(scene, party, job, number, **changes):
    """The party's policy with one more notice, which is now the purpose's."""
    policy = scene.policy(party, job, notice=number)
    new = msgspec.structs.replace(policy.notices[0], id=number, **changes)
    return msgspec.structs.replace(policy, notices=(*policy.notices, new))


@pytest.mark.scenario(10)
def test_consents_to_an_older_notice_no_longer_hold(world):
    """Notice changed: everybody is stale until they agree to the new one."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert funnel_of(scene.run(job), "bank")["eligible"] == 90

    activate(scene.home("bank"), amended(scene, "bank", job, "notice-2"))
    refused(scene, scene.run(job), "bank", "R-NOTICE-VERSION-STALE")

    again = scene.phones[:30]
    changes = scene.changes("bank")
    said = [
        Statement(purpose="marketing", granted=True, notice="notice-2"),
        Statement(
            purpose="marketing",
            granted=True,
            kind=ConsentKind.SEPARATE,
            scope=PROVIDE,
            recipient="shop",
            notice="notice-2",
        ),
    ]
    changes.give(changes.identifiers(again), said)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 30, "matched": 30}
    assert admitted(scene).reasons == ("R-NOTICE-VERSION-STALE",)
    renewed = scene.events("bank", EventType.CONSENT_RENEWED)
    assert len(renewed) == 2 * len(again)
    assert scene.leaks() == []


@pytest.mark.scenario(10)
def test_a_change_that_concerns_nobody_leaves_consents_as_they_are(world):
    """Notice changed: a new text of the same scope may say that earlier consents hold on."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    activate(scene.home("bank"), amended(scene, "bank", job, "notice-2", still_valid=(NOTICE,)))
    assert funnel_of(scene.run(job), "bank")["eligible"] == 90


@pytest.mark.scenario(10)
def test_a_category_that_no_notice_names(with_balance):
    """Notice changed: a new category may not be used before the notice that names it."""
    scene, job = with_balance
    scene.build()
    scene.admit(job)
    policy = scene.policy("bank", job)
    notice = msgspec.structs.replace(policy.notices[0], categories=("relationship",))
    activate(scene.home("bank"), msgspec.structs.replace(policy, notices=(notice,)))
    refused(scene, scene.run(job), "bank", "R-FIELD-NOT-IN-NOTICE")
