"""The courier of requests between nodes: by way of the coordinator's post office, whenever both can be reached."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from sqlalchemy import Connection

from clients.home import NodeHome
from clients.rights.courier import Message, Received
from clients.rights.outbox import CameBack, OnItsWay, Outbox, delay
from clients.vault import Vault
from federation.line_file import locked
from federation.messages import COORDINATOR
from federation.post import open_letter, seal_letter
from federation.post_client import PostClient, Put
from federation.post_messages import Answered, Asked, Delivered, Item
from federation.roster import Roster
from federation.roster_file import RosterFile
from privacy.errors import CryptoError, ProtocolError, SilhouetteError
from privacy.rights import TaskAnswer
from privacy.sealing import Identity, PublicIdentity

logger = logging.getLogger("silhouette.post")
LOCK_FILE: Final = "post.lock"
MOST_ROUNDS: Final = 100
"""Of letters in one exchange: whoever calls it has other things to do too."""


class Exchanged(NamedTuple):
    """What one exchange has done, in letters. reached: whether the coordinator answered."""

    reached: bool = False
    sent: int = 0
    received: int = 0
    returned: int = 0


class PostCourier:
    """`clients.rights.courier.Courier` over the post office.

    read_roster: the federation that this node has joined, None before it has; connect: a client for it.
    """

    def __init__(
        self,
        vault: Vault,
        own: str,
        identity: Identity,
        lock_file: Path,
        read_roster: Callable[[], Roster | None],
        connect: Callable[[Roster], PostClient],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._outbox = Outbox(vault, now)
        self._own, self._identity, self._lock_file, self._now = own, identity, lock_file, now
        self._read_roster, self._connect = read_roster, connect
        self._client: tuple[Roster, PostClient] | None = None
        self._failures, self._not_before = 0, 0.0
        self._turn = threading.Lock()

    def send(
        self, party: str, message: Message, signature: bytes = b"", connection: Connection | None = None
    ) -> None:
        """Queue a task, or an answer with its signature; it goes out with the next `exchange`.

        What is for a party that is not in the roster waits until it is. Raises `MessageInvalid` for what no letter has
        room for.
        """
        item = Answered(message, signature) if isinstance(message, TaskAnswer) else Asked(message)
        self._outbox.add(party, item, connection)

    def receive(self) -> list[Received]:
        """What has come and is not confirmed, oldest first; some at a time."""
        return self._outbox.items()

    def confirm(self, letters: Sequence[Received]) -> None:
        """These have been taken in."""
        self._outbox.confirm(int(letter.number) for letter in letters)

    def undelivered(self) -> list[CameBack]:
        """Letters that their recipients did not fetch in time or could not open, until they are settled.

        Five minutes after they came back, so that sending them again is no endless game.
        """
        return self._outbox.undelivered()

    def settle(self, letters: Sequence[CameBack]) -> None:
        """What came back has been dealt with: sent again, or noted."""
        self._outbox.forget(letter.letter for letter in letters)

    def exchange(self, wait_seconds: int = 0) -> Exchanged:
        """Send what is to be sent and fetch what has come; after a failure not before some time has passed.

        wait_seconds: how long to wait for letters when there are none. Raises nothing for a coordinator that is away.
        """
        if not self._turn.acquire(blocking=False):
            return Exchanged()
        try:
            with locked(self._lock_file, 0.0):
                return self._exchange(wait_seconds)
        except BlockingIOError:  # another process does
            return Exchanged()
        finally:
            self._turn.release()

    def close(self) -> None:
        """Release the connections."""
        if self._client is not None:
            self._client[1].close()
            self._client = None

    def _exchange(self, wait_seconds: int) -> Exchanged:
        roster = self._read_roster()
        if roster is None or self._now() < self._not_before:
            return Exchanged()
        client = self._client_for(roster)
        sent = received = returned = 0
        try:
            sent = self._send_all(roster, client)
            received, returned = self._fetch_all(roster, client, 0 if sent else wait_seconds)
        except SilhouetteError as error:
            self._not_before = self._now() + delay(self._failures)
            self._failures += 1
            logger.warning("post: %s", error.code)
            return Exchanged(False, sent, received, returned)
        self._failures, self._not_before = 0, 0.0
        self._outbox.sweep()
        return Exchanged(True, sent, received, returned)

    def _client_for(self, roster: Roster) -> PostClient:
        if self._client is None or self._client[0] != roster:
            self.close()
            self._client = (roster, self._connect(roster))
        return self._client[1]

    def _send_all(self, roster: Roster, client: PostClient) -> int:
        peers = self._peers(roster)

        def seal(letter: str, recipient: str, items: Sequence[Item]) -> bytes:
            return seal_letter(items, letter, self._own, self._identity, recipient, peers[recipient])

        for recipient in self._outbox.waiting():
            # Who has left the roster gets no letter; what is queued waits, and holds up nobody else.
            while recipient in peers and self._outbox.pack(recipient, seal):
                pass
        sent = 0
        for _ in range(MOST_ROUNDS):
            on_their_way = self._outbox.due()
            if not on_their_way:
                break
            sent += sum(self._send_one(client, one) for one in on_their_way)
        return sent

    def _send_one(self, client: PostClient, one: OnItsWay) -> bool:
        answer = client.put(one.recipient, one.letter, one.data)
        if answer is Put.TAKEN:
            self._outbox.taken(one.letter)
            return True
        logger.warning("post: a letter to %s is refused (%s)", one.recipient, answer.value)
        if answer is Put.LATER:
            self._outbox.again(one.letter)
        else:
            self._outbox.came_back(one.letter)
        return False

    def _fetch_all(self, roster: Roster, client: PostClient, wait_seconds: int) -> tuple[int, int]:
        peers = self._peers(roster)
        received = returned = 0
        for turn in range(MOST_ROUNDS):
            mail = client.fetch(0 if turn else wait_seconds)
            received += sum(self._take_in(client, delivered, peers) for delivered in mail.letters)
            for one in mail.returned:
                self._outbox.came_back(one.letter)
                client.confirm(one.letter)
            returned += len(mail.returned)
            if not mail.letters and not mail.returned:
                break
        return received, returned

    def _take_in(self, client: PostClient, delivered: Delivered, peers: Mapping[str, PublicIdentity]) -> bool:
        """Store a letter, then confirm it. One that does not open goes back, so that it is in nobody's way."""
        is_new = not self._outbox.has_had(delivered.sender, delivered.letter)
        if is_new:
            try:
                items = open_letter(delivered, self._own, self._identity, peers)
            except (CryptoError, ProtocolError) as error:
                logger.warning("post: a letter from %s does not open (%s)", delivered.sender, error.code)
                client.refuse(delivered.letter)
                return False
            self._outbox.store(delivered, items)
        client.confirm(delivered.letter)
        return is_new

    def _peers(self, roster: Roster) -> dict[str, PublicIdentity]:
        """Whom letters are for and from: never the coordinator."""
        peers = roster.identities(without=self._own)
        peers.pop(COORDINATOR, None)
        return peers


def courier_of(home: NodeHome) -> PostCourier:
    """A node's courier. It follows `federation.json`, and waits as long as the node has joined no federation."""
    own, identity = home.settings.name, home.identity
    return PostCourier(
        home.vault,
        own,
        identity,
        home.folder / LOCK_FILE,
        RosterFile(home.roster_file),
        lambda roster: PostClient(roster, own, identity),
    )
