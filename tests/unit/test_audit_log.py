"""The audit log on its disk: durable, shared by processes, and never silently other than it was written."""

import os
import re
import shutil
import threading
import time
from contextlib import suppress

import pytest
from audit_scene import IDENTITIES, KEYS, Clock, exchange_checkpoint, fill, open_log

from federation import line_file
from federation.audit_log import AuditLog
from privacy.audit import Event, EventType
from privacy.checkpoints import Checkpoint
from privacy.errors import AuditBroken, EventInvalid, LogUnavailable, SignatureInvalid, is_refusal
from privacy.merkle import Tree, leaf_hash, verify_consistency, verify_inclusion
from privacy.sealing import Identity
from privacy.texts import LANGUAGES

FILES = ("events.jsonl", "checkpoints.jsonl", "witnessed.jsonl", "leaves.bin")


def broken(act, key=None):
    with pytest.raises(AuditBroken) as caught:
        act()
    assert all(caught.value.render(language) for language in LANGUAGES)
    if key:
        assert caught.value.key == key
    return caught.value.values


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"


@pytest.fixture
def log(folder):
    return open_log(folder)


# --- what is written


def test_events_are_numbered_timed_and_kept(log, folder):
    written = fill(log, 5)
    assert [event.seq for event in written] == list(range(5))
    assert [event.time for event in written] == [f"2026-03-01T08:00:0{n}.000Z" for n in range(1, 6)]
    assert {event.origin for event in written} == {"bank"}
    for one in (log, open_log(folder)):
        assert list(one.events()) == written
        assert list(one.events(3)) == written[3:]
        assert list(one.events(9)) == []
        assert one.size == 5
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    assert lines == [event.canonical() for event in written] == list(log.lines())
    assert log.root == Tree(map(leaf_hash, lines)).root()


def test_only_the_owner_can_read_it(log, folder):
    fill(log, 1)
    log.checkpoint()
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())


@pytest.mark.parametrize(
    "fields",
    [
        {"artefact": "13812345678"},
        {"numbers": {"rows": 1.5}},
        {"numbers": {"rows": True}},
        {"numbers": {"rows": "12"}},
        {"digests": {"a": None}},
        {"job": None},
        {"type": "no.such"},
    ],
)
def test_an_invalid_event_leaves_no_trace(log, fields):
    fill(log, 1)
    with pytest.raises(EventInvalid):
        log.append(**{"type": EventType.MATCH_RUN, "actor": "node"} | fields)
    assert log.size == 1
    assert len(fill(log, 1)) == 1


def test_an_empty_log(log, folder):
    assert (log.size, list(log.events())) == (0, [])
    assert log.checkpoint().size == 0
    assert open_log(folder).checkpoint() == log.checkpoint()


# --- proofs and checkpoints


def test_a_checkpoint_is_signed_once_for_a_size(log, folder):
    first = log.checkpoint()
    fill(log, 3)
    second = log.checkpoint()
    assert log.checkpoint() == second
    assert open_log(folder).checkpoint() == second
    assert [made for made, _ in log.checkpoints()] == [first, second]
    second.verify(KEYS["bank"])
    assert (second.origin, second.size, second.root) == ("bank", 3, log.root)


def test_proofs_hold(log):
    events = fill(log, 6)
    old, new = Tree(event.leaf() for event in events[:4]).root(), log.root
    verify_consistency(4, 6, old, new, log.consistency(4))
    verify_inclusion(events[2].leaf(), 2, 4, old, log.inclusion(2, 4))
    verify_inclusion(events[5].leaf(), 5, 6, new, log.inclusion(5))
    assert log.leaf(2) == events[2].leaf()
    for ask in (lambda: log.leaf(6), lambda: log.inclusion(6), lambda: log.consistency(7)):
        with pytest.raises(IndexError):
            ask()


