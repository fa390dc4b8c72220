"""Audit bundles: what is in them, what an auditor sees offline, and logs that were shown in two versions."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
from audit_scene import IDENTITIES, KEYS, Clock, exchange_checkpoint, fill, open_log
from bundle_scene import DOCUMENTS, export_bundle, findings_of, make_logs, pack, reseal, unpack

from federation import audit_bundle
from federation.audit_bundle import compare, describe, export, read, verify
from federation.bundle import installed_files
from federation.standalone import verify as standalone
from privacy.audit import EventType
from privacy.checkpoints import Checkpoint
from privacy.errors import AuditBroken, ConfigInvalid
from privacy.sealing import Identity
from privacy.texts import LANGUAGES

PIN = {"bank": KEYS["bank"].fingerprint}


def told(findings):
    return [(finding.code, finding.log, finding.seq, finding.about) for finding in findings]


@pytest.fixture
def logs(tmp_path):
    return make_logs(tmp_path)


@pytest.fixture
def bundle(logs, tmp_path):
    return export_bundle(logs["bank"], tmp_path)


def offline(*arguments, folder=None, language="en"):
    """Run the verifier as an auditor would: an isolated interpreter, without site packages, far from the project."""
    script = standalone.__file__ if folder is None else folder / "verify.py"
    environment = {"SILHOUETTE_LANG": language, "PYTHONIOENCODING": "utf-8", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment,
    )
    return done.returncode, done.stdout + done.stderr


# --- the content


def test_what_is_in_a_bundle(logs, bundle):
    files = unpack(bundle)
    manifest = json.loads(files["manifest.json"])
    size = logs["bank"].size
    assert (manifest["origin"], manifest["events"], manifest["key"]) == ("bank", size, PIN["bank"])
    assert set(manifest["files"]) == set(files) - {"manifest.json", "manifest.sig"}
    assert {name: files[f"documents/{name}"] for name in DOCUMENTS} == DOCUMENTS
    assert json.loads(files["keys.json"]) == {name: key.to_text() for name, key in KEYS.items()}
    assert files["verify.py"] == installed_files()["federation/standalone/verify.py"]
    lines = files["events.jsonl"].splitlines()
    assert len(lines) == len(files["leaves.txt"].splitlines()) == size
    last = json.loads(lines[-1])
    assert (last["type"], last["actor"]) == ("audit.bundle_exported", "operator")
    checkpoints = [json.loads(line) for line in files["checkpoints.jsonl"].splitlines()]
    assert [len(line["cosignatures"]) for line in checkpoints] == [2, 2, 2, 0]
    assert checkpoints[-1]["checkpoint"]["size"] == size
    assert len(json.loads(files["proofs.json"])["inclusion"]) == size


def test_equal_content_is_an_equal_file(logs, tmp_path):
    shutil.copytree(logs["bank"].folder, tmp_path / "copy")
    made = [
        export(
            open_log(folder, now=Clock("2027-01-01T00:00:00+00:00")), tmp_path / f"{n}.zip", DOCUMENTS, KEYS
        )
        for n, folder in enumerate((logs["bank"].folder, tmp_path / "copy"))
    ]
    assert made[0].read_bytes() == made[1].read_bytes()


def test_a_folder_gets_a_named_file(logs, tmp_path):
    file = export(logs["bank"], tmp_path, {}, KEYS, actor="api")
    assert file == tmp_path / f"audit-bank-{logs['bank'].size}.zip"
    assert verify(file.read_bytes()) == []
    assert list(logs["bank"].events())[-1].actor == "api"


@pytest.mark.parametrize("name", ["", "../x", "/x", "a//b", "a b", "名", "a\\b", ".hidden", "a/../b", "x\n"])
def test_a_documents_name_is_plain(logs, tmp_path, name):
    before = logs["bank"].size
    with pytest.raises(ConfigInvalid):
        export(logs["bank"], tmp_path / "x.zip", {name: b""}, KEYS)
    assert logs["bank"].size == before


def test_a_place_that_cannot_be_written(logs, tmp_path):
    with pytest.raises(ConfigInvalid) as caught:
        export(logs["bank"], tmp_path / "no" / "x.zip", {}, KEYS)
    assert caught.value.key == "audit_bundle_unwritable"


def test_a_broken_log_is_not_exported(logs, tmp_path):
    file = logs["bank"].folder / "events.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"rows":100', b'"rows":999', 1))
    with pytest.raises(AuditBroken) as caught:
        export(logs["bank"], tmp_path / "x.zip", {}, KEYS)
    assert caught.value.values["position"] == 0
    assert not (tmp_path / "x.zip").exists()


def test_many_events_have_proofs_of_some(tmp_path, monkeypatch):
    monkeypatch.setattr(audit_bundle, "ALL_PROVED", 10)
    monkeypatch.setattr(standalone, "ALL_PROVED", 10)
    log = open_log(tmp_path / "bank")
    fill(log, 24)
    data = export_bundle(log, tmp_path)
    assert [item["seq"] for item in json.loads(unpack(data)["proofs.json"])["inclusion"]] == [
        n * 25 // 10 for n in range(10)
    ]
    assert verify(data) == []


def test_an_empty_log_has_a_bundle(tmp_path):
    data = export_bundle(open_log(tmp_path / "bank"), tmp_path)
    assert verify(data, PIN) == []
    assert len(read(data).lines) == 1  # that it was exported


# --- keys


def test_a_pinned_fingerprint_is_compared(bundle):
    whole = standalone.Bundle(unpack(bundle)).fingerprint("bank")
    assert len(whole) == 64
    for pin in (PIN["bank"], whole):
        assert verify(bundle, {"bank": pin}) == []
    for pins in ({"bank": KEYS["shop"].fingerprint}, {"stranger": PIN["bank"]}):
        assert [finding.code for finding in verify(bundle, pins)] == ["key_not_pinned"]


def test_another_owner_of_the_whole_bundle_is_found_by_the_pin(tmp_path):
    """Somebody else's log under the bank's name agrees with itself, and with no known key."""
    log = audit_bundle.AuditLog(tmp_path / "fake", "bank", Identity.generate())
    fill(log, 3)
    data = export(log, tmp_path / "fake.zip", {}, {}).read_bytes()
    assert verify(data) == []
    assert told(verify(data, PIN)) == [("key_not_pinned", "bank", None, "")]


def test_a_cosignature_by_an_unknown_party_counts_for_nothing(logs, tmp_path):
    data = export(logs["bank"], tmp_path / "x.zip", {}, {"shop": KEYS["shop"]}).read_bytes()
    assert {finding.code for finding in verify(data)} == {"cosignature_invalid"}


def test_the_owner_cannot_rewrite_what_others_cosigned(logs, bundle):
    """With the key it can sign other checkpoints, leaves and a manifest; the witnesses' signatures do not follow."""
    files = unpack(bundle)
    lines = files["events.jsonl"].splitlines()
    lines[0] = lines[0].replace(b'"rows":100', b'"rows":999')
    leaves = [standalone.leaf_hash(line) for line in lines]
    roots = standalone.roots_of(leaves, range(len(lines) + 1))
    checkpoints = []
    for line in map(json.loads, files["checkpoints.jsonl"].splitlines()):
        old = line["checkpoint"]
        again = Checkpoint.sign(IDENTITIES["bank"], "bank", old["size"], roots[old["size"]], old["time"])
        checkpoints.append(
            audit_bundle.canonical({"checkpoint": again, "cosignatures": line["cosignatures"]}) + b"\n"
        )
    found = findings_of(
        reseal(
            files
            | {
                "events.jsonl": b"\n".join(lines) + b"\n",
                "leaves.txt": b"".join(f"{n} {leaf.hex()}\n".encode() for n, leaf in enumerate(leaves)),
                "checkpoints.jsonl": b"".join(checkpoints),
            }
        )
    )
    assert [one.about for one in found if one.code == "cosignature_invalid"] == ["2", "5", "6"]


