"""Scenarios 22, 33, 34: too few people, a key in the wrong place, a log that cannot be written, and who is counted."""

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime

import msgspec
import pytest
from scenario_world import K_MIN, phones_of, segments_job
from typer.testing import CliRunner

from clients.cli import app
from clients.consents.node import bring_in
from clients.consents.subjects import kind_label
from clients.home import NodeHome
from federation.children import program
from federation.jobs import decode_job, encode_job
from federation.line_file import locked
from federation.messages import COORDINATOR
from federation.wire import tag_of
from privacy.audit import EventType
from privacy.consent import Need
from privacy.errors import CohortTooSmall, ConfigInvalid, LogUnavailable
from privacy.paillier_secret import SecretKey
from server.home import CoordinatorHome

RUNNER = CliRunner()
TOO_SMALL = ("R-COHORT-TOO-SMALL",)


def too_few(scene, outcome):
    """Refused with the code, noted at the coordinator, and no figure was released."""
    assert outcome.status == "failed"
    assert all("R-COHORT-TOO-SMALL" in text for text in outcome.texts.values())
    refusals = scene.events(COORDINATOR, EventType.ROUND_UPDATE_REFUSED)
    assert {event.reasons for event in refusals} == {TOO_SMALL}
    assert outcome.result == {}
    assert scene.leaks() == []
    return {event.artefact for event in refusals}


# --- 22


@pytest.mark.scenario(22)
@pytest.mark.parametrize("shared", [K_MIN, K_MIN - 1])
def test_an_overlap_of_fewer_people_than_k_min(world, shared):
    """Small cohort: a matching that would single people out ends, and nobody learns who they are."""
    scene = world()
    others = phones_of(300)[200 : 200 + len(scene.phones) - shared]
    scene.tables["shop"].loc[shared:, "phone"] = others
    scene.agree()
    scene.agree(who=others)
    scene.build()
    job = segments_job(segments=None)
    scene.admit(job)
    outcome = scene.run(job)
    if shared >= K_MIN:
        assert outcome.status == "done", outcome.texts
        return
    too_few(scene, outcome)
    for home in scene.nodes.values():
        assert not home.results.exists()
        assert home.vault.names("unfinished/") == []


@pytest.mark.scenario(22)
def test_too_few_stay_after_withdrawals(world):
    """Small cohort: people leave in the middle of a job until fewer than k_min are left."""
    scene = world(people=20)
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    left = []

    def leave(own, recipient, message):
        if (own, tag_of(message)) == ("bank", "kmeans.assignments/1") and not left:
            left.append(scene.withdraw("bank", *scene.phones[: 20 - K_MIN + 1]))

    outcome = scene.run(job, leave)
    assert left
    who = too_few(scene, outcome)
    (event,) = [
        event
        for party in who - {COORDINATOR}
        for event in scene.events(party, EventType.ROUND_UPDATE_REFUSED)
    ]
    assert event.reasons == TOO_SMALL


@pytest.mark.scenario(22)
def test_the_key_party_decrypts_nothing_about_few(world):
    """Small cohort: whoever holds the key refuses to open sums over fewer than k_min people."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert scene.run(job).status == "done"
    decrypts = scene.events("bank", EventType.KEY_DECRYPT)
    assert decrypts
    assert all(event.numbers["ciphertexts"] > 0 for event in decrypts)
    assert scene.events("shop", EventType.KEY_DECRYPT) == []
    context = scene.contexts["bank"]
    ciphertexts = context.key.public.encrypt_uniformly([1, 2])
    assert context.decryptor.decrypt(ciphertexts) == [1, 2]
    context.kept.drop(range(len(context.kept) - K_MIN + 1))
    del context.decryptor  # as a stage that begins asks for it
    with pytest.raises(CohortTooSmall) as caught:
        _ = context.decryptor
    assert "R-COHORT-TOO-SMALL" in str(caught.value)


@pytest.mark.scenario(22)
def test_one_contributor_is_no_federation():
    """Small cohort: a sum of one party is that party's own data."""
    job = segments_job()
    with pytest.raises(ConfigInvalid):
        decode_job(encode_job(msgspec.structs.replace(job, parties=job.parties[:1])))