def test_cosignatures_are_kept(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 2)
    made, cosignature = exchange_checkpoint(log, shop)
    log.add_cosignature(2, cosignature, KEYS["shop"])
    fill(log, 2)
    for one in (log, open_log(log.folder)):
        assert one.checkpoints() == [(made, (cosignature,))]
        assert (one.cosigned_size("shop"), one.cosigned_size("coordinator")) == (2, 0)
    with pytest.raises(SignatureInvalid):
        log.add_cosignature(2, cosignature, KEYS["coordinator"])
    broken(lambda: log.add_cosignature(3, cosignature, KEYS["shop"]), "audit_log_foreign")


# --- witnesses


def test_a_witness_follows_a_growing_log(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    assert shop.seen("bank") is None
    for count in (0, 3, 4):
        fill(log, count)
        made, _ = exchange_checkpoint(log, shop)
        assert shop.seen("bank") == made
        assert open_log(tmp_path / "shop", "shop").seen("bank") == made
    assert [record.checkpoint.size for record in shop.witnessed()] == [0, 3, 7]
    events = list(shop.events())
    assert {event.type for event in events} == {EventType.LOG_WITNESSED}
    assert [(event.artefact, event.numbers) for event in events] == [("bank", {"size": n}) for n in (0, 3, 7)]
    assert events[-1].digests == {"root": log.root.hex()}


def test_the_same_checkpoint_gets_the_same_cosignature(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 2)
    made, cosignature = exchange_checkpoint(log, shop)
    assert shop.witness(made, KEYS["bank"]) == cosignature
    assert (shop.size, len(shop.witnessed())) == (1, 1)


def refused(shop, shown, proof=(), key="audit_log_forked"):
    """The witness refuses, keeps the evidence once, logs that, and goes on from what it has cosigned."""
    before = shop.seen("bank")
    values = broken(lambda: shop.witness(shown, KEYS["bank"], proof), key)
    count = shop.size
    broken(lambda: shop.witness(shown, KEYS["bank"], proof), key)
    assert shop.size == count
    assert shop.witnessed()[-1].checkpoint == shown
    assert shop.witnessed()[-1].cosignature is None
    assert list(shop.events())[-1].type is EventType.LOG_VERIFY_FAILED
    assert shop.seen("bank") == before
    return values


def test_a_log_that_shrank_is_refused(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 3)
    old = log.checkpoint()
    fill(log, 3)
    exchange_checkpoint(log, shop)
    values = refused(shop, old, key="audit_log_shrank")
    assert values == {"party": "bank", "found": 3, "expected": 6}
    fill(log, 1)
    exchange_checkpoint(log, shop)


def test_a_forked_log_is_refused(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 4)
    exchange_checkpoint(log, shop)
    fork = open_log(tmp_path / "fork")
    fill(fork, 3)
    fork.append(EventType.MATCH_RUN, actor="node")
    assert refused(shop, fork.checkpoint()) == {"party": "bank", "position": 4}
    fill(fork, 2)
    refused(shop, fork.checkpoint(), fork.consistency(4))


def test_a_continuation_without_its_proof_is_refused(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 4)
    exchange_checkpoint(log, shop)
    fill(log, 3)
    refused(shop, log.checkpoint())
    exchange_checkpoint(log, shop)


def test_a_first_checkpoint_needs_no_proof(log, tmp_path):
    fill(log, 4)
    open_log(tmp_path / "shop", "shop").witness(log.checkpoint(), KEYS["bank"])


def test_what_the_owner_did_not_sign_is_no_evidence(log, tmp_path):
    shop = open_log(tmp_path / "shop", "shop")
    fill(log, 1)
    forged = Checkpoint.sign(IDENTITIES["coordinator"], "bank", 1, log.root, "2026-01-01T00:00:00.000Z")
    broken(lambda: shop.witness(forged, KEYS["bank"]), "audit_log_foreign")
    own = open_log(tmp_path / "other")
    fill(own, 1)
    broken(lambda: log.witness(own.checkpoint(), KEYS["bank"]), "audit_log_foreign")
    assert (shop.size, log.size) == (0, 1)


# --- several writers


def test_another_writers_events_are_picked_up(log, folder):
    other = open_log(folder)
    fill(log, 2)
    fill(other, 2)
    made = other.checkpoint()
    assert [event.seq for event in fill(log, 1)] == [4]
    assert log.checkpoints() == [(made, ())]
    assert log.size == other.size == 5
    assert log.root == other.root


def test_threads_share_a_log_and_a_folder(log, folder):
    logs = [log, log, open_log(folder)]
    threads = [threading.Thread(target=fill, args=(one, 15)) for one in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.seq for event in open_log(folder).events()] == list(range(45))


def test_a_writer_that_hangs_makes_the_log_unavailable(log, folder):
    fill(log, 1)
    impatient = open_log(folder, lock_seconds=0.05)
    with line_file.locked(folder / "lock", 1.0):
        started = time.monotonic()
        with pytest.raises(LogUnavailable) as caught:
            fill(impatient, 1)
        assert time.monotonic() - started < 5  # of the ten seconds that a log waits by itself
    assert caught.value.reason == "R-LOG-UNAVAILABLE"
    assert is_refusal(caught.value.code)
    assert all("R-LOG-UNAVAILABLE" in caught.value.render(language) for language in LANGUAGES)
    assert fill(impatient, 1)[0].seq == 1


# --- faults


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


def after(count, problem):
    """An `os.write` that writes `count` bytes and then fails."""
    left = [count]

    def write(descriptor, data):
        if left[0] == 0:
            raise problem
        part = bytes(data)[: left[0]]
        left[0] -= len(part)
        return os_write(descriptor, part)

    return write


os_write = os.write


@pytest.mark.parametrize(
    "problem", [Killed(), OSError(28, "No space left on device")], ids=["killed", "full"]
)
def test_a_write_that_ends_at_any_byte_loses_nothing(tmp_path, monkeypatch, problem):
    log = open_log(tmp_path / "audit")
    acknowledged = fill(log, 2)
    made = log.checkpoint()
    length = len(acknowledged[0].canonical()) + 1
    for count in range(length + 33):  # the line, and the hash after it
        monkeypatch.setattr(line_file.os, "write", after(count, problem))
        with suppress(Killed, LogUnavailable):
            acknowledged.append(log.append(EventType.MATCH_RUN, actor="node", numbers={"k_min": count}))
        monkeypatch.undo()
        reopened = open_log(tmp_path / "audit") if count % 2 else log
        events = list(reopened.events())
        assert events[: len(acknowledged)] == acknowledged
        assert len(events) - len(acknowledged) <= (count > 100)  # what was written, but not acknowledged
        verify_consistency(made.size, len(events), made.root, reopened.root, reopened.consistency(made.size))
        acknowledged = [*events, *fill(reopened, 1)]
        log = reopened
    assert list(open_log(tmp_path / "audit").events()) == acknowledged


@pytest.mark.parametrize("name", ["fsync", "open", "write", "ftruncate"])
@pytest.mark.parametrize("problem", [Killed(), OSError(5, "Input/output error")], ids=["killed", "error"])
def test_any_step_may_fail(tmp_path, monkeypatch, name, problem):
    """Every call of the system on the way, one after the other: what was acknowledged stays, and writing goes on."""
    folder = tmp_path / "audit"
    shop = open_log(tmp_path / "shop", "shop")
    log = open_log(folder)
    acknowledged = fill(log, 1)
    real = getattr(os, name)
    for step in range(12):
        calls = [0]

        def failing(*arguments, calls=calls, step=step, **options):
            calls[0] += 1
            if calls[0] > step:
                raise problem
            return real(*arguments, **options)

        monkeypatch.setattr(line_file.os, name, failing)
        try:
            acknowledged += fill(log, 1)
            exchange_checkpoint(log, shop)
        except (Killed, LogUnavailable):
            pass
        monkeypatch.undo()
        log, shop = open_log(folder), open_log(tmp_path / "shop", "shop")
        events = list(log.events())
        assert all(event in events for event in acknowledged)
        acknowledged = events
        exchange_checkpoint(log, shop)
    for made, _ in log.checkpoints():
        verify_consistency(made.size, log.size, made.root, log.root, log.consistency(made.size))


def test_a_full_disk_refuses_and_recovers(log, monkeypatch):
    fill(log, 1)
    monkeypatch.setattr(line_file.os, "write", after(10, OSError(28, "No space left on device")))
    for _ in range(2):
        with pytest.raises(LogUnavailable, match="No space left"):
            fill(log, 1)
    monkeypatch.undo()
    assert fill(log, 1)[0].seq == 1


def test_a_missing_folder_refuses(log, folder):
    fill(log, 1)
    shutil.rmtree(folder)
    with pytest.raises(LogUnavailable):
        fill(log, 1)
    (folder.parent / "file").write_text("")
    with pytest.raises(LogUnavailable):
        open_log(folder.parent / "file" / "audit")


# --- tampering


@pytest.fixture
def kept(tmp_path):
    """A folder with three checkpoints over nine events, two events after them, and two records of another's log."""
    log, shop = open_log(tmp_path / "kept"), open_log(tmp_path / "shop", "shop")
    for _ in range(3):
        fill(log, 3)
        exchange_checkpoint(log, shop)
    fill(shop, 1)
    exchange_checkpoint(shop, log)
    fill(log, 1)
    return tmp_path / "kept"


def of_others(content):
    """A file without what only another's key can check: cosignatures, and the signatures under what others showed."""
    content = re.sub(rb'"cosignature":\{[^{}\n]*"witness":"[^{}\n]*\},"size"', b"", content)
    return re.sub(rb'"signature":"[\w+/]{86}==","size":(?=[^}\n]*\},"cosignature")', b"", content)


def test_any_changed_byte_is_found(kept):
    """Byte by byte through all files; for an event or its hash, its number is named."""
    for name in FILES:
        file = kept / name
        content = file.read_bytes()
        for place in range(len(content)):
            changed = bytearray(content)
            changed[place] ^= 1
            file.write_bytes(changed)
            if place == len(content) - 1 and name in {"checkpoints.jsonl", "witnessed.jsonl"}:
                continue  # the end of the last record: as if it was never written to its end
            if of_others(bytes(changed)) == of_others(content):
                continue
            expected = place // 32 if name == "leaves.bin" else content[:place].count(b"\n")
            values = broken(lambda: open_log(kept))
            assert values["party"] == "bank"
            if name in {"events.jsonl", "leaves.bin"}:
                assert values["position"] == expected, (name, place)
            else:
                assert (values["file"], values["line"]) == (name, expected + 1)
        file.write_bytes(content)
    open_log(kept)


def test_any_missing_repeated_or_swapped_line_is_found(kept):
    file = kept / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    for place in range(len(lines)):
        for changed in (
            lines[:place] + lines[place + 1 :],
            lines[:place] + lines[place : place + 1] + lines[place:],
            [*lines[:place], *lines[place : place + 2][::-1], *lines[place + 2 :]],
        ):
            if changed == lines:
                continue
            file.write_bytes(b"".join(changed))
            values = broken(lambda: open_log(kept))
            repeated = len(changed) > len(lines)
            assert values["position"] == place + repeated
    file.write_bytes(b"".join(lines[:-1]) + lines[-1][:-1])
    assert broken(lambda: open_log(kept), "audit_event_missing")["position"] == len(lines) - 1


def test_changed_events_with_their_hashes_are_found_by_the_checkpoint(kept):
    """Who rewrites both files is found by what was signed, between two checkpoints."""
    file = kept / "events.jsonl"
    lines = file.read_bytes().splitlines()
    lines[4] = lines[4].replace(b'"rows":101', b'"rows":999')
    file.write_bytes(b"".join(line + b"\n" for line in lines))
    (kept / "leaves.bin").write_bytes(b"".join(map(leaf_hash, lines)))
    values = broken(lambda: open_log(kept), "audit_events_unlike_checkpoint")
    assert values == {"party": "bank", "position": 3, "most": 5}
    file.write_bytes(b"".join(line + b"\n" for line in lines[:6]))
    (kept / "leaves.bin").write_bytes(b"".join(map(leaf_hash, lines[:6])))
    broken(lambda: open_log(kept))


def test_an_event_of_another_log_or_number_is_found(log, folder, tmp_path):
    """Even where no checkpoint and no hash speaks for it."""
    (event,) = fill(log, 1)
    other = open_log(tmp_path / "shop", "shop")
    fill(other, 2)
    for line in (other.lines(1, 2).__next__(), event.canonical(), b"{}", b"", b"\xff", b"[]", b"{" * 2000):
        with (folder / "events.jsonl").open("r+b") as stream:
            stream.seek(len(event.canonical()) + 1)
            stream.write(line + b"\n")
            stream.truncate()
        assert broken(lambda: open_log(folder), "audit_event_changed")["position"] == 1
        broken(lambda: log.size, "audit_event_changed")


def test_a_file_that_is_shortened_meanwhile_is_found(log, folder):
    fill(log, 3)
    log.checkpoint()
    content = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(content[:-5])
    broken(lambda: log.size, "audit_event_missing")
    (folder / "events.jsonl").write_bytes(content)
    (folder / "checkpoints.jsonl").write_bytes(b"")
    assert broken(lambda: log.size, "audit_record_broken")["file"] == "checkpoints.jsonl"


def test_an_event_that_is_changed_meanwhile_is_found(log, folder):
    fill(log, 3)
    content = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(content.replace(b'"rows":101', b'"rows":109'))
    values = broken(lambda: list(log.events(1)), "audit_event_changed")
    assert values["position"] == 1
    assert len(list(log.events(2))) == 1


def test_another_partys_key_does_not_open_it(log, folder):
    fill(log, 1)
    log.checkpoint()
    broken(lambda: AuditLog(folder, "bank", Identity.generate()), "audit_record_broken")
    broken(lambda: AuditLog(folder, "shop", IDENTITIES["bank"]))


def test_lost_hashes_are_made_again(log, folder):
    fill(log, 4)
    before = (folder / "leaves.bin").read_bytes()
    for kept_bytes in (0, 5, 32, 100):
        (folder / "leaves.bin").write_bytes(before[:kept_bytes])
        assert open_log(folder).size == 4
        assert (folder / "leaves.bin").read_bytes() == before
    (folder / "leaves.bin").unlink()
    fill(log, 1)
    assert (folder / "leaves.bin").read_bytes()[: len(before)] == before


def test_a_torn_line_of_another_file_is_cut_off(kept):
    for name in ("checkpoints.jsonl", "witnessed.jsonl"):
        content = (kept / name).read_bytes()
        (kept / name).write_bytes(content + content[:40])
        open_log(kept)
        assert (kept / name).read_bytes() == content


# --- size


def test_two_hundred_thousand_events_open_in_seconds(tmp_path):
    folder = tmp_path / "audit"
    (line,) = [event.canonical().decode() for event in fill(open_log(tmp_path / "one"), 1)]
    before, after_seq = re.split(r'(?<="seq":)0', line)
    lines = [f"{before}{seq}{after_seq}".encode() for seq in range(200_000)]
    folder.mkdir()
    (folder / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    started = time.process_time()
    log = open_log(folder)
    first = time.process_time() - started
    made = log.checkpoint()
    assert made.size == 200_000
    started = time.process_time()
    again = open_log(folder, now=Clock("2027-01-01T00:00:00+00:00"))
    second = time.process_time() - started
    assert (again.checkpoint(), fill(again, 1)[0].seq) == (made, 200_000)
    assert Event.parse(lines[-1]) == next(again.events(199_999))
    assert (first < 20, second < 10) == (True, True), (first, second)
