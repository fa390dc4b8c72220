"""The transport over the real relay: what is lost on the way is neither lost nor doubled at its end."""

import ssl

import httpx
import pytest
from fastapi.testclient import TestClient

from federation import transport
from federation.transport import HttpTransport, SessionClosed
from privacy.errors import PeerDropped
from server import web
from server.web import create_app

DRIVER = {"authorization": "Bearer driver"}
TOKENS = {"bank": "token-of-bank", "shop": "token-of-shop"}


@pytest.fixture
def relay():
    app = create_app("https://127.0.0.1:1", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "driver")
    client = TestClient(app, base_url="https://coordinator.example")
    assert client.put("/relay/s1", json=TOKENS, headers=DRIVER).status_code == 200
    return client


class Wire:
    """Passes requests on; the next ones lose their request or their answer on the way."""

    def __init__(self, client, headers):
        self._client = client
        self._headers = headers
        self.faults = []

    def request(self, method, path, *, headers, content=None):
        fault = self.faults.pop(0) if self.faults else None
        if fault == "request lost":
            raise httpx.ConnectError("lost")
        answer = self._client.request(method, path, headers={**self._headers, **headers}, content=content)
        if fault == "answer lost":
            raise httpx.ReadError("lost")
        return answer

    def close(self):
        pass


@pytest.fixture
def parties(relay, monkeypatch):
    monkeypatch.setattr(transport.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(transport.ssl, "create_default_context", lambda **_: True)
    made = {}
    for party, token in TOKENS.items():
        made[party] = HttpTransport("https://coordinator.example", "", "s1", party, token)
        made[party]._http.close()
        made[party]._http = Wire(relay, {"authorization": f"Bearer {token}", "x-party": party})
    return made


def test_lost_requests_and_answers_neither_lose_nor_double_a_frame(parties):
    bank, shop = parties["bank"], parties["shop"]
    bank._http.faults = ["answer lost", "request lost", "answer lost", None, "request lost"]
    for frame in (b"one", b"two", b"three"):
        bank.send("shop", frame)
    shop._http.faults = ["answer lost", None, "request lost", "answer lost"]
    assert [shop.receive("waiting", 0) for _ in range(4)] == [b"one", b"two", b"three", None]


def test_a_closed_session_is_told(parties, relay):
    relay.delete("/relay/s1", headers=DRIVER)
    with pytest.raises(SessionClosed):
        parties["bank"].receive("waiting", 0)
    with pytest.raises(SessionClosed):
        parties["bank"].send("shop", b"frame")


def test_a_relay_that_stays_away_has_gone(parties, monkeypatch):
    monkeypatch.setattr(transport, "RETRY_SECONDS", -1)
    parties["bank"]._http.faults = ["request lost"] * 3
    with pytest.raises(PeerDropped) as caught:
        parties["bank"].send("shop", b"frame")
    assert caught.value.key == "relay_unreachable"


def test_a_relay_that_refuses_is_told_by_its_status(parties, monkeypatch):
    monkeypatch.setattr(web, "MAX_FRAME_BYTES", 10)
    with pytest.raises(PeerDropped) as caught:
        parties["bank"].send("shop", b"x" * 11)
    assert (caught.value.key, caught.value.values) == ("relay_refused", {"status": 413})
