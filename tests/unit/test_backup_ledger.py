"""The ledger of deletions, the guard over restored nodes, and the keys of subjects' records in archives."""

import base64
import pickle
import shutil
import sqlite3
import stat
from contextlib import closing, nullcontext
from pathlib import Path

import msgspec
import pytest
from backup_scene import (
    CASE,
    LABEL,
    NOW,
    OTHER_CASE,
    SESSION,
    Shelf,
    erase,
    ids,
    located,
    make_home,
    phone,
    tokens_of,
)
from gate_scene import job_for
from sqlite_locks import is_locked

from clients.audiences.lists import build
from clients.backup.finding import find, stones_of
from clients.backup.guard import (
    BEHIND_RECORD,
    Replayed,
    check,
    check_at_start,
    compare,
    mark_behind,
    refuse_unless_replayed,
    replay,
)
from clients.backup.keys import KEYS_FILE, MASTER_FILE, BackupKeys
from clients.backup.ledger import LEDGER_FILE, MOST_STONES, Ledger, deletions_of, ledger_of
from clients.backup.shredding import remains, shred
from clients.consents.tables import Source
from clients.finished import record_name
from clients.gate.gate import Gate
from clients.gate.policy import policy_for_use
from clients.home import NodeHome
from clients.lending.cases import decide_about
from clients.rights.erasing import erase as erase_everything
from clients.rights.located import NOWHERE
from federation.post_messages import LedgerHead
from privacy.audit import EventType
from privacy.consent import Statement
from privacy.errors import AuditBroken, ConfigInvalid, Denied, UnexpectedMessage
from privacy.rights import Artefact, Outcome, Result


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def shelf():
    return Shelf()


def copy_of(home, folder):
    """An operator's copy of the whole home, as it is now."""
    home.audit.append(EventType.COUNTER_SNAPSHOT, actor="node")
    home.vault.close()
    shutil.copytree(home.folder, folder)
    return folder


def delete(home, numbers, shelf, case=CASE):
    return shred(home, [located(home, number) for number in numbers], case, escrow=shelf, now=lambda: NOW)


def with_newest_log(old, home):
    """What the operator does first: the newest audit log comes into the restored home."""
    shutil.rmtree(old / "audit")
    shutil.copytree(home.folder / "audit", old / "audit")
    return NodeHome.open(old)


def events(home):
    return [event.type for event in home.audit.events()]


# --- a deletion


def test_a_deletion_leaves_an_entry_a_tombstone_and_a_deposit(home, shelf):
    outcomes = delete(home, [1, 2], shelf)
    assert [outcome.result for outcome in outcomes] == [Result.NOT_FOUND] * 2
    assert {outcome.artefact for outcome in outcomes} == {Artefact.BACKUP}
    assert shelf.stored == ledger_of(home).entries()
    (deletion,) = ledger_of(home).read(shelf.stored, LedgerHead())
    assert deletion.case == CASE
    assert len(deletion.subjects) == len(deletion.shared) == 32
    tokens = home.consents.tokens(LABEL, ids([1, 2, 3]))
    assert home.consents.restricted(tokens, NOW).tolist() == [True, True, False]
    assert not any(remains(home, [located(home, 1), located(home, 2)]))
    assert remains(home, [located(home, 3)]) == [True]


def test_neither_ledger_nor_shelf_names_anybody(home, shelf):
    subject = located(home, 1)
    delete(home, [1], shelf)
    for content in [*shelf.stored, (home.folder / LEDGER_FILE).read_bytes()]:
        for needle in (subject.identifier, subject.token, subject.shared[0].ref, CASE.encode()):
            assert needle not in content
            assert base64.b64encode(needle)[:-4] not in content
    assert stat.S_IMODE((home.folder / LEDGER_FILE).stat().st_mode) == 0o600


def test_deleting_again_adds_nothing(home, shelf):
    delete(home, [1], shelf)
    delete(home, [1], shelf)
    assert len(shelf.stored) == 1
    assert shred(home, [], CASE, escrow=shelf) == []


