"""What was altered, shortened, moved or made by others is refused: ledgers and archives."""

import base64
import sqlite3

import msgspec
import pytest
from backup_scene import CASE, NOW, OTHER_CASE, Shelf, erase, located, make_home

from clients.backup.archive import create
from clients.backup.frames import MAGIC
from clients.backup.guard import compare, replay
from clients.backup.keys import BackupKeys
from clients.backup.ledger import LEDGER_FILE, Deletion, Ledger, ledger_of
from clients.backup.restoring import restore
from clients.backup.shredding import shred
from federation.post_messages import LedgerHead
from privacy.errors import AuditBroken, ConfigInvalid, Denied, SealBroken
from privacy.sealing import Identity


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def shelf(home):
    made = Shelf()
    for number, case in ((1, CASE), (2, OTHER_CASE)):
        shred(home, [located(home, number)], case, escrow=made, now=lambda: NOW)
    return made


def changed(entry, place):
    return entry[:place] + bytes([entry[place] ^ 1]) + entry[place + 1 :]


def test_an_altered_entry(home, shelf):
    ledger = ledger_of(home)
    whole = ledger.entries()
    for place in (0, 5, 40, len(whole[0]) - 1):
        with pytest.raises(AuditBroken) as caught:
            ledger.read([changed(whole[0], place), whole[1]], LedgerHead())
        assert caught.value.values["position"] == 1


def test_entries_in_another_order_or_without_one(home, shelf):
    ledger = ledger_of(home)
    first, second = ledger.entries()
    for entries in ([second, first], [second], [first, first]):
        with pytest.raises(AuditBroken):
            ledger.read(entries, LedgerHead())


def test_an_entry_of_another_node_or_of_the_coordinator(home, shelf):
    """The coordinator knows the key to seal to, and cannot sign."""
    stranger = Identity.generate()
    deletion = Deletion(case=CASE, at=1, subjects=bytes(16), events=0)
    forged = Ledger(home.folder / "forged.jsonl", "bank", stranger).append([deletion])
    with pytest.raises(AuditBroken):
        ledger_of(home).read(forged, LedgerHead())
    renamed = Ledger(home.folder / "renamed.jsonl", "shop", home.identity).append([deletion])
    with pytest.raises(AuditBroken):
        ledger_of(home).read(renamed, LedgerHead())


def test_an_entry_that_was_put_into_another_ledger_of_the_same_length(home, shelf):
    """Its number fits, what came before it does not."""
    deletion = Deletion(case=CASE, at=1, subjects=bytes(16), events=0)
    other = Ledger(home.folder / "other.jsonl", "bank", home.identity).append([deletion, deletion])
    with pytest.raises(AuditBroken) as caught:
        ledger_of(home).read([ledger_of(home).entries()[0], other[1]], LedgerHead())
    assert caught.value.values["position"] == 2


def test_a_local_ledger_that_was_shortened_or_altered_keeps_the_node_out(home, shelf):
    file = home.folder / LEDGER_FILE
    first, second = file.read_bytes().splitlines(keepends=True)
    other = base64.b64encode(changed(base64.b64decode(second), 30)) + b"\n"
    for content in (b"", first, second + first, first + other):
        file.write_bytes(content)
        with pytest.raises(Denied):
            compare(home, shelf)
    file.write_bytes(first)
    replay(home, erase, escrow=shelf)
    assert file.read_bytes() == first + second
    file.write_bytes(b"%%%\n")
    with pytest.raises(AuditBroken):
        compare(home, shelf)


def test_a_shelf_that_was_altered_is_not_replayed(home, shelf):
    (home.folder / LEDGER_FILE).unlink()
    shelf.stored[1] = changed(shelf.stored[1], 50)
    with pytest.raises(AuditBroken):
        replay(home, erase, escrow=shelf)
    with pytest.raises(Denied):
        compare(home, shelf)


def test_a_shelf_that_has_lost_its_end_gets_it_again(home, shelf):
    whole = list(shelf.stored)
    del shelf.stored[1:]
    compare(home, shelf)
    assert shelf.stored == whole


