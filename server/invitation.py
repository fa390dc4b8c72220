"""How the driver reaches parties: a Flower message invites them, a relay session carries the frames."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import httpx
import msgspec
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from federation.jobs import Deadlines
from federation.messages import COORDINATOR
from federation.roster import Roster
from federation.session import Offer
from federation.transport import HttpTransport, Transport
from privacy.errors import PeerDropped

FLOWER_TTL_SECONDS: Final = 12 * 3600.0
FLOWER_CLOSE_SECONDS: Final = 15.0
CLOSE_POLL_SECONDS: Final = 0.2


class Invitation(Protocol):
    """How parties are asked to join a session (over Flower, or in process)."""

    def send(self, offers: Mapping[str, Offer]) -> None: ...

    def refusals(self) -> dict[str, str]:
        """Parties whose ClientApp ended with an error, and its reason."""
        ...

    def wait_closed(self) -> None: ...


class RelayControl(Protocol):
    """The driver's side of the relay."""

    session: str
    url: str

    def open(self, tokens: Mapping[str, str]) -> Transport: ...

    def idle(self) -> dict[str, tuple[float | None, str]]:
        """Seconds since each party last called (None: never), and what it said it was doing."""
        ...

    def close(self) -> None: ...


class FlowerInvitation:
    """One Flower message per party opens the session."""

    def __init__(self, grid: Grid, node_ids: Mapping[str, int], deadlines: Deadlines) -> None:
        self._grid = grid
        self._node_ids = node_ids
        self._deadlines = deadlines
        self._offers: dict[str, Offer] = {}
        self._waiting: dict[str, str] = {}
        self._absent: set[str] = set()

    def send(self, offers: Mapping[str, Offer]) -> None:
        """Wait until every party's SuperNode is online, then push. Raises `PeerDropped` naming who is not."""
        self._offers = dict(offers)
        give_up = time.monotonic() + self._deadlines.join
        while missing := offers.keys() - self._online(offers):
            if time.monotonic() > give_up:
                raise PeerDropped("party_offline", party=", ".join(sorted(missing)))
            time.sleep(0.3)
        for party in offers:
            self._push(party)

    def refusals(self) -> dict[str, str]:
        """Parties whose node answered the invitation with an error, and its reason.

        SuperLink takes a node that died for online until its heartbeats expire. Such a party is invited again
        when it is back; the driver's join deadline bounds the wait.
        """
        found: dict[str, str] = {}
        for reply in self._grid.pull_messages(list(self._waiting)):
            party = self._waiting.pop(reply.metadata.reply_to_message_id, "?")
            if not reply.has_error():
                continue
            if reply.error.code == ErrorCode.NODE_UNAVAILABLE:
                self._absent.add(party)
            else:
                found[party] = reply.error.reason or "?"
        for party in self._online(self._absent):
            self._absent.discard(party)
            self._push(party)
        return found

    def wait_closed(self) -> None:
        """Let the parties' Flower replies arrive, so that their SuperNodes are free for the next job."""
        give_up = time.monotonic() + FLOWER_CLOSE_SECONDS
        while self._waiting and time.monotonic() < give_up:
            for reply in self._grid.pull_messages(list(self._waiting)):
                self._waiting.pop(reply.metadata.reply_to_message_id, None)
            if self._waiting:
                time.sleep(CLOSE_POLL_SECONDS)

    def _online(self, parties: Iterable[str]) -> set[str]:
        """Which of these parties SuperLink takes for online; it is asked only when there is one to ask about."""
        asked = set(parties)
        online = set(self._grid.get_node_ids()) if asked else set()
        return {party for party in asked if self._node_ids.get(party) in online}

    def _push(self, party: str) -> None:
        data = msgspec.msgpack.encode(self._offers[party])
        array = Array(dtype="uint8", shape=(len(data),), stype="raw", data=data)
        message = Message(
            RecordDict({"offer": ArrayRecord({"offer": array})}),
            self._node_ids[party],
            "train.session",
            ttl=FLOWER_TTL_SECONDS,
        )
        (message_id,) = self._grid.push_messages([message])
        self._waiting[message_id] = party


class RelayAdmin:
    """The relay behind the coordinator's own public port, opened with the driver's secret."""

    def __init__(self, roster: Roster, secret: str, session: str) -> None:
        self.session = session
        self.url = roster.url
        self._certificate = roster.certificate
        self._path = f"{roster.url}/relay/{session}"
        self._http = httpx.Client(
            verify=ssl.create_default_context(cadata=roster.certificate),
            headers={"authorization": f"Bearer {secret}"},
            timeout=30.0,
            trust_env=False,
        )

    def open(self, tokens: Mapping[str, str]) -> Transport:
        self._http.put(self._path, json=dict(tokens)).raise_for_status()
        return HttpTransport(self.url, self._certificate, self.session, COORDINATOR, tokens[COORDINATOR])

    def idle(self) -> dict[str, tuple[float | None, str]]:
        status = self._http.get(f"{self._path}/status").raise_for_status().json()
        return {party: (item["idle_seconds"], item["state"]) for party, item in status.items()}

    def close(self) -> None:
        self._http.delete(self._path)
        self._http.close()
