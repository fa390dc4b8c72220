"""Scenario 28: an auditor who trusts nobody and has no network; and what two projects have in common: nothing."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bundle_scene import pack, unpack
from scenario_world import segments_job
from typer.testing import CliRunner

from clients.cli import app as node_app
from clients.consents.subjects import kind_label
from clients.gate.policy import activate
from clients.home import NodeHome
from federation import wire
from federation.audit_log import AuditLog
from federation.files import FolderStore
from federation.messages import COORDINATOR
from privacy.audit import EventType
from privacy.snapshots import Snapshot
from server.cli import app as coordinator_app

RUNNER = CliRunner()
WITHOUT_NETWORK = """
import runpy, socket, sys
def closed(*arguments, **names): raise OSError("the network is off")
socket.socket = socket.create_connection = socket.getaddrinfo = closed
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def finished(world, tmp_path):
    """One job, and the bundles of all logs, from the command line."""
    scene = world()
    scene.agree()
    scene.build()
    job = segments_job()
    scene.admit(job)
    scene.withdraw("bank", scene.phones[0])
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    return scene, {
        owner: exported(scene, owner, tmp_path / f"{owner}.zip") for owner in (*scene.parties, COORDINATOR)
    }


def exported(scene, owner, file):
    app, folder = (
        (coordinator_app, scene.federation.coordinator.folder)
        if owner == COORDINATOR
        else (node_app, scene.home(owner).folder)
    )
    result = RUNNER.invoke(app, ["audit", "export", "--home", str(folder), str(file)])
    assert result.exit_code == 0, result.output
    return file


def pins(scene):
    """Everybody's fingerprint, as the parties say it themselves."""
    found = {party: scene.home(party).identity.public.fingerprint for party in scene.parties}
    found[COORDINATOR] = scene.federation.coordinator.identity.public.fingerprint
    return [part for name, digits in found.items() for part in ("--fingerprint", f"{name}={digits}")]


def offline(folder, *arguments):
    """The verifier of a bundle: an isolated interpreter, no packages, no network, far from the project."""
    folder.mkdir(exist_ok=True)
    script = folder / "verify.py"
    script.write_bytes(
        unpack(next(file for file in arguments if hasattr(file, "read_bytes")).read_bytes())["verify.py"]
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", WITHOUT_NETWORK, str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"SILHOUETTE_LANG": "en", "PYTHONIOENCODING": "utf-8", "PATH": os.environ["PATH"]},
    )
    return done.returncode, done.stdout + done.stderr


def findings(*files, status=1):
    """What the command line finds in bundles: (code, log, number)."""
    result = RUNNER.invoke(node_app, ["audit", "verify", "--json", *map(str, files)])
    assert result.exit_code == status, result.output
    return {(item["code"], item["log"], item["seq"]) for item in json.loads(result.output)["findings"]}


@pytest.mark.scenario(28)
def test_everybodys_log_holds_without_a_network(finished, tmp_path):
    """Auditor offline: all three bundles, compared with each other, against fingerprints from elsewhere."""
    scene, bundles = finished
    status, said = offline(tmp_path / "auditor", *bundles.values(), *pins(scene))
    assert status == 0, said
    assert "Everything holds." in said
    assert findings(*bundles.values(), status=0) == set()
    needles = scene.needles()
    for file in bundles.values():
        content = b"\n".join(unpack(file.read_bytes()).values())
        assert [needle for needle in needles if needle in content] == []


@pytest.mark.scenario(28)
def test_one_flipped_byte_in_any_event(finished, tmp_path):
    """Auditor offline: a byte of any event is flipped; its number is named."""
    _, bundles = finished
    files = unpack(bundles["bank"].read_bytes())
    lines = files["events.jsonl"].splitlines()
    changed = tmp_path / "changed.zip"
    for seq, line in enumerate(lines):
        at = (7 * seq + 11) % len(line)
        flipped = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
        events = b"\n".join([*lines[:seq], flipped, *lines[seq + 1 :]]) + b"\n"
        changed.write_bytes(pack(files | {"events.jsonl": events}))
        if seq % 9 == 0:
            status, said = offline(tmp_path / "auditor", changed)
            assert status == 1
            assert f"event {seq} " in said
        assert seq in {number for _, log, number in findings(changed) if log == "bank"}


@pytest.mark.scenario(28)
def test_the_last_event_is_missing(finished, tmp_path):
    """Auditor offline: what was removed from the end is missed, and named."""
    _, bundles = finished
    files = unpack(bundles["bank"].read_bytes())
    lines = files["events.jsonl"].splitlines()
    cut = tmp_path / "cut.zip"
    cut.write_bytes(pack(files | {"events.jsonl": b"\n".join(lines[:-1]) + b"\n"}))
    status, said = offline(tmp_path / "auditor", cut)
    assert status == 1
    assert f"event {len(lines) - 1} " in said
    assert ("event_missing", "bank", len(lines) - 1) in findings(cut)


