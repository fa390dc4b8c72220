"""Handing the node's lists to the coordinator's desk: each when it has changed, and again once in a while.

`published/<noun>` in the vault holds the number and the signed bytes of the last list, so that numbers only grow and
the same list is the same bytes. Lists that were handed over are handed over again at times: a coordinator that has
lost its database gets them back by itself.
"""

from __future__ import annotations

import hashlib
import logging
import time
from typing import Final

import msgspec

from clients.home import NodeHome
from clients.publishing.listing import Items, Listing
from federation.desk_client import DeskClient
from federation.pace import Every, utc_now
from federation.post_client import Put
from federation.publications import Noun, publication_of, sign_publication
from privacy.errors import MessageInvalid

log = logging.getLogger("silhouette.publishing")

PUBLISHED: Final = "published/"
LOOK_SECONDS: Final = 10.0
"""How often a node looks whether a list of its has changed."""
AGAIN_SECONDS: Final = 3600.0
"""How often an unchanged list is handed over again."""


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last list of a noun. digest: of what it says, and to which coordinator."""

    digest: str
    number: int
    signed: bytes


class Publisher:
    """One node's publications; for one thread at a time."""

    def __init__(self, home: NodeHome) -> None:
        self._home, self._listing = home, Listing(home)
        self._looks = Every(LOOK_SECONDS)
        self._handed: dict[Noun, tuple[str, float]] = {}
        """By noun, the digest of what this process has handed over last, and when."""

    def step(self, client: DeskClient, coordinator: str) -> None:
        """Hand over what has changed, if it is time to look. Raises `PeerDropped` when the coordinator is away."""
        if self._looks.is_due():
            self.publish(client, coordinator)

    def publish(self, client: DeskClient, coordinator: str) -> list[Noun]:
        """Hand over every list that the coordinator may not have; which ones it has taken."""
        taken = []
        for noun in Noun:
            try:
                current = self._current(noun, coordinator)
            except MessageInvalid as error:
                log.error("the list of %s cannot be published: %s", noun.value, error.key)
                continue
            digest, since = self._handed.get(noun, ("", 0.0))
            if digest == current.digest and time.monotonic() - since < AGAIN_SECONDS:
                continue
            answer = client.put_publication(noun, current.signed)
            if answer is Put.NEVER:
                log.warning("the coordinator does not take the list of %s", noun.value)
            if answer is Put.TAKEN:
                taken.append(noun)
            self._handed[noun] = (current.digest, time.monotonic())
        return taken

    def _current(self, noun: Noun, coordinator: str) -> Published:
        """What stands in the vault, replaced by a new list with the next number when something has changed."""
        items = self._listing.of(noun)
        others = {"policy": self._listing.policy} if noun is Noun.PURPOSES else {}
        digest = _digest(coordinator, others, items)
        data = self._home.vault.get(PUBLISHED + noun.value)
        before = None if data is None else msgspec.msgpack.decode(data, type=Published)
        if before is not None and before.digest == digest:
            return before
        last = 0 if before is None else before.number
        # By the clock, so that a node that was restored from a copy goes on above what it had published since.
        number = max(int(time.time() * 1000), last + 1)
        publication = publication_of(noun, self._home.settings.name, number, utc_now(), items, **others)
        signed = sign_publication(publication, self._home.identity, coordinator)
        current = Published(digest, number, signed)
        self._home.vault.put(PUBLISHED + noun.value, msgspec.msgpack.encode(current))
        return current


def _digest(coordinator: str, others: dict[str, str], items: Items) -> str:
    plain = msgspec.msgpack.encode((coordinator, others, items), order="deterministic")
    return hashlib.sha256(plain).hexdigest()
