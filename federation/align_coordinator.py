"""The coordinator's part of `align`: asks for the parties' tokens part by part, joins them, and tells the result."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from federation.align_lists import MAX_IDENTIFIERS, TOKENS_PER_PART
from federation.align_messages import (
    DIGEST_BYTES,
    Matched,
    OverlapSize,
    PartWanted,
    TokenList,
    TokenPart,
)
from federation.messages import Message, Outgoing
from federation.roles import MemoryStore, Parties, Progress, Store, expect
from federation.set_algebra import Expression, everybody, select, too_few
from privacy import joining
from privacy.errors import CohortTooSmall, MessageInvalid
from privacy.joining import Tokens

Positions = np.ndarray[Any, np.dtype[np.uint32]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """The coordinator's result: identifiers each party brought, subjects in the result."""

    sizes: dict[str, int]
    overlap: int


class Joining:
    """What both modes do alike once tokens can be joined.

    members: who is in the result (default: the customers of all parties); size_only: tell its rounded size alone;
    store: what an earlier attempt at the same job left.
    Raises `CohortTooSmall` when fewer than `k_min` subjects are in the result, or it would show a party too few of its
    own rows, or leave too few out (`set_algebra.too_few`).
    """

    def __init__(
        self,
        parties: Parties,
        *,
        k_min: int,
        members: Expression | None = None,
        size_only: bool = False,
        store: Store | None = None,
        max_identifiers: int = MAX_IDENTIFIERS,
    ) -> None:
        self.progress = Progress(total=len(parties.all), step="align.match")
        self.result: Overlap | None = None
        self._parties, self._k_min, self._size_only = parties, k_min, size_only
        self._members = everybody(parties.all) if members is None else members
        self._store = MemoryStore() if store is None else store
        self._max_identifiers = max_identifiers
        self._found: dict[str, list[Positions]] = {party: [] for party in parties.all}
        self._overlap = 0

    def start(self) -> list[Outgoing]:
        return []

    def _forget_others(self, party: str, records: Collection[str]) -> None:
        """Remove what the store holds of the party's lists in other attempts."""
        for name in set(self._store.names(f"{party}/")) - set(records):
            self._store.remove(name)

    def _check_count(self, party: str, count: int) -> None:
        if count > self._max_identifiers:
            raise MessageInvalid("align_tokens_too_many", party=party, limit=self._max_identifiers)
        if count < 1:
            raise MessageInvalid("align_list_invalid", party=party)

    def _join(self, lists: list[Tokens]) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        """Sorted lists in the order of the parties: the places in each whose tokens are in the result."""
        places, members = joining.membership(lists)
        columns = {party: members[:, place] for place, party in enumerate(self._parties.all)}
        chosen = select(self._members, columns)
        self._overlap += int(chosen.sum())
        return [np.flatnonzero(chosen[own]) for own in places]

    def _tell(self, sizes: dict[str, int]) -> list[Outgoing]:
        """Everything is joined: the result, or a refusal."""
        if self._overlap < self._k_min:
            raise CohortTooSmall("align_overlap_small", k_min=self._k_min)
        self._check_shares(sizes)
        self.result = Overlap(sizes, self._overlap)
        if self._size_only:
            rounded = self._overlap - self._overlap % self._k_min
            return [Outgoing(party, OverlapSize(size=rounded)) for party in self._parties.all]
        return [
            Outgoing(party, Matched(pieces=len(own), piece=piece, positions=positions))
            for party, own in self._found.items()
            for piece, positions in enumerate(own)
        ]

    def _check_shares(self, sizes: dict[str, int]) -> None:
        """Nobody may be singled out by what a party is told; by a size alone, not by what is missing in it either."""
        for party, held in sizes.items():
            shown = sum(map(len, self._found[party]))
            if too_few(self._members, party, shown, held, self._k_min, count_left_out=self._size_only):
                raise CohortTooSmall("align_result_small", k_min=self._k_min)


