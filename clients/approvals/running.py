"""What a node and its coordinator's desk tell each other while it runs: proposals fetched, words and lists handed over.

It has a thread of its own beside that of the requests (`clients.rights.running`). Nothing is lost when the coordinator
is away: words wait in the outbox, and what has been handed over may be handed over again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from clients.approvals.deciding import answer_by_policy
from clients.approvals.inbox import Delivery, Inbox
from clients.home import NodeHome
from clients.publishing.sending import Publisher
from clients.rights.outbox import delay
from federation.desk_client import DeskClient
from federation.pace import utc_now
from federation.post_client import Put
from federation.proposals import DecidedBy
from federation.roster import Roster
from federation.roster_file import RosterFile
from privacy.errors import ProtocolError, SilhouetteError

log = logging.getLogger("silhouette.approvals")

WAIT_SECONDS: Final = 2
"""One long poll: so long a person's word may wait until it is sent."""
PAUSE_SECONDS: Final = 0.5
"""Between two turns, for a coordinator that answers at once every time."""
LONGEST_PAUSE_SECONDS: Final = 30.0
"""After failures: a coordinator that is back is noticed within this time."""
_DELIVERY: Final = {Put.TAKEN: Delivery.TAKEN, Put.NEVER: Delivery.NEVER}

Connect = Callable[[Roster], DeskClient]


class DeskTraffic:
    """One node's side of the desk. connect: a client for the roster in force; for one thread at a time."""

    def __init__(self, home: NodeHome, connect: Connect | None = None) -> None:
        self._home, self._inbox, self._publisher = home, Inbox(home), Publisher(home)
        self._connect = connect or _client_of(home)
        self._read_roster = RosterFile(home.roster_file)
        self._client: tuple[Roster, DeskClient] | None = None
        self._known = ""
        self._failures = 0
        self._problem = ""

    def step(self, wait_seconds: int = 0) -> bool:
        """Hand over what waits, fetch what there is, answer it if the policy does; whether the coordinator answered.

        wait_seconds: how long to wait for something new. Raises `LogUnavailable`.
        """
        self._inbox.forget_over(utc_now())
        roster = self._read_roster()
        if roster is None:
            return False
        try:
            client = self._client_for(roster)
            self._deliver(client)
            self._publisher.step(client, roster.coordinator)
            self._fetch(client, wait_seconds)
            if self._home.settings.approves is DecidedBy.POLICY and answer_by_policy(self._home):
                self._deliver(client)
        except ProtocolError as error:
            self._failures += 1
            self._tell(error.code)
            return False
        self._failures = 0
        self._tell("")
        return True

    @property
    def pause_seconds(self) -> float:
        """Until the next step: longer after failures."""
        if not self._failures:
            return PAUSE_SECONDS
        return min(delay(self._failures), LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _client_for(self, roster: Roster) -> DeskClient:
        if self._client is None or self._client[0] != roster:
            self.close()
            self._client = (roster, self._connect(roster))
            self._known = ""
        return self._client[1]

    def _deliver(self, client: DeskClient) -> None:
        for decision in self._inbox.waiting():
            delivery = _DELIVERY.get(client.put_word(decision.word.number, decision.signed))
            if delivery is Delivery.NEVER:
                log.warning("the coordinator does not take the word on %s", decision.word.number)
            if delivery is not None:
                self._inbox.settle(decision, delivery)

    def _fetch(self, client: DeskClient, wait_seconds: int) -> None:
        found = client.proposals(self._known, wait_seconds)
        if found.version != self._known:
            self._inbox.mirror(found.proposals, utc_now())
            self._known = found.version

    def _tell(self, problem: str) -> None:
        """Into the log, once for as long as it lasts."""
        if problem and problem != self._problem:
            log.warning("the coordinator's desk: %s", problem)
        self._problem = problem


def serve_proposals(home: NodeHome, stopped: threading.Event) -> None:
    """Speak with the coordinator's desk until `stopped` is set. Raises nothing: what goes wrong is tried again."""
    traffic: DeskTraffic | None = None
    pause = PAUSE_SECONDS
    while not stopped.wait(pause):
        began = time.monotonic()
        try:
            traffic = traffic or DeskTraffic(home)
            traffic.step(WAIT_SECONDS)
            pause = traffic.pause_seconds
        except Exception as error:
            # Its message may hold a value of a row: the kind alone is logged.
            code = error.code if isinstance(error, SilhouetteError) else type(error).__name__
            log.error("proposed jobs wait: %s", code)
            pause = max(PAUSE_SECONDS, LONGEST_PAUSE_SECONDS - (time.monotonic() - began))
    if traffic is not None:
        traffic.close()


def _client_of(home: NodeHome) -> Connect:
    own, identity = home.settings.name, home.identity
    return lambda roster: DeskClient(roster, own, identity)
