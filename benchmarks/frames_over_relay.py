"""`make bench-frames`: how long a sealed, signed frame and its answer take between two parties.

The relay behind the coordinator's public port, over TLS on loopback, in a process of its own, as `silhouette serve`
runs it (without SuperLink, which frames never pass). Must reach: a small message there and back within 20 ms.
"""

from __future__ import annotations

import multiprocessing
import secrets
import ssl
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
import uvicorn
from rich.console import Console
from rich.table import Table

from benchmarks.settings import size_name
from federation.align import TokenPart
from federation.children import free_port
from federation.files import write_secret
from federation.frames import Endpoint
from federation.messages import Message
from federation.transport import HttpTransport
from privacy.sealing import Identity
from server.home import make_certificate
from server.web import create_app

MUST_REACH_MILLISECONDS: Final = 20.0
SIZES: Final = (16, 100_000, 1_000_000, 8_000_000)
PARTIES: Final = ("bank", "shop")
START_SECONDS: Final = 20.0


def main(rounds: Annotated[int, typer.Option(min=1, help="There and back, per size.")] = 50) -> None:
    """Show the median time of a round trip by message size; exit with 1 when the smallest is too slow."""
    console = Console()
    certificate, key = make_certificate("127.0.0.1")
    port, driver = free_port(), secrets.token_urlsafe(16)
    relay = multiprocessing.get_context("spawn").Process(
        target=serve, args=(port, certificate, key, driver), daemon=True
    )
    relay.start()
    try:
        medians = measure(f"https://127.0.0.1:{port}", certificate.decode(), driver, rounds)
    finally:
        relay.terminate()
        relay.join()
    table = Table("message", "round trip, ms")
    for size, seconds in medians.items():
        table.add_row(f"{size_name(size)} bytes", f"{seconds * 1000:.1f}")
    console.print(table)
    holds = medians[SIZES[0]] * 1000 < MUST_REACH_MILLISECONDS
    console.print(
        f"must stay under {MUST_REACH_MILLISECONDS:.0f} ms: {'yes' if holds else 'NO'}",
        style="green" if holds else "red",
        highlight=False,
    )
    if not holds:
        raise typer.Exit(1)


def serve(port: int, certificate: bytes, key: bytes, driver: str) -> None:
    """The coordinator's public application on loopback, until this process is ended."""
    with tempfile.TemporaryDirectory() as folder:
        certificate_file, key_file = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        certificate_file.write_bytes(certificate)
        write_secret(key_file, key)
        trust = ssl.create_default_context(cadata=certificate.decode())
        uvicorn.run(
            create_app("https://127.0.0.1:1", trust, driver),
            host="127.0.0.1",
            port=port,
            ssl_certfile=certificate_file,
            ssl_keyfile=key_file,
            log_level="error",
        )


def measure(url: str, certificate: str, driver: str, rounds: int) -> dict[int, float]:
    """Median seconds of a round trip, by size of the message and its answer."""
    session, tokens = secrets.token_hex(16), {party: secrets.token_urlsafe(16) for party in PARTIES}
    trust = ssl.create_default_context(cadata=certificate)
    give_up = time.monotonic() + START_SECONDS
    with httpx.Client(verify=trust, trust_env=False, headers={"authorization": f"Bearer {driver}"}) as client:
        while True:
            try:
                client.put(f"{url}/relay/{session}", json=tokens).raise_for_status()
                break
            except httpx.TransportError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.1)
    identities = {party: Identity.generate() for party in PARTIES}
    bank, shop = (
        (
            HttpTransport(url, certificate, session, own, tokens[own]),
            Endpoint(own, identities[own], {other: identities[other].public}, session, "0" * 64),
        )
        for own, other in (PARTIES, PARTIES[::-1])
    )
    echo = threading.Thread(target=answer, args=(*shop, rounds * len(SIZES)), daemon=True)
    echo.start()
    medians = {}
    for size in SIZES:
        message, times = TokenPart(part=0, tokens=bytes(size)), []
        for _ in range(rounds):
            started = time.perf_counter()
            exchange(*bank, "shop", message)
            times.append(time.perf_counter() - started)
        medians[size] = statistics.median(times)
    echo.join()
    return medians


def exchange(transport: HttpTransport, endpoint: Endpoint, other: str, message: TokenPart) -> None:
    """Send a message and wait for its answer."""
    for frame in endpoint.seal(other, 1, message):
        transport.send(other, frame)
    receive(transport, endpoint)


def receive(transport: HttpTransport, endpoint: Endpoint) -> Message:
    """The next whole message."""
    while True:
        frame = transport.receive("waiting")
        received = None if frame is None else endpoint.open(frame)
        if received is not None:
            return received.message


def answer(transport: HttpTransport, endpoint: Endpoint, messages: int) -> None:
    """The other party: sends every message back."""
    for _ in range(messages):
        message = receive(transport, endpoint)
        for frame in endpoint.seal("bank", 1, message):
            transport.send("bank", frame)


if __name__ == "__main__":
    typer.run(main)
