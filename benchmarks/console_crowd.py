"""The hundred users of `benchmarks.console_load`, ten who watch a running job, and the runner with something to tell.

All are tasks of this one process, each with a connection of its own; how busy it is itself is shown beside the figures.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

import httpx

from benchmarks.cases import SEED
from benchmarks.console_home import Filled, Reader, progress_of

USERS: Final = 100
WATCHERS: Final = 10
ARRIVAL_SECONDS: Final = 10.0
"""Within which everybody has come: what a user sees for the first time in a while is written to the audit log."""
EVENT_SECONDS: Final = 0.5
"""How often the running job has something new."""
ANSWER_SECONDS: Final = 30.0
OVERVIEW: Final = "/"
ROUTES: Final = (
    "/api/v1/jobs",
    "/api/v1/jobs/{number}",
    "/api/v1/jobs/{number}/events",
    "/api/v1/datasets",
    "/api/v1/models",
    OVERVIEW,
)
COOKIE: Final = "silhouette-coordinator"


@dataclass
class Seen:
    """What came back. times: seconds by route; lags: of events, from their moment to the watcher."""

    times: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    lags: list[float] = field(default_factory=list)


async def crowd(filled: Filled, url: str, seconds: float, think: float, seen: Seen) -> None:
    """All readers, all watchers, and a runner that has something to tell."""
    ends = time.monotonic() + seconds
    readers, watchers = filled.users[:USERS], filled.users[USERS:]
    watching = [asyncio.create_task(watch(one, url, filled, seen)) for one in watchers]
    telling = asyncio.create_task(tell(filled, ends))
    await asyncio.gather(
        *(read(place, one, url, filled.done, ends, think, seen) for place, one in enumerate(readers))
    )
    await telling
    for task in watching:
        if task.done():
            seen.errors["watch ended"] += 1
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


async def read(
    place: int, user: Reader, url: str, done: tuple[str, ...], ends: float, think: float, seen: Seen
) -> None:
    """One user's reads, one after another, over a connection of its own."""
    chance = random.Random(SEED + place)
    transport = httpx.AsyncHTTPTransport(local_address=f"127.0.1.{place + 1}")
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=ANSWER_SECONDS) as client:
        await asyncio.sleep(chance.random() * think * ARRIVAL_SECONDS)
        while time.monotonic() < ends:
            route = chance.choice(ROUTES)
            proof = {"cookie": f"{COOKIE}={user.cookie}"} if route == OVERVIEW else bearer(user)
            started = time.perf_counter()
            try:
                response = await client.get(route.replace("{number}", chance.choice(done)), headers=proof)
                failure = "" if response.status_code == httpx.codes.OK else str(response.status_code)
            except httpx.HTTPError as problem:
                failure = type(problem).__name__
            if failure:
                seen.errors[f"{route} {failure}"] += 1
            else:
                seen.times[route].append(time.perf_counter() - started)
            await asyncio.sleep(think)


async def watch(user: Reader, url: str, filled: Filled, seen: Seen) -> None:
    """Follow the running job; how late its events come."""
    path = f"/api/v1/jobs/{filled.running.number}/events/stream"
    since = time.time()
    async with (
        httpx.AsyncClient(base_url=url, timeout=ANSWER_SECONDS) as client,
        client.stream("GET", path, headers=bearer(user)) as response,
    ):
        if response.status_code != httpx.codes.OK:
            seen.errors[f"watch {response.status_code}"] += 1
        async for line in response.aiter_lines():
            told = moment_in(line)
            if told > since:
                seen.lags.append(time.time() - told)


def moment_in(line: str) -> float:
    """When the event of a line of a stream was told, or 0: the benchmark's runner counts in milliseconds."""
    _, found, rest = line.partition('"total":')
    return int(rest.split("}")[0].split(",")[0]) / 1000 if found else 0.0


async def tell(filled: Filled, ends: float) -> None:
    """What the runner does: new events of the running job."""
    done = 0
    while time.monotonic() < ends:
        done += 1
        line = progress_of("bank", done, int(time.time() * 1000))
        await asyncio.to_thread(filled.claims.copy, filled.running, [line])
        await asyncio.sleep(EVENT_SECONDS)


def bearer(user: Reader) -> dict[str, str]:
    return {"authorization": f"Bearer {user.token}"}
