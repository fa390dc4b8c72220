"""What the web layer turns away: strangers, foreign pages, too much, and what says nothing of what went wrong."""

import asyncio
import logging

import pytest
import web_scene
from starlette.requests import HTTPConnection
from web_scene import SECRET, Scene, problem, raw

from federation.web.limits import BodyLimit, Rate, RateLimits, address_of
from federation.web.local_paths import changed
from privacy.access import Caller, Permission
from privacy.texts import LANGUAGES

JSON = {"content-type": "application/json"}


@pytest.fixture
def scene():
    return Scene()


# --- who


def test_a_program_without_a_token_is_told_so_and_a_browser_is_led_to_the_login(scene):
    found = scene.call("GET", "/api/things")
    assert problem(found, 401, "unauthorised")["article"] == "PIPL 51"
    assert found.headers["www-authenticate"].startswith("Bearer")
    led = scene.call("GET", "/jobs?sort=name&state=done")
    assert (led.status_code, led.headers["location"]) == (
        303,
        "/login?next=%2Fjobs%3Fsort%3Dname%26state%3Ddone",
    )
    part = scene.call("GET", "/jobs", headers={"hx-request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")
    assert scene.call("POST", "/jobs", data={"name": "x"}).status_code == 401
    assert scene.done == []


@pytest.mark.parametrize("path", ["/api/things", "/jobs"])
def test_a_proof_that_is_worth_nothing_is_as_good_as_none(scene, path):
    found = scene.call("GET", path, token="nobody")
    if path == "/jobs":
        assert found.headers["location"].startswith("/login?")
    else:
        problem(found, 401, "access_login_over")


def test_what_the_roles_do_not_give_is_refused_and_noted_before_anything_is_done(scene):
    found = scene.call("POST", "/api/things", token="li", json={"name": "x"})
    assert problem(found, 403, "access_denied")["article"] == "PIPL 51"
    (denied,) = scene.denied
    assert (denied[0].name, *denied[1:]) == ("li", Permission.JOBS_PROPOSE, "/api/things")
    page = scene.call("POST", "/jobs/J-1/stop", login="li", data={"csrf": scene.csrf_of("li")})
    assert page.status_code == 403
    assert page.headers["content-type"].startswith("text/html")
    assert scene.denied[1][2] == "/jobs/{number}/stop"
    assert scene.done == []


def test_without_a_log_nobody_comes_by(scene):
    def fails(*_):
        raise OSError(SECRET)

    object.__setattr__(scene.app.state.guard, "on_granted", fails)
    problem(scene.call("POST", "/api/things", token="wang", json={"name": "x"}), 500, "internal")
    assert scene.done == []


@pytest.mark.parametrize("end", ["login", "role"])
def test_a_watch_ends_with_the_right_to_it(scene, monkeypatch, end):
    headers = [("cookie", "silhouette-bank=wang")]

    async def watch():
        going = asyncio.create_task(raw(scene.app, "GET", "/api/watch?most=101", headers))
        await asyncio.sleep(0.3)
        assert not going.done(), "it lasts as long as the right to it"
        if end == "login":
            monkeypatch.delitem(web_scene.ROLES, "wang")
        else:
            monkeypatch.setattr(Caller, "may", lambda caller, permission: False)
        return await asyncio.wait_for(going, 5)

    sent = asyncio.run(watch())
    assert sent[0]["status"] == 200
    assert [message.get("more_body", False) for message in sent[-2:]] == [True, False]
    assert scene.streams.count("wang") == 0
    assert scene.call("GET", "/api/watch", login="wang").status_code == (401 if end == "login" else 403)


# --- from where


def test_a_form_of_the_login_is_taken_and_any_other_is_not(scene):
    good = {"name": "x", "csrf": scene.csrf_of("wang")}
    assert scene.call("POST", "/jobs", login="wang", data=good).status_code == 303
    for bad in (
        {"name": "x"},
        {"name": "x", "csrf": ""},
        {"name": "x", "csrf": scene.csrf_of("li")},
        {"name": "x", "csrf": good["csrf"][:-1]},
        {"name": "x", "csrf": "ü" * 43},
    ):
        assert scene.call("POST", "/jobs", login="wang", data=bad).status_code == 403
    assert scene.done == [("wang", "x")]


def test_the_token_may_come_in_a_header_and_in_a_form_that_the_route_reads_itself(scene):
    headers = {"x-csrf": scene.csrf_of("wang")}
    assert scene.call("POST", "/jobs/J-1/stop", login="wang", headers=headers).status_code == 204
    form = {"why": "late", "csrf": scene.csrf_of("wang")}
    assert scene.call("POST", "/jobs/J-2/stop", login="wang", data=form).status_code == 204
    assert scene.call("POST", "/jobs/J-3/stop", login="wang", files={"csrf": b"x"}).status_code == 403
    assert scene.done == [("wang", "J-1", None), ("wang", "J-2", "late")]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": "http://edge.test"}, 303),
        ({"origin": "null"}, 303),
        ({"origin": "http://edge.test.evil"}, 403),
        ({"origin": "https://edge.test"}, 403),
    ],
)
def test_a_change_from_a_page_of_somebody_else_is_refused_even_with_the_token(scene, headers, status):
    form = {"name": "x", "csrf": scene.csrf_of("wang")}
    assert scene.call("POST", "/jobs", login="wang", data=form, headers=headers).status_code == status
    assert len(scene.done) == (status == 303)


