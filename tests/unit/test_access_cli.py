"""`users` at both command lines, on a coordinator's database and on a node's."""

from __future__ import annotations

import json

import pytest
from access_scene import PASSWORD
from consent_desk import make_home
from joserfc.jwk import ECKey, KeySet
from typer.testing import CliRunner

from clients.cli import app as node_app
from clients.desk.accounts import open_access as open_desk
from federation.access import passwords
from federation.access.passwords import TESTING_ONLY
from privacy.access import Means
from privacy.audit import EventType
from privacy.errors import AccountInvalid, ConfigInvalid, NotAuthenticated, NotFound
from server.accounts import open_access as open_console
from server.cli import app as server_app
from server.home import CoordinatorHome

INVITED = "something for the start"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch):
    real = passwords.Hashing.__init__
    monkeypatch.setattr(passwords.Hashing, "__init__", lambda self, profile: real(self, TESTING_ONLY))


@pytest.fixture(params=["coordinator", "node"])
def edge(request, tmp_path):
    if request.param == "coordinator":
        home = CoordinatorHome.create(tmp_path / "home", "127.0.0.1", 0, "127.0.0.1")
        yield server_app, home, open_console
        home.database.dispose()
        return
    home = make_home(tmp_path)
    yield node_app, home, open_desk
    home.vault.close()


def run(edge, *arguments, typed=""):
    app, home, _ = edge
    return CliRunner().invoke(app, ["users", *arguments, "--home", str(home.folder)], input=typed)


def access_of(edge):
    _, home, opened = edge
    return opened(home)


def test_a_user_is_added_shown_changed_and_shut_out(edge):
    done = run(
        edge,
        "add",
        "wei",
        "--role",
        "officer",
        "--role",
        "auditor",
        "--language",
        "zh-CN",
        typed=f"{INVITED}\n",
    )
    assert done.exit_code == 0, done.output
    assert INVITED not in done.output
    (shown,) = json.loads(run(edge, "list", "--json").output)
    assert (shown["name"], shown["roles"], shown["must_change"]) == ("wei", ["auditor", "officer"], True)
    assert "wei" in run(edge, "list").output
    access = access_of(edge)
    assert access.log_in("wei", INVITED)[1].means is Means.LOGIN
    run(edge, "roles", "wei", "--role", "admin")
    assert access.accounts.get("wei").roles == ("admin",)
    run(edge, "password", "wei", typed=f"{PASSWORD}\n")
    with pytest.raises(NotAuthenticated):
        access.log_in("wei", INVITED)
    run(edge, "disable", "wei")
    with pytest.raises(NotAuthenticated):
        access.log_in("wei", PASSWORD)
    run(edge, "enable", "wei")
    access.log_in("wei", PASSWORD)
    _, home, _ = edge
    changes = [event for event in home.audit.events() if event.type is EventType.ACCESS_USER_CHANGED]
    assert [event.stage for event in changes] == ["added", "roles", "password", "disabled", "enabled"]
    assert {(event.actor, event.artefact) for event in changes} == {("operator", "wei")}


def test_a_code_is_the_last_line_and_lets_in_once(edge):
    added = run(edge, "add", "wei", "--role", "officer", "--one-time")
    code = run(edge, "one-time", "wei").output.splitlines()[-1]
    access = access_of(edge)
    with pytest.raises(NotAuthenticated):
        access.log_in_once(added.output.splitlines()[-1])
    assert access.log_in_once(code)[1].name == "wei"
    with pytest.raises(NotAuthenticated):
        access.log_in_once(code)


def test_what_cannot_be_is_an_error_of_ours(edge):
    weak = run(edge, "add", "wei", "--role", "officer", typed="password1234\n")
    assert isinstance(weak.exception, AccountInvalid)
    assert "password1234" not in str(weak.exception)
    assert isinstance(run(edge, "password", "wei", typed=f"{PASSWORD}\n").exception, NotFound)
    assert run(edge, "add", "wei", "--role", "king").exit_code == 2
    assert json.loads(run(edge, "list", "--json").output) == []


def test_an_issuer_is_taken_from_the_home(edge):
    _, home, _ = edge
    assert access_of(edge).issuer is None
    keys = KeySet([ECKey.generate_key("P-256", {"kid": "ec"})]).as_dict(private=False)
    (home.folder / "keys.json").write_text(json.dumps(keys))
    named = 'issuer = "https://id.example"\naudience = "silhouette"\nkeys = "keys.json"\n'
    (home.folder / "issuer.toml").write_text(named + '[roles]\nrisk = "auditor"\n')
    with pytest.raises(NotAuthenticated) as caught:
        access_of(edge).caller_of("a.b.c")
    assert caught.value.key == "access_bearer_invalid"
    (home.folder / "issuer.toml").write_text(named + '[roles]\nrisk = "king"\n')
    with pytest.raises(ConfigInvalid, match=r"issuer\.toml"):
        access_of(edge)
