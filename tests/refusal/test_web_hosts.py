"""An edge on loopback does not answer to a name that somebody else lets lead to it."""

import asyncio

import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from web_scene import raw

from clients.desk.console import app as desk
from federation.web.hosts import LoopbackHosts
from server.console_service import protect_loopback
from server.home import Settings

OURS = ["localhost", "localhost:8441", "127.0.0.1:8441", "127.0.0.2", "[::1]:8441", "LOCALHOST"]
STRANGE = [
    "attacker.test",
    "attacker.test:8441",
    "127.0.0.1.attacker.test",
    "localhost.attacker.test",
    "a@attacker.test",
    "192.0.2.1",
    "[::1",
    "",
]


def status_of(app, host, path="/"):
    return asyncio.run(raw(app, "GET", path, [("host", host)]))[0]["status"]


def settings(**changes):
    return Settings(
        **{"host": "192.0.2.1", "port": 1, "public_name": "coordinator.test", "superlink_port": 2} | changes
    )


@pytest.mark.parametrize("host", OURS)
def test_names_of_this_machine(host):
    assert status_of(LoopbackHosts(PlainTextResponse("ours")), host) == 200


@pytest.mark.parametrize("host", STRANGE)
def test_names_of_somebody_else(host):
    assert status_of(LoopbackHosts(PlainTextResponse("ours")), host) == 403


def test_the_name_under_which_people_come_by_a_proxy():
    app = protect_loopback(PlainTextResponse("ours"), settings(console_url="https://Console.test/"))
    assert [status_of(app, host) for host in ("console.test", "localhost", "attacker.test")] == [
        200,
        200,
        403,
    ]


def test_beyond_this_machine_the_certificate_sees_to_it():
    app = PlainTextResponse("ours")
    assert protect_loopback(app, settings(console_host="192.0.2.1")) is app


def test_the_desks_pages_stand_behind_it(monkeypatch):
    monkeypatch.setattr(desk, "make_console", lambda _: PlainTextResponse("ours"))
    monkeypatch.setattr(desk.Desk, "of", lambda home: None)
    app = FastAPI()
    desk.add_console(app, None)
    assert [status_of(app, host, "/desk/") for host in ("127.0.0.1:1", "attacker.test")] == [200, 403]
