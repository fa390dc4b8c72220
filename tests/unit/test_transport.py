"""The transport over the real relay: what is lost on the way is neither lost nor doubled at its end."""

import ssl

import httpx
import pytest
from fastapi.testclient import TestClient
from relay_scene import content_of, framed

from federation import transport
from federation.transport import HttpTransport, SessionClosed
from privacy.errors import PeerDropped, StaleSnapshot
from server import relay_routes
from server.web import create_app

DRIVER = {"authorization": "Bearer driver"}
TOKENS = {"bank": "token-of-bank", "shop": "token-of-shop"}
OLD, NEW = b"o" * 32, b"n" * 32


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
    sent = [framed(content) for content in (b"one", b"two", b"three")]
    for frame in sent:
        bank.send("shop", frame)
    shop._http.faults = ["answer lost", None, "request lost", "answer lost"]
    assert [shop.receive("waiting", 0) for _ in range(4)] == [*sent, None]


def test_a_closed_session_is_told(parties, relay):
    relay.delete("/relay/s1", headers=DRIVER)
    with pytest.raises(SessionClosed):
        parties["bank"].receive("waiting", 0)
    with pytest.raises(SessionClosed):
        parties["bank"].send("shop", framed(b"frame"))
    with pytest.raises(SessionClosed):
        parties["bank"].attest(OLD)


def test_a_relay_that_stays_away_has_gone(parties, monkeypatch):
    monkeypatch.setattr(transport, "RETRY_SECONDS", -1)
    parties["bank"]._http.faults = ["request lost"] * 3
    with pytest.raises(PeerDropped) as caught:
        parties["bank"].send("shop", framed(b"frame"))
    assert caught.value.key == "relay_unreachable"


def test_a_relay_that_refuses_is_told_by_its_status(parties, monkeypatch):
    monkeypatch.setattr(relay_routes, "MAX_FRAME_BYTES", 10)
    with pytest.raises(PeerDropped) as caught:
        parties["bank"].send("shop", b"x" * 11)
    assert (caught.value.key, caught.value.values) == ("relay_refused", {"status": 413})


def test_a_message_on_older_consents_is_stale_and_the_next_one_gets_through(parties):
    bank, shop = parties["bank"], parties["shop"]
    bank.attest(OLD)
    bank.send("shop", framed(b"one", binding=OLD))
    bank.attest(NEW)
    with pytest.raises(StaleSnapshot) as caught:
        bank.send("shop", framed(b"two", binding=OLD))
    assert caught.value.key == "snapshot_stale_here"
    bank.send("shop", framed(b"three", binding=NEW))
    received = [shop.receive("waiting", 0) for _ in range(3)]
    assert [frame and content_of(frame) for frame in received] == [b"one", b"three", None]


def test_an_attestation_that_is_lost_is_repeated(parties):
    bank = parties["bank"]
    bank._http.faults = ["request lost", "answer lost"]
    bank.attest(NEW)
    bank.send("shop", framed(b"one", binding=NEW))


def test_an_accepted_message_whose_answer_is_lost_is_not_stale(parties):
    """It was taken before consents changed: repeating it is no new message."""
    bank, shop = parties["bank"], parties["shop"]
    bank.attest(OLD)

    class Changing(Wire):
        def request(self, method, path, *, headers, content=None):
            try:
                return super().request(method, path, headers=headers, content=content)
            except httpx.ReadError:
                super().request("PUT", "/relay/s1/snapshot", headers={}, content=NEW)
                raise

    bank._http = Changing(bank._http._client, bank._http._headers)
    bank._http.faults = ["answer lost"]
    bank.send("shop", framed(b"one", binding=OLD))
    assert content_of(shop.receive("waiting", 0)) == b"one"
    assert shop.receive("waiting", 0) is None
