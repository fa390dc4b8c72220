"""Where a node's ledger of deletions lies besides its own disk: the coordinator's shelf of ledgers.

What is deposited is sealed and signed by the node itself: the coordinator can lose or hide it, not read or forge it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from clients.home import NodeHome
from federation.post_client import PostClient
from federation.post_messages import LedgerHead


class Escrow(Protocol):
    """A node's own shelf (`federation.post_client.PostClient`). All raise `PeerDropped` when it cannot be reached."""

    def head(self) -> LedgerHead: ...

    def entries(self, first: int) -> tuple[bytes, ...]:
        """Entries from number `first` (1 is the first) on, as many as one answer holds; none at the end."""
        ...

    def put_entry(self, number: int, entry: bytes) -> None:
        """The next entry. Raises `UnexpectedMessage` when it is not."""
        ...


@contextmanager
def escrow_of(home: NodeHome, given: Escrow | None = None) -> Iterator[Escrow | None]:
    """The shelf of a node at its coordinator, unless one is given; None for a node that has not joined any."""
    if given is not None or not home.roster_file.exists():
        yield given
        return
    with PostClient(home.roster, home.settings.name, home.identity) as client:
        yield client


def deposited(escrow: Escrow, after: int) -> list[bytes]:
    """All entries beyond the first `after`."""
    found: list[bytes] = []
    while part := escrow.entries(after + len(found) + 1):
        found += part
    return found