@pytest.mark.scenario(22)
@pytest.mark.parametrize("found", ["a vault's key", "a Paillier key"])
def test_a_coordinator_beside_a_key_does_not_start(tmp_path, found):
    """Small cohort: `silhouette serve` refuses a home with what can decrypt, before anything listens."""
    home = CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 0, "127.0.0.1")
    if found == "a vault's key":
        (home.folder / "backup").mkdir()
        (home.folder / "backup" / "vault.key").write_bytes(bytes(32))
    else:
        (home.folder / "jobs" / "note.bin").write_bytes(SecretKey.generate(512, testing_only=True).to_bytes())
    environment = {**os.environ, "SILHOUETTE_LANG": "en"}
    command = (program("silhouette"), "serve", "--home", str(home.folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode not in (0, 1)
    assert "R-KEY-COLOCATED" in done.stderr
    assert home.running is None
    assert not (home.folder / "logs" / "superlink.log").exists()
    (event,) = home.audit.events()
    assert (event.type, event.reasons) == (EventType.ACCESS_DENIED, ("R-KEY-COLOCATED",))


# --- 33


def block(folder):
    """A file where the log's folder should be: no user may write there, not even the administrator."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_bytes(b"")


@pytest.mark.scenario(33)
def test_a_node_without_its_log_takes_no_part(world):
    """Log store down: at the start of a job; not a row is read."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    folder = scene.home("bank").folder
    scene.home("bank").vault.close()
    block(folder / "audit")
    scene.nodes["bank"] = NodeHome.open(folder)
    outcome = scene.run(job)
    assert outcome.status == "failed"
    assert all("R-LOG-UNAVAILABLE" in text for text in outcome.texts.values())
    assert scene.home("bank").consents.version == 0
    assert not any(name.startswith("job/") for name in scene.home("bank").vault.names())
    assert not any("align" in tag for tag in tags(scene))
    assert scene.leaks() == []


def tags(scene):
    from federation import wire

    return [tag_of(wire.decode(data)) for *_, data in scene.federation.messages]


@pytest.mark.scenario(33)
@pytest.mark.parametrize("owner", ["bank", COORDINATOR])
def test_a_log_that_breaks_while_a_job_runs_ends_it(world, monkeypatch, owner):
    """Log store down: between two stages; the next one does not begin."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    log = scene.log_of(owner)
    broken = []

    def fill(own, recipient, message):
        if tag_of(message) == "audit.cosigned/1" and own == "shop":
            broken.append(own)

    def full(path, *arguments):
        if broken and path.parent == log.folder:
            raise OSError(28, "No space left on device")
        return locked(path, *arguments)

    monkeypatch.setattr("federation.audit_log.locked", full)
    outcome = scene.run(job, fill)
    assert broken
    assert outcome.status == "failed"
    assert all("R-LOG-UNAVAILABLE" in text for text in outcome.texts.values())
    assert not any("kmeans" in tag for tag in tags(scene))
    assert not scene.home("bank").results.exists()
    broken.clear()
    opened = [event.stage for event in scene.events(COORDINATOR, EventType.ROUND_OPENED)]
    assert opened == ["match"]
    assert scene.leaks() == []


@pytest.mark.scenario(33)
def test_a_coordinator_without_its_log_does_not_start(tmp_path):
    """Log store down: `silhouette serve` says so and listens to nobody."""
    home = CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 0, "127.0.0.1")
    block(home.folder / "audit")
    environment = {**os.environ, "SILHOUETTE_LANG": "en"}
    command = (program("silhouette"), "serve", "--home", str(home.folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode not in (0, 1)
    assert "R-LOG-UNAVAILABLE" in done.stderr
    assert home.running is None
    assert not (home.folder / "logs" / "superlink.log").exists()


@pytest.mark.scenario(33)
def test_no_policy_comes_into_force_without_a_log(world):
    """Log store down: what cannot be recorded does not take effect."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    policy = scene.policy("bank", job)
    folder = scene.home("bank").folder
    block(folder / "audit")
    home = scene.nodes["bank"] = NodeHome.open(folder)
    from clients.gate.policy import activate

    with pytest.raises(LogUnavailable):
        activate(home, policy)
    assert "policy" not in home.vault.names()


# --- 34


def counted(scene, *options):
    """What `silhouette-node consent count` says."""
    command = ["consent", "count", "--home", str(scene.home("bank").folder), "--json", *options]
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)["people"]


@pytest.mark.scenario(34)
def test_people_are_counted_once_and_not_when_forgotten(world):
    """People count: by natural person, whatever the number of words, spellings and jobs; without deleted subjects."""
    scene = world()
    scene.agree()
    scene.agree("credit_risk", who=scene.phones[:40])
    scene.word(
        "bank", "marketing", [f"+86 {phone[:3]}-{phone[3:7]}-{phone[7:]}" for phone in scene.phones[:20]]
    )
    scene.build()
    job = segments_job()
    scene.admit(job)
    assert scene.run(job).status == "done"
    assert scene.run(job).status == "done"
    home = scene.home("bank")
    assert counted(scene) == 90
    assert counted(scene, "--purpose", "credit_risk") == 40

    scene.withdraw("bank", scene.phones[0])
    assert counted(scene) == 89
    tokens = home.consents.tokens(
        kind_label(home.settings.table), scene.changes("bank").identifiers(scene.phones[1:11])
    )
    home.consents.forget(tokens)
    assert counted(scene) == 79
    assert home.consents.people(datetime.now(UTC), Need("marketing")) == 79
    assert home.consents.people(datetime.now(UTC), Need("marketing"), {"notice-2"}) == 0
    assert scene.leaks() == []


@pytest.mark.scenario(34)
def test_an_import_of_the_same_file_brings_nobody_back(world):
    """People count: who was forgotten is not counted again because the same file is read once more."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    home = scene.home("bank")
    bring_in(home)
    tokens = home.consents.tokens(
        kind_label(home.settings.table), scene.changes("bank").identifiers(scene.phones[:10])
    )
    home.consents.forget(tokens)
    assert bring_in(home).is_unchanged
    assert counted(scene) == 80
    outcome = scene.run(job)
    assert outcome.result["releases"]["bank"]["session.match_release/1"]["eligible"] == 80
