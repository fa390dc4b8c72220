"""The consent desk: what it takes, what it answers, and that nothing of a subject shows in its log or its errors."""

import logging
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pytest
from consent_desk import NOTICE, PHONES, files_with, make_home
from fastapi.testclient import TestClient

from clients.consents.node import bring_in
from clients.desk import app as desk_module
from clients.desk.app import make_desk
from clients.desk.problems import _STATUS, problem_of
from clients.desk.requests import MAX_SUBJECTS
from clients.desk.serving import desk_token, serve_desk
from privacy.consent import Answer, ConsentKind, Need
from privacy.errors import ConfigInvalid, DeadlinePassed, Denied
from privacy.reasons import Finding, Reason
from privacy.texts import catalogue

YES = {"purpose": "marketing", "granted": True, "affirmative_action": True}
PATHS = ("/v1/consents", "/v1/consents/withdraw", "/v1/consents/status", "/v1/prompts", "/v1/restrictions")


@pytest.fixture
def home(tmp_path):
    made = make_home(tmp_path)
    yield made
    made.vault.close()


@pytest.fixture
def client(home):
    headers = {"Authorization": f"Bearer {desk_token(home)}"}
    return TestClient(make_desk(home), headers=headers, raise_server_exceptions=False)


def answers(home, phones, need=None):
    tokens = home.consents.tokens("phone/plain", np.array([phone.encode() for phone in phones], "S11"))
    found = home.consents.answers(tokens, need or Need("marketing"), [NOTICE], home_now())
    return [Answer(answer) for answer in found]


def home_now():
    return datetime.now(UTC)


def problem(response, status, code):
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    found = response.json()
    assert (found["code"], found["status"]) == (code, status)
    assert found["title"]
    assert found["remedy"]
    return found


# --- words


def test_from_a_yes_to_its_withdrawal(home, client):
    done = client.post("/v1/consents", json={"identifiers": PHONES[:2], **YES})
    assert done.json() == {"version": home.consents.version, "subjects": 2}
    assert answers(home, PHONES[:3]) == [Answer.YES, Answer.YES, Answer.NEVER]
    done = client.post("/v1/consents/withdraw", json={"identifiers": PHONES[:1]})
    assert done.json() == {"version": home.consents.version, "subjects": 1}
    assert answers(home, PHONES[:2]) == [Answer.WITHDRAWN, Answer.YES]
    kinds = [(event.type.value, event.actor) for event in home.audit.events()]
    assert kinds == [("consent.granted", "api")] * 2 + [("consent.withdrawn", "api")]


def test_withdrawing_takes_no_more_than_granting():
    """Article 15: every field that a withdrawal needs, a grant needs too."""
    needed = {
        kind: {field.name for field in msgspec.structs.fields(kind) if field.required}
        for kind in (desk_module.Said, desk_module.Withdrawal)
    }
    assert needed[desk_module.Withdrawal] < needed[desk_module.Said]


def test_several_words_in_one_call(home, client):
    provide = {
        "kind": "separate", "scope": "provide", "recipient": "shop", "until": "2099-01-01T00:00:00Z",
        "capture": "ab" * 32, "notice": NOTICE,
    }  # fmt: skip
    statements = [{"identifiers": PHONES[:1], **YES}, {"identifiers": PHONES[:2], **YES, **provide}]
    assert client.post("/v1/consents", json={"statements": statements}).json()["subjects"] == 3
    assert answers(home, PHONES[:2]) == [Answer.YES, Answer.NEVER]
    need = Need("marketing", ConsentKind.SEPARATE, "provide", "shop")
    assert answers(home, PHONES[:2], need) == [Answer.YES] * 2
    assert [dict(event.digests) for event in home.audit.events()][-1] == {"capture": "ab" * 32}


def test_one_bad_word_stores_none(home, client):
    statements = [{"identifiers": PHONES[:1], **YES}, {"identifiers": PHONES[:1], **YES, "scope": "provide"}]
    found = problem(client.post("/v1/consents", json={"statements": statements}), 422, "consent_scope")
    assert found["article"] == "PIPL 13, 23, 29, 31"
    assert home.consents.version == 0


@pytest.mark.parametrize("more", [{"affirmative_action": False}, {"affirmative_action": None}])
def test_a_yes_without_an_action_is_none(home, client, more):
    """Article 14: a box that was ticked beforehand is no consent."""
    said = {"identifiers": PHONES[:1], **YES, **more}
    if more["affirmative_action"] is None:
        del said["affirmative_action"]
    found = problem(client.post("/v1/consents", json=said), 422, "no_action")
    assert found["article"] == "PIPL 5, 14"
    assert home.consents.version == 0


