"""`silhouette serve`: SuperLink and SuperExec on loopback, the public port in front of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

import httpx
import uvicorn

from federation.audit_log import AuditLog
from federation.children import Child, flower_environment, program, stop_all
from federation.pace import Every
from federation.roles import SWEEP_SECONDS
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied
from privacy.reasons import Reason
from server.db.migrating import bring_up_to_date
from server.flower import FlowerControl
from server.home import HOME_VARIABLE, CoordinatorHome, Running
from server.jobs.desk import Desk, Publications
from server.jobs.proposals import Jobs
from server.jobs.runner import Runner
from server.key_guard import refuse_keys
from server.post_routes import Post
from server.web import create_app

START_SECONDS: Final = 60.0
ROSTER_POLL_SECONDS: Final = 2.0
WATCH_SECONDS: Final = 1.0
CONSOLE_AGAIN_SECONDS: Final = 30.0
"""A console that has ended is started again, but not all the time: its port may be taken."""
LEAVE_SECONDS: Final = 5.0
"""How long the runner may take to stop what runs; what it has not stopped is taken over at the next start."""
MAX_CONNECTIONS: Final = 512
"""Bodies are read before SuperLink knows the sender, so their number is bounded as well as their size."""


def flower_programs(home: CoordinatorHome) -> list[Child]:
    """SuperLink (state in memory: nothing of a job stays on disk) and SuperExec, both on loopback."""
    port = str(home.settings.superlink_port)
    secret = ("--superexec-auth-secret-file", str(home.superexec_secret_file))
    superlink = (
        program("flower-superlink"),
        "--ssl-certfile",
        str(home.loopback_certificate_file),
        "--ssl-keyfile",
        str(home.loopback_key_file),
        "--ssl-ca-certfile",
        str(home.loopback_certificate_file),
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--isolation",
        "process",
        "--enable-supernode-auth",
        "--disable-runtime-dependency-installation",
        *secret,
    )
    superexec = (
        program("flower-superexec"),
        "--root-certificates",
        str(home.loopback_certificate_file),
        "--runtime-api-address",
        f"127.0.0.1:{port}",
        "--parent-pid",
        str(os.getpid()),
        *secret,
    )
    logs = home.folder / "logs"
    environment = {
        **flower_environment(home.folder),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
        HOME_VARIABLE: str(home.folder.resolve()),
    }
    return [
        Child(superlink, logs / "superlink.log", environment),
        Child(superexec, logs / "superexec.log", environment),
    ]


def console_program(home: CoordinatorHome) -> Child | None:
    """The console as a process of its own, so that pages and jobs do not wait for each other; None without one."""
    if not home.settings.console_port:
        return None
    command = (program("silhouette"), "console", "--home", str(home.folder.resolve()))
    return Child(command, home.folder / "logs" / "console.log")


def stale_noted_in(log: AuditLog) -> Callable[[str, str], None]:
    """What notes in the log that the relay has refused a party's message: it rests on consents that have changed."""

    def note(session: str, party: str) -> None:
        reasons = (Reason.CONSENT_STALE_SNAPSHOT.value,)
        log.append(
            EventType.ROUND_UPDATE_REFUSED, actor="relay", session=session, artefact=party, reasons=reasons
        )

    return note


async def serve(home: CoordinatorHome, on_ready: Callable[[str], None]) -> None:
    """Serve until cancelled. `on_ready` is called with the public URL once nodes can join."""
    if home.running is not None:
        raise ConfigInvalid("already_serving", folder=home.folder)
    settings = home.settings
    children, console = flower_programs(home), console_program(home)
    superlink = f"https://127.0.0.1:{settings.superlink_port}"
    trust = ssl.create_default_context(cafile=home.loopback_certificate_file)
    log = home.audit  # opened before anything listens: without a log nothing goes on
    bring_up_to_date(home.database)
    try:
        refuse_keys(home.folder)
    except Denied as denied:
        log.append(EventType.ACCESS_DENIED, actor="operator", reasons=denied.findings.codes)
        raise
    desk = Desk(Jobs(home.database, home, log), Publications(home.database, home))
    app = create_app(superlink, trust, home.relay_secret, stale_noted_in(log), Post.of(home), desk)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        ssl_certfile=home.certificate_file,
        ssl_keyfile=home.tls_key_file,
        log_level="warning",
        access_log=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    try:
        for child in children:
            child.start()
        await _wait_for_superlink(superlink, trust, children)
        async with _registrar(home):
            task = asyncio.create_task(server.serve())
            while not server.started:
                if task.done():
                    raise ConfigInvalid("port_taken", port=settings.port)
                await asyncio.sleep(0.05)
            with _runner(home):
                if console is not None:
                    console.start()
                on_ready(home.roster.url)
                sweep, again = Every(SWEEP_SECONDS), Every(CONSOLE_AGAIN_SECONDS)
                while not task.done():
                    if sweep.is_due():
                        await asyncio.to_thread(home.forget_stale)
                        await asyncio.to_thread(home.post.sweep)
                    await asyncio.wait({task}, timeout=WATCH_SECONDS)
                    _revive(children)
                    if console is not None and console.exit_code is not None and again.is_due():
                        console.start()
            await task
    finally:
        home.write_running(None)
        stop_all([*children, *([console] if console is not None else [])])


@contextlib.contextmanager
def _runner(home: CoordinatorHome) -> Iterator[None]:
    """Approved jobs run as long as the public port is open and SuperLink lives."""
    stopped = threading.Event()
    runner = Runner.of(home, FlowerControl(home))
    thread = threading.Thread(target=runner.run, args=(stopped,), name="runner", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join(LEAVE_SECONDS)


def _revive(children: list[Child]) -> None:
    """Start SuperExec again if it ended. SuperLink's memory is gone when it ends, and with it every run."""
    superlink, superexec = children
    if superlink.exit_code is not None:
        raise ConfigInvalid("superlink_failed")
    if superexec.exit_code is not None:
        superexec.start()


async def _wait_for_superlink(url: str, trust: ssl.SSLContext, children: list[Child]) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
        while time.monotonic() < deadline and all(child.exit_code is None for child in children):
            with contextlib.suppress(httpx.TransportError):
                await client.get(url)
                return
            await asyncio.sleep(0.1)
    raise ConfigInvalid("superlink_failed")


@contextlib.asynccontextmanager
async def _registrar(home: CoordinatorHome) -> AsyncIterator[None]:
    """Register every enrolled party with SuperLink, now and when the roster grows."""
    control = FlowerControl(home)
    known: dict[str, int] = {}

    def register_new() -> None:
        for party in home.roster.parties:
            if party.flower_key not in known:
                known[party.flower_key] = control.register(party.flower_key)
        node_ids = {party.name: known[party.flower_key] for party in home.roster.parties}
        home.write_running(Running(os.getpid(), node_ids))

    async def watch() -> None:
        seen = home.roster
        while True:
            await asyncio.sleep(ROSTER_POLL_SECONDS)
            if home.roster != seen:
                seen = home.roster
                await asyncio.to_thread(register_new)

    await asyncio.to_thread(register_new)
    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