def test_nobody_is_logged_in_by_a_page_of_somebody_else(scene):
    form = {"data": {"name": "wang"}}
    assert scene.call("POST", "/login", **form).status_code == 204
    found = scene.call("POST", "/login", headers={"sec-fetch-site": "cross-site"}, **form)
    assert (found.status_code, "set-cookie" in found.headers) == (403, False)


def test_a_program_needs_no_token_against_foreign_pages(scene):
    headers = {"sec-fetch-site": "cross-site"}
    found = scene.call("POST", "/api/things", token="wang", json={"name": "x"}, headers=headers)
    assert found.status_code == 201


def test_a_cookie_beside_a_bearer_token_does_not_count(scene):
    found = scene.call("POST", "/api/things", token="nobody", login="wang", json={"name": "x"})
    problem(found, 401, "access_login_over")


# --- how much


def test_a_body_may_be_as_large_as_its_path_allows(scene):
    call = {"login": "", "token": "wang"}
    assert scene.call("POST", "/api/large", content=b"x" * 5_000, **call).json() == {"size": 5_000}
    problem(scene.call("POST", "/api/large", content=b"x" * 5_001, **call), 413, "too_large")
    problem(scene.call("POST", "/api/things", content=b"x" * 1_001, **call), 413, "too_large")


@pytest.mark.parametrize("path", ["/api/things", "/api/checked", "/api/large"])
def test_a_body_without_a_length_is_counted_as_it_comes(scene, path, caplog):
    async def endless():
        for _ in range(100):
            yield b"[" * 500

    problem(scene.call("POST", path, token="wang", content=endless(), headers=JSON), 413, "too_large")
    assert "failed" not in caplog.text


def test_a_form_is_counted_too(scene):
    async def endless():
        yield b"name="
        for _ in range(100):
            yield b"x" * 100_000

    headers = {"content-type": "application/x-www-form-urlencoded"}
    found = scene.call("POST", "/jobs/J-1/stop", login="wang", content=endless(), headers=headers)
    assert (found.status_code, scene.done) == (413, [])


def test_a_wrong_length_is_no_length(scene):
    for length in ("-1", "1e9", "x"):
        sent = asyncio.run(raw(scene.app, "POST", "/login", [("content-length", length)]))
        assert sent[0]["status"] == 413


def test_a_body_that_does_not_come_is_not_waited_for(scene):
    async def never():
        await asyncio.Event().wait()

    app = BodyLimit(scene.app, seconds=0.05)
    headers = [("authorization", "Bearer wang")]
    first = {"type": "http.request", "body": b"{", "more_body": True}
    sent = asyncio.run(raw(app, "POST", "/api/large", headers, [first, never]))
    assert sent[0]["status"] == 408
    assert b"slow" in sent[1]["body"]


