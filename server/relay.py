"""The session relay: mailboxes in memory, one per party and session. It sees sizes and routing, nothing else.

A frame stays in its mailbox until the recipient confirms it; a send that is repeated (same number) is accepted once.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from federation.frames import binding_of
from federation.messages import COORDINATOR

DRIVER_SILENCE_SECONDS: Final = 300.0
"""A session whose driver has not called for this long is closed: its process has ended without saying so."""
MAX_WAITING_BYTES: Final = 2 << 30
"""What one mailbox may hold before the relay refuses more."""


class RelayRefused(Exception):
    """Wrong session, party or token. Says no more, so that nothing can be probed."""


class RelayFull(Exception):
    """The recipient's mailbox holds more than it may."""


class RelayStale(Exception):
    """The message rests on another snapshot of consents than its sender attested last.

    is_first: whether it is the first with this binding that is refused.
    """

    def __init__(self, is_first: bool) -> None:
        super().__init__(is_first)
        self.is_first = is_first


@dataclass(slots=True)
class Mailbox:
    """What waits for one party, and what the relay knows of it."""

    token: str
    binding: bytes = b""
    refused: bytes | None = None
    frames: deque[tuple[int, bytes]] = field(default_factory=deque)
    delivered: int = 0
    waiting_bytes: int = 0
    last_number: int = 0
    opened: float = field(default_factory=time.monotonic)
    last_called: float | None = None
    state: str = ""
    state_since: float = 0.0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class PartyStatus:
    """One party as the relay sees it: seconds since it last called (None: never), and what it says it does."""

    idle_seconds: float | None
    state: str
    state_seconds: float
    waiting_frames: int


class Relay:
    """All open sessions."""

    def __init__(self) -> None:
        self._sessions: dict[str, dict[str, Mailbox]] = {}

    def open(self, session: str, tokens: dict[str, str]) -> None:
        """Make a mailbox per party; `tokens` are their bearer tokens. A session of that name is closed before."""
        self.close(session)
        self._sessions[session] = {party: Mailbox(token) for party, token in tokens.items()}

    def close(self, session: str) -> None:
        """Forget the session; parties that still wait learn that it is gone."""
        for box in self._sessions.pop(session, {}).values():
            box.arrived.set()

    def put(self, session: str, sender: str, token: str, recipient: str, number: int, frame: bytes) -> None:
        """Accept one frame. Raises `RelayRefused`, `RelayFull`, `RelayStale`, or `MessageInvalid` for what is no frame.

        A party whose consents have changed has attested its new snapshot here; what it still computed on the older one
        goes no further (R-CONSENT-STALE-SNAPSHOT).
        """
        own = self.enter(session, sender, token)
        box = self._sessions[session].get(recipient)
        if box is None:
            raise RelayRefused
        if box.waiting_bytes + len(frame) > MAX_WAITING_BYTES:
            raise RelayFull
        if number <= own.last_number:
            return
        binding, begins = binding_of(frame)
        if begins and binding != own.binding:
            is_first, own.refused = binding != own.refused, binding
            raise RelayStale(is_first)
        own.last_number = number
        box.frames.append((box.delivered + len(box.frames) + 1, frame))
        box.waiting_bytes += len(frame)
        box.arrived.set()

    def attest(self, session: str, party: str, token: str, binding: bytes) -> None:
        """From now on only messages with this binding are taken from this party. Raises `RelayRefused`."""
        self.enter(session, party, token).binding = binding

    async def take(
        self, session: str, party: str, token: str, confirmed: int, state: str, wait_seconds: float
    ) -> tuple[int, bytes] | None:
        """The next frame after number `confirmed`, or None when none comes in time. Raises `RelayRefused`."""
        box = self.enter(session, party, token)
        driver = self._sessions[session].get(COORDINATOR)
        if (
            driver is not None
            and (driver.last_called or driver.opened) < time.monotonic() - DRIVER_SILENCE_SECONDS
        ):
            self.close(session)
            raise RelayRefused
        if state != box.state:
            box.state, box.state_since = state, time.monotonic()
        while box.frames and box.frames[0][0] <= confirmed:
            box.delivered, frame = box.frames.popleft()
            box.waiting_bytes -= len(frame)
        if not box.frames:
            box.arrived.clear()
            try:
                await asyncio.wait_for(box.arrived.wait(), wait_seconds)
            except TimeoutError:
                return None
            if self._sessions.get(session, {}).get(party) is not box:
                raise RelayRefused
        return box.frames[0] if box.frames else None

    def status(self, session: str) -> dict[str, PartyStatus]:
        """Every party of one session."""
        now = time.monotonic()
        return {
            party: PartyStatus(
                None if box.last_called is None else now - box.last_called,
                box.state,
                now - box.state_since if box.state_since else 0.0,
                len(box.frames),
            )
            for party, box in self._sessions.get(session, {}).items()
        }

    def enter(self, session: str, party: str, token: str) -> Mailbox:
        """The party's own mailbox, when the token is right. Raises `RelayRefused`."""
        box = self._sessions.get(session, {}).get(party)
        if box is None or not hmac.compare_digest(box.token.encode(), token.encode()):
            raise RelayRefused
        box.last_called = time.monotonic()
        return box
