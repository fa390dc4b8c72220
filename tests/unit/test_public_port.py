"""The coordinator's public port: the Fleet routes by exact name, the relay for its parties, and nothing else."""

import asyncio
import ssl

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flwr.supercore.routers import health
from flwr.supercore.routers.runtime import create_runtime_router, responses_router
from flwr.superlink.routers.control import router as control_router
from flwr.superlink.routers.fleet.router import router as fleet_router
from relay_scene import framed

from server import relay_routes, web
from server.web import FLEET_ROUTES, create_app

SECRET = "the driver's secret"
DRIVER = {"authorization": f"Bearer {SECRET}"}
TOKENS = {"bank": "token-of-bank", "shop": "token-of-shop"}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
UNANSWERED = {404, 405}
"""No such route, or no such method on it; the loopback SuperLink hears of neither."""


class SuperLink:
    """Stands for the loopback SuperLink: answers, and remembers what reached it."""

    def __init__(self):
        self.requests = []
        self.fails = False

    def __call__(self, request):
        if self.fails:
            raise httpx.ConnectError("refused")
        self.requests.append(request)
        return httpx.Response(201, content=b"answer", headers={"x-flower": "yes", "connection": "close"})


@pytest.fixture
def superlink():
    return SuperLink()


@pytest.fixture
def stale():
    """(session, party) of every message that was refused for its binding."""
    return []


@pytest.fixture
def app(superlink, stale):
    made = create_app(
        "https://127.0.0.1:1",
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        SECRET,
        lambda session, party: stale.append((session, party)),
    )
    made.state.superlink = httpx.AsyncClient(
        base_url="https://127.0.0.1:1", transport=httpx.MockTransport(superlink)
    )
    return made


@pytest.fixture
def client(app):
    return TestClient(app, base_url="https://coordinator.example")


@pytest.fixture
def relay(client):
    assert client.put("/relay/s1", json=TOKENS, headers=DRIVER).status_code == 200
    return client


def as_party(party, token=None, **others):
    headers = {"authorization": f"Bearer {token or TOKENS[party]}", "x-party": party}
    return headers | {name.replace("_", "-"): str(value) for name, value in others.items()}


def receiving(party, token=None, **others):
    return as_party(party, token, **{"x_confirm": 0, "x_state": "waiting", "x_wait": 0, **others})


def call(app, method, path, headers=None, body=(), raw_path=None):
    """One request straight into the application, with the path as a server decodes it.

    Returns the status, the answer's body and how many parts of the request's body were read.
    """
    parts = list(body)
    read, sent = [], []

    async def receive():
        if not parts:
            read.append(b"")
            return {"type": "http.request", "body": b"", "more_body": False}
        part = parts.pop(0)
        read.append(part)
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": (raw_path or path).encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("203.0.113.7", 5000),
        "server": ("coordinator.example", 443),
    }
    asyncio.run(asyncio.wait_for(app(scope, receive, send), 10))
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    content = b"".join(message.get("body", b"") for message in sent)
    return status, content, len(read)


# --- which routes there are


def flower_paths():
    """Every route of the installed SuperLink."""
    flower = FastAPI()
    for router in (health.router, control_router, fleet_router, responses_router):
        flower.include_router(router)
    flower.include_router(create_runtime_router("SuperLink"))
    return sorted(
        {*flower.openapi()["paths"], "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/health"}
    )


FLEET_PATHS = frozenset(f"/v1/fleet/{route}" for route in FLEET_ROUTES)


def test_the_installed_flower_has_the_fleet_routes_we_forward():
    assert set(flower_paths()) >= FLEET_PATHS
    assert sum(path.startswith("/v1/control/") for path in flower_paths()) > 20
    assert sum(path.startswith("/v1/runtime/") for path in flower_paths()) > 5


@pytest.mark.parametrize("path", [path for path in flower_paths() if path not in FLEET_PATHS])
def test_no_other_route_of_flower_is_served(app, superlink, path):
    for method in METHODS:
        assert call(app, method, path)[0] in UNANSWERED, method
    assert call(app, "POST", path, DRIVER)[0] == 404
    assert not superlink.requests


