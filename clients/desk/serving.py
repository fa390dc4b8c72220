"""Running the desk beside a node: on loopback, behind a token that only the node's user can read."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI

from clients.home import NodeHome
from federation.files import write_secret
from privacy.errors import ConfigInvalid

CREDENTIAL_FILE: Final = "desk.token"
HOST: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 64
_LOOK_SECONDS: Final = 0.1


def desk_token(home: NodeHome) -> str:
    """The bearer token of a node's desk, made on first use: `desk.token` in the home, for its owner alone."""
    file = home.folder / CREDENTIAL_FILE
    if not file.exists():
        write_secret(file, secrets.token_urlsafe(32).encode())
    return file.read_text("utf-8").strip()


def serve_desk(
    home: NodeHome,
    port: int,
    stopped: threading.Event,
    on_ready: Callable[[int], None] = lambda port: None,
) -> None:
    """Serve until `stopped` is set; for a thread of its own. port 0: any free one, which `on_ready` is told.

    Raises `ConfigInvalid` when another program has the port.
    """
    from clients.desk.app import make_desk

    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise ConfigInvalid("port_taken", port=port) from None
    with listener:
        asyncio.run(_serve(make_desk(home), listener, stopped, on_ready))


async def _serve(
    app: FastAPI, listener: socket.socket, stopped: threading.Event, on_ready: Callable[[int], None]
) -> None:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        log_config=None,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(_LOOK_SECONDS / 10)
    if server.started:
        on_ready(listener.getsockname()[1])
    while not stopped.is_set() and not serving.done():
        await asyncio.sleep(_LOOK_SECONDS)
    server.should_exit = True
    await serving
