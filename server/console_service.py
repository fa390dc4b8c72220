"""`silhouette console`: the interface for programs and the pages for people, in a process of their own."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from federation.web.hosts import LoopbackHosts, is_loopback
from privacy.errors import ConfigInvalid
from server.home import CoordinatorHome, Settings

MAX_CONNECTIONS: Final = 512
GRACE_SECONDS: Final = 2
"""How long an answer may still take when the console is to end; streams do not end by themselves."""
KEEP_ALIVE_SECONDS: Final = 75
"""Longer than clients keep an idle connection, so that none sends a request into one that is just being closed."""
BACKLOG: Final = 256


async def serve_console(
    home: CoordinatorHome, on_ready: Callable[[str], None], port: int | None = None
) -> None:
    """Serve until cancelled. port: instead of the settings' one; `on_ready` is told the address for people.

    Raises `ConfigInvalid` when no port is named or it is taken.
    """
    from server.api.app import create_app
    from server.api.services import Services

    settings = home.settings
    wanted = port or settings.console_port
    if not wanted:
        raise ConfigInvalid("console_port_missing", file=home.settings_file)
    url = settings.console_url or _url_of(settings, wanted)
    with _listening(settings.console_host, wanted) as listening:
        app = create_app(Services.of(home, secure=url.startswith("https://")))
        server = uvicorn.Server(_config(home, protect_loopback(app, settings), settings))
        on_ready(url)
        await server.serve([listening])


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document of this version. It is made from the routes, which a home has to stand behind."""
    from server.api.app import create_api
    from server.api.services import Services

    with tempfile.TemporaryDirectory() as folder:
        home = CoordinatorHome.create(Path(folder) / "coordinator", "127.0.0.1", 0, "127.0.0.1")
        document: dict[str, Any] = create_api(Services.of(home)).state.openapi_document
        home.database.dispose()
        return document


def protect_loopback(app: ASGIApp, settings: Settings) -> ASGIApp:
    """The application, which on loopback answers to names of this machine and to the one that people come under."""
    if not is_loopback(settings.console_host):
        return app
    return LoopbackHosts(app, [urlsplit(settings.console_url).hostname or ""])


def _config(home: CoordinatorHome, app: Any, settings: Settings) -> uvicorn.Config:
    """Beyond this machine only with TLS. What a proxy says of a caller counts only where the settings name one."""
    is_local = is_loopback(settings.console_host)
    return uvicorn.Config(
        app,
        ssl_certfile=None if is_local else home.certificate_file,
        ssl_keyfile=None if is_local else home.tls_key_file,
        log_level="warning",
        access_log=False,
        proxy_headers=is_local and bool(settings.console_url),
        server_header=False,
        ws="none",
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `ConfigInvalid` when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError:
        raise ConfigInvalid("port_taken", port=port) from None


def _url_of(settings: Settings, port: int) -> str:
    if is_loopback(settings.console_host):
        host = f"[{settings.console_host}]" if ":" in settings.console_host else settings.console_host
        return f"http://{host}:{port}"
    return f"https://{settings.public_name}:{port}"