class KeyedCoordinator(Joining):
    """`keyed`: sorted lists come in ranges of token space, and a range is joined once all parties have sent it."""

    name: Final = "align.KeyedCoordinator"

    def __init__(self, parties: Parties, *, tokens_per_part: int = TOKENS_PER_PART, **options: Any) -> None:
        super().__init__(parties, **options)
        self._tokens_per_part = tokens_per_part
        self._lists: dict[str, TokenList] = {}
        self._parts = self._joined = 0
        self._lengths: dict[str, list[int]] = {party: [] for party in parties.all}

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        match message:
            case TokenList():
                in_turn = sender in self._parties.all and sender not in self._lists
                expect(in_turn, self.name, message, sender)
                return self._take_list(sender, message)
            case TokenPart():
                in_turn = sender in self._lengths and self.result is None
                in_turn = in_turn and message.part == len(self._lengths[sender]) < self._parts
                expect(in_turn, self.name, message, sender)
                return self._take_part(sender, message)
            case _:
                expect(False, self.name, message, sender)
                return []

    def _take_list(self, sender: str, message: TokenList) -> list[Outgoing]:
        self._check_count(sender, message.count)
        if len(message.digest) != DIGEST_BYTES:
            raise MessageInvalid("align_list_invalid", party=sender)
        self._lists[sender] = message
        if len(self._lists) < len(self._parties.all):
            return []
        longest = max(one.count for one in self._lists.values())
        self._parts = joining.parts_for(longest, self._tokens_per_part)
        self.progress.total = self._parts * len(self._parties.all)
        for party in self._parties.all:
            self._forget_others(party, [self._record(party, part) for part in range(self._parts)])
            self._lengths[party] = self._held_parts(party)
        self.progress.done = sum(map(len, self._lengths.values()))
        wanted = [self._want(party) for party, held in self._lengths.items() if len(held) < self._parts]
        return wanted + self._join_ready()

    def _want(self, party: str) -> Outgoing:
        return Outgoing(party, PartWanted(parts=self._parts, part=len(self._lengths[party])))

    def _held_parts(self, party: str) -> list[int]:
        """The lengths of the leading parts of the announced list that an earlier attempt has left in the store."""
        lengths: list[int] = []
        for part in range(self._parts):
            data = self._store.get(self._record(party, part))
            if data is None:
                return lengths
            lengths.append(len(self._checked(data, party, part)))
        return lengths if sum(lengths) == self._lists[party].count else []

    def _record(self, party: str, part: int) -> str:
        """Where a part is kept: under its list's digest, so that parts of another list are never taken for it."""
        return f"{party}/{self._lists[party].digest.hex()}-{self._parts}/{part}"

    def _load(self, party: str, part: int) -> Tokens:
        data = self._store.get(self._record(party, part))
        if data is None:
            raise MessageInvalid("align_list_invalid", party=party)
        return self._checked(data, party, part)

    def _checked(self, data: bytes, party: str, part: int) -> Tokens:
        tokens = joining.load(data, party)
        joining.check_part(tokens, self._parts, part, party)
        return tokens

    def _take_part(self, sender: str, message: TokenPart) -> list[Outgoing]:
        announced, is_last = self._lists[sender].count, message.part == self._parts - 1
        tokens = self._checked(message.tokens, sender, message.part)
        total = sum(self._lengths[sender]) + len(tokens)
        if total > announced or (is_last and total != announced):
            raise MessageInvalid("align_list_invalid", party=sender)
        self._store.put(self._record(sender, message.part), message.tokens)
        self._lengths[sender].append(len(tokens))
        self.progress.done += 1
        following = [] if is_last else [self._want(sender)]
        return following + self._join_ready()

    def _join_ready(self) -> list[Outgoing]:
        """Join every part that all parties have sent; after the last one, tell the result."""
        while self._joined < min(map(len, self._lengths.values())):
            part = self._joined
            found = self._join([self._load(party, part) for party in self._parties.all])
            for party, positions in zip(self._parties.all, found, strict=True):
                start = sum(self._lengths[party][:part])
                self._found[party].append((positions + start).astype(np.uint32))
            self._joined += 1
        if self._joined < self._parts:
            return []
        return self._tell({party: one.count for party, one in self._lists.items()})
