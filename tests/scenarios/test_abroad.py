"""Scenario 26: data that would leave the country."""

import json

import msgspec
import numpy as np
import pytest
from gate_scene import today
from scenario_world import funnel_of, refused, segments_job
from typer.testing import CliRunner

from clients.cli import app
from clients.consents.node import bring_in
from clients.consents.subjects import kind_label
from clients.gate.abroad import AbroadCounter
from clients.gate.policy import activate
from privacy.audit import EventType
from privacy.consent import CROSSBORDER
from privacy.decision import PEOPLE_SENSITIVE_CONTRACT
from privacy.policy import Mechanism, MechanismKind

RUNNER = CliRunner()


def mechanism(kind=MechanismKind.STANDARD_CONTRACT, **changes):
    given = {"id": "contract-7", "kind": kind, "region": "SG", "parties": ("shop",), "valid_until": today()}
    return Mechanism(**{**given, **changes})


def with_shop_abroad(scene, job, *mechanisms, **changes):
    """The bank's policy, which knows that the shop's node is in Singapore."""
    policy = scene.policy("bank", job)
    (purpose,) = policy.purposes
    recipients = [
        msgspec.structs.replace(item, region="SG") if item.party == "shop" else item
        for item in purpose.recipients
    ]
    purpose = msgspec.structs.replace(purpose, recipients=tuple(recipients))
    return msgspec.structs.replace(policy, purposes=(purpose,), mechanisms=mechanisms, **changes)


@pytest.fixture
def abroad(world):
    """Everybody has agreed to everything, to the shop in Singapore as well."""
    scene = world()
    scene.agree()
    scene.word("bank", "marketing", kind="separate", scope=CROSSBORDER, recipient="shop")
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    return scene, job


@pytest.mark.scenario(26)
@pytest.mark.parametrize(
    ("mechanisms", "changes"),
    [
        ((), {}),
        ((mechanism(region="US"),), {}),
        ((mechanism(parties=("telecom",)),), {}),
        ((mechanism(valid_until=today().replace(year=today().year - 1)),), {}),
        ((mechanism(),), {"critical_infrastructure": True}),
    ],
    ids=["none", "another region's", "another party's", "expired", "too little for a critical operator"],
)
def test_no_mechanism_no_byte(abroad, mechanisms, changes):
    """Cross-border: a node abroad gets nothing without what article 38 asks for."""
    scene, job = abroad
    activate(scene.home("bank"), with_shop_abroad(scene, job, *mechanisms, **changes))
    event = refused(scene, scene.run(job), "bank", "R-CROSSBORDER-NO-MECHANISM")
    assert event.numbers == {}
    assert [sender for sender, *_ in scene.federation.messages if sender == "bank"] == []
    assert scene.events("bank", EventType.COUNTER_SNAPSHOT) == []


@pytest.mark.scenario(26)
def test_a_mechanism_and_consents_let_it_go(abroad):
    """Cross-border: under a contract, and with each subject's separate consent to it."""
    scene, job = abroad
    activate(scene.home("bank"), with_shop_abroad(scene, job, mechanism()))
    changes = scene.changes("bank")
    bring_in(scene.home("bank"))
    changes.withdraw(changes.identifiers(scene.phones[:30]), scope=CROSSBORDER)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 60, "matched": 60}
    admitted = scene.events("bank", EventType.DATASET_ADMITTED)[-1]
    assert admitted.reasons == ("R-CONSENT-WITHDRAWN",)
    (counted,) = scene.events("bank", EventType.COUNTER_SNAPSHOT)
    assert counted.numbers == {"before": 0, "new": 60}
    assert scene.leaks() == []


@pytest.mark.scenario(26)
def test_without_the_separate_consent_nobody_goes_abroad(world):
    """Cross-border: a consent to provide is none to provide abroad (article 39)."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(scene.home("bank"), with_shop_abroad(scene, job, mechanism()))
    refused(scene, scene.run(job), "bank", "R-SEPARATE-CONSENT-CROSSBORDER")


def people(home, count):
    """Subjects of other jobs, whom the node knows."""
    rng = np.random.default_rng(26)
    tokens = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    home.consents.commitments(tokens, b"other jobs")
    return tokens


def tokens_of(scene, phones):
    home, changes = scene.home("bank"), scene.changes("bank")
    return home.consents.tokens(kind_label(home.settings.table), changes.identifiers(phones))


@pytest.mark.scenario(26)
@pytest.mark.parametrize("before", [9_998, 9_999])
def test_the_ten_thousandth_person(abroad, before):
    """Cross-border: 9,999 people's sensitive data has gone abroad this year; one more needs an assessment."""
    scene, job = abroad
    home = scene.home("bank")
    bring_in(home)
    counter = AbroadCounter(home, today().year)
    known = scene.phones[1:]
    counter.add(np.concatenate([people(home, before - len(known)), tokens_of(scene, known)]))
    activate(home, with_shop_abroad(scene, job, mechanism()))
    outcome = scene.run(job)
    (counted,) = scene.events("bank", EventType.COUNTER_SNAPSHOT)
    assert counted.numbers == {"before": before, "new": 1}
    if before + 1 < PEOPLE_SENSITIVE_CONTRACT:
        assert outcome.status == "done", outcome.texts
        return
    refused(scene, outcome, "bank", "R-CROSSBORDER-THRESHOLD")
    assert scene.events("bank", EventType.DATASET_ADMITTED) == []
    assert counter.count(tokens_of(scene, scene.phones[:1])) == (before, 1)  # who was refused is not counted

    activate(home, with_shop_abroad(scene, job, mechanism(MechanismKind.ASSESSMENT)))
    assert scene.run(job).status == "done"


@pytest.mark.scenario(26)
def test_forgotten_people_make_room_and_nobody_counts_twice(abroad):
    """Cross-border: counted are natural persons whose data is held, each once, since 1 January."""
    scene, job = abroad
    home = scene.home("bank")
    bring_in(home)
    others = people(home, 9_999)
    counter = AbroadCounter(home, today().year)
    counter.add(others)
    counter.add(others[:100])
    assert counter.count(others) == (9_999, 0)
    home.consents.forget(others[:200])
    assert counter.count(others[200:]) == (9_799, 0)
    activate(home, with_shop_abroad(scene, job, mechanism()))
    assert scene.run(job).status == "done"
    assert scene.run(job).status == "done"
    counts = [event.numbers for event in scene.events("bank", EventType.COUNTER_SNAPSHOT)]
    assert counts == [{"before": 9_799, "new": 90}, {"before": 9_889, "new": 0}]
    assert AbroadCounter(home, today().year + 1).count(others[200:]) == (0, 9_799)


@pytest.mark.scenario(26)
def test_a_foreign_courts_request(world, tmp_path):
    """Cross-border: nothing is handed to a foreign authority without an approval (article 41)."""
    scene = world()
    scene.build()
    folder = str(scene.home("bank").folder)
    command = [
        "audit",
        "export",
        "--home",
        folder,
        str(tmp_path / "bundle.zip"),
        "--for",
        "foreign_authority",
    ]
    result = RUNNER.invoke(app, [*command, "--json"])
    assert "R-FOREIGN-AUTHORITY-REQUEST" in result.output
    assert json.loads(result.output)["reasons"] == ["R-FOREIGN-AUTHORITY-REQUEST"]
    assert [event.reasons for event in scene.events("bank", EventType.EXPORT_REFUSED)]
