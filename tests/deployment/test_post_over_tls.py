"""Letters between two homes over the coordinator's real port: TLS with the pinned certificate, and a restart."""

import ssl
import threading
import time
from contextlib import contextmanager

import msgspec
import pytest
import uvicorn
from post_scene import a_task, an_answer

from clients.home import NodeHome, NodeSettings
from clients.rights.courier import sign_answer
from clients.rights.post import courier_of
from clients.tables import TableSpec
from federation.post_client import PostClient
from federation.roster import Enrolment, from_json
from privacy.errors import PeerDropped
from server.home import CoordinatorHome, make_certificate
from server.post_routes import Post
from server.web import create_app

SPEC = {"path": "customers.csv", "id_column": "phone", "id_kind": "phone"}


@contextmanager
def serving(home: CoordinatorHome):
    """The public port of a coordinator, without SuperLink."""
    app = create_app(
        "https://127.0.0.1:1", ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), home.relay_secret, post=Post.of(home)
    )
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=home.settings.port,
        ssl_certfile=home.certificate_file,
        ssl_keyfile=home.tls_key_file,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started:
        assert time.monotonic() < until
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def coordinator(tmp_path):
    return CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 0, "127.0.0.1")


@pytest.fixture
def nodes(tmp_path, coordinator):
    made = {}
    for party in ("bank", "shop"):
        settings = NodeSettings(party, msgspec.convert(SPEC, TableSpec))
        made[party] = NodeHome.create(tmp_path / party, settings)
        file = made[party].enrolment_file
        coordinator.enrol(from_json(file.read_bytes(), Enrolment, str(file)))
    for home in made.values():
        home.join(coordinator.roster)
    return made


def test_letters_reach_a_node_that_was_away_over_a_coordinator_that_starts_again(coordinator, nodes):
    bank, shop = (courier_of(nodes[party]) for party in ("bank", "shop"))
    bank.send("shop", a_task())
    assert not bank.exchange().reached, "nobody serves"
    time.sleep(1.05)
    with serving(coordinator):
        assert bank.exchange().sent == 1
    with serving(coordinator):
        assert shop.exchange().received == 1
        (item,) = shop.receive()
        assert item.message == a_task()
        answer = an_answer("shop")
        woken = []
        waiter = threading.Thread(target=lambda: woken.append(bank.exchange(wait_seconds=20)))
        waiter.start()
        time.sleep(0.3)
        shop.send("bank", answer, sign_answer(nodes["shop"].identity, answer))
        began = time.monotonic()
        assert shop.exchange().sent == 1
        waiter.join(20)
        assert time.monotonic() - began < 10, "woken, not timed out"
        assert woken[0].received == 1
    assert [item.message for item in bank.receive()] == [answer]
    for courier in (bank, shop):
        courier.close()


def test_a_ledger_outlives_the_coordinators_process(coordinator, nodes):
    home = nodes["bank"]
    with serving(coordinator), PostClient(home.roster, "bank", home.identity) as client:
        for number in range(1, 4):
            client.put_entry(number, home.identity.public.seal(b"entry", str(number).encode()))
    with serving(coordinator), PostClient(home.roster, "bank", home.identity) as client:
        entries = client.entries(1)
        assert client.head() == coordinator.ledger_head("bank")
    assert [home.identity.open(entry, str(number).encode()) for number, entry in enumerate(entries, 1)] == [
        b"entry"
    ] * 3


def test_another_certificate_gets_nothing(coordinator, nodes):
    home = nodes["bank"]
    other, _ = make_certificate("127.0.0.1")
    roster = msgspec.structs.replace(home.roster, certificate=other.decode())
    with (
        serving(coordinator),
        PostClient(roster, "bank", home.identity) as client,
        pytest.raises(PeerDropped),
    ):
        client.head()
