"""`silhouette database`: looking, forward, back."""

import json
import os

import msgspec
import pytest
from typer.testing import CliRunner

from privacy.errors import ConfigInvalid
from server.cli import app
from server.db.engine import URL_VARIABLE
from server.db.migrating import current, latest
from server.home import CoordinatorHome, Running


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv(URL_VARIABLE, raising=False)
    monkeypatch.setenv("SILHOUETTE_LANG", "en")
    return CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 8440, "127.0.0.1")


def run(home, *arguments, stdin=""):
    words = ["database", arguments[0], "--home", str(home.folder), *arguments[1:]]
    return CliRunner().invoke(app, words, input=stdin)


def test_looking_forward_and_back(home):
    assert json.loads(run(home, "current", "--json").stdout) == {"revision": "", "latest": latest()}
    assert latest() in run(home, "upgrade").stdout
    assert json.loads(run(home, "current", "--json").stdout)["revision"] == latest()
    assert run(home, "downgrade", "base", "--yes").exit_code == 0
    assert current(home.database) == ""


def test_going_back_asks_first(home):
    run(home, "upgrade")
    assert run(home, "downgrade", "base", stdin="n\n").exit_code == 1
    assert current(home.database) == latest()


def test_a_serving_coordinators_database_is_not_taken_back(home):
    run(home, "upgrade")
    home.write_running(Running(os.getpid(), {}))
    found = run(home, "downgrade", "base", "--yes")
    assert isinstance(found.exception, ConfigInvalid)
    assert found.exception.key == "database_in_use"
    assert current(home.database) == latest()


def test_an_unknown_revision_is_named(home):
    found = run(home, "downgrade", "0000", "--yes")
    assert isinstance(found.exception, ConfigInvalid)
    assert found.exception.key == "database_revision_unknown"


def test_settings_say_where_it_is_and_older_ones_stay_readable(home, tmp_path):
    assert "database" not in home.settings_file.read_text()
    moved = msgspec.structs.replace(home.settings, database_url=f"sqlite:///{tmp_path / 'other.sqlite'}")
    home.settings_file.write_bytes(msgspec.json.encode(moved))
    CoordinatorHome.open(home.folder).database.connect().close()
    assert (tmp_path / "other.sqlite").exists()
