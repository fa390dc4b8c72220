"""Scenarios 2, 7, 9, 11, 27: jobs that may not even begin, whatever the rows are."""

from pathlib import Path

import msgspec
import pytest
from scenario_world import lending_job, read_nothing, refused, segments_job, with_fields

from clients.gate.policy import activate
from federation.jobs import RiskPlan
from privacy.audit import EventType
from privacy.consent import PROVIDE
from privacy.errors import ConfigInvalid
from privacy.policy import PurposeClass
from server.home import CoordinatorHome


def no_round(world):
    """Neither the coordinator nor anybody else has begun a stage."""
    assert world.events("coordinator", EventType.ROUND_OPENED) == []
    assert [world.events(party, EventType.ROUND_OPENED) for party in world.parties] == [[]] * len(
        world.parties
    )


def removed_files(world, party):
    """Take a party's files away: what reads them fails in another way than by a refusal."""
    spec = world.specs[party]
    for path in (spec.path, spec.consents.path):
        Path(path).unlink()


# --- 2


@pytest.mark.scenario(2)
def test_columns_of_one_purpose_are_not_used_for_another(world):
    """Purpose mismatch: a data set for marketing is asked for lending; not a row is read."""
    scene = world()
    scene.agree("marketing")
    scene.build()
    job = segments_job("credit_risk")
    scene.admit(job, without=("bank",))
    # The bank lends, but not on what it collected for marketing.
    marketing = scene.policy("bank", segments_job("marketing"))
    lending = scene.policy("bank", job, fields=("credit_limit",))
    both = msgspec.structs.replace(lending, purposes=(*lending.purposes, *marketing.purposes))
    activate(scene.home("bank"), both)
    removed_files(scene, "bank")

    event = refused(scene, scene.run(job), "bank", "R-PURPOSE-MISMATCH")
    assert event.numbers == {}
    read_nothing(scene, "bank")
    no_round(scene)


@pytest.mark.scenario(2)
def test_a_kind_of_processing_beyond_the_purpose(world):
    """Purpose mismatch: the purpose is registered, the method is not among its own."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(scene.home("bank"), scene.policy("bank", job, methods=("matching",)))
    removed_files(scene, "bank")
    refused(scene, scene.run(job), "bank", "R-PURPOSE-MISMATCH")
    read_nothing(scene, "bank")


@pytest.mark.scenario(2)
def test_a_purpose_that_nobody_registered(world):
    """Purpose mismatch: an unknown purpose is no purpose."""
    scene = world()
    scene.agree()
    scene.build()
    scene.admit(segments_job())
    removed_files(scene, "bank")
    removed_files(scene, "shop")
    refused(scene, scene.run(segments_job("resale")), "bank", "R-PURPOSE-UNREGISTERED")
    read_nothing(scene, "bank")
    no_round(scene)


@pytest.mark.scenario(2)
def test_consents_for_one_purpose_do_not_carry_to_another(world):
    """Purpose mismatch: whoever agreed to marketing has not agreed to lending."""
    scene = world()
    scene.agree("marketing")
    scene.build()
    job = segments_job("credit_risk")
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-CONSENT-MISSING")


@pytest.mark.scenario(2)
def test_all_failing_reasons_are_told_and_others_hear_the_codes_alone(world):
    """Purpose mismatch: the refusal names every reason, and to others only the codes."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(
        scene.home("bank"),
        scene.policy("bank", job, fields=("orders_12m",), pipia=None, retention_days=0),
    )
    outcome = scene.run(job)
    refused(scene, outcome, "bank", "R-PURPOSE-MISMATCH", "R-PIPIA-MISSING", "R-RETENTION-MISSING")
    assert not any("monthly_income" in text for text in outcome.texts.values())


# --- 7