@pytest.mark.parametrize(
    "path", ["/", "/relay", "/relay/", "/v1", "/v1/fleet", "/v1/fleet/", "/metrics", "/static/x", "*"]
)
def test_nothing_else_is_served(app, superlink, path):
    for method in METHODS:
        assert call(app, method, path, DRIVER)[0] in UNANSWERED, method
    assert not superlink.requests


def test_the_application_has_just_its_routes(app):
    assert {route.path for route in app.routes} == {
        "/v1/fleet/{route}",
        "/relay/{session}",
        "/relay/{session}/status",
        "/relay/{session}/snapshot",
        "/relay/{session}/{recipient}",
    }


# --- Fleet


@pytest.mark.parametrize("route", sorted(FLEET_ROUTES))
def test_fleet_routes_are_forwarded(client, superlink, route):
    answer = client.post(f"/v1/fleet/{route}", content=b"question", headers={"x-node": "7"})
    assert (answer.status_code, answer.content) == (201, b"answer")
    assert answer.headers["x-flower"] == "yes"
    (request,) = superlink.requests
    assert (request.method, request.url.path, request.content) == ("POST", f"/v1/fleet/{route}", b"question")
    assert request.headers["x-node"] == "7"
    assert request.headers["host"] == "127.0.0.1:1"


@pytest.mark.parametrize("path", sorted(FLEET_PATHS))
def test_fleet_routes_have_one_method(app, superlink, path):
    for method in set(METHODS) - {"POST"}:
        assert call(app, method, path)[0] in UNANSWERED, method
    assert not superlink.requests


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/v1/fleet/register-node", None),
        ("/v1/fleet/unregister-node", None),
        ("/v1/fleet/PULL-MESSAGES", None),
        ("/v1/fleet/Pull-Messages", None),
        ("/V1/FLEET/pull-messages", None),
        ("/v1/Fleet/pull-messages", None),
        ("/v1/fleet//pull-messages", None),
        ("//v1/fleet/pull-messages", None),
        ("/v1//fleet/pull-messages", None),
        ("/v1/fleet/pull-messages/", None),
        ("/v1/fleet/pull-messages//", None),
        ("/v1/fleet/pull-messages ", "/v1/fleet/pull-messages%20"),
        ("/v1/fleet/pull-messages\x00", "/v1/fleet/pull-messages%00"),
        ("/v1/fleet/pull-messages\n", "/v1/fleet/pull-messages%0a"),
        ("/v1/fleet/pull-messages?x", "/v1/fleet/pull-messages%3fx"),
        ("/v1/fleet/pull-messages;x", None),
        ("/v1/fleet/./pull-messages", "/v1/fleet/%2e/pull-messages"),
        ("/v1/fleet/../control/start-run", None),
        ("/v1/fleet/../control/start-run", "/v1/fleet/%2e%2e/control/start-run"),
        ("/v1/fleet/../control/start-run", "/v1/fleet/..%2fcontrol%2fstart-run"),
        ("/v1/fleet/%2e%2e", "/v1/fleet/%252e%252e"),
        ("/v1/fleet/..", "/v1/fleet/%2e%2e"),
        ("/v1/fleet/..\\control\\start-run", None),
        ("/v1/fleet/pull-messages/../../control/start-run", None),
        ("/relay/../v1/control/start-run", None),
        ("/v1/fleet/pull‐messages", "/v1/fleet/pull%e2%80%90messages"),
        ("v1/fleet/pull-messages", None),
        ("https://127.0.0.1:1/v1/control/start-run", None),
    ],
)  # fmt: skip
def test_path_tricks_reach_nothing(app, superlink, path, raw_path):
    status, _, _ = call(app, "POST", path, DRIVER, raw_path=raw_path)
    assert status == 404
    assert not superlink.requests


def test_a_query_is_not_forwarded(client, superlink):
    client.post("/v1/fleet/get-run?next=/v1/control/start-run", content=b"")
    assert superlink.requests[0].url.query == b""


def test_a_fleet_body_over_the_limit_refuses_before_it_is_forwarded(app, superlink, monkeypatch):
    monkeypatch.setattr(web, "MAX_FLEET_BYTES", 100)
    assert call(app, "POST", "/v1/fleet/push-object", body=[b"x" * 50] * 2)[0] == 201
    status, _, read = call(app, "POST", "/v1/fleet/push-object", body=[b"x" * 50] * 1000)
    assert (status, read) == (413, 3)
    assert len(superlink.requests) == 1