# --- events that must not be


def test_an_event_with_an_identifier_is_found(tmp_path):
    """Another program may have written it; the log's own would not."""
    log = open_log(tmp_path / "bank")
    (event,) = fill(log, 1)
    line = event.canonical().replace(b'"job":"churn"', b'"job":"13812345678"')
    made = Checkpoint.sign(IDENTITIES["bank"], "bank", 1, standalone.leaf_hash(line), event.time)
    files = {
        "events.jsonl": line + b"\n",
        "leaves.txt": f"0 {standalone.leaf_hash(line).hex()}\n".encode(),
        "checkpoints.jsonl": audit_bundle.canonical({"checkpoint": made, "cosignatures": []}) + b"\n",
        "proofs.json": audit_bundle.canonical(
            {"consistency": [], "inclusion": [{"seq": 0, "size": 1, "proof": []}]}
        ),
        "witnessed.jsonl": b"",
        "keys.json": audit_bundle.canonical({"bank": KEYS["bank"].to_text()}),
        "manifest.json": audit_bundle.canonical(
            {
                "format": standalone.FORMAT,
                "origin": "bank",
                "created": event.time,
                "events": 1,
                "key": PIN["bank"],
                "files": {},
            }
        ),
    }
    assert told(verify(pack(reseal(files)))) == [("event_invalid", "bank", 0, "")]


