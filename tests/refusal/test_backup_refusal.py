"""What was altered, shortened, moved or made by others is refused: ledgers and archives."""

import base64

import msgspec
import pytest
from backup_scene import CASE, NOW, OTHER_CASE, Shelf, erase, located, make_home

from clients.backup.guard import compare, replay
from clients.backup.ledger import LEDGER_FILE, Deletion, Ledger, ledger_of
from clients.backup.shredding import shred
from federation.post_messages import LedgerHead
from privacy.errors import AuditBroken, Denied
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