def test_a_superlink_that_is_away_is_told_without_detail(client, superlink):
    superlink.fails = True
    answer = client.post("/v1/fleet/get-run")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text


def test_the_answer_of_superlink_carries_no_connection_headers(client):
    assert "connection" not in client.post("/v1/fleet/get-run").headers


# --- the relay's driver


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Bearer x"}, as_party("bank")]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/relay/s1"), ("PUT", "/relay/s9"), ("DELETE", "/relay/s1"), ("GET", "/relay/s1/status")],
)
def test_the_drivers_routes_need_its_secret(app, relay, method, path, headers):
    status, content, read = call(app, method, path, headers, [b'{"bank": "stolen"}'])
    assert (status, read) == (404, 0)
    assert content == call(app, method, "/nothing/here/at/all")[1]
    assert relay.get("/relay/s1", headers=receiving("bank")).status_code == 204


@pytest.mark.parametrize("body", [b"{", b"\xff", b"x" * 10_000, b""])
def test_a_stranger_uploads_nothing_to_the_drivers_route(app, body):
    headers = {"content-type": "application/json"}
    assert call(app, "PUT", "/relay/s1", headers, [body] * 100)[::2] == (404, 0)


def test_the_drivers_body_has_a_limit(app):
    headers = {**DRIVER, "content-type": "application/json"}
    status, _, read = call(app, "PUT", "/relay/s1", headers, [b" " * 10_000] * 10_000)
    assert status == 413
    assert read < 1000


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"bank": 7}', b'{"bank": {"a": "b"}}', b"\xff"])
def test_the_drivers_tokens_are_names_and_texts(app, body):
    assert call(app, "PUT", "/relay/s1", DRIVER, [body])[0] == 422


def test_the_driver_opens_watches_and_closes_a_session(relay):
    relay.get("/relay/s1", headers=receiving("bank", x_state="busy stage 1"))
    status = relay.get("/relay/s1/status", headers=DRIVER).json()
    assert set(status) == {"bank", "shop"}
    assert status["bank"]["state"] == "busy stage 1"
    assert status["shop"]["idle_seconds"] is None
    assert relay.delete("/relay/s1", headers=DRIVER).status_code == 200
    assert relay.get("/relay/s1", headers=receiving("bank")).status_code == 404
    assert relay.get("/relay/s1/status", headers=DRIVER).json() == {}


# --- the relay's parties


FRAME = framed(b"content")
BINDING = b"b" * 32


def test_a_frame_goes_from_party_to_party(relay):
    assert (
        relay.post("/relay/s1/shop", content=FRAME, headers=as_party("bank", x_number=1)).status_code == 204
    )
    answer = relay.get("/relay/s1", headers=receiving("shop"))
    assert (answer.status_code, answer.content, answer.headers["x-number"]) == (200, FRAME, "1")
    assert relay.get("/relay/s1", headers=receiving("shop", x_confirm=1)).status_code == 204


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/relay/s1/shop", as_party("bank", "wrong", x_number=1)),
        ("/relay/s1/shop", as_party("bank", SECRET, x_number=1)),
        ("/relay/s1/shop", as_party("bank", TOKENS["shop"], x_number=1)),
        ("/relay/s1/shop", as_party("stranger", TOKENS["bank"], x_number=1)),
        ("/relay/s2/shop", as_party("bank", x_number=1)),
        ("/relay/s1/shop", {"x-party": "bank", "x-number": "1"}),
    ],
)
def test_strangers_upload_nothing(app, relay, path, headers):
    status, content, read = call(app, "POST", path, headers, [b"x" * 1000] * 1000)
    assert (status, read) == (404, 0), "the body must not even be read"
    assert content == call(app, "POST", "/nothing/here/at/all")[1]
    assert relay.get("/relay/s1", headers=receiving("shop")).status_code == 204


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/relay/s1", receiving("bank", "wrong")),
        ("/relay/s1", receiving("bank", TOKENS["shop"])),
        ("/relay/s1", receiving("stranger", TOKENS["bank"])),
        ("/relay/s2", receiving("bank")),
    ],
)
def test_strangers_receive_nothing(app, relay, path, headers):
    assert call(app, "GET", path, headers)[:2] == call(app, "GET", "/nothing/here/at/all")[:2]


