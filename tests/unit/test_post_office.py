"""The coordinator's post office and ledgers: durable, bounded, one party's box is nobody else's."""

import hashlib
import multiprocessing
import os
import signal
import stat
from pathlib import Path

import pytest
from post_scene import PARTIES, Clock, Scene
from sqlite_locks import is_locked

from federation.post_messages import KEPT_DAYS, LedgerHead, Mail, next_head
from server import post, post_ledger
from server.home import CoordinatorHome
from server.key_guard import refuse_keys
from server.post import PostFull, PostOffice, PostRefused
from server.post_database import FILE, PostDatabase
from server.post_ledger import LedgerFull, LedgerGap, LedgerShelf

DAY = 86_400.0
A, B = "a" * 32, "b" * 32


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "post"


@pytest.fixture
def office(folder, clock):
    return PostOffice(PostDatabase(folder), clock)


@pytest.fixture
def shelf(folder):
    return LedgerShelf(PostDatabase(folder))


def letters(office, party, most=64):
    return [(one.sender, one.letter, one.data) for one in office.mail(party, most).letters]


def test_who_comes_while_the_file_is_made_takes_no_lock_from_who_made_it(folder, monkeypatch):
    file, exists = folder / FILE, Path.exists
    with PostDatabase(folder).writing():
        monkeypatch.setattr(Path, "exists", lambda path, **_: path != file and exists(path))
        with PostDatabase(folder).reading():
            pass
        assert is_locked(file)
    assert not is_locked(file)


# --- letters


def test_a_letter_waits_until_its_recipient_removes_it(office, folder, clock):
    office.put("bank", "shop", A, b"first")
    office.put("telecom", "shop", B, b"second")
    again = PostOffice(PostDatabase(folder), clock)
    for one in (office, again):
        assert letters(one, "shop") == [("bank", A, b"first"), ("telecom", B, b"second")]
        assert letters(one, "bank") == []
    again.remove("bank", A)
    assert len(letters(office, "shop")) == 2, "only the recipient removes it"
    office.remove("shop", A)
    office.remove("shop", A)
    assert letters(again, "shop") == [("telecom", B, b"second")]


def test_a_letter_is_kept_once(office):
    for _ in range(3):
        office.put("bank", "shop", A, b"letter")
    assert letters(office, "shop") == [("bank", A, b"letter")]


@pytest.mark.parametrize(("sender", "data"), [("bank", b"other"), ("telecom", b"letter")])
def test_an_id_names_one_letter(office, sender, data):
    office.put("bank", "shop", A, b"letter")
    with pytest.raises(PostRefused):
        office.put(sender, "shop", A, data)
    office.put(sender, "telecom" if sender == "bank" else "bank", A, data)
    assert letters(office, "shop") == [("bank", A, b"letter")]


def test_letters_come_oldest_first_and_some_at_a_time(office, monkeypatch):
    for number in range(5):
        office.put("bank", "shop", f"{9 - number:032x}", bytes(100))
    names = [f"{9 - number:032x}" for number in range(5)]
    assert [letter for _, letter, _ in letters(office, "shop")] == names
    assert [letter for _, letter, _ in letters(office, "shop", 2)] == names[:2]
    monkeypatch.setattr(post, "BYTES_IN_AN_ANSWER", 250)
    assert [letter for _, letter, _ in letters(office, "shop")] == names[:2]
    monkeypatch.setattr(post, "BYTES_IN_AN_ANSWER", 50)
    assert [letter for _, letter, _ in letters(office, "shop")] == names[:1], "one at least"


def test_what_nobody_fetches_goes_back_and_is_forgotten_at_last(office, clock):
    office.put("bank", "shop", A, b"old")
    clock.seconds += DAY
    office.put("bank", "shop", B, b"newer")
    clock.seconds += (KEPT_DAYS - 1) * DAY - 1
    office.sweep()
    assert len(letters(office, "shop")) == 2
    assert office.mail("bank", 1) == Mail()
    clock.seconds += 2
    assert [letter for _, letter, _ in letters(office, "shop")] == [B], "swept or not"
    office.sweep()
    assert [(one.letter, one.recipient) for one in office.mail("bank", 1).returned] == [(A, "shop")]
    assert office.mail("telecom", 1) == Mail()
    office.remove("shop", A)
    assert office.mail("bank", 1).returned
    office.remove("bank", A)
    assert office.mail("bank", 1) == Mail()
    clock.seconds += KEPT_DAYS * DAY
    office.sweep()
    assert [one.letter for one in office.mail("bank", 1).returned] == [B]
    clock.seconds += KEPT_DAYS * DAY
    office.sweep()
    assert office.mail("bank", 1) == office.mail("shop", 1) == Mail()


def test_a_recipient_gives_back_what_it_cannot_open(office):
    office.put("bank", "shop", A, b"x")
    office.put("bank", "telecom", B, b"x")
    office.give_back("telecom", A)
    office.give_back("bank", A)
    assert office.mail("bank", 1).returned == (), "it is not theirs"
    office.give_back("shop", A)
    assert letters(office, "shop") == []
    assert [(one.letter, one.recipient) for one in office.mail("bank", 1).returned] == [(A, "shop")]
    assert letters(office, "telecom") == [("bank", B, b"x")]


