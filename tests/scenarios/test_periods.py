"""Scenarios 3, 6: what has had its time, and an agreement that ends at midnight."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from gate_scene import today
from scenario_world import at_noon, funnel_of, refused, segments_job
from typer.testing import CliRunner

from clients import vault
from clients.cli import app
from clients.gate.policy import activate
from clients.home import NodeHome
from federation.messages import COORDINATOR
from federation.wire import tag_of
from privacy.audit import EventType
from privacy.errors import Denied
from server.certificate import DOMAIN

RUNNER = CliRunner()


def sweep(scene, party="bank"):
    """What `silhouette-node policy sweep` removed."""
    result = RUNNER.invoke(app, ["policy", "sweep", "--home", str(scene.home(party).folder), "--json"])
    assert result.exit_code == 0, result.output
    assert not any(phone in result.output for phone in scene.phones)
    return json.loads(result.output)["removed"]


def settle_on(scene, party, **changes):
    """Register the table anew; the home reads its settings again."""
    home = scene.home(party)
    table = msgspec.structs.replace(home.settings.table, **changes)
    home.write_settings(msgspec.structs.replace(home.settings, table=table))
    scene.nodes[party] = NodeHome.open(home.folder)


# --- 3


@pytest.mark.scenario(3)
@pytest.mark.parametrize("erase", [False, True], ids=["kept", "erased"])
def test_a_data_set_whose_time_is_over(world, erase):
    """Retention expired: yesterday was the last day; refused, then erased by the sweeper, with an event."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert scene.run(job).status == "done"
    admitted = len(scene.events("bank", EventType.DATASET_ADMITTED))

    settle_on(scene, "bank", retain_until=today() - timedelta(days=1), erase_when_expired=erase)
    file = Path(scene.specs["bank"].path)
    derived = scene.home("bank").vault.names("job/")
    assert derived
    event = refused(scene, scene.run(job), "bank", "R-RETENTION-EXPIRED")
    assert event.numbers == {}
    assert len(scene.events("bank", EventType.DATASET_ADMITTED)) == admitted

    assert sweep(scene) == len(derived) + erase
    assert scene.home("bank").vault.names("job/") == []
    assert file.exists() is not erase
    expired = {event.artefact: event for event in scene.events("bank", EventType.RETENTION_EXPIRED)}
    assert expired["job"].numbers == {"removed": len(derived)}
    assert ("table" in expired) is erase
    assert sweep(scene) == 0
    assert scene.leaks() == []


@pytest.mark.scenario(3)
def test_the_last_day_is_a_day(world):
    """Retention expired: on its last day a data set may still be used."""
    scene = world()
    scene.register("bank", retain_until=today())
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert scene.run(job).status == "done"
    assert sweep(scene) == 0
    tomorrow = at_noon(today() + timedelta(days=1))
    scene.clocks["bank"] = lambda: tomorrow
    refused(scene, scene.run(job), "bank", "R-RETENTION-EXPIRED")


@pytest.mark.scenario(3)
def test_a_copy_whose_time_is_over_cannot_be_read(world, monkeypatch):
    """Retention expired: unreadable at once, before any sweeper has come."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, retention_days=30)
    assert scene.run(job).status == "done"
    home = scene.home("bank")
    names = home.vault.names("job/")
    customers = home.results / f"{job.name}-{scene.session[:8]}"
    assert (customers / "customers.csv").exists()
    later = vault._now() + timedelta(days=30, minutes=1)
    monkeypatch.setattr(vault, "_now", lambda: later)
    for name in names:
        with pytest.raises(Denied) as caught:
            home.vault.get(name)
        assert caught.value.findings.codes == ("R-RETENTION-EXPIRED",)
    assert sweep(scene) == len(names) + 1
    assert home.vault.names("job/") == []
    assert not customers.exists()
    removed = {
        event.artefact: event.numbers["removed"]
        for event in scene.events("bank", EventType.RETENTION_EXPIRED)
    }
    assert removed == {"job": len(names), "results": 1}


@pytest.mark.scenario(3)
def test_rows_whose_own_time_is_over(world):
    """Retention expired: row by row, where the table says until when; without a date a row is not used."""
    scene = world()
    until = [(today() + timedelta(days=1)).isoformat()] * len(scene.phones)
    until[:7] = [(today() - timedelta(days=1)).isoformat()] * 7
    until[7] = ""
    until[8] = today().isoformat()
    scene.tables["bank"]["retain_until"] = until
    scene.register("bank", retain_until_column="retain_until")
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    assert funnel_of(outcome, "bank") == {"rows": 90, "eligible": 82, "matched": 82}
    assert scene.events("bank", EventType.DATASET_ADMITTED)[-1].reasons == ("R-RETENTION-EXPIRED",)
    assert scene.leaks() == []


@pytest.mark.scenario(3)
def test_a_consent_has_its_last_day_too(world):
    """Retention expired: a consent given until a day does not hold on the next."""
    scene = world()
    scene.agree()
    for word in scene.consents["bank"]:
        if word["phone"] in scene.phones[:10]:
            word["until"] = today().isoformat()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert funnel_of(scene.run(job), "bank")["eligible"] == 90
    tomorrow = at_noon(today() + timedelta(days=1))
    scene.clocks = dict.fromkeys(scene.parties, lambda: tomorrow)
    assert funnel_of(scene.run(job), "bank")["eligible"] == 80
    assert scene.events("bank", EventType.DATASET_ADMITTED)[-1].reasons == ("R-CONSENT-EXPIRED",)


# --- midnight


class Midnight:
    """The bank's clock: today, until the coordinator or the bank says something for the n-th time."""

    def __init__(self, own, kind, number):
        self._own, self._kind, self._left = own, kind, number

    def __call__(self, own, recipient, message):
        if own == self._own and tag_of(message) == self._kind:
            self._left -= 1

    def now(self) -> datetime:
        return at_noon(today() + timedelta(days=self._left <= 0))


