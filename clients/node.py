"""`silhouette-node start`: one SuperNode as a child process, one worker in this process."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from clients.app import make_app
from clients.approvals.running import serve_proposals
from clients.backup import guard
from clients.context import forget_stale
from clients.desk.serving import serve_desk
from clients.forgetting.cards import retire_overdue
from clients.gate.retention import sweep as remove_expired
from clients.home import FLOWER_KEY_FILE, FLOWER_KEY_RECORD, NodeHome
from clients.rights.running import serve_requests
from clients.session import connect_http
from clients.worker import Worker
from federation.children import Child, flower_environment, free_port, program
from federation.files import write_secret
from federation.pace import Every, today
from federation.roles import SWEEP_SECONDS
from privacy.errors import ConfigInvalid

RESTART_SECONDS: Final = 5.0
"""SuperLink lets a SuperNode in again only after the old one's heartbeats have expired: keep trying."""


def supernode(home: NodeHome, port: int, secret_file: Path) -> Child:
    """Flower's SuperNode for this home: outbound to the coordinator's public port, Runtime API on loopback."""
    roster = home.roster
    certificate = home.folder / "coordinator.crt"
    certificate.write_text(roster.certificate)
    key = home.vault.get(FLOWER_KEY_RECORD)
    if key is None:
        raise ConfigInvalid("home_missing", folder=home.folder)
    write_secret(home.folder / FLOWER_KEY_FILE, key)
    command = (
        program("flower-supernode"),
        "--superlink",
        urlsplit(roster.url).netloc,
        "--root-certificates",
        str(certificate),
        "--auth-supernode-private-key",
        str(home.folder / FLOWER_KEY_FILE),
        "--isolation",
        "process",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--superexec-auth-secret-file",
        str(secret_file),
    )
    return Child(command, home.folder / "logs" / "supernode.log", flower_environment(home.folder))


def start(
    home: NodeHome,
    stopped: threading.Event,
    on_ready: Callable[[], None],
    desk_port: int | None = None,
    on_desk: Callable[[int], None] = lambda port: None,
) -> None:
    """Run the node until `stopped` is set. `on_ready` is called when the worker polls. Call from the main thread.

    desk_port: where the desk listens on loopback (0: any free port, told to `on_desk`); None: no desk. Raises `Denied`
    for a node that was restored and has not replayed deletions.
    """
    guard.check_at_start(home)
    port = free_port()
    secret = secrets.token_hex(32).encode()
    secret_file = home.folder / "superexec.secret"
    write_secret(secret_file, secret)
    child = supernode(home, port, secret_file)
    connect = connect_http(home)
    worker = Worker(f"127.0.0.1:{port}", secret, lambda: make_app(home, connect), home.settings.approved_code)
    thread = threading.Thread(target=worker.run, name="worker", daemon=True)
    requests = threading.Thread(target=serve_requests, args=(home, stopped), name="requests", daemon=True)
    proposals = threading.Thread(target=serve_proposals, args=(home, stopped), name="proposals", daemon=True)
    desk = None
    if desk_port is not None:
        desk = threading.Thread(
            target=serve_desk, args=(home, desk_port, stopped, on_desk), name="desk", daemon=True
        )
    try:
        child.start()
        thread.start()
        requests.start()
        proposals.start()
        if desk is not None:
            desk.start()
        on_ready()
        sweep = Every(SWEEP_SECONDS)
        while not stopped.wait(0.2):
            if sweep.is_due():
                forget_stale(home)
                remove_expired(home)
                retire_overdue(home, today())
            if child.exit_code is not None:
                stopped.wait(RESTART_SECONDS)
                if not stopped.is_set():
                    child.start()
            if not thread.is_alive():
                raise ConfigInvalid("worker_ended", folder=home.folder)
    finally:
        worker.stop.set()
        child.stop()
        (home.folder / FLOWER_KEY_FILE).unlink(missing_ok=True)
        _wait_for(thread)
        if desk is not None and desk.is_alive():
            desk.join(1.0)


def _wait_for(thread: threading.Thread) -> None:
    """Give a running session a moment to say goodbye."""
    give_up = time.monotonic() + 1.0
    while thread.is_alive() and time.monotonic() < give_up:
        time.sleep(0.05)
