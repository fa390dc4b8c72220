"""A SuperNode that started again takes no token of before: the node that it belongs to goes on."""

import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from clients import worker
from clients.worker import Worker


class Restarted(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.server.paths.append(self.path)
        self.send_response(401)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def supernode():
    server = HTTPServer(("127.0.0.1", 0), Restarted)
    server.paths = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def interrupts(monkeypatch):
    """How often this process was to be ended."""
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGINT, before)


def made(address):
    return Worker(address, b"secret", lambda: None, ())


def test_a_task_of_before_ends_and_the_node_does_not(supernode, interrupts):
    made(f"127.0.0.1:{supernode.server_port}")._serve("a token of before")
    assert supernode.paths
    assert interrupts == []


def test_a_supernode_that_is_gone_is_given_up(supernode, interrupts, monkeypatch):
    monkeypatch.setattr(worker, "RECONNECT_SECONDS", 0.5)
    address = f"127.0.0.1:{supernode.server_port}"
    supernode.shutdown()
    supernode.server_close()
    began = time.monotonic()
    made(address)._serve("a token")
    assert time.monotonic() - began < 30
    assert interrupts == []