def test_whoever_came_back_can_be_deleted_again(home, shelf):
    delete(home, [1], shelf)
    yes = Statement(purpose="marketing", granted=True, notice="n1")
    home.consents.record(LABEL, ids([1]), yes, Source.API, NOW)
    assert remains(home, [located(home, 1)]) == [True]
    delete(home, [1], shelf, OTHER_CASE)
    assert len(shelf.stored) == 2
    assert remains(home, [located(home, 1)]) == [False]


def test_a_deletion_that_was_cut_off_is_finished_by_doing_it_again(home, shelf, monkeypatch):
    BackupKeys.of(home.folder).make(home.consents.tokens(LABEL, ids([1])))
    for place in (
        "clients.consents.store.ConsentStore.suppress",
        "clients.backup.keys.BackupKeys.destroy",
        "clients.backup.shredding._tell",
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                delete(home, [1], shelf)
    delete(home, [1], shelf)
    assert remains(home, [located(home, 1)]) == [False]
    ledger_of(home).check()
    assert shelf.stored == ledger_of(home).entries()


def test_a_coordinator_that_is_away_gets_the_entry_later(home, shelf):
    shelf.is_reachable = False
    delete(home, [1], shelf)
    shelf.is_reachable = True
    assert shelf.stored == []
    compare(home, shelf)
    assert shelf.stored == ledger_of(home).entries() != []


def test_many_subjects_fill_several_entries(home):
    stones = home.consents.suppression.of(home.consents.tokens(LABEL, ids(range(MOST_STONES))))
    entries = deletions_of(CASE, stones, stones[:10], NOW, 7)
    assert len(entries) == 2
    assert b"".join(entry.subjects for entry in entries) == stones.astype(">u8").tobytes()
    written = ledger_of(home).append(entries)
    assert max(map(len, written)) < 1 << 16
    assert [one.events for one in ledger_of(home).read(written, LedgerHead())] == [7, 7]


def test_a_deletion_while_the_ledger_is_compared_does_not_keep_the_node_out(home, shelf, monkeypatch):
    """Another process deletes and deposits between the two things that are read."""
    own, asked = Ledger.entries, shelf.head

    def head():
        monkeypatch.setattr(shelf, "head", asked)
        delete(home, [1], shelf)
        return asked()

    def entries(ledger):
        monkeypatch.setattr(Ledger, "entries", own)
        found = own(ledger)
        delete(home, [2], shelf, OTHER_CASE)
        return found

    monkeypatch.setattr(shelf, "head", head)
    compare(home, shelf)
    monkeypatch.setattr(Ledger, "entries", entries)
    compare(home, shelf)
    refuse_unless_replayed(home)
    assert shelf.stored == ledger_of(home).entries()
    assert len(shelf.stored) == 2


def test_entries_that_another_process_has_deposited_first_are_compared_once_more(home, shelf, monkeypatch):
    shelf.is_reachable = False
    for number, case in ((1, CASE), (2, OTHER_CASE)):
        delete(home, [number], shelf, case)
    shelf.is_reachable = True
    put = shelf.put_entry

    def put_after_another(number, entry):
        monkeypatch.setattr(shelf, "put_entry", put)
        shelf.stored = ledger_of(home).entries()
        put(number, entry)

    monkeypatch.setattr(shelf, "put_entry", put_after_another)
    compare(home, shelf)
    assert shelf.stored == ledger_of(home).entries()


def test_a_shelf_that_never_takes_the_next_entry_is_reported(home, shelf, monkeypatch):
    shelf.is_reachable = False
    delete(home, [1], shelf)
    shelf.is_reachable = True
    asked = []

    def refuse(number, entry):
        asked.append(number)
        raise UnexpectedMessage("post_ledger_number", position=number)

    monkeypatch.setattr(shelf, "put_entry", refuse)
    with pytest.raises(UnexpectedMessage):
        compare(home, shelf)
    assert asked == [1, 1]


# --- a copy that is older than deletions


def test_a_node_that_was_restored_may_not_take_part(home, shelf, tmp_path):
    old = NodeHome.open(copy_of(home, tmp_path / "copy"))
    delete(home, [1], shelf)
    compare(home, shelf)
    refuse_unless_replayed(home)
    for _ in range(2):
        with pytest.raises(Denied) as caught:
            compare(old, shelf)
        assert caught.value.findings.codes == ("R-RESTORE-NOT-REPLAYED",)
    with pytest.raises(Denied):
        refuse_unless_replayed(NodeHome.open(old.folder))
    (outcome,) = delete(old, [2], shelf, OTHER_CASE)
    assert outcome.result is Result.FAILED
    assert outcome.reason == "R-RESTORE-NOT-REPLAYED"


def test_replaying_deletes_again_and_lets_it_take_part(home, shelf, tmp_path):
    folder = copy_of(home, tmp_path / "copy")
    delete(home, [1], shelf)
    delete(home, [3, 5, 7], shelf, OTHER_CASE)
    old = with_newest_log(folder, home)
    with pytest.raises(Denied):
        compare(old, shelf)
    done = replay(old, erase, escrow=shelf)
    assert (done.entries, done.subjects) == (2, 4)
    assert {one.identifier for one in old.erased} == {phone(number).encode() for number in (1, 3, 5, 7)}
    assert all(one == located(home, one.row) for one in old.erased), "with their rows and matchings"
    assert ledger_of(old).entries() == shelf.stored
    compare(old, shelf)
    refuse_unless_replayed(old)
    assert events(old).count(EventType.RESTORE_REPLAYED) == 1
    assert old.consents.restricted(tokens_of(old.erased), NOW).all()
    again = replay(old, erase, escrow=shelf)
    assert (again.entries, again.subjects) == (0, 0)
    assert events(old).count(EventType.RESTORE_REPLAYED) == 1


def test_replaying_with_the_erasers_leaves_nothing(home, shelf, tmp_path, monkeypatch):
    folder = copy_of(home, tmp_path / "copy")
    delete(home, [4], shelf)
    old = with_newest_log(folder, home)
    table = tmp_path / "copied.csv"
    shutil.copy(home.settings.table.path, table)
    spec = msgspec.structs.replace(old.settings.table, path=str(table))
    old.write_settings(msgspec.structs.replace(old.settings, table=spec))
    old = NodeHome.open(folder)
    monkeypatch.setattr("clients.backup.shredding.escrow_of", lambda *_: nullcontext(shelf))
    assert replay(old, erase_everything, escrow=shelf) == Replayed(entries=1, subjects=1)
    subject = located(home, 4)
    assert table.read_text().splitlines()[5] == ",,"
    assert not old.consents.known(tokens_of([subject])).any()
    assert old.consents.restricted(tokens_of([subject]), NOW).all()
    handle = old.vault.get(record_name(SESSION, "handle"))
    assert subject.shared[0].ref not in handle
    assert len(shelf.stored) == 1
    compare(old, shelf)


def test_a_replay_needs_the_newest_audit_log(home, shelf, tmp_path):
    old = NodeHome.open(copy_of(home, tmp_path / "copy"))
    home.audit.append(EventType.COUNTER_SNAPSHOT, actor="node")
    delete(home, [1], shelf)
    before = old.audit.size
    with pytest.raises(AuditBroken) as caught:
        replay(old, erase, escrow=shelf)
    assert caught.value.key == "backup_log_old"
    assert old.audit.size == before
    with pytest.raises(Denied):
        compare(old, shelf)


def test_what_cannot_be_deleted_again_keeps_the_node_out(home, shelf, tmp_path):
    folder = copy_of(home, tmp_path / "copy")
    delete(home, [1], shelf)
    old = with_newest_log(folder, home)

    def fail(home, subjects, case):
        return [Outcome(artefact=Artefact.FEATURE, result=Result.FAILED)]

    with pytest.raises(ConfigInvalid) as caught:
        replay(old, fail, escrow=shelf)
    assert caught.value.key == "backup_replay_open"
    with pytest.raises(Denied):
        compare(old, shelf)


def test_a_deletion_made_meanwhile_is_not_lost(home, shelf, tmp_path):
    folder = copy_of(home, tmp_path / "copy")
    delete(home, [1], shelf)
    old = with_newest_log(folder, home)
    shelf.is_reachable = False
    delete(old, [2], shelf, OTHER_CASE)  # nobody could tell it that it is an old copy
    shelf.is_reachable = True
    with pytest.raises(Denied):
        compare(old, shelf)
    replay(old, erase, escrow=shelf)
    cases = [one.case for one in ledger_of(old).read(shelf.stored, LedgerHead())]
    assert cases == [CASE, OTHER_CASE]


def test_a_subject_that_the_file_no_longer_names_is_found_by_its_matching(home):
    subject = located(home, 2)
    stones, shared = stones_of(home, [subject])
    table = Path(home.settings.table.path)
    lines = table.read_text().splitlines()
    lines[3] = ",,"
    table.write_text("\n".join(lines) + "\n")
    home.consents.forget(tokens_of([subject]))
    (found,) = find(home, stones, shared)
    assert (found.identifier, found.token, found.row, found.shared) == (
        b"",
        subject.token,
        NOWHERE,
        subject.shared,
    )
    assert shred(home, [found], CASE, escrow=Shelf())[0].result is Result.NOT_FOUND


def test_a_node_without_a_coordinator_has_nothing_to_compare(home):
    check(home)
    check_at_start(home)
    with pytest.raises(ConfigInvalid):
        replay(home, erase)
    home.vault.put(BEHIND_RECORD, b"")
    for act in (check, check_at_start):
        with pytest.raises(Denied):
            act(home)


# --- keys


def test_a_subject_has_one_key_until_it_is_destroyed(home):
    keys = BackupKeys.of(home.folder)
    tokens = home.consents.tokens(LABEL, ids([1, 2]))
    made = keys.make(tokens)
    assert BackupKeys.of(home.folder).make(tokens) == made == [*keys.make(tokens[:1]), made[1]]
    assert len({part for key in made for part in key}) == 4
    assert sorted(keys.by_number()) == sorted(made)
    assert keys.destroy(tokens[:1]).tolist() == [True]
    assert keys.destroy(tokens).tolist() == [False, True]
    assert keys.have(tokens).tolist() == [False, False]
    assert list(keys.by_number()) == []
    assert keys.make(tokens)[0].number != made[0].number


@pytest.mark.parametrize("count", [1, 600])
def test_nothing_of_a_destroyed_key_stays_in_the_file(home, count):
    keys = BackupKeys.of(home.folder)
    tokens = home.consents.tokens(LABEL, ids(range(2_000)))
    made = keys.make(tokens)
    keys.destroy(tokens[:count])
    content = (home.folder / KEYS_FILE).read_bytes()
    assert not any(key.number in content for key in made[:count])
    assert made[-1].number in content


def test_keys_are_private(home, tmp_path):
    keys = BackupKeys.of(home.folder)
    for name in (MASTER_FILE, KEYS_FILE):
        assert stat.S_IMODE((home.folder / name).stat().st_mode) == 0o600
    assert repr(keys) == "BackupKeys(...)"
    with pytest.raises(TypeError):
        pickle.dumps(keys)
    with pytest.raises(ConfigInvalid):
        BackupKeys(tmp_path)


def test_looking_for_the_keys_takes_no_lock_from_who_writes_them(home):
    file = home.folder / KEYS_FILE
    BackupKeys.of(home.folder)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        BackupKeys.of(home.folder)
        assert is_locked(file)
    assert not is_locked(file)


def test_shredding_destroys_the_key_and_says_so(home, shelf):
    keys = BackupKeys.of(home.folder)
    keys.make(home.consents.tokens(LABEL, ids([1, 2])))
    assert [outcome.result for outcome in delete(home, [1, 3], shelf)] == [
        Result.CRYPTO_SHREDDED,
        Result.NOT_FOUND,
    ]
    (event,) = [event for event in home.audit.events() if event.type is EventType.KEY_SHREDDED]
    assert event.artefact == CASE
    assert event.sref
    assert remains(home, [located(home, 1)]) == [False]


def test_a_restored_node_refuses_every_use_of_its_data(home, tmp_path):
    """Of what reads people's data: jobs, previews of jobs, decisions, lists for marketing and giving them out."""
    mark_behind(home)
    job = job_for("bank", ("income",))
    results = home.results / "tiny-5e555e55"
    for use in (
        lambda: Gate(home, job, SESSION),
        lambda: decide_about(home, results, tmp_path / "plan.toml"),
        lambda: build(home, results, 1, "marketing", "autumn"),
        lambda: policy_for_use(home),
    ):
        with pytest.raises(Denied) as caught:
            use()
        assert caught.value.findings.codes == ("R-RESTORE-NOT-REPLAYED",)