def test_a_frame_over_the_limit_refuses(app, relay, monkeypatch):
    monkeypatch.setattr(relay_routes, "MAX_FRAME_BYTES", len(FRAME))
    headers = as_party("bank", x_number=1)
    status, _, read = call(app, "POST", "/relay/s1/shop", headers, [b"x" * (len(FRAME) - 1)] * 1000)
    assert (status, read) == (413, 2)
    assert call(app, "POST", "/relay/s1/shop", headers, [FRAME])[0] == 204


@pytest.mark.parametrize("body", [b"", b"frame", b"x" * 1000])
def test_what_is_no_frame_refuses(relay, body):
    headers = as_party("bank", x_number=1)
    assert relay.post("/relay/s1/shop", content=body, headers=headers).status_code == 422
    assert relay.get("/relay/s1", headers=receiving("shop")).status_code == 204


# --- what messages rest on


def test_a_party_attests_what_it_works_on(relay, stale):
    bound = framed(b"content", binding=BINDING)
    headers = as_party("bank", x_number=1)
    for _ in range(3):
        answer = relay.post("/relay/s1/shop", content=bound, headers=headers)
        assert (answer.status_code, stale) == (409, [("s1", "bank")])  # told once
    assert relay.put("/relay/s1/snapshot", content=BINDING, headers=as_party("bank")).status_code == 204
    assert relay.post("/relay/s1/shop", content=bound, headers=headers).status_code == 204
    answer = relay.post("/relay/s1/shop", content=FRAME, headers=as_party("bank", x_number=2))
    assert (answer.status_code, stale) == (409, [("s1", "bank")] * 2)
    assert relay.get("/relay/s1", headers=receiving("shop")).content == bound
    assert relay.get("/relay/s1", headers=receiving("shop", x_confirm=1)).status_code == 204


@pytest.mark.parametrize("binding", [b"", b"b" * 31])
def test_a_binding_has_32_bytes(relay, binding):
    assert relay.put("/relay/s1/snapshot", content=binding, headers=as_party("bank")).status_code == 422
    assert relay.post("/relay/s1/shop", content=FRAME, headers=as_party("bank", x_number=1)).is_success


def test_a_binding_that_is_longer_is_not_read_to_its_end(app, relay):
    status, _, read = call(app, "PUT", "/relay/s1/snapshot", as_party("bank"), [BINDING] * 1000)
    assert (status, read) == (413, 2)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/relay/s1/snapshot", as_party("bank", "wrong")),
        ("/relay/s1/snapshot", as_party("bank", SECRET)),
        ("/relay/s1/snapshot", as_party("bank", TOKENS["shop"])),
        ("/relay/s1/snapshot", as_party("stranger", TOKENS["bank"])),
        ("/relay/s2/snapshot", as_party("bank")),
        ("/relay/s1/snapshot", {"x-party": "bank"}),
        ("/relay/s1/snapshot", {}),
    ],
)
def test_strangers_attest_nothing(app, relay, path, headers):
    status, content, read = call(app, "PUT", path, headers, [BINDING])
    assert (status, read) == (404, 0)
    assert content == call(app, "PUT", "/nothing/here/at/all")[1]
    assert relay.post("/relay/s1/shop", content=FRAME, headers=as_party("bank", x_number=1)).is_success


def test_an_unknown_recipient_is_not_told_apart(relay):
    answer = relay.post("/relay/s1/stranger", content=b"x", headers=as_party("bank", x_number=1))
    assert answer.status_code == 404


@pytest.mark.parametrize("wait", ["nan", "inf", "-1", "31", "x", ""])
def test_nobody_waits_without_end(relay, wait):
    assert relay.get("/relay/s1", headers=receiving("bank", x_wait=wait)).status_code == 404


def test_a_state_is_short(relay):
    assert relay.get("/relay/s1", headers=receiving("bank", x_state="x" * 201)).status_code == 404


@pytest.mark.parametrize("headers", [{}, as_party("bank"), as_party("bank", "wrong"), {"x-number": "canary"}])
def test_malformed_requests_learn_no_more_than_strangers(app, relay, headers):
    nothing = call(app, "GET", "/nothing/here/at/all")[:2]
    assert call(app, "GET", "/relay/s1", headers)[:2] == nothing
    assert call(app, "POST", "/relay/s1/shop", headers, [b"canary"]) == (*nothing, 0)
