"""From a node's home to an auditor's desk: the log and its evidence as one bundle, verified with nothing but itself."""

import json
import os
import subprocess
import sys
import zipfile

import pytest
from gate_scene import admit, loaded
from party_scene import CANARY, COORDINATOR_KEYS, JOB, PARTNER_KEYS, PHONES, Scene
from typer.testing import CliRunner

from clients.cli import app as node_app
from clients.consents.node import changes_of
from clients.consents.tables import Source
from clients.evidence import documents
from clients.gate.gate import Gate
from federation.messages import COORDINATOR
from privacy.audit import time_text
from privacy.audit_items.ledger import part_digest
from privacy.checkpoints import Cosignature
from privacy.consent import Statement
from privacy.errors import Denied
from privacy.policy import decode_policy
from privacy.texts import LANGUAGES
from server.cli import app as server_app

WITNESSES = {"shop": PARTNER_KEYS, COORDINATOR: COORDINATOR_KEYS}


def run(app, *words, status=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result.output


def say_and_take_back(home):
    """Two subjects agree, and one of them thinks better of it."""
    changes = changes_of(home, Source.CLI)
    said = Statement(purpose=JOB.purpose, granted=True, notice="rehearsal")
    changes.give(changes.identifiers(PHONES[:2]), [said])
    changes.withdraw(changes.identifiers([CANARY]))
    changes.withdraw(changes.identifiers(PHONES[:1]), purpose=JOB.purpose)


def cosign(log, witnesses=WITNESSES):
    """The others sign the log as it is now."""
    made = log.checkpoint()
    for name, keys in witnesses.items():
        signed = Cosignature.sign(keys, name, time_text(log._now()), made)
        log.add_cosignature(made.size, signed, keys.public)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A node that has let a job see its table, refused another, and whose log the others have signed."""
    home = Scene(tmp_path_factory.mktemp("node")).home
    say_and_take_back(home)
    loaded(home, JOB)
    admit(home, JOB, retention_days=0)
    with pytest.raises(Denied):
        Gate(home, JOB, "refused")
    admit(home, JOB)
    loaded(home, JOB)
    cosign(home.audit)
    return home


@pytest.fixture(scope="module")
def bundle(home, tmp_path_factory):
    """The bundle as the command writes it."""
    target = tmp_path_factory.mktemp("auditor") / "bundle.zip"
    output = run(node_app, "audit", "export", "--home", home.folder, target)
    assert str(target) in output.replace("\n", "")
    return target


def unpacked(bundle, folder):
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def verified_alone(folder, language, *words):
    """(exit status, output) of the bundle's own verifier, isolated from everything installed."""
    done = subprocess.run(
        [sys.executable, "-I", folder / "verify.py", *words],
        capture_output=True,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "SILHOUETTE_LANG": language, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def test_the_bundle_has_the_evidence_of_the_log_it_holds(home, bundle, tmp_path):
    folder = unpacked(bundle, tmp_path / "bundle")
    items = sorted(file.name for file in (folder / "documents" / "items").iterdir())
    assert len(items) == 19 + 1 + len(LANGUAGES)
    events = (folder / "events.jsonl").read_bytes().splitlines()
    basis = json.loads((folder / "documents" / "items" / "item_02.json").read_bytes())
    assert basis["log_events"] == len(events) - 1, "all but the event of the export itself"
    policy = decode_policy((folder / "documents" / "policy.json").read_bytes(), "policy.json")
    assert basis["policy"] == policy.digest
    uses = [json.loads(line) for line in events if b'"dataset.admitted"' in line]
    assert basis["result"]["uses"] == len(uses) == 2
    assert basis["result"]["purposes"][0]["basis"] == policy.purposes[0].basis.value == "contract"
    withdrawals = basis["result"]["consents"]["credit_risk"]["consent.withdrawn"]
    assert withdrawals == {"events": 2, "subjects": 2}


def test_the_items_rest_on_what_the_gate_logs(home):
    """The digests by which an item finds a document are those that activating a policy writes."""
    files = documents(home.folder)
    policy = decode_policy(files["policy.json"], "policy.json")
    logged = {event.digests.get("document") for event in home.audit.events()}
    parts = (*policy.notices, *policy.assessments, *policy.agreements, *policy.purposes)
    assert {part_digest(part) for part in parts} <= logged
    found = {number: json.loads(files[f"items/item_{number:02}.json"]) for number in (2, 4, 16, 20, 23)}
    checks = {
        check["check"]: check["holds"] for item in found.values() for check in item["checks"]
    }  # fmt: skip
    for name in (
        "policy_first",
        "basis_named",
        "notice_before_use",
        "pipia_before_use",
        "minimised",
        "log_cosigned",
    ):
        assert checks[name] is True, name
    assert found[16]["result"]["refused"] == {"R-RETENTION-MISSING": {"refused": 1}}
    assert found[20]["result"]["own_checkpoints"]["cosigned_by_all_recipients"] == 1


def test_evidence_says_when_somebody_has_not_signed(tmp_path):
    home = Scene(tmp_path).home
    loaded(home, JOB)
    cosign(home.audit, {"shop": PARTNER_KEYS})
    item = json.loads(documents(home.folder)["items/item_20.json"])
    checks = {check["check"]: check["holds"] for check in item["checks"]}
    assert checks["log_cosigned"] is None
    assert item["result"]["own_checkpoints"]["cosigned_by_anyone"] == 1
    assert item["result"]["own_checkpoints"]["cosigned_by_all_recipients"] == 0


def test_nothing_in_the_bundle_names_a_subject(home, bundle, tmp_path):
    folder = unpacked(bundle, tmp_path / "bundle")
    content = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    assert len(content) > 10_000
    assert [phone for phone in PHONES if phone.encode() in content] == []
    tokens = home.consents.tokens("phone", changes_of(home, Source.CLI).identifiers(PHONES))
    assert [
        row for row in tokens if row.tobytes() in content or row.tobytes().hex().encode() in content
    ] == []


@pytest.mark.parametrize(("language", "good"), [("en", "Everything holds."), ("zh-CN", "全部成立。")])
def test_it_verifies_alone_in_both_languages(home, bundle, tmp_path, monkeypatch, language, good):
    folder = unpacked(bundle, tmp_path / "bundle")
    pin = ("--fingerprint", f"bank={home.identity.public.fingerprint}")
    status, output = verified_alone(folder, language, *pin)
    assert (status, good in output) == (0, True), output
    monkeypatch.setenv("SILHOUETTE_LANG", language)
    assert good in run(server_app, "audit", "verify", bundle, *pin)
    assert good in run(node_app, "audit", "verify", bundle, *pin)


@pytest.mark.parametrize("language", LANGUAGES)
def test_changed_evidence_is_found_by_everybody(home, bundle, tmp_path, language):
    folder = unpacked(bundle, tmp_path / "bundle")
    file = folder / "documents" / "items" / "item_23.json"
    honest = file.read_bytes()
    file.write_bytes(honest.replace(b'"holds":true', b'"holds":null'))
    assert file.read_bytes() != honest
    status, output = verified_alone(folder, language)
    assert status == 1
    assert "documents/items/item_23.json" in output


def test_a_changed_event_is_named(home, bundle, tmp_path):
    folder = unpacked(bundle, tmp_path / "bundle")
    file = folder / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    (place,) = [seq for seq, line in enumerate(lines) if b'"dataset.refused"' in line]
    lines[place] = lines[place].replace(b"R-RETENTION-MISSING", b"R-RETENTION-EXPIRED")
    file.write_bytes(b"".join(lines))
    status, output = verified_alone(folder, "en")
    assert (status, f"event {place} was changed" in output) == (1, True), output


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_summaries_are_there_to_read(home, language):
    summary = documents(home.folder)[f"items/summary.{language}.md"].decode()
    assert summary.count("\n## ") == 19
    assert "{" not in summary


def test_a_node_without_a_policy_still_hands_over_its_log(tmp_path):
    home = Scene(tmp_path).home
    home.vault.remove("policy")
    target = tmp_path / "bundle.zip"
    run(node_app, "audit", "export", "--home", home.folder, target)
    folder = unpacked(target, tmp_path / "bundle")
    assert verified_alone(folder, "en")[0] == 0
    assert not (folder / "documents").exists()