def test_a_no_needs_no_action(home, client):
    said = {"identifiers": PHONES[:1], "purpose": "marketing", "granted": False}
    assert client.post("/v1/consents", json=said).status_code == 200
    assert answers(home, PHONES[:1]) == [Answer.WITHDRAWN]


def test_subjects_hear_what_is_held(home, client):
    client.post("/v1/consents", json={"identifiers": PHONES[:1], **YES})
    client.post("/v1/restrictions", json={"identifiers": PHONES[:1], "reason": "dispute"})
    found = client.post("/v1/consents/status", json={"identifiers": PHONES[:2]}).json()["subjects"]
    (word,) = found[0]["words"]
    assert (word["purpose"], word["status"], word["notice"]) == ("marketing", "granted", NOTICE)
    assert [one["reason"] for one in found[0]["restrictions"]] == ["dispute"]
    assert found[1] == {"words": [], "restrictions": []}


def test_restricting_and_lifting(home, client):
    tokens = home.consents.tokens("phone/plain", np.array([PHONES[0].encode()], "S11"))
    client.post("/v1/restrictions", json={"identifiers": PHONES[:1], "reason": "statutory", "law": "AML 34"})
    assert home.consents.restricted(tokens, home_now()).all()
    lift = {"identifiers": PHONES[:1], "lift": True}
    for law in ("PIPL 44", "PIPL 47"):
        asked = {"identifiers": PHONES[1:2], "reason": "request", "law": law}
        assert client.post("/v1/restrictions", json=asked).status_code == 200
        assert client.post("/v1/restrictions", json=lift | {"identifiers": PHONES[1:2]}).status_code == 200
        other = home.consents.tokens("phone/plain", np.array([PHONES[1].encode()], "S11"))
        assert home.consents.restricted(other, home_now()).all() == (law == "PIPL 47")
    assert client.post("/v1/restrictions", json=lift).status_code == 200
    assert home.consents.restricted(tokens, home_now()).all()  # a law's stays until it is named
    assert client.post("/v1/restrictions", json=lift | {"reason": "statutory"}).status_code == 200
    assert not home.consents.restricted(tokens, home_now()).any()
    found = problem(client.post("/v1/restrictions", json={"identifiers": PHONES[:1]}), 422, "malformed")
    assert found["field"] == "$.reason"
    missing = client.post("/v1/restrictions", json={"identifiers": PHONES[:1], "reason": "statutory"})
    assert problem(missing, 422, "consent_law_missing")["article"] == "PIPL 47"


def test_the_desk_says_whose_it_is(home, client):
    assert client.get("/v1/status").json() == {"party": "bank", "version": home.consents.version}


# --- refusals


@pytest.mark.parametrize("header", [None, "", "Bearer ", "Bearer wrong", "Basic wrong"])
def test_without_the_token_nothing_is_read(home, header):
    client = TestClient(make_desk(home), headers={} if header is None else {"Authorization": header})
    found = [client.post(path, json={"identifiers": PHONES[:1], **YES}) for path in PATHS]
    found.append(client.get("/v1/status"))
    for response in found:
        assert problem(response, 401, "unauthorised")["article"] == "PIPL 51"
    assert home.consents.version == 0


def test_the_token_is_for_its_owner_alone(home):
    token = desk_token(home)
    assert desk_token(home) == token
    assert len(token) >= 40
    assert stat.S_IMODE((home.folder / "desk.token").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b'{"identifiers": []}', ""),
        (b'{"identifiers": ["139canary"], "surprise": 1}', ""),
        (b'{"identifiers": [1]}', "$.identifiers[0]"),
        (b'{"identifiers": ["139canary"], "purpose": 1}', "$.purpose"),
    ],
)
def test_what_is_no_request(client, body, field):
    for path in PATHS:
        response = client.post(path, content=body)
        found = problem(response, 422, "malformed")
        if path == "/v1/consents/withdraw" and field:
            assert found["field"] == field
        assert b"canary" not in response.content


def test_names_that_are_none_are_named_by_their_field(client):
    said = {"identifiers": PHONES[:1], **YES, "purpose": "Canary Purpose"}
    response = client.post("/v1/consents", json=said)
    assert problem(response, 422, "malformed")["field"] == "$.purpose"
    assert "Canary" not in response.text


