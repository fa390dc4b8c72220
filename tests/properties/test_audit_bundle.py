"""An audit bundle: whatever is changed in it is found, and for an event its number is named."""

import json

import pytest
from bundle_scene import export_bundle, findings_of, make_logs, pack, reseal, unpack
from hypothesis import given
from hypothesis import strategies as st

from federation.audit_bundle import read, verify
from federation.standalone import verify as standalone
from federation.standalone.verify import TEXTS, Bundle
from privacy.merkle import Tree, leaf_hash
from privacy.texts import catalogue, text

RECORDS = ("events.jsonl", "leaves.txt", "checkpoints.jsonl", "proofs.json", "witnessed.jsonl")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return unpack(export_bundle(make_logs(folder)["bank"], folder))


def codes(findings):
    return {finding.code for finding in findings}


def named(findings):
    return {finding.seq for finding in findings if finding.seq is not None}


def flipped(content, place, mask=1):
    changed = bytearray(content)
    changed[place] ^= mask
    return bytes(changed)


def test_a_good_bundle(files):
    assert findings_of(files) == []
    assert findings_of(reseal(files)) == []
    assert verify(pack(files)) == []
    assert set(files) == {*RECORDS, "manifest.json", "manifest.sig", "keys.json", "verify.py",
                          "documents/policy.toml", "documents/notices/retail.json"}  # fmt: skip


@pytest.mark.parametrize("mask", [1, 0x20])
def test_every_flipped_byte_of_an_event_names_it(files, mask):
    """Even when the log's owner signs a new manifest for it."""
    content = files["events.jsonl"]
    for place in range(len(content)):
        number = content[:place].count(b"\n")
        changed = files | {"events.jsonl": flipped(content, place, mask)}
        found = findings_of(changed if place % 2 else reseal(changed))
        assert number in named(found), (place, found)
        if place % 2:
            assert {"file_changed"} <= codes(found)


@pytest.mark.parametrize("name", ["leaves.txt", "checkpoints.jsonl", "proofs.json", "witnessed.jsonl"])
def test_every_flipped_byte_of_a_record_is_found(files, name):
    """Even when the log's owner signs a new manifest for it; a leaf's number is named, and a checkpoint's line."""
    content = files[name]
    for place in range(len(content)):
        found = findings_of(reseal(files | {name: flipped(content, place)}))
        line = content[:place].count(b"\n")
        if name == "leaves.txt":
            assert [(one.code, one.seq) for one in found] == [("leaf_changed", line)], place
        elif name == "proofs.json":
            assert codes(found) <= {"proof_invalid", "proof_missing"}
            assert found
        else:
            about = {one.about for one in found}
            assert str(line + 1) in about or "cosignature_invalid" in codes(found), (place, found)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "keys.json", "verify.py"])
def test_every_flipped_byte_of_the_rest_is_found(files, name):
    content = files[name]
    for place in range(0, len(content), 1 if name != "verify.py" else 997):
        assert findings_of(files | {name: flipped(content, place)}), place


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", *RECORDS, "keys.json", "verify.py"])
def test_a_missing_file_is_found(files, name):
    less = {other: content for other, content in files.items() if other != name}
    assert findings_of(less)
    if not name.startswith("manifest"):
        assert ("file_missing", name) in {(one.code, one.about) for one in findings_of(less)}
        if name in RECORDS:
            assert findings_of(reseal(less)), name


def test_a_surplus_file_is_found(files):
    (finding,) = findings_of(files | {"documents/more.txt": b""})
    assert (finding.code, finding.about) == ("file_surplus", "documents/more.txt")


def test_missing_repeated_swapped_and_inserted_events_are_named(files):
    lines = files["events.jsonl"].splitlines(keepends=True)
    foreign = lines[0].replace(b'"churn"', b'"other"')
    for number in range(len(lines)):
        cases = {
            "event_missing": (number, lines[:number] + lines[number + 1 :]),
            "event_repeated": (number, [*lines[: number + 1], lines[number], *lines[number + 1 :]]),
            "event_inserted": (number, [*lines[:number], foreign, *lines[number:]]),
            "event_changed": (number, [*lines[:number], foreign, *lines[number + 1 :]]),
        }
        if number + 1 < len(lines):
            swapped = [*lines[:number], lines[number + 1], lines[number], *lines[number + 2 :]]
            cases["event_moved"] = (number, swapped)
        for code, (seq, changed) in cases.items():
            for reader in (lambda files: files, reseal):
                found = findings_of(reader(files | {"events.jsonl": b"".join(changed)}))
                assert (code, seq) in {(one.code, one.seq) for one in found}, (code, number, found)
                assert named(
                    [one for one in found if one.code.startswith("event_") and one.code != "events_uncovered"]
                ) == {seq}


