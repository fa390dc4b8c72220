"""The console's process: where it listens, with what, and what it says when it cannot."""

import asyncio
import socket
import ssl
import threading

import httpx
import msgspec
import pytest

from federation.children import free_port
from federation.web.hosts import is_loopback
from privacy.errors import ConfigInvalid
from server.console_service import openapi_document, serve_console
from server.home import CoordinatorHome
from server.service import console_program


@pytest.fixture
def home(tmp_path):
    return CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 0, "127.0.0.1", free_port())


def changed(home, **changes):
    settings = msgspec.structs.replace(home.settings, **changes)
    home.settings_file.write_bytes(msgspec.json.encode(settings))
    return home


def serving(home, look):
    """What `look` says of the console while it serves; told its address."""
    found = []

    async def run():
        ready = asyncio.Event()
        addresses = []
        task = asyncio.create_task(serve_console(home, lambda url: (addresses.append(url), ready.set())))
        await asyncio.wait_for(ready.wait(), 30)
        found.append(await asyncio.wait_for(look(addresses[0]), 30))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join()
    return found[0]


def test_on_this_machine_it_speaks_plain_http(home):
    async def look(url):
        async with httpx.AsyncClient(trust_env=False) as client:
            return url, await client.get(f"{url}/api/v1/me")

    url, answer = serving(home, look)
    assert url == f"http://127.0.0.1:{home.settings.console_port}"
    assert answer.status_code == 401
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


def test_beyond_this_machine_it_speaks_tls_alone(home):
    changed(home, console_host="0.0.0.0")  # noqa: S104
    trust = ssl.create_default_context(cafile=home.certificate_file)

    async def look(url):
        async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
            return url, await client.get(f"{url}/api/v1/me")

    url, answer = serving(home, look)
    assert url.startswith("https://127.0.0.1:")
    assert answer.headers["strict-transport-security"]


def test_a_port_that_is_taken_or_not_named_is_said_in_a_sentence(home):
    with (
        socket.create_server(("127.0.0.1", home.settings.console_port)),
        pytest.raises(ConfigInvalid) as taken,
    ):
        asyncio.run(serve_console(home, lambda url: None))
    assert taken.value.key == "port_taken"
    with pytest.raises(ConfigInvalid) as missing:
        asyncio.run(serve_console(changed(home, console_port=0), lambda url: None))
    assert missing.value.key == "console_port_missing"


def test_serving_starts_a_console_only_where_one_is_named(home):
    program = console_program(home)
    assert program is not None
    assert program.command[1:] == ("console", "--home", str(home.folder.resolve()))
    assert console_program(changed(home, console_port=0)) is None


def test_the_key_of_its_pages_is_made_once_and_is_its_owners(home):
    key = home.console_key
    assert len(key) == 32
    assert CoordinatorHome.open(home.folder).console_key == key
    assert (home.folder / "console.key").stat().st_mode & 0o077 == 0


def test_a_roster_that_is_replaced_is_read_again(home):
    before = home.roster
    assert home.roster is before
    other = CoordinatorHome.open(home.folder)
    other.write_roster(msgspec.structs.replace(before, url="https://elsewhere:1"))
    assert home.roster.url == "https://elsewhere:1"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],  # noqa: S104
)
def test_what_is_this_machine(host, expected):
    assert is_loopback(host) is expected


def test_the_document_is_made_without_a_home():
    assert openapi_document()["openapi"].startswith("3.1")