def test_an_entry_is_closed(home):
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"case": "x", "at": 0}), type=Deletion)


# --- archives


@pytest.fixture
def archive(home, tmp_path):
    file = tmp_path / "one.backup"
    create(home, file)
    return file


def refuses(error, file, home, target="new"):
    """Nothing is left of a restore that was refused."""
    folder = home.folder.parent / target
    with pytest.raises(error) as caught:
        restore(file, folder, home.folder)
    assert not [left for left in folder.parent.iterdir() if left.name.startswith(target)]
    return caught.value.key


def test_an_altered_archive(home, archive):
    whole = archive.read_bytes()
    step = len(whole) // 40
    for place in range(len(MAGIC), len(whole), step):
        archive.write_bytes(changed(whole, place))
        assert refuses(SealBroken, archive, home) == "archive_broken"
    archive.write_bytes(whole)
    restore(archive, home.folder.parent / "new", home.folder)


def test_an_archive_that_was_cut_off_or_goes_on(home, archive):
    whole = archive.read_bytes()
    length = len(MAGIC) + 4
    cuts = [length, length + 20, len(whole) // 2, len(whole) - 40, len(whole) - 1]
    for content in (*(whole[:cut] for cut in cuts), whole + b"x", whole + whole):
        archive.write_bytes(content)
        assert refuses(SealBroken, archive, home) == "archive_broken"


def test_frames_that_were_moved_left_out_or_repeated(home, archive):
    whole = archive.read_bytes()
    place, frames = len(MAGIC), []
    while place < len(whole):
        end = place + 4 + int.from_bytes(whole[place : place + 4], "big")
        frames.append(whole[place:end])
        place = end
    header, *frames = frames
    first, second, *rest = frames
    for others in (
        [second, first, *rest],
        [first, *rest],
        [first, first, second, *rest],
        frames[:-1],
        frames[-1:],
    ):
        archive.write_bytes(MAGIC + header + b"".join(others))
        assert refuses(SealBroken, archive, home) == "archive_broken"


def test_what_is_no_archive_or_of_another_version(home, archive):
    whole = archive.read_bytes()
    for content in (b"", b"PK\x03\x04" + whole, MAGIC[:-1] + b"\x02" + whole[len(MAGIC) :]):
        archive.write_bytes(content)
        assert refuses(ConfigInvalid, archive, home) == "archive_unknown"


def test_an_archive_of_another_node(home, archive, tmp_path):
    other = make_home(tmp_path / "other", name="shop")
    BackupKeys.of(other.folder)
    assert refuses(SealBroken, archive, other) == "archive_broken"


def test_a_subject_of_another_archive_under_this_header(home, archive, tmp_path):
    """Two archives of one node have different keys, and a subject's records are bound to theirs."""
    create(home, tmp_path / "two.backup")
    one, two = archive.read_bytes(), (tmp_path / "two.backup").read_bytes()
    head = len(MAGIC) + 4 + int.from_bytes(one[len(MAGIC) : len(MAGIC) + 4], "big")
    archive.write_bytes(one[:head] + two[head:])
    assert refuses(SealBroken, archive, home) == "archive_broken"


def test_a_home_that_exists_is_not_restored_over(home, archive, tmp_path):
    (tmp_path / "new").mkdir()
    with pytest.raises(ConfigInvalid) as caught:
        restore(archive, tmp_path / "new", home.folder)
    assert caught.value.key == "home_exists"
    with pytest.raises(ConfigInvalid) as caught:
        restore(tmp_path / "missing", tmp_path / "newer", home.folder)
    assert caught.value.key == "file_missing"
    with pytest.raises(ConfigInvalid) as caught:
        restore(archive, tmp_path / "newer", tmp_path)
    assert caught.value.key == "backup_keys_missing"


def test_an_altered_key_store(home, archive):
    with sqlite3.connect(home.folder / "backup-keys.sqlite") as connection:
        connection.execute("UPDATE subject_keys SET wrapped = zeroblob(60)")
    assert refuses(SealBroken, archive, home) == "vault_broken"