def copy_of(scene, party, folder):
    """A party's log, in another place."""
    home = scene.home(party)
    shutil.copytree(home.folder / "audit", folder)
    return AuditLog(folder, party, home.identity)


@pytest.mark.scenario(28)
def test_a_log_that_was_cut_is_refused_by_those_who_signed_it(finished, tmp_path):
    """Auditor offline: a node puts back an older copy of its log; the others do not go on with it."""
    scene, _ = finished
    home = scene.home("bank")
    copy_of(scene, "bank", tmp_path / "old")
    job = segments_job()
    assert scene.run(job).status == "done"
    shutil.rmtree(home.folder / "audit")
    shutil.copytree(tmp_path / "old", home.folder / "audit")
    home.vault.close()
    scene.nodes["bank"] = NodeHome.open(home.folder)
    outcome = scene.run(job)
    assert outcome.status == "failed"
    failed = [
        event for owner in ("shop", COORDINATOR) for event in scene.events(owner, EventType.LOG_VERIFY_FAILED)
    ]
    assert {event.artefact for event in failed} == {"bank"}
    assert scene.leaks() == []


@pytest.mark.scenario(28)
def test_two_logs_for_two_parties(finished, tmp_path):
    """Auditor offline: the bank shows one log to the shop and another to the coordinator, both signed."""
    scene, _ = finished
    identity, size = scene.home("bank").identity, scene.log_of("bank").size
    for witness, seen in (("shop", "allowed"), (COORDINATOR, "refused")):
        log = copy_of(scene, "bank", tmp_path / seen)
        kind = EventType.DATASET_ADMITTED if seen == "allowed" else EventType.DATASET_REFUSED
        log.append(kind, actor="node")
        shown = log.checkpoint()
        assert shown.size == size + 1
        proof = log.consistency(log.cosigned_size(witness), shown.size)
        scene.log_of(witness).witness(shown, identity.public, proof)
    both = [exported(scene, owner, tmp_path / f"{owner}-2.zip") for owner in ("shop", COORDINATOR)]
    for file in both:
        assert findings(file, status=0) == set()
    status, said = offline(tmp_path / "auditor", *both, *pins(scene))
    assert status == 1
    assert "different logs were shown to different parties" in said
    assert {(code, log) for code, log, _ in findings(*both)} == {("split_view", "bank")}


# --- two projects


def tokens_of_matching(scene, job, monkeypatch):
    """Every token or point of a matching that anybody was sent or the coordinator stored, as pieces of 16 bytes."""
    lists = []
    put = FolderStore.put

    def noting(store, name, data):
        lists.append(data)
        put(store, name, data)

    monkeypatch.setattr(FolderStore, "put", noting)
    before = len(scene.federation.messages)
    outcome = scene.run(job)
    assert outcome.status == "done", outcome.texts
    for *_, data in scene.federation.messages[before:]:
        message = wire.decode(data)
        lists += [getattr(message, name) for name in ("tokens", "points") if hasattr(message, name)]
    return {data[at : at + 16] for data in lists for at in range(0, len(data) - 15, 16)}


def test_two_projects_over_the_same_people_share_nothing(world, monkeypatch):
    """No token at the coordinator, no commitment, no reference in a log (PIPL 73 (3): de-identified, unlinkable)."""
    scene = world()
    scene.agree()
    scene.build()
    found, commitments, sessions = [], [], []
    home = scene.home("bank")
    changes = scene.changes("bank")
    label, identifiers = kind_label(home.settings.table), changes.identifiers(scene.phones)
    for project in ("spring", "autumn"):
        job = segments_job(segments=None, name=project, project=project)
        for party in scene.parties:
            activate(scene.home(party), scene.policy(party, job))
        with monkeypatch.context() as patch:
            found.append(tokens_of_matching(scene, job, patch))
        name = f"job/{scene.session}/snapshot/0"
        members = np.frombuffer(home.vault.get(name), np.uint8).reshape(-1, 32)
        commitments.append({row.tobytes() for row in members})
        sessions.append(Snapshot.of(members).root)
    # 90 people's tokens, the same from both lists, and the points of both on their way, 32 bytes each.
    assert [len(one) for one in found] == [90 + 2 * 2 * 90] * 2
    assert found[0] & found[1] == set()
    assert len(commitments[0]) == len(commitments[1]) == 90
    assert commitments[0] & commitments[1] == set()
    assert sessions[0] != sessions[1]
    tokens = home.consents.tokens(label, identifiers)
    references = [set(home.consents.srefs(tokens, project, 2026)) for project in ("spring", "autumn")]
    assert all(len(one) == 90 for one in references)
    assert references[0] & references[1] == set()