def test_a_box_has_limits_and_one_sender_fills_only_a_part(office, monkeypatch):
    monkeypatch.setattr(post, "MAX_LETTERS", 8)
    monkeypatch.setattr(post, "MAX_BYTES", 4000)
    office.put("bank", "shop", f"{1:032x}", b"x")
    office.put("bank", "shop", f"{2:032x}", b"x")
    with pytest.raises(PostFull):
        office.put("bank", "shop", f"{3:032x}", b"x")
    office.put("bank", "shop", f"{2:032x}", b"x")  # has its place
    office.put("bank", "telecom", f"{3:032x}", b"x")
    office.put("telecom", "shop", f"{4:032x}", bytes(999))
    with pytest.raises(PostFull):
        office.put("telecom", "shop", f"{5:032x}", bytes(2))
    for number in range(3):
        office.put(f"p{number}", "shop", f"{10 + number:032x}", bytes(990))
    with pytest.raises(PostFull):
        office.put("p9", "shop", f"{20:032x}", bytes(100))
    office.remove("shop", f"{1:032x}")
    office.put("bank", "shop", f"{3:032x}", b"x")


def test_what_was_removed_is_not_in_the_file(office, folder):
    office.put("bank", "shop", A, b"canary" * 1000)
    assert b"canary" in (folder / "post.sqlite").read_bytes()
    office.remove("shop", A)
    assert b"canary" not in b"".join(file.read_bytes() for file in folder.iterdir())


def test_only_its_owner_reads_the_file(office, folder):
    office.put("bank", "shop", A, b"x")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def _put_without_end(folder, done):
    office = PostOffice(PostDatabase(folder))
    for number in range(10**6):
        office.put("bank", "shop", f"{number:032x}", bytes([number % 256]) * 2000)
        os.write(done, b".")


def test_what_was_taken_survives_a_kill(folder, office):
    read, write = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=_put_without_end, args=(folder, write))
    child.start()
    told = b""
    while len(told) < 20:
        told += os.read(read, 1000)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    os.close(write)
    told += os.read(read, 10_000)
    kept = letters(office, "shop", 10_000)
    assert len(told) <= len(kept) <= len(told) + 1
    assert [data for _, _, data in kept] == [bytes([number % 256]) * 2000 for number in range(len(kept))]


# --- ledgers


def test_a_ledger_only_grows_by_the_next_entry(shelf, folder):
    assert shelf.head("bank") == LedgerHead()
    shelf.append("bank", 1, b"one")
    shelf.append("bank", 2, b"two")
    shelf.append("bank", 2, b"two")
    for number, entry in ((0, b"x"), (1, b"one"), (2, b"other"), (4, b"x"), (-1, b"x")):
        with pytest.raises(LedgerGap):
            shelf.append("bank", number, entry)
    with pytest.raises(LedgerGap):
        shelf.append("shop", 2, b"two")
    again = LedgerShelf(PostDatabase(folder))
    assert again.entries("bank", 1).entries == (b"one", b"two")
    assert again.entries("bank", 2).entries == (b"two",)
    assert again.entries("bank", 3).entries == again.entries("shop", 1).entries == ()


def test_the_head_is_a_chain_over_all_entries(shelf):
    head, chain = LedgerHead(), bytes(32)
    for number, entry in enumerate((b"one", b"two", b"three"), 1):
        shelf.append("bank", number, entry)
        head = next_head(head, entry)
        text = b"silhouette ledger v1\0" + chain + hashlib.sha256(entry).digest()
        chain = hashlib.sha256(text).digest()
        assert shelf.head("bank") == head == LedgerHead(number, chain)
    other = next_head(next_head(next_head(LedgerHead(), b"two"), b"one"), b"three")
    assert other.chain != head.chain


def test_entries_come_some_at_a_time(shelf, monkeypatch):
    for number in range(1, 6):
        shelf.append("bank", number, bytes([number]) * 100)
    monkeypatch.setattr(post_ledger, "BYTES_IN_AN_ANSWER", 250)
    assert [entry[0] for entry in shelf.entries("bank", 2).entries] == [2, 3]
    monkeypatch.setattr(post_ledger, "BYTES_IN_AN_ANSWER", 10)
    assert [entry[0] for entry in shelf.entries("bank", 4).entries] == [4], "one at least"
    monkeypatch.setattr(post_ledger, "MAX_LEDGER_BYTES", 550)
    with pytest.raises(LedgerFull):
        shelf.append("bank", 6, bytes(51))
    shelf.append("bank", 6, bytes(50))


# --- the coordinator's home


def test_the_operator_reads_heads_and_the_home_has_no_key_in_it(tmp_path):
    scene = Scene.create(tmp_path)
    scene.client("bank").put_entry(1, b"sealed")
    scene.client("bank").put("shop", A, bytes([2]) * 129)
    home = CoordinatorHome.open(scene.home.folder)
    assert {party: home.ledger_head(party).count for party in PARTIES} == {"bank": 1, "shop": 0, "telecom": 0}
    assert home.ledger_head("bank") == next_head(LedgerHead(), b"sealed")
    refuse_keys(home.folder)