@pytest.mark.parametrize("name", ["leaves.txt", "checkpoints.jsonl", "witnessed.jsonl"])
def test_missing_repeated_and_swapped_records_are_found(files, name):
    """The owner may sign a new manifest; without the last checkpoint, its events are not covered."""
    lines = files[name].splitlines(keepends=True)
    for number in range(len(lines)):
        repeated = [*lines[:number], lines[number], *lines[number:]]
        missing = lines[:number] + lines[number + 1 :]
        swapped = [*lines[:number], *lines[number : number + 2][::-1], *lines[number + 2 :]]
        for changed in (repeated, missing, swapped):
            if changed != lines and not (name == "witnessed.jsonl" and changed == repeated):
                assert findings_of(reseal(files | {name: b"".join(changed)})), (number, len(changed))
            if changed != lines:
                assert findings_of(files | {name: b"".join(changed)})


def test_the_last_events_cannot_be_dropped_by_somebody_else(files):
    """With their leaves, checkpoint and proofs, so that everything left fits together, but for the manifest."""
    lines = {name: files[name].splitlines(keepends=True) for name in RECORDS}
    proofs = json.loads(files["proofs.json"])
    kept = 6
    proofs["consistency"] = proofs["consistency"][:2]
    proofs["inclusion"] = []
    less = files | {
        "events.jsonl": b"".join(lines["events.jsonl"][:kept]),
        "leaves.txt": b"".join(lines["leaves.txt"][:kept]),
        "checkpoints.jsonl": b"".join(lines["checkpoints.jsonl"][:3]),
        "proofs.json": json.dumps(proofs, sort_keys=True, separators=(",", ":")).encode(),
    }
    found = findings_of(less)
    assert ("event_missing", kept) in {(one.code, one.seq) for one in found}
    assert ("event_missing", kept) in {(one.code, one.seq) for one in findings_of(reseal(less))}


def test_events_changed_with_their_leaves_are_bounded_by_checkpoints(files):
    """Whoever rewrites events and leaves is found by what was signed, and by each event's own proof."""
    lines = files["events.jsonl"].splitlines()
    for number in range(len(lines)):
        changed = list(lines)
        changed[number] = lines[number].replace(b'"actor":"', b'"actor":"x')
        hashes = [f"{seq} {leaf_hash(line).hex()}".encode() for seq, line in enumerate(changed)]
        found = findings_of(
            reseal(
                files
                | {
                    "events.jsonl": b"".join(line + b"\n" for line in changed),
                    "leaves.txt": b"".join(line + b"\n" for line in hashes),
                }
            )
        )
        (bounds,) = [one for one in found if one.code == "checkpoint_unlike_events"][:1]
        assert int(bounds.about) <= number <= bounds.seq
        assert f"inclusion {number}" in {one.about for one in found if one.code == "proof_invalid"}


@given(data=st.data())
def test_several_changes_at_once_are_found(files, data):
    changed = dict(files)
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(RECORDS))
        content = changed[name]
        if content:
            place = data.draw(st.integers(0, len(content) - 1))
            kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove"]))
            changed[name] = {
                "flip": flipped(content, place, data.draw(st.integers(1, 255))),
                "cut": content[:place],
                "insert": content[:place] + data.draw(st.binary(min_size=1, max_size=5)) + content[place:],
                "remove": content[:place] + content[place + 1 :],
            }[kind]
    if changed != files:
        assert findings_of(changed)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(
    name=st.sampled_from(["manifest.json", "keys.json", *RECORDS]), value=VALUES, data=st.binary(max_size=40)
)
def test_nonsense_is_found_and_never_raises(files, name, value, data):
    for content in (
        json.dumps(value).encode(),
        data,
        b"[" * 5000,
        json.dumps({"checkpoint": value}).encode(),
    ):
        assert findings_of(files | {name: content})
        assert findings_of(reseal(files | {name: content}) if name != "manifest.json" else {name: content})


@given(data=st.binary(max_size=60))
def test_what_is_no_zip_is_unreadable(data):
    (finding,) = read(data, name="some.zip").findings
    assert (finding.code, finding.log) == ("bundle_unreadable", "some.zip")


@given(size=st.integers(0, 40))
def test_the_verifiers_tree_is_ours(size):
    leaves = [leaf_hash(str(number).encode()) for number in range(size)]
    tree = Tree(leaves)
    roots = standalone.roots_of(leaves, range(size + 5))
    assert roots == {n: tree.root(n) for n in range(size + 1)}
    for old in range(size):
        assert standalone.consistency_holds(old, size, roots, tree.consistency(old))
        assert standalone.inclusion_holds(leaves[old], old, size, roots[size], tree.inclusion(old))
        assert (
            not standalone.consistency_holds(old, size, roots | {old: b""}, tree.consistency(old)) or old == 0
        )
        assert not standalone.inclusion_holds(
            leaves[old], old, size, roots[size], tree.inclusion(old)[1:] or (b"",)
        )


def test_the_catalogue_says_what_the_verifier_says():
    for code, texts in TEXTS.items():
        for language, sentence in zip(("en", "zh-CN"), texts, strict=True):
            values = {"log": "bank", "seq": 3, "about": "x"}
            assert text(f"audit.finding.{code}", language=language, **values) == sentence.format(**values)
    for name in ("summary", "unpinned", "good"):
        for language, sentence in zip(("en", "zh-CN"), getattr(standalone, name.upper()), strict=True):
            assert catalogue(language)[f"audit.{name}"] == sentence


def test_an_empty_bundle_is_unreadable():
    assert codes(Bundle({}).findings) == {"bundle_unreadable"}