# --- how often


def test_a_caller_who_comes_too_often_is_told_when_to_come_again():
    scene = Scene(rates=RateLimits(Rate("caller", 2, 60)))
    first, second, third = (scene.call("GET", "/api/thing", token="wang") for _ in range(3))
    assert [one.headers["ratelimit"].split(";t=")[0] for one in (first, second, third)] == [
        '"caller";r=1',
        '"caller";r=0',
        '"caller";r=0',
    ]
    assert first.headers["ratelimit-policy"] == '"caller";q=2;w=60'
    problem(third, 429, "too_many")
    assert 1 <= int(third.headers["retry-after"]) <= 60
    assert scene.call("GET", "/api/thing", token="li").status_code == 200, (
        "another caller has a count of their own"
    )


def test_an_address_is_counted_before_anybody_is_known():
    scene = Scene(by_address=RateLimits(Rate("address", 2, 60)))
    found = [scene.call("GET", "/api/nothing") for _ in range(3)]
    assert [one.status_code for one in found] == [404, 404, 429]
    assert problem(found[2], 429, "too_many")
    assert found[2].headers["x-content-type-options"] == "nosniff"
    assert "retry-after" in found[2].headers


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:0:0:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_a_network_is_counted_as_one_address(host, counted):
    assert address_of(HTTPConnection({"type": "http", "client": (host, 1)})) == counted


def test_the_login_has_a_limit_of_its_own():
    scene = Scene(login_rates=RateLimits(Rate("login", 1, 60)))
    found = [scene.call("POST", "/login", data={"name": "wang"}).status_code for _ in range(2)]
    assert found == [204, 429]
    assert scene.call("GET", "/login").status_code == 200


# --- what is said


def test_what_goes_wrong_inside_is_told_to_nobody(scene, caplog):
    caplog.set_level(logging.DEBUG)
    answers = [scene.call("GET", "/api/fails", token="wang"), scene.call("GET", "/fails", login="wang")]
    problem(answers[0], 500, "internal")
    assert answers[1].status_code == 500
    assert answers[1].headers["content-type"].startswith("text/html")
    assert not [one for one in answers if "canary" in one.text]
    assert "canary" not in caplog.text
    assert caplog.text.count("RuntimeError") == 2


def test_a_page_of_a_problem_that_fails_itself_tells_nothing(scene, caplog, monkeypatch):
    def fails(*_, **__):
        raise RuntimeError(SECRET)

    monkeypatch.setattr(scene.pages, "render", fails)
    problem(scene.call("GET", "/nothing"), 404, "not_found")
    assert "canary" not in caplog.text