def test_too_much_at_once(home, client, monkeypatch):
    many = {"identifiers": PHONES[:1] * (MAX_SUBJECTS + 1)}
    problem(client.post("/v1/consents/withdraw", json=many), 422, "malformed")
    monkeypatch.setattr("clients.desk.handling.MAX_BODY_BYTES", 1_000)
    problem(client.post("/v1/consents/withdraw", json=many), 413, "too_large")
    assert home.consents.version == 0


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/v1/consents"), ("POST", "/docs"), ("GET", "/openapi.json")]
)
def test_there_is_nothing_else(client, method, path):
    problem(client.request(method, path), 404, "not_found")


def test_a_bad_identifier_is_counted_and_not_repeated(tmp_path, home, client, caplog):
    caplog.set_level(logging.DEBUG)
    response = client.post("/v1/consents", json={"identifiers": [PHONES[0], "139canary"], **YES})
    found = problem(response, 422, "consent_identifiers")
    assert "canary" not in response.text
    assert PHONES[0] not in response.text
    assert "canary" not in caplog.text
    assert PHONES[0] not in caplog.text
    assert "1" in found["title"]
    assert files_with(tmp_path, PHONES[0]) == []


def test_what_goes_wrong_inside_is_told_to_nobody(home, client, caplog, monkeypatch):
    def fails(*_):
        raise RuntimeError(PHONES[0])

    monkeypatch.setattr(type(home.consents), "record", fails)
    response = client.post("/v1/consents", json={"identifiers": PHONES[:1], **YES})
    problem(response, 500, "internal")
    assert PHONES[0] not in response.text
    assert PHONES[0] not in caplog.text
    assert "RuntimeError" in caplog.text


def test_every_problem_has_its_text_and_status():
    for code, status in _STATUS.items():
        assert {f"desk.title.{code}", f"desk.remedy.{code}"} <= set(catalogue("en"))
        assert 400 <= status <= 500
    denied = problem_of(Denied.of([Finding(Reason.POLICY_UNAVAILABLE, "bank")]))
    assert (denied.status, denied.code, denied.article) == (403, "R-POLICY-UNAVAILABLE", "PIPL 9, 51")
    assert problem_of(DeadlinePassed("consent_store_busy")).status == 503


# --- over a socket


def test_serving_until_it_is_stopped(home):
    ready, stopped, ports = threading.Event(), threading.Event(), []

    def on_ready(port):
        ports.append(port)
        ready.set()

    thread = threading.Thread(target=serve_desk, args=(home, 0, stopped, on_ready))
    thread.start()
    try:
        assert ready.wait(30)
        headers = {"Authorization": f"Bearer {desk_token(home)}"}
        with httpx.Client(
            base_url=f"http://127.0.0.1:{ports[0]}", headers=headers, trust_env=False
        ) as client:
            client.post("/v1/consents", json={"identifiers": PHONES[:1], **YES}).raise_for_status()
            assert client.get("/v1/status").json()["version"] == home.consents.version
        with pytest.raises(ConfigInvalid) as caught:
            serve_desk(home, ports[0], stopped)
        assert caught.value.key == "port_taken"
    finally:
        stopped.set()
        thread.join(30)
    assert not thread.is_alive()
    assert answers(home, PHONES[:1]) == [Answer.YES]


# --- what a file says that nobody has imported yet


def test_withdrawing_everything_takes_back_what_the_file_will_say(tmp_path):
    home = make_home(tmp_path, f"phone,purpose,status\n{PHONES[3]},marketing,granted\n")
    headers = {"Authorization": f"Bearer {desk_token(home)}"}
    client = TestClient(make_desk(home), headers=headers, raise_server_exceptions=False)
    assert client.post("/v1/consents/withdraw", json={"identifiers": [PHONES[3]]}).status_code == 200
    bring_in(home)
    assert answers(home, [PHONES[3]]) == [Answer.WITHDRAWN]


def test_a_file_that_cannot_be_read_holds_up_no_withdrawal(home, client):
    assert client.post("/v1/consents", json={"identifiers": [PHONES[3]], **YES}).status_code == 200
    Path(home.settings.table.consents.path).write_text("phone,purpose\n", "utf-8")
    told = client.post("/v1/consents/withdraw", json={"identifiers": [PHONES[3]]})
    assert told.status_code >= 400
    assert answers(home, [PHONES[3]]) == [Answer.WITHDRAWN]