# --- offline


def test_the_verifier_alone_accepts_a_good_bundle(bundle, tmp_path):
    (tmp_path / "bank.zip").write_bytes(bundle)
    with zipfile.ZipFile(tmp_path / "bank.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    for arguments, folder in (
        ([tmp_path / "bank.zip"], None),
        ([tmp_path / "unpacked"], None),
        ([], tmp_path / "unpacked"),
        (["--fingerprint", f"bank={PIN['bank']}", tmp_path / "bank.zip"], None),
    ):
        status, output = offline(*arguments, folder=folder)
        assert status == 0, output
        assert "Everything holds." in output
        assert "bank" in output
        assert PIN["bank"] in output
        assert (
            f"({PIN['bank']}): 8 events, 4 checkpoints, 6 witness signatures (coordinator 3, shop 3)"
            in output
        )
        assert ("none was given" in output) == ("--fingerprint" not in arguments)
    assert "全部成立。" in offline(tmp_path / "bank.zip", language="zh_CN.UTF-8")[1]


def test_the_verifier_alone_agrees_with_the_library(bundle, tmp_path):
    files = unpack(bundle)
    for number, changed in enumerate(
        (
            files | {"events.jsonl": files["events.jsonl"].replace(b'"rows":101', b'"rows":102', 1)},
            files | {"checkpoints.jsonl": files["checkpoints.jsonl"].replace(b'"size":5', b'"size":6', 1)},
            files | {"leaves.txt": files["leaves.txt"][:-1] + b"0\n"},
            {name: content for name, content in files.items() if name != "proofs.json"},
            reseal(files | {"events.jsonl": files["events.jsonl"].split(b"\n", 1)[1]}),
        )
    ):
        file = tmp_path / f"{number}.zip"
        file.write_bytes(pack(changed))
        findings = verify(file.read_bytes())
        assert findings
        for language in LANGUAGES:
            status, output = offline(file, language=language)
            assert status == 1
            sentences = [
                describe(finding, language) for finding in findings if finding.code != "event_invalid"
            ]
            assert output.splitlines()[2:] == sentences


def test_the_verifier_alone_compares_bundles(logs, bundle, tmp_path):
    (tmp_path / "bank.zip").write_bytes(bundle)
    (tmp_path / "shop.zip").write_bytes(export_bundle(logs["shop"], tmp_path))
    assert offline(tmp_path / "bank.zip", tmp_path / "shop.zip")[0] == 0


@pytest.mark.parametrize("arguments", [["--help"], ["--fingerprint", "bank"], ["--fingerprint", "bank=0g"]])
def test_a_wrong_command_line(arguments):
    assert offline(*arguments)[0] == 2


@pytest.mark.parametrize("content", [None, b"", b"PK", b"no zip at all" * 99])
def test_what_is_no_bundle_is_unreadable(tmp_path, content):
    file = tmp_path / "x.zip"
    if content is not None:
        file.write_bytes(content)
    status, output = offline(file)
    assert (status, output.count("\n")) == (1, 1)
    assert "x.zip: this is not an audit bundle" in output


def test_a_name_that_comes_twice_is_refused(bundle, tmp_path):
    file = tmp_path / "twice.zip"
    file.write_bytes(bundle)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(file, "a") as archive:
        archive.writestr("events.jsonl", b"")
    assert [finding.code for finding in verify(file.read_bytes())] == ["bundle_unreadable"]


# --- different logs for different parties


