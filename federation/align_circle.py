"""The coordinator's part of `align` in mode `ecdh`: lists come out of the circle, and are joined when all are here."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from federation.align_coordinator import Joining
from federation.align_lists import TOKENS_PER_PART
from federation.align_messages import DIGEST_BYTES, CircleList, CirclePart, PartWanted
from federation.messages import Message, Outgoing
from federation.roles import Parties, expect
from privacy import joining
from privacy.errors import MessageInvalid
from privacy.joining import Tokens
from privacy.parameters import TOKEN_BYTES

PARTS_UNDER_WAY: Final = 4
"""Parts of one list in the circle at once: enough to keep all parties busy, and a bound on what mailboxes hold."""


@dataclass(slots=True)
class _Circle:
    """One list on its way round: what has been announced, what is missing, what is under way."""

    sizes: list[int]
    stamps: list[bytes]
    missing: deque[int] = field(default_factory=deque)
    under_way: set[int] = field(default_factory=set)


class CircleCoordinator(Joining):
    """Lists come in their owners' secret order, each from the party before its owner."""

    name: Final = "align.CircleCoordinator"

    def __init__(self, parties: Parties, **options: Any) -> None:
        super().__init__(parties, **options)
        self._lists: dict[str, _Circle] = {}

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case CircleList():
                in_turn = sender in self._parties.all and sender not in self._lists
                expect(in_turn, self.name, message, sender)
                return self._take_list(sender, message) + self._finish()
            case CirclePart():
                known = message.owner in self._lists and sender == self._before(message.owner)
                in_turn = known and message.part in self._lists[message.owner].under_way
                expect(in_turn, self.name, message, sender)
                return self._take_part(sender, message) + self._finish()
            case _:
                expect(False, self.name, message, sender)
                return []

    def _before(self, owner: str) -> str:
        """The party whose hop is the last one for `owner`'s list."""
        return self._parties.all[self._parties.all.index(owner) - 1]

    def _take_list(self, sender: str, message: CircleList) -> list[Outgoing]:
        shaped = message.sizes.ndim == 1 and message.sizes.dtype.str == "<u4"
        if not shaped or len(message.stamps) != DIGEST_BYTES * len(message.sizes):
            raise MessageInvalid("align_list_invalid", party=sender)
        sizes = message.sizes.tolist()
        self._check_count(sender, sum(sizes))
        data = message.stamps
        stamps = [data[at : at + DIGEST_BYTES] for at in range(0, len(data), DIGEST_BYTES)]
        circle = self._lists[sender] = _Circle(sizes, stamps)
        self._forget_others(sender, [self._record(sender, part) for part in range(len(sizes))])
        for part, size in enumerate(sizes):
            held = self._store.get(self._record(sender, part))
            if held is None or len(held) != size * TOKEN_BYTES:
                circle.missing.append(part)
        self._count_progress()
        if len(self._lists) < len(self._parties.all):
            return []
        # Only now has every party heard of every other.
        return [wanted for owner in self._lists for wanted in self._want(owner)]

    def _want(self, owner: str) -> list[Outgoing]:
        """Ask for more parts, as far as the window allows."""
        circle, wanted = self._lists[owner], []
        while circle.missing and len(circle.under_way) < PARTS_UNDER_WAY:
            part = circle.missing.popleft()
            circle.under_way.add(part)
            wanted.append(Outgoing(owner, PartWanted(parts=len(circle.sizes), part=part)))
        return wanted

    def _record(self, owner: str, part: int) -> str:
        return f"{owner}/{self._lists[owner].stamps[part].hex()}"

    def _take_part(self, sender: str, message: CirclePart) -> list[Outgoing]:
        circle = self._lists[message.owner]
        if len(message.tokens) != circle.sizes[message.part] * TOKEN_BYTES:
            raise MessageInvalid("align_points_invalid", party=sender)
        self._store.put(self._record(message.owner, message.part), message.tokens)
        circle.under_way.discard(message.part)
        self._count_progress()
        return self._want(message.owner)

    def _count_progress(self) -> None:
        lists = self._lists.values()
        self.progress.total = sum(len(one.sizes) for one in lists)
        self.progress.done = self.progress.total - sum(len(one.missing) + len(one.under_way) for one in lists)

    def _finish(self) -> list[Outgoing]:
        """Join once all lists are here."""
        whole = all(not one.missing and not one.under_way for one in self._lists.values())
        if len(self._lists) < len(self._parties.all) or not whole:
            return []
        sorted_lists, orders = [], []
        for party in self._parties.all:
            tokens, order = joining.sort(self._load(party))
            if joining.repeats(tokens).any():
                raise MessageInvalid("align_circle_broken", party=party)
            sorted_lists.append(tokens)
            orders.append(order)
        for party, order, places in zip(self._parties.all, orders, self._join(sorted_lists), strict=True):
            positions = order[places].astype(np.uint32)
            cuts = range(TOKENS_PER_PART, len(positions), TOKENS_PER_PART)
            self._found[party] = np.split(positions, list(cuts))
        return self._tell({party: sum(one.sizes) for party, one in self._lists.items()})

    def _load(self, owner: str) -> Tokens:
        """A whole list, in its owner's order."""
        parts = []
        for part, size in enumerate(self._lists[owner].sizes):
            data = self._store.get(self._record(owner, part))
            if data is None or len(data) != size * TOKEN_BYTES:
                raise MessageInvalid("align_list_invalid", party=owner)
            parts.append(data)
        return joining.tokens_of(np.frombuffer(b"".join(parts), np.uint8).reshape(-1, TOKEN_BYTES))
