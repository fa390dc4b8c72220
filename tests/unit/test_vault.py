"""The node's vault: what it stores comes back, and nothing else does."""

import os
import shutil
import sqlite3
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clients.vault import KEY_BYTES, NONCE_BYTES, Vault
from privacy.errors import ConfigInvalid, SealBroken, UnexpectedMessage
from privacy.texts import LANGUAGES

CANARY = b"13900001234-canary"


@pytest.fixture
def vault(tmp_path):
    made = Vault.create(tmp_path)
    yield made
    made.close()


def on_disk(folder, statement, *values):
    """Change the file as its owner could with another program."""
    with sqlite3.connect(folder / "vault.sqlite") as database:
        rows = database.execute(statement, values).fetchall()
    database.close()
    return rows


def refuses(vault, name):
    with pytest.raises(SealBroken) as caught:
        vault.get(name)
    assert (caught.value.key, caught.value.values) == ("vault_broken", {"name": name})
    assert all(name in caught.value.render(language) for language in LANGUAGES)


@pytest.mark.parametrize("data", [b"", b"\x00", CANARY, bytes(100_000)])
def test_what_is_stored_comes_back(vault, tmp_path, data):
    vault.put("job/1/handle", data)
    assert vault.get("job/1/handle") == data
    vault.close()
    assert Vault(tmp_path).get("job/1/handle") == data


def test_a_record_is_replaced(vault):
    vault.put("a", b"old")
    vault.put("a", b"new")
    assert vault.get("a") == b"new"
    assert vault.names() == ["a"]


def test_what_was_never_stored_is_none(vault):
    assert vault.get("job/1/handle") is None


def test_the_file_holds_no_plain_content(vault, tmp_path):
    vault.put("job/1/handle", CANARY * 50)
    vault.put("job/1/other", CANARY)
    vault.close()
    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"canary" not in stored
    assert b"job/1/handle" in stored, "the test looks at the right file"


def test_equal_content_is_stored_differently(vault, tmp_path):
    for name in ("a", "b", "a"):
        vault.put(name, CANARY)
    kept = [row[0] for row in on_disk(tmp_path, "SELECT data FROM sealed")]
    assert len({data[:NONCE_BYTES] for data in kept}) == 2
    assert len({data[NONCE_BYTES:] for data in kept}) == 2


def test_the_key_file_is_for_its_owner_alone(vault, tmp_path):
    file = tmp_path / "vault.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_bytes()) == KEY_BYTES


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_key_file_is_private_under_any_umask(tmp_path, monkeypatch, mask):
    before = os.umask(mask)
    try:
        Vault.create(tmp_path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "vault.key").stat().st_mode) == 0o600


# --- tampering


def test_a_record_that_was_moved_refuses(vault, tmp_path):
    vault.put("job/1/paillier", CANARY)
    on_disk(tmp_path, "UPDATE sealed SET name = 'job/2/paillier'")
    refuses(vault, "job/2/paillier")


def test_records_that_were_exchanged_refuse(vault, tmp_path):
    vault.put("a", b"one")
    vault.put("b", b"two")
    on_disk(tmp_path, "UPDATE sealed SET data = (SELECT data FROM sealed WHERE name = 'b') WHERE name = 'a'")
    refuses(vault, "a")
    assert vault.get("b") == b"two"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_or_shortened_record_refuses(vault, tmp_path, data):
    vault.put("a", b"content")
    ((kept,),) = on_disk(tmp_path, "SELECT data FROM sealed")
    if data.draw(st.booleans()):
        changed = bytearray(kept)
        changed[data.draw(st.integers(0, len(kept) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        changed = kept[: data.draw(st.integers(0, len(kept) - 1))]
    on_disk(tmp_path, "UPDATE sealed SET data = ?", bytes(changed))
    refuses(vault, "a")


@pytest.mark.parametrize("length", [0, 1, 7, 8, NONCE_BYTES, NONCE_BYTES + 15])
def test_a_stump_of_a_record_refuses(vault, tmp_path, length):
    vault.put("a", b"content")
    on_disk(tmp_path, f"UPDATE sealed SET data = substr(data, 1, {length})")  # noqa: S608 (a number)
    refuses(vault, "a")


def test_another_nodes_records_refuse(vault, tmp_path):
    vault.put("a", CANARY)
    vault.close()
    other = tmp_path / "other"
    other.mkdir()
    Vault.create(other).close()
    shutil.copy(tmp_path / "vault.sqlite", other / "vault.sqlite")
    refuses(Vault(other), "a")


# --- names


def test_names_by_prefix_are_sorted(vault):
    for name in ("job/2/b", "job/1/a", "job/10/a", "identity"):
        vault.put(name, b"")
    assert vault.names() == ["identity", "job/1/a", "job/10/a", "job/2/b"]
    assert vault.names("job/1/") == ["job/1/a"]
    assert vault.names("job/1") == ["job/1/a", "job/10/a"]
    assert vault.names("nothing") == []


@pytest.mark.parametrize("wildcard", ["%", "_", "job/_/", "j%"])
def test_a_prefix_is_taken_literally(vault, wildcard):
    vault.put("job/1/a", b"kept")
    assert vault.names(wildcard) == []
    vault.remove(wildcard)
    assert vault.get("job/1/a") == b"kept"


def test_remove_forgets_one_jobs_records(vault, tmp_path):
    for name in ("job/1/a", "job/1/b", "job/10/a", "identity"):
        vault.put(name, CANARY)
    vault.remove("job/1/")
    assert vault.names() == ["identity", "job/10/a"]
    assert vault.get("job/1/a") is None
    vault.remove("job/1/")


# --- sessions


def test_a_session_is_used_once(vault, tmp_path):
    vault.use_session("s1")
    vault.use_session("s2")
    vault.close()
    again = Vault(tmp_path)
    for session in ("s1", "s2"):
        with pytest.raises(UnexpectedMessage) as caught:
            again.use_session(session)
        assert caught.value.key == "session_replayed"


# --- where it lies


def test_there_is_no_vault_without_its_key(vault, tmp_path):
    vault.put("a", CANARY)
    vault.close()
    (tmp_path / "vault.key").unlink()
    with pytest.raises(ConfigInvalid) as caught:
        Vault(tmp_path)
    assert caught.value.key == "home_missing"


def test_an_empty_folder_has_no_vault(tmp_path):
    with pytest.raises(ConfigInvalid):
        Vault(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_refuses(vault, tmp_path, length):
    """AES would take 16 bytes: a vault does not."""
    vault.close()
    (tmp_path / "vault.key").write_bytes(bytes(length))
    with pytest.raises(SealBroken) as caught:
        Vault(tmp_path)
    assert caught.value.key == "vault_broken"


def test_a_key_is_never_overwritten(vault, tmp_path):
    key = (tmp_path / "vault.key").read_bytes()
    with pytest.raises(ConfigInvalid) as caught:
        Vault.create(tmp_path)
    assert caught.value.key == "home_exists"
    assert (tmp_path / "vault.key").read_bytes() == key


def test_another_database_may_hold_the_records(tmp_path):
    file = tmp_path / "elsewhere.db"
    home = tmp_path / "home"
    home.mkdir()
    vault = Vault.create(home, f"sqlite:///{file}")
    vault.put("a", CANARY)
    vault.close()
    assert file.exists()
    assert not (home / "vault.sqlite").exists()
    assert Vault(home, f"sqlite:///{file}").get("a") == CANARY
