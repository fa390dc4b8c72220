"""A party's list as `align`'s roles see it, and the list of mode `keyed` (the one of `ecdh` is `align_ring.Ring`)."""

from __future__ import annotations

from typing import Any, Final, Protocol

import numpy as np

from federation.align_messages import PartWanted, TokenList, TokenPart
from federation.align_secrets import digest_of
from federation.messages import COORDINATOR, Message, Outgoing
from federation.roles import Progress, expect
from privacy import joining, matching
from privacy.errors import MessageInvalid
from privacy.identifiers import Identifiers

Integers = np.ndarray[Any, np.dtype[np.int64]]
References = np.ndarray[Any, np.dtype[np.uint8]]

TOKENS_PER_PART: Final = 1 << 18
"""Tokens of the longest list per part: 4 MiB, so that no party and no mailbox holds a whole list in flight, and a
matching that was interrupted need not begin again."""

MAX_IDENTIFIERS: Final = 50_000_000
"""Largest list of one party; the coordinator refuses a longer one before it asks for a token."""


class OwnList(Protocol):
    """A party's list on its way to the coordinator. len(): its identifiers."""

    @property
    def is_sorted(self) -> bool:
        """Whether the list is in token order, so that shared tokens come at rising places."""
        ...

    @property
    def progress(self) -> Progress: ...

    def __len__(self) -> int: ...

    def open(self) -> list[Outgoing]: ...

    def receive(self, sender: str, message: Message) -> list[Outgoing]: ...

    def found(self, positions: Integers) -> tuple[Integers, References]:
        """Own rows, (n,) int64, and subject references, (n, 16) uint8, at these places of the list."""
        ...


class KeyedList:
    """Tokens under a key that all parties have (`privacy.matching`), sent to the coordinator part by part.

    Raises `IdentifierInvalid` when an identifier repeats.
    """

    name: Final = "align.KeyedList"
    is_sorted: Final = True

    def __init__(self, key: bytes, kind: str, identifiers: Identifiers) -> None:
        self._key = key
        self._blinded = matching.blind(key, kind, identifiers)
        self._parts: list[slice] = []
        self.progress = Progress(0, 1, "align.match")

    def __len__(self) -> int:
        return len(self._blinded.rows)

    def open(self) -> list[Outgoing]:
        """Tell the coordinator how long the list is, and its digest."""
        tokens = self._blinded.tokens
        return [Outgoing(COORDINATOR, TokenList(count=len(tokens), digest=digest_of(tokens)))]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        in_turn = isinstance(message, PartWanted) and sender == COORDINATOR
        expect(in_turn, self.name, message, sender)
        assert isinstance(message, PartWanted)  # noqa: S101 (for the type checker)
        tokens = joining.dump(self._blinded.tokens[self._part(message.parts, message.part)])
        self.progress.done = message.part + 1
        return [Outgoing(COORDINATOR, TokenPart(part=message.part, tokens=tokens))]

    def found(self, positions: Integers) -> tuple[Integers, References]:
        references = matching.subject_refs(self._key, self._blinded.tokens[positions])
        return self._blinded.rows[positions], references

    def _part(self, parts: int, part: int) -> slice:
        """Where a part stands, the list cut as C says. Raises `MessageInvalid` for a cut that cannot be."""
        if not self._parts and 1 <= parts <= MAX_IDENTIFIERS and not parts & (parts - 1):
            self._parts = joining.parts(self._blinded.tokens, parts)
            self.progress.total = parts
        if parts != len(self._parts) or not 0 <= part < parts:
            raise MessageInvalid("align_parts_invalid")
        return self._parts[part]