def test_an_answer_that_breaks_off_tells_nothing_either(caplog):
    scene = Scene()

    async def breaks(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(SECRET)

    scene.app.mount("/breaks", breaks)
    with pytest.raises(ConnectionAbortedError) as caught:
        asyncio.run(raw(scene.app, "GET", "/breaks/"))
    assert caught.value.__suppress_context__
    assert "canary" not in caplog.text


def test_a_wrong_request_is_told_its_field_and_nothing_of_what_was_in_it(scene):
    call = {"token": "wang"}
    cases = [
        (scene.call("POST", "/api/things", json={"name": 5}, **call), "$.name"),
        (scene.call("POST", "/api/things", json={"name": "x", f"`$.{SECRET}`": 1}, **call), ""),
        (scene.call("POST", "/api/things", content=b"{", **call), ""),
        (scene.call("POST", "/api/checked", json={SECRET: "x"}, **call), "$.*"),
        (scene.call("POST", "/api/checked", content=b"{canary", headers=JSON, **call), "$"),
        (scene.call("POST", f"/api/checked?limit={SECRET}", json={}, **call), "query.limit"),
        (scene.call("GET", "/api/things?limit=201", **call), "query.limit"),
    ]
    for found, field in cases:
        assert problem(found, 422, "malformed").get("field", "") == field
        assert "canary" not in found.text


@pytest.mark.parametrize("cursor", ["x", "WyJhIl0", "WzEsMl0", "WzFd0", "WyAxXQ", "*", "W10", "WzFd" * 200])
def test_a_cursor_of_somebody_elses_making_is_refused(scene, cursor):
    found = scene.call("GET", f"/api/things?cursor={cursor}", token="wang")
    assert problem(found, 422, "malformed")["field"] == "query.cursor"


def test_what_is_not_there_and_what_is_not_taken(scene):
    problem(scene.call("GET", "/api/nothing", token="wang"), 404, "not_found")
    found = scene.call("DELETE", "/api/thing", token="wang")
    problem(found, 405, "method")
    assert "GET" in found.headers["allow"] or "PUT" in found.headers["allow"]
    assert scene.call("GET", "/nothing").headers["content-type"].startswith("text/html")
    problem(scene.call("GET", "/api/"), 404, "not_found")


def test_problems_are_told_in_both_languages(scene):
    titles = {
        scene.call("GET", "/api/nothing", headers={"accept-language": language}).json()["title"]
        for language in LANGUAGES
    }
    assert len(titles) == len(LANGUAGES)


@pytest.mark.parametrize(
    "name", ["..%2fpages.py", "VERSIONS.md", "LICENSE-htmx.txt", "__init__.py", "%2e%2e", "x.js"]
)
def test_only_the_files_themselves_are_handed_out(scene, name):
    assert scene.call("GET", f"/static/{name}").status_code == 404


@pytest.mark.parametrize(
    "wish",
    [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "javascript:alert(1)",
        "/a\nb",
        "",
        "x",
        "/" + "a" * 2001,
    ],
)
def test_a_page_leads_on_only_inside(wish):
    from federation.web.local_paths import local_path

    assert local_path(wish) == "/"
    assert local_path("/jobs?state=done&x=//y") == "/jobs?state=done&x=//y"


@pytest.mark.parametrize("path", ["//evil.test/x", "//evil.test/x?cursor=a", "/\\\\evil.test"])
def test_a_page_that_is_not_there_links_to_no_other_host(scene, path):
    for cookie in ((), (("cookie", "silhouette-bank=wang"),)):
        sent = asyncio.run(raw(scene.app, "GET", path, [("host", "edge.test"), *cookie]))
        assert sent[0]["status"] == 404
        assert b"evil" not in b"".join(message.get("body", b"") for message in sent)
    assert changed("//evil.test/x", "a=1", {"b": 2}) == "/?a=1&b=2"


# --- twice


def test_one_key_is_for_one_request(scene):
    headers = {"idempotency-key": "5d1f8c0e-7b7e-4f6e-9a55-0d9a4c3c1e11"}
    call = {"token": "wang", "headers": headers}
    assert scene.call("POST", "/api/things", json={"name": "x"}, **call).status_code == 201
    problem(scene.call("POST", "/api/things", json={"name": "y"}, **call), 422, "key_reused")
    assert scene.done == [("wang", "x")]
    scene.storage.begin("wang", "k" * 16, "0" * 64, "1" * 32)
    for key, status, code in (
        ("k" * 16, 422, "key_reused"),
        ("short", 422, "malformed"),
        ("k" * 65, 422, "malformed"),
    ):
        found = scene.call(
            "POST", "/api/things", json={"name": "x"}, token="wang", headers={"idempotency-key": key}
        )
        problem(found, status, code)


def test_a_change_names_the_version_that_was_seen(scene):
    problem(scene.call("PUT", "/api/thing", token="wang", json={"name": "y"}), 428, "precondition_missing")
    etag = scene.call("GET", "/api/thing", token="wang").headers["etag"]
    for wrong in ('"0000"', f"W/{etag}", "", etag.strip('"')):
        found = scene.call("PUT", "/api/thing", token="wang", json={"name": "y"}, headers={"if-match": wrong})
        problem(found, 412, "precondition_failed")
    assert scene.thing.name == "first"