@pytest.mark.scenario(7)
def test_a_coordinator_with_other_keys_is_refused(world):
    """Sub-delegation: the coordinator's host changes to keys that the agreement does not name."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert scene.run(job).status == "done"

    old = scene.federation.coordinator
    moved = CoordinatorHome.create(scene.folder / "homes" / "elsewhere", "127.0.0.1", 1, "127.0.0.1")
    for enrolment in old.roster.parties:
        moved.enrol(enrolment)
    with pytest.raises(ConfigInvalid) as caught:
        scene.home("bank").join(moved.roster)
    assert caught.value.key == "roster_other_coordinator"
    for home in scene.nodes.values():
        home.join(moved.roster, other_coordinator=True)
    scene.federation.coordinator = moved

    admitted = len(scene.events("bank", EventType.DATASET_ADMITTED))
    refused(scene, scene.run(job), "bank", "R-SUBDELEGATION-UNAPPROVED")
    assert len(scene.events("bank", EventType.DATASET_ADMITTED)) == admitted
    no_round_at(moved)

    for home in scene.nodes.values():  # the agreements are amended
        activate(home, scene.policy(home.settings.name, job))
    scene.run(job)
    assert len(scene.events("bank", EventType.DATASET_ADMITTED)) == admitted + 1


def no_round_at(coordinator):
    assert [event for event in coordinator.audit.events() if event.type is EventType.ROUND_OPENED] == []


# --- 9


@pytest.mark.scenario(9)
def test_a_new_partner_is_no_recipient_until_the_policy_names_it(world):
    """New partner: a party that no policy names gets nothing."""
    scene = world("bank", "shop", "telecom")
    scene.agree()
    scene.build()
    two, three = segments_job(), segments_job(parties=("bank", "shop", "telecom"))
    scene.admit(two, without=("telecom",))
    activate(scene.home("telecom"), scene.policy("telecom", three))
    refused(scene, scene.run(three), "bank", "R-RECIPIENT-UNKNOWN", "R-NOTICE-VERSION-STALE")
    read_nothing(scene, "bank")
    no_round(scene)


@pytest.mark.scenario(9)
def test_consents_to_one_partner_do_not_carry_to_another(world):
    """New partner: the consents to provide to the shop do not cover the telecom, until people say so."""
    scene = world("bank", "shop", "telecom")
    for party in scene.parties:
        scene.word(party, "marketing")
        others = [name for name in scene.parties if name != party]
        known = [name for name in others if (party, name) != ("bank", "telecom")]
        scene.word(party, "marketing", kind="separate", scope=PROVIDE, recipient=";".join(known))
    scene.build()
    job = segments_job(parties=("bank", "shop", "telecom"))
    scene.admit(job)
    refused(scene, scene.run(job), "bank", "R-SEPARATE-CONSENT-PROVIDE")

    agreed = scene.phones[:40]
    scene.word("bank", "marketing", agreed, kind="separate", scope=PROVIDE, recipient="telecom")
    scene.write("bank")
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    released = outcome.result["releases"]["bank"]["session.match_release/1"]
    assert (released["rows"], released["eligible"], released["matched"]) == (90, 40, 40)
    admitted = scene.events("bank", EventType.DATASET_ADMITTED)[-1]
    assert admitted.reasons == ("R-SEPARATE-CONSENT-PROVIDE",)
    assert admitted.numbers == {"rows": 90, "eligible": 40}
    assert scene.leaks() == []


# --- 11


@pytest.mark.scenario(11)
def test_an_assessment_that_does_not_cover_the_model(world):
    """PIPIA stale: assessed for k-means, asked for boosted trees; refused before round 1."""
    scene = world()
    scene.agree("credit_risk")
    scene.build()
    assessed = segments_job("credit_risk")
    job = lending_job()
    scene.admit(job, without=("bank",))
    policy = scene.policy("bank", job)
    covered = msgspec.structs.replace(policy.assessments[0], models=assessed.methods)
    activate(scene.home("bank"), msgspec.structs.replace(policy, assessments=(covered,)))
    removed_files(scene, "bank")
    event = refused(scene, scene.run(job), "bank", "R-PIPIA-STALE")
    assert event.numbers == {}
    read_nothing(scene, "bank")
    no_round(scene)


@pytest.mark.scenario(11)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"categories": ("relationship",)}, "R-PIPIA-STALE"),
        ({"valid_until": "yesterday"}, "R-PIPIA-STALE"),
        ({"approved": None}, "R-PIPIA-UNAPPROVED"),
        ({"approved_by": ""}, "R-PIPIA-UNAPPROVED"),
        ({"purposes": ("other",)}, "R-PIPIA-MISSING"),
    ],
)
def test_an_assessment_that_is_no_longer_or_not_yet_one(world, change, code):
    """PIPIA stale: another category of data, a past date, nobody's approval, another purpose."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    policy = scene.policy("bank", job)
    pipia = policy.assessments[0]
    if "valid_until" in change:
        change = {"valid_until": pipia.approved.replace(year=pipia.approved.year - 1)}
    activate(
        scene.home("bank"),
        msgspec.structs.replace(policy, assessments=(msgspec.structs.replace(pipia, **change),)),
    )
    refused(scene, scene.run(job), "bank", code)
    read_nothing(scene, "bank")


# --- 27


@pytest.mark.scenario(27)
def test_a_partners_data_in_lending_needs_a_licence(world):
    """Credit licence: an e-commerce partner's columns in lending, without a licensed bureau or an opinion."""
    scene = world()
    scene.agree("credit_risk")
    scene.build()
    job = lending_job()
    scene.admit(job, without=("bank",))
    home = scene.home("bank")
    activate(home, scene.policy("bank", job, legal_opinion=None))
    event = refused(scene, scene.run(job), "bank", "R-CREDIT-LICENCE")
    assert event.numbers == {}
    read_nothing(scene, "bank")
    no_round(scene)

    activate(home, scene.policy("bank", job, legal_opinion=None, licensed_bureau="bureau-7"))
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert scene.leaks() == []


@pytest.mark.scenario(27)
def test_the_name_of_a_purpose_does_not_hide_lending(world):
    """Credit licence: what counts is how the purpose is registered, and lending fields are not for marketing."""
    scene = world()
    scene.tables["bank"]["credit_limit"] = range(len(scene.phones))
    scene.register("bank", *[msgspec.structs.replace(scene.specs["bank"].fields[0], name="credit_limit")])
    scene.agree("marketing")
    scene.build()
    job = with_fields(segments_job(risk=RiskPlan(trees=2, depth=2)), "bank", "credit_limit", "tenure_months")
    scene.admit(job, without=("bank",))
    home = scene.home("bank")
    activate(home, scene.policy("bank", job))
    refused(scene, scene.run(job), "bank", "R-FIELD-EXCEEDS-MINIMUM")
    activate(home, scene.policy("bank", job, treatment=PurposeClass.CREDIT_RISK, legal_opinion=None))
    refused(scene, scene.run(job), "bank", "R-CREDIT-LICENCE")
    read_nothing(scene, "bank")
