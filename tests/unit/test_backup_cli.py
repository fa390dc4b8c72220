"""`silhouette-node backup`: archives, restoring, replaying, as typed."""

import json
from contextlib import nullcontext

import pytest
from backup_scene import CASE, PEOPLE, Shelf, erase, located, make_home
from typer.testing import CliRunner

from clients.backup.shredding import shred
from clients.cli import app
from privacy.errors import ConfigInvalid


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


def run(*arguments):
    result = CliRunner().invoke(app, ["backup", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_create_list_and_restore(home, tmp_path):
    assert json.loads(run("list", "--home", home.folder, "--json")) == []
    assert run("list", "--home", home.folder)
    made = json.loads(run("create", tmp_path / "a", "--home", home.folder, "--json"))
    assert (made["subjects"], made["file"]) == (PEOPLE, str(tmp_path / "a"))
    assert "backup.key" in run("create", tmp_path / "b", "--home", home.folder)
    (tmp_path / "b").unlink()
    listed = json.loads(run("list", "--home", home.folder, "--json"))
    assert {one["file"]: one["is_there"] for one in listed} == {
        str(tmp_path / "a"): True,
        str(tmp_path / "b"): False,
    }
    assert str(PEOPLE) in run("list", "--home", home.folder)
    shred(home, [located(home, 1)], CASE, escrow=Shelf())
    options = ("--home", tmp_path / "new", "--keys", home.folder)
    done = json.loads(run("restore", tmp_path / "a", *options, "--json"))
    assert (done["subjects"], done["left_out"]) == (PEOPLE - 1, 1)
    more = ("--home", tmp_path / "newer", "--keys", home.folder, "--audit-log", home.folder / "audit")
    assert "replay" in run("restore", tmp_path / "a", *more)


def test_replay(home, monkeypatch):
    shelf = Shelf()
    shred(home, [located(home, 1)], CASE, escrow=shelf)
    monkeypatch.setattr("clients.backup.guard.escrow_of", lambda *_: nullcontext(shelf))
    monkeypatch.setattr("clients.rights.erasing.erase", erase)
    assert run("replay", "--home", home.folder)
    (home.folder / "deletions.jsonl").unlink()
    done = json.loads(run("replay", "--home", home.folder, "--json"))
    assert done == {"entries": 1, "subjects": 1}
    (home.folder / "deletions.jsonl").unlink()
    assert "1" in run("replay", "--home", home.folder)


def test_a_node_that_never_joined_has_nothing_to_replay(home):
    with pytest.raises(ConfigInvalid):
        run("replay", "--home", home.folder)
