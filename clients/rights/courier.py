"""How requests travel between parties: what the engine of cases asks of whoever carries its letters.

A letter is a task for another party, or a party's signed answer to one. Letters are durable on both sides: one that was
sent is delivered however long the other is offline, perhaps more than once; one that was received stays until it is
confirmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from sqlalchemy import Connection

from privacy.rights import ANSWER_DOMAIN, Task, TaskAnswer
from privacy.sealing import Identity, PublicIdentity

Message = Task | TaskAnswer

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


class Received(NamedTuple):
    """One letter. number: to confirm it by; party: who sent it, which the courier has checked; signature: of an answer,
    over `statement_of`, which the courier has not checked."""

    number: str
    party: str
    message: Message
    signature: bytes = b""


class Courier(Protocol):
    """Carries letters. Its methods may be called from any thread."""

    def send(
        self, party: str, message: Message, signature: bytes = b"", connection: Connection | None = None
    ) -> None:
        """Hand over a letter; it is sent once the transaction of `connection` is committed, or at once without one."""
        ...

    def receive(self) -> list[Received]:
        """Letters that have come and are not confirmed, oldest first, perhaps not all at once."""
        ...

    def confirm(self, letters: Sequence[Received]) -> None:
        """They have been taken in, and will not be received again."""
        ...


class NoCourier:
    """For a node that has joined no federation: nobody is told anything."""

    def send(
        self, party: str, message: Message, signature: bytes = b"", connection: Connection | None = None
    ) -> None:
        """Nobody is there."""

    def receive(self) -> list[Received]:
        return []

    def confirm(self, letters: Sequence[Received]) -> None:
        """There are none."""


def statement_of(answer: TaskAnswer) -> bytes:
    """What is signed of an answer: canonical JSON (RFC 8785)."""
    return _ENCODER.encode(answer)  # thirty times as fast as the library of RFC 8785; a test compares them


def sign_answer(identity: Identity, answer: TaskAnswer) -> bytes:
    """A party's signature over its answer, 64 bytes."""
    return identity.sign_statement(ANSWER_DOMAIN, statement_of(answer))


def check_answer(key: PublicIdentity, answer: TaskAnswer, signature: bytes) -> None:
    """Raises `SignatureInvalid` for an answer that was not signed by this party."""
    key.verify_statement(signature, ANSWER_DOMAIN, statement_of(answer))
