"""The commands over the API: the same nouns, JSON for programs, exit statuses, a token that only its owner reads."""

from __future__ import annotations

import json
import os
import stat

import pytest
from client_scene import URL, token_of
from console_scene import MODEL, PASSWORD, Scene
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from federation.client import credentials
from privacy.errors import AccessDenied, ConfigInvalid, NotAuthenticated, NotFound, StateConflict
from privacy.texts import LANGUAGES, text
from server.cli import app

FILE = """
name = "shell"
purpose = "credit_risk"
[segments]
[[party]]
name = "bank"
role = "label_holder"
segment_fields = ["income"]
[[party]]
name = "shop"
role = "feature_holder"
segment_fields = ["spend"]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return Scene(tmp_path_factory.mktemp("client"))


@pytest.fixture
def scene(world, tmp_path, monkeypatch):
    """Nobody is logged in on this machine."""
    found = world
    monkeypatch.setenv("SILHOUETTE_CONFIG", str(tmp_path / "settings"))
    monkeypatch.setenv("SILHOUETTE_LANG", "en")
    for name in ("SILHOUETTE_URL", "SILHOUETTE_TOKEN", "SILHOUETTE_CERTIFICATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("federation.terminal.out._width", 200)
    monkeypatch.setattr(
        "federation.client.connecting.open_http", lambda url, certificate="": TestClient(found.app, url)
    )
    return found


def run(*words, typed=""):
    """A command's exit status and output; an error of ours is raised, as `run_app` gets it."""
    result = CliRunner().invoke(app, [*map(str, words)], input=typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def read(*words):
    status, output = run(*words, "--json")
    assert status == 0
    return json.loads(output)


@pytest.fixture
def auditor(scene):
    run("login", URL, typed=token_of(scene, "audi") + "\n")
    return scene


@pytest.fixture
def modeller(scene):
    run("login", URL, typed=token_of(scene, "mo") + "\n")
    return scene


# --- coming in


def test_a_password_becomes_a_token_in_a_file_of_ones_own(scene):
    status, output = run("login", URL, "--name", "olaf", "--days", "3", typed=PASSWORD + "\n")
    assert status == 0
    assert "Logged in as olaf (auditor, officer)" in output
    file = credentials.credentials_file()
    kept = file.read_text("utf-8")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    token = credentials.stored().token
    assert token in kept
    assert PASSWORD not in kept
    assert token not in output
    (record,) = read("tokens", "list")
    assert record["label"].startswith("silhouette login")
    assert read("tokens", "show", record["id"]) == record
    assert run("tokens", "revoke", record["id"])[0] == 0
    with pytest.raises(NotAuthenticated):
        run("tokens", "list")


def test_a_login_leaves_no_other_login_behind(scene, monkeypatch):
    ended = []
    end = scene.access.logins.end
    monkeypatch.setattr(
        type(scene.access.logins), "end", lambda self, secret: ended.append(secret) or end(secret)
    )
    run("login", URL, "--name", "mo", typed=PASSWORD + "\n")
    assert len(ended) == 1
    with pytest.raises(NotAuthenticated):
        scene.access.logins.lookup(ended[0])


def test_a_wrong_password_or_token_is_not_kept(scene):
    for words, typed in ((("--name", "mo"), "wrong"), ((), "sht_unknown")):
        with pytest.raises(NotAuthenticated):
            run("login", URL, *words, typed=typed + "\n")
    assert not credentials.credentials_file().exists()


def test_a_login_may_name_another_coordinator_and_be_forgotten(modeller):
    credentials.keep(credentials.Credentials("https://other.test", "tok", "/a.pem"))
    assert credentials.stored().url == "https://other.test"
    assert credentials.stored(URL).token
    status, output = run("logout")
    assert (status, "https://other.test" in output) == (0, True)
    assert credentials.stored(URL).token
    with pytest.raises(ConfigInvalid):
        run("jobs", "list")


def test_a_file_that_others_can_read_is_refused(modeller):
    file = credentials.credentials_file()
    file.chmod(0o640)
    with pytest.raises(ConfigInvalid) as caught:
        run("jobs", "list")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", ["token = 'sht_very_secret", "[[coordinator]]\nurl = 5\n", "\udcff"])
def test_a_broken_file_is_refused_without_telling_what_is_in_it(modeller, content):
    file = credentials.credentials_file()
    file.write_bytes(os.fsencode(content))
    with pytest.raises(ConfigInvalid) as caught:
        run("jobs", "list")
    assert "sht" not in str(caught.value)


# --- looking


def test_every_noun_is_listed_and_shown(auditor):
    assert [one["name"] for one in read("parties", "list")] == ["bank", "shop", "telecom"]
    assert read("parties", "show", "shop")["node"] == "online"
    assert [one["party"] for one in read("datasets", "list", "--party", "bank")] == ["bank"]
    assert read("datasets", "show", "shop", "buyers")["columns"][1]["name"] == "spend"
    assert read("purposes", "show", "bank", "credit_risk") == read("purposes", "list")[0]
    assert read("models", "show", MODEL) == read("models", "list")
    assert read("personas", "show", auditor.jobs["done"]) == read("personas", "list")[0]
    assert read("requests", "show", "bank")["counts"] == {"received": 3, "completed": 12}
    assert len(read("jobs", "list")) >= 6
    assert len(read("jobs", "list", "--most", "2")) == 2
    assert {one["state"] for one in read("jobs", "list", "--state", "failed", "--state", "done")} == {
        "done",
        "failed",
    }
    assert read("jobs", "show", auditor.jobs["refused"])["code"] == "R-PURPOSE-MISMATCH"
    events = read("audit", "list", "--type", "job.stopped")
    assert [one["artefact"] for one in events] == [auditor.jobs["stopped"]]
    assert read("audit", "event", events[0]["seq"])["event"] == events[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_get_tables_in_their_language(auditor, language, monkeypatch):
    monkeypatch.setenv("SILHOUETTE_LANG", language)
    for noun in ("parties", "datasets", "purposes", "models", "personas", "requests", "tokens", "jobs"):
        status, output = run(noun, "list")
        assert status == 0
        assert "bank" in output or noun in {"tokens", "personas"}
    assert text("web.state.done", language=language) in run("jobs", "list")[1]
    output = run("datasets", "show", "bank", "customers")[1]
    assert text("client.column.party", language=language) in output
    assert "income" in output
    assert "R-PURPOSE-MISMATCH" in run("jobs", "show", auditor.jobs["refused"])[1]
    assert "job.stopped" in run("audit", "list", "--most", "50", "--type", "job")[1]
    assert run("audit", "event", "0")[0] == 0


def test_what_is_not_there_or_not_permitted(modeller):
    with pytest.raises(NotFound):
        run("jobs", "show", "J-AAAAAAAA")
    with pytest.raises(AccessDenied):
        run("audit", "list")


# --- jobs


def test_a_job_from_its_preview_to_its_stop(modeller, tmp_path):
    file = tmp_path / "job.toml"
    file.write_text(FILE, "utf-8")
    before = read("jobs", "list")
    status, output = run("jobs", "propose", file, "--preview")
    assert status == 0
    assert "Match customers" in output
    assert [one["party"] for one in read("jobs", "propose", file, "--preview")["parties"]] == ["bank", "shop"]
    assert read("jobs", "list") == before
    job = read("jobs", "propose", file, "--days", "2")
    assert (job["state"], job["waiting_for"]) == ("proposed", ["bank", "shop"])
    with pytest.raises(StateConflict):
        run("jobs", "propose", file)
    assert job["number"] in run("jobs", "stop", job["number"])[1]
    assert job["number"] not in run("jobs", "propose", file)[1]


@pytest.mark.parametrize(("name", "exits"), [("done", 0), ("failed", 1), ("stopped", 1), ("refused", 3)])
def test_a_watch_ends_with_the_jobs_own_end(modeller, name, exits):
    number = modeller.jobs[name]
    status, output = run("jobs", "watch", number, "--json")
    assert status == exits
    events = [json.loads(line) for line in output.splitlines()]
    assert [event["number"] for event in events] == [*range(1, len(events) + 1)]
    assert events[0]["data"] == {"state": "proposed"}
    status, output = run("jobs", "watch", number)
    assert status == exits
    assert text("web.state.proposed", language="en") in output


def test_a_report_is_json_or_a_page(modeller, tmp_path):
    number, page = modeller.jobs["done"], tmp_path / "spring.html"
    assert json.loads(run("jobs", "report", number)[1])["match"]["matched"] == 1000
    assert str(page) in run("jobs", "report", number, "--into", page)[1].replace("\n", "")
    assert "credit_risk" in page.read_text("utf-8")