@pytest.fixture
def split(tmp_path):
    """A bank that shows one log to the shop and another to the coordinator: each bundle is good by itself."""
    shop, coordinator = open_log(tmp_path / "shop", "shop"), open_log(tmp_path / "coordinator", "coordinator")
    one = open_log(tmp_path / "one")
    fill(one, 3)
    shutil.copytree(one.folder, tmp_path / "two")
    two = open_log(tmp_path / "two")
    fill(one, 2)
    two.append(EventType.MATCH_RUN, actor="node")
    fill(two, 1)
    exchange_checkpoint(one, shop)
    exchange_checkpoint(two, coordinator)
    folders = {"one": one, "two": two, "shop": shop, "coordinator": coordinator}
    return {
        name: export(log, tmp_path / f"{name}.zip", {}, KEYS).read_bytes() for name, log in folders.items()
    }


def test_each_side_of_a_split_view_is_good_by_itself(split):
    assert [verify(data) for data in split.values()] == [[]] * 4


@pytest.mark.parametrize(
    ("one", "other"), [("one", "two"), ("shop", "coordinator"), ("one", "coordinator"), ("two", "shop")]
)
def test_a_split_view_is_found(split, one, other):
    found = compare(split[one], split[other])
    assert ("split_view", "bank", None, "5") in told(found)
    assert {finding.code for finding in found} == {"split_view"}
    assert set(compare(split[other], split[one])) == set(found)


@pytest.mark.parametrize(("one", "other"), [("one", "shop"), ("two", "coordinator"), ("one", "one")])
def test_what_fits_is_no_split_view(split, one, other):
    assert compare(split[one], split[other]) == []


def test_an_older_bundle_of_a_log_fits_a_newer_one(logs, bundle, tmp_path):
    fill(logs["bank"], 3)
    exchange_checkpoint(logs["bank"], logs["shop"])
    newer = export_bundle(logs["bank"], tmp_path)
    shop = export_bundle(logs["shop"], tmp_path)
    for one in (bundle, newer):
        for other in (bundle, newer, shop):
            assert compare(one, other) == []


def test_dropped_events_are_found_by_another_partys_bundle(logs, tmp_path):
    """The owner drops its last events and checkpoint and signs the rest anew: only the witness knows."""
    shutil.copytree(logs["bank"].folder, tmp_path / "old")
    fill(logs["bank"], 3)
    exchange_checkpoint(logs["bank"], logs["shop"])
    size = logs["bank"].size
    shop = export_bundle(logs["shop"], tmp_path)
    old = open_log(tmp_path / "old", now=Clock("2026-03-02T00:00:00+00:00"))
    data = export(old, tmp_path / "old.zip", {}, KEYS).read_bytes()
    assert verify(data) == []
    assert told(compare(data, shop)) == [("events_withheld", "bank", old.size, str(size))]


def test_a_refused_checkpoint_is_told(logs, tmp_path):
    """The shop's bundle holds the evidence against the bank, signed by the bank."""
    fork = open_log(tmp_path / "fork")
    fill(fork, 9)
    with pytest.raises(AuditBroken):
        logs["shop"].witness(fork.checkpoint(), KEYS["bank"])
    data = export_bundle(logs["shop"], tmp_path)
    assert told(verify(data)) == [("witness_refused", "bank", None, "9")]
    bank = export_bundle(logs["bank"], tmp_path)
    assert told(compare(data, bank)) == [("events_withheld", "bank", logs["bank"].size, "9")]


def test_a_record_without_its_event_and_the_other_way_round(logs, tmp_path):
    data = export_bundle(logs["bank"], tmp_path)
    files = unpack(data)
    (number,) = [n for n, event in enumerate(logs["bank"].events()) if event.type is EventType.LOG_WITNESSED]
    found = findings_of(reseal(files | {"witnessed.jsonl": b""}))
    assert told(found) == [("witnessed_missing", "bank", number, "")]


def test_different_keys_for_a_party_are_found(logs, bundle, tmp_path):
    other = export(logs["shop"], tmp_path / "x.zip", {}, KEYS | {"coordinator": Identity.generate().public})
    assert ("keys_differ", "coordinator", None, "") in told(compare(bundle, other.read_bytes()))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_a_sentence(language):
    for code in standalone.TEXTS:
        sentence = describe(standalone.Finding(code, "bank", 3, "5"), language)
        assert sentence.startswith("bank")
        assert "{" not in sentence
