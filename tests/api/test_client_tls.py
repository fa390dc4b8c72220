"""Over real TLS on loopback: only the certificate that was given is trusted."""

from __future__ import annotations

import threading
import time

import pytest
import uvicorn
from fastapi import FastAPI

from federation.client import connect
from privacy.errors import PeerDropped
from server.home import CoordinatorHome


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A toy coordinator with a home's certificate, and another home's certificate."""
    folder = tmp_path_factory.mktemp("tls")
    homes = [CoordinatorHome.create(folder / name, "127.0.0.1", 0, "127.0.0.1") for name in ("own", "other")]
    for name, home in zip(("own", "other"), homes, strict=True):
        (folder / f"{name}.pem").write_text(home.roster.certificate)
    app, seen = FastAPI(), []

    @app.get("/api/v1/me")
    def me():
        seen.append("asked")
        return {"name": "mo", "roles": ["modeller"], "permissions": [], "means": "token"}

    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        log_level="critical",
        ssl_certfile=homes[0].certificate_file,
        ssl_keyfile=homes[0].tls_key_file,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    for _ in range(500):
        if server.started:
            break
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield folder, f"https://127.0.0.1:{port}", seen
    server.should_exit = True
    thread.join()


def test_the_given_certificate_is_trusted(served):
    folder, url, _ = served
    with connect(url, "tok", certificate=folder / "own.pem") as console:
        assert console.me().name == "mo"


@pytest.mark.parametrize("certificate", ["other.pem", ""])
def test_no_token_goes_to_another_certificate(served, certificate):
    folder, url, seen = served
    seen.clear()
    with connect(url, "tok", certificate=certificate and folder / certificate) as console:
        console.calls._sleep = lambda seconds: None
        with pytest.raises(PeerDropped, match=r"127\.0\.0\.1"):
            console.me()
    assert seen == []


def test_a_host_that_the_certificate_does_not_name_is_not_trusted(served):
    folder, url, seen = served
    seen.clear()
    with connect(url.replace("127.0.0.1", "localhost"), "tok", certificate=folder / "own.pem") as console:
        console.calls._sleep = lambda seconds: None
        with pytest.raises(PeerDropped):
            console.me()
    assert seen == []
