"""What is kept for a rerun: where, for whom to read, and for how long."""

import datetime
import os
import stat
import time

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from clients.vault import Shelf, Vault, _Sealed
from federation.files import FolderStore, forget_stale
from federation.roles import RERUN_SECONDS, MemoryStore
from privacy.errors import CohortTooSmall, CryptoError, PeerDropped, PeerFailed, Refused, is_refusal


@pytest.fixture
def vault(tmp_path):
    made = Vault.create(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=["memory", "folder", "shelf"])
def store(request, tmp_path, vault):
    kinds = {
        "memory": MemoryStore,
        "folder": lambda: FolderStore(tmp_path / "unfinished" / "job"),
        "shelf": lambda: Shelf(vault, "unfinished/job/match/"),
    }
    return kinds[request.param]()


def test_a_store_keeps_replaces_lists_removes_and_forgets(store):
    assert store.get("bank/1") is None
    assert store.names("") == []
    store.put("bank/1", b"one")
    store.put("bank/1", b"two")
    store.put("bank/10", b"ten")
    store.put("shop/1", b"")
    assert (store.get("bank/1"), store.get("shop/1")) == (b"two", b"")
    assert sorted(store.names("bank/")) == ["bank/1", "bank/10"]
    store.remove("bank/10")
    store.remove("nothing")
    assert sorted(store.names("")) == ["bank/1", "shop/1"]
    store.clear()
    assert store.names("") == []
    assert store.get("bank/1") is None
    store.clear()


def test_a_folder_is_its_owners_alone(tmp_path):
    store = FolderStore(tmp_path / "unfinished" / "job")
    store.put("bank/part/1", b"tokens")
    for entry in (tmp_path / "unfinished").rglob("*"):
        wanted = 0o700 if entry.is_dir() else 0o600
        assert stat.S_IMODE(entry.stat().st_mode) == wanted, entry
    assert stat.S_IMODE((tmp_path / "unfinished").stat().st_mode) == 0o700
    # A write that was cut off leaves no record.
    (tmp_path / "unfinished" / "job" / "bank" / "2.part").write_bytes(b"half")
    assert store.names("") == ["bank/part/1"]
    assert store.get("bank/2") is None


def test_folders_are_forgotten_a_day_after_their_first_record(tmp_path):
    old, young = FolderStore(tmp_path / "old"), FolderStore(tmp_path / "young")
    for store in (old, young):
        store.put("bank/1", b"tokens")
        store.put("bank/2", b"tokens")
    past = time.time() - RERUN_SECONDS - 1
    os.utime(tmp_path / "old" / "bank" / "1", (past, past))  # the second record is from a later attempt
    forget_stale(tmp_path)
    assert old.names("") == []
    assert len(young.names("")) == 2
    forget_stale(tmp_path / "not there")


def test_vault_records_are_forgotten_after_a_day_and_others_stay(vault):
    shelf, other = Shelf(vault, "unfinished/a/"), Shelf(vault, "job/a/")
    for one in (shelf, other):
        one.put("old", b"1")
        one.put("young", b"2")
    with Session(vault._engine) as session, session.begin():
        is_old = _Sealed.name.endswith("/old")
        written = session.query(_Sealed).filter(is_old).first().written
        past = written - datetime.timedelta(seconds=RERUN_SECONDS + 1)
        session.execute(update(_Sealed).where(is_old).values(written=past))
    vault.remove_older("unfinished/", RERUN_SECONDS)
    assert shelf.names("") == ["young"]
    assert sorted(other.names("")) == ["old", "young"]


def test_refusals_are_told_from_what_a_rerun_may_mend():
    assert is_refusal(CohortTooSmall.code)
    assert is_refusal(Refused.code)
    for other in (PeerDropped, PeerFailed, CryptoError):
        assert not is_refusal(other.code)
    assert not is_refusal("nonsense")
