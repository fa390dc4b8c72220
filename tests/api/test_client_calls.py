"""The Python client's requests: tried again where that is safe, done once, refused with a remedy."""

from __future__ import annotations

import subprocess
import sys

import httpx
import msgspec
import pytest

from federation.client import Answered, connect
from federation.client.calls import MAX_ANSWER_BYTES, TRIES, Calls
from federation.client.connecting import open_http
from federation.terminal import exit_code_of
from privacy.errors import (
    AccessDenied,
    ConfigInvalid,
    MessageInvalid,
    NotAuthenticated,
    NotFound,
    PeerDropped,
    Refused,
    StateConflict,
)


class Thing(msgspec.Struct):
    number: int


class Script:
    """A server that answers in turn what a test has written down, and keeps what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked, self.slept = [*answers], [], []
        http = httpx.Client(transport=httpx.MockTransport(self._answer), base_url="https://coordinator.test")
        self.calls = Calls(http, "tok", "zh-CN", self.slept.append)

    def _answer(self, request):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def problem(status, code="conflict", headers=None, **others):
    found = {"status": status, "code": code, "title": "It went wrong.", "remedy": "Do it right.", **others}
    return httpx.Response(status, headers=headers, json=found)


ONE = httpx.Response(200, json={"number": 1, "of a newer coordinator": [1]})


def test_a_call_says_who_calls_and_in_which_language():
    script = Script(ONE)
    assert script.calls.get("/things/1", Thing, {"state": ["a", "b"], "party": "", "after": 0}).number == 1
    (asked,) = script.asked
    assert str(asked.url) == "https://coordinator.test/api/v1/things/1?state=a&state=b&after=0"
    assert asked.headers["authorization"] == "Bearer tok"
    assert asked.headers["accept-language"] == "zh-CN"
    assert "idempotency-key" not in asked.headers


@pytest.mark.parametrize(
    "failure",
    [httpx.ConnectError("away"), httpx.ReadError("broken"), problem(503), problem(502), problem(429)],
)
def test_a_read_is_tried_again(failure):
    script = Script(failure, failure, ONE)
    assert script.calls.get("/things/1", Thing).number == 1
    assert script.slept == [0.5, 1.0]


def test_waits_as_long_as_the_coordinator_says_but_not_for_hours():
    script = Script(
        problem(429, headers={"Retry-After": "7"}), problem(503, headers={"Retry-After": "9999"}), ONE
    )
    script.calls.get("/things/1", Thing)
    assert script.slept == [7.0, 30.0]


def test_gives_up_and_names_the_coordinator():
    script = Script(*[httpx.ConnectError("to 10.1.2.3")] * TRIES)
    with pytest.raises(PeerDropped, match=r"coordinator\.test") as caught:
        script.calls.get("/things/1", Thing)
    assert len(script.slept) == TRIES - 1
    assert "10.1.2.3" not in str(caught.value)


def test_what_creates_something_keeps_its_key_through_all_tries():
    busy = problem(409, "in_progress", headers={"Retry-After": "1"})
    script = Script(httpx.ReadError("broken"), busy, ONE, ONE)
    script.calls.post("/things", Thing, {"name": "a"})
    keys = {asked.headers["idempotency-key"] for asked in script.asked}
    assert (len(keys), len(script.asked)) == (1, 3)
    assert 16 <= len(keys.pop()) <= 64
    script.calls.post("/things", Thing, {"name": "a"})
    assert script.asked[3].headers["idempotency-key"] != script.asked[0].headers["idempotency-key"]
    assert msgspec.json.decode(script.asked[0].content) == {"name": "a"}


def test_a_conflict_is_not_tried_again():
    script = Script(problem(409))
    with pytest.raises(StateConflict):
        script.calls.post("/things", Thing)
    assert script.slept == []


def test_a_removal_is_asked_once():
    script = Script(httpx.ReadError("broken"))
    with pytest.raises(PeerDropped):
        script.calls.delete("/things/1")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    ("status", "code", "family", "exits"),
    [
        (401, "access_bearer_unknown", NotAuthenticated, 3),
        (403, "access_denied", AccessDenied, 3),
        (403, "R-PURPOSE-MISMATCH", Refused, 3),
        (404, "job_unknown", NotFound, 2),
        (409, "job_proposed_already", StateConflict, 2),
        (412, "precondition_failed", StateConflict, 2),
        (422, "job_days", ConfigInvalid, 2),
        (500, "internal", Answered, 1),
    ],
)
def test_a_problem_is_an_error_of_its_family_with_a_remedy(status, code, family, exits):
    script = Script(problem(status, code, article="PIPL 51", field="$.job"))
    with pytest.raises(family) as caught:
        script.calls.get("/things/1", Thing)
    error = caught.value
    assert isinstance(error, Answered)
    assert (error.problem.code, error.problem.article, error.problem.field) == (code, "PIPL 51", "$.job")
    assert error.remedy == "Do it right."
    assert "It went wrong. Do it right." in str(error)
    assert exit_code_of(error) == exits
    assert isinstance(error, AccessDenied) == (family is AccessDenied)


@pytest.mark.parametrize("answer", [b"<html>", b'{"title": 1}', b"\xff", b"[" * 5000])
def test_an_answer_that_is_no_problem_is_one_all_the_same(answer):
    script = Script(httpx.Response(404, content=answer))
    with pytest.raises(NotFound) as caught:
        script.calls.get("/things/1", Thing)
    assert caught.value.problem.status == 404
    assert "404" in str(caught.value)


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"number": "1"}', b"\xff", b"[" * 5000])
def test_an_answer_that_is_another_record_is_refused(answer):
    with pytest.raises(MessageInvalid):
        Script(httpx.Response(200, content=answer)).calls.get("/things/1", Thing)


def test_no_answer_fills_the_memory():
    endless = httpx.Response(
        200, content=(b" " * (1 << 20) for _ in range(1 + MAX_ANSWER_BYTES // (1 << 20)))
    )
    with pytest.raises(MessageInvalid):
        Script(endless).calls.get("/things/1", Thing)


def test_a_redirection_is_not_followed_with_the_token():
    script = Script(httpx.Response(307, headers={"Location": "https://elsewhere.test/"}))
    with pytest.raises(Answered):
        script.calls.get("/things/1", Thing)
    assert len(script.asked) == 1


def test_pages_are_fetched_as_they_are_needed():
    first = httpx.Response(200, json={"items": [{"number": 1}, {"number": 2}], "next": "c1"})
    last = httpx.Response(200, json={"items": [{"number": 3}], "next": ""})
    script = Script(first, last)
    found = script.calls.pages("/things", Thing, {"state": "open"})
    assert next(found).number == 1
    assert len(script.asked) == 1
    assert [thing.number for thing in found] == [2, 3]
    assert dict(script.asked[1].url.params) == {"limit": "200", "state": "open", "cursor": "c1"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "coordinator",
        "ftp://coordinator",
        "https://",
        "https://ada:word@coordinator",
        "http://[",
        "http://coordinator",
    ],
)
def test_no_token_goes_to_what_is_no_address_or_is_read_by_others(url):
    with pytest.raises(ConfigInvalid):
        open_http(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8450", "http://localhost", "http://[::1]:1", "https://coordinator"]
)
def test_addresses_that_are_taken(url):
    with open_http(url) as http:
        assert not http.trust_env
        assert str(http.base_url).startswith(url)


def test_a_certificate_that_is_none_is_refused(tmp_path):
    with pytest.raises(ConfigInvalid, match=r"missing\.pem"):
        connect("https://coordinator", "tok", certificate=tmp_path / "missing.pem")
    (tmp_path / "broken.pem").write_text("nothing")
    with pytest.raises(ConfigInvalid, match=r"broken\.pem"):
        connect("https://coordinator", "tok", certificate=tmp_path / "broken.pem")


def test_loading_the_client_loads_nothing_of_an_edge():
    heavy = (
        "flwr",
        "fastapi",
        "sqlalchemy",
        "pandas",
        "numpy",
        "sklearn",
        "gmpy2",
        "nacl",
        "server",
        "clients",
    )
    code = f"import sys, federation.client; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
