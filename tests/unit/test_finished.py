"""Rows leave a job's stored records together, and nothing of the old records stays in the database's files."""

import sqlite3

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.consents.forgetting import clear_traces
from clients.finished import (
    HANDLE,
    SEGMENTS,
    TRAIN_ROWS,
    per_row,
    read_handle,
    record_name,
    remove_rows,
    sessions_with,
    with_values,
    without,
)
from clients.vault import Vault
from privacy.errors import SealBroken

SESSION = "5e" * 16


@pytest.fixture
def vault(tmp_path):
    made = Vault.create(tmp_path)
    yield made
    made.close()


def records(n):
    refs = np.arange(16 * n, dtype=np.uint8).reshape(n, 16)
    rows = np.arange(n, dtype=np.int64) * 3
    return {
        HANDLE: msgspec.msgpack.encode({"rows": rows.tobytes(), "subject_refs": refs.tobytes()}),
        SEGMENTS: msgspec.msgpack.encode({"assignments": rows.tobytes(), "centroids": b"kept"}),
        "points": np.arange(n, dtype=np.int32).tobytes(),
        "scores": np.linspace(0, 1, n).tobytes(),
        TRAIN_ROWS: np.arange(0, n, 2, dtype=np.int64).tobytes(),
    }


@given(st.lists(st.booleans(), min_size=1, max_size=15))
def test_rows_leave_all_records(gone):
    gone = np.array(gone)
    left = {name: without(name, data, gone) for name, data in records(len(gone)).items()}
    rows, refs = read_handle(left[HANDLE])
    places = np.flatnonzero(~gone)
    assert rows.tolist() == (places * 3).tolist()
    assert refs[:, 0].tolist() == (places * 16).tolist()
    assert per_row("points", left["points"]).tolist() == places.tolist()
    assert per_row(SEGMENTS, left[SEGMENTS]).tolist() == (places * 3).tolist()
    assert msgspec.msgpack.decode(left[SEGMENTS])["centroids"] == b"kept"
    trains = np.frombuffer(left[TRAIN_ROWS], dtype=np.int64)
    assert places[trains].tolist() == [place for place in places.tolist() if place % 2 == 0]


@pytest.mark.parametrize("name", [HANDLE, SEGMENTS, TRAIN_ROWS, "points", "scores"])
def test_a_record_of_another_length_changes_nothing(vault, name):
    for one, data in records(5).items():
        vault.put(record_name(SESSION, one), records(9)[one] if one == name else data)
    before = {one: vault.get(one) for one in vault.names()}
    with pytest.raises(SealBroken):
        remove_rows(vault, SESSION, np.arange(5) == 1)
    assert {one: vault.get(one) for one in vault.names()} == before


def test_a_value_is_set(vault):
    data = records(3)[SEGMENTS]
    values = per_row(SEGMENTS, data)
    values[1] = -1
    assert per_row(SEGMENTS, with_values(SEGMENTS, data, values)).tolist() == [0, -1, 6]


def test_sessions_are_found_by_their_records(vault):
    vault.put(record_name("aa", HANDLE), b"1")
    vault.put(record_name("bb", "model/" + HANDLE), b"1")
    assert sessions_with(vault, HANDLE) == ["aa"]


def test_an_edit_keeps_the_time_of_a_record(vault, tmp_path):
    vault.put("a", b"old", days=-1)
    vault.put("b", b"old", days=3)
    vault.put("c", b"same")
    old = vault.edit(["a", "b", "c", "d"], lambda found: {"a": None, "b": found["b"] + b"er"})
    assert len(old) == 2
    assert vault.names() == ["b", "c"]
    assert vault.get("b") == b"older"
    with sqlite3.connect(tmp_path / "vault.sqlite") as database:
        assert database.execute("SELECT name FROM retention").fetchall() == [("b",)]


@pytest.mark.parametrize("size", [10, 700, 100_000])
def test_old_sealed_values_leave_the_files(vault, tmp_path, size):
    """Small values share pages, and move between them; large ones have pages of their own."""
    names = [f"record/{number}" for number in range(60)]
    for name in names:
        vault.put(name, bytes(size))
    with sqlite3.connect(tmp_path / "vault.sqlite") as database:
        old = dict(database.execute("SELECT name, data FROM sealed"))
    database.close()
    chosen = names[::2]
    heads = vault.edit(chosen, lambda found: {name: bytes(size // 2) for name in found})
    heads += vault.edit(chosen[:5], dict.fromkeys)
    assert {old[name][:16] for name in chosen} <= set(heads)
    clear_traces(vault.engine, heads)
    everything = b"".join(file.read_bytes() for file in tmp_path.glob("vault.sqlite*"))
    parts = [old[name][start : start + 16] for name in chosen for start in range(0, size, 997)]
    assert [part for part in parts if part in everything] == []
    assert all(old[name][:16] in everything for name in names[1::2]), "the test looks at the right files"