def until_today(scene, job, relation):
    """The bank's policy whose agreement of one kind ends today."""
    policy = scene.policy("bank", job)
    agreements = [
        msgspec.structs.replace(item, valid_until=today()) if item.relation.value == relation else item
        for item in policy.agreements
    ]
    return msgspec.structs.replace(policy, agreements=tuple(agreements))


@pytest.mark.scenario(6)
@pytest.mark.parametrize(
    ("when", "opened"),
    [
        ((COORDINATOR, "session.start_stage/1", 5), ["match"]),  # two parties: segments is told to the bank
        (("bank", "kmeans.assignments/1", 2), ["match", "segments"]),
        (("bank", "align.points/1", 1), ["match"]),
    ],
    ids=["between two stages", "in the middle of one", "while matching"],
)
def test_an_agreement_that_ends_at_midnight(world, when, opened):
    """Entrusted agreement expired: the next round is refused, and a return-or-delete certificate is demanded."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(scene.home("bank"), until_today(scene, job, "entrusted"))
    midnight = Midnight(*when)
    scene.clocks["bank"] = midnight.now
    outcome = scene.run(job, midnight)
    refused(scene, outcome, "bank", "R-AGREEMENT-EXPIRED")
    assert [event.stage for event in scene.events("bank", EventType.ROUND_OPENED)] == opened
    (demand,) = scene.events("bank", EventType.AGREEMENT_EXPIRED)
    assert demand.artefact == "rehearsal-entrusted"
    assert demand.numbers == {"return_or_delete_days": 10}
    assert scene.home("bank").vault.names("unfinished/") == []
    assert not (scene.home("bank").results / f"{job.name}-{scene.session[:8]}").exists()
    (told,) = scene.events(COORDINATOR, EventType.ROUND_UPDATE_REFUSED)
    assert (told.artefact, told.reasons) == ("bank", ("R-AGREEMENT-EXPIRED",))


@pytest.mark.scenario(6)
def test_the_coordinator_certifies_what_it_erased(world):
    """Entrusted agreement expired: what the coordinator held of the job is gone, and it signs that it is."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(scene.home("bank"), until_today(scene, job, "entrusted"))
    midnight = Midnight("bank", "kmeans.assignments/1", 2)
    scene.clocks["bank"] = midnight.now
    assert scene.run(job, midnight).status == "failed"

    coordinator = scene.federation.coordinator
    (file,) = coordinator.folder.rglob("return-or-delete.json")
    certificate = json.loads(file.read_bytes())
    assert (certificate["party"], certificate["job"]) == ("bank", job.digest)
    assert certificate["key"] == coordinator.identity.public.fingerprint
    assert signed_by(coordinator, certificate)
    certificate["erased"] += 1
    assert not signed_by(coordinator, certificate)
    assert list(coordinator.unfinished(job.digest).names("")) == []
    (event,) = scene.events(COORDINATOR, EventType.AGREEMENT_TERMINATED)
    assert event.artefact == "bank"
    assert scene.leaks() == []


def signed_by(coordinator, certificate):
    import base64

    import rfc8785

    from privacy.errors import SilhouetteError

    statement = {name: value for name, value in certificate.items() if name not in {"key", "signature"}}
    try:
        coordinator.identity.public.verify_statement(
            base64.b64decode(certificate["signature"]), DOMAIN, rfc8785.dumps(statement)
        )
    except SilhouetteError:
        return False
    return True


@pytest.mark.scenario(6)
def test_an_agreement_with_a_partner_ends_as_well(world):
    """Entrusted agreement expired: the same for a provision to another data holder, and on the day after."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job, without=("bank",))
    activate(scene.home("bank"), until_today(scene, job, "provide"))
    assert scene.run(job).status == "done"  # the last day is a valid one
    tomorrow = at_noon(today() + timedelta(days=1))
    scene.clocks["bank"] = lambda: tomorrow
    refused(scene, scene.run(job), "bank", "R-AGREEMENT-EXPIRED")


@pytest.mark.scenario(6)
def test_a_consent_that_ends_at_midnight_leaves_the_job(world):
    """Entrusted agreement expired: on the new day consents are looked at again as well, row by row."""
    scene = world()
    scene.agree()
    for word in scene.consents["bank"]:
        if word["phone"] in scene.phones[:10]:
            word["until"] = today().isoformat()
    scene.build()
    job = segments_job()
    scene.admit(job)
    midnight = Midnight("bank", "kmeans.assignments/1", 2)
    scene.clocks["bank"] = midnight.now
    outcome = scene.run(job, midnight)
    assert outcome.status == "done", outcome.texts
    assert len(scene.customers("bank", job)) == 80
    (event,) = scene.events("bank", EventType.ROUND_VOIDED)
    assert event.reasons == ("R-CONSENT-EXPIRED",)
    assert scene.leaks() == []
