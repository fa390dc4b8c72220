"""What a protocol role is: a state machine that receives a message and returns messages.

Roles do no input or output and start no threads. Whoever runs them (a session over the relay, a test that
runs all roles in one process) delivers messages in the order each sender sent them, sender by sender.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from gmpy2 import mpz

from federation.messages import COORDINATOR, Message, Outgoing
from privacy.errors import UnexpectedMessage
from privacy.paillier import PublicKey


@dataclass(frozen=True, slots=True)
class Parties:
    """Who takes part: `label_holder` asks the question and holds the keys, `feature_holders` are its partners."""

    label_holder: str
    feature_holders: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        return (self.label_holder, *self.feature_holders)


@dataclass(frozen=True, slots=True)
class View:
    """The minimised table a role works on: named numeric columns, rows in aligned order.

    values: float64 array of shape (n_rows, n_fields); a missing value is NaN.
    """

    fields: tuple[str, ...]
    values: np.ndarray[Any, np.dtype[np.float64]]

    def __len__(self) -> int:
        return len(self.values)


class Decryptor(Protocol):
    """The secret key's side, as a role sees it (implemented outside `federation`, in the key holder's process)."""

    def encrypt(self, plaintexts: list[int]) -> list[mpz]: ...

    def decrypt(self, ciphertexts: list[mpz]) -> list[int]:
        """Signed plaintexts in (-n/2, n/2]."""
        ...


RERUN_SECONDS: Final = 24 * 3600.0
"""What an unfinished job left is forgotten a day after it was first written: then a rerun starts with new keys."""


SWEEP_SECONDS: Final = 3600.0
"""How often a process that runs for long looks for what is to be forgotten."""


class ZeroSource(Protocol):
    """Where a role gets what hides how a result was made (`PublicKey.rerandomize`), perhaps made beforehand."""

    def zeros(self, key: PublicKey, count: int) -> list[mpz]:
        """Fresh uniform encryptions of zero under `key`."""
        ...


class DirectZeros:
    """Made when they are asked for."""

    def zeros(self, key: PublicKey, count: int) -> list[mpz]:
        return key.encrypt_uniformly([0] * count)


class Store(Protocol):
    """Where a role keeps what a rerun of the same job may go on from. Names are relative, with slashes."""

    def get(self, name: str) -> bytes | None: ...

    def put(self, name: str, data: bytes) -> None: ...

    def names(self, prefix: str) -> list[str]: ...

    def remove(self, name: str) -> None: ...

    def clear(self) -> None:
        """Forget everything: the job is done. Called by whoever runs the roles, not by a role."""
        ...


@dataclass(slots=True)
class MemoryStore:
    """A store that ends with its process: for tests and notebooks."""

    records: dict[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> bytes | None:
        return self.records.get(name)

    def put(self, name: str, data: bytes) -> None:
        self.records[name] = data

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.records if name.startswith(prefix)]

    def remove(self, name: str) -> None:
        self.records.pop(name, None)

    def clear(self) -> None:
        self.records.clear()


@dataclass(slots=True)
class Progress:
    """How far a role is: `done` of `total` steps (`total` may be a bound), and a key into the text catalogue."""

    done: int = 0
    total: int = 0
    step: str = ""


class Role(Protocol):
    """One party's part in one protocol run."""

    @property
    def progress(self) -> Progress: ...

    @property
    def result(self) -> Any:
        """The outcome, or None while the protocol is still running."""
        ...

    def start(self) -> list[Outgoing]:
        """Messages to send before anything has been received."""
        ...

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        """React to one message. Raises `UnexpectedMessage` when it is out of turn."""
        ...


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One thing a role learns: `what` is a key into the texts (`disclosures.<protocol>.<what>`), `messages` the
    tags of the messages that carry it, `rounds` True when it is repeated every round."""

    what: str
    messages: tuple[str, ...]
    per_row: bool = False


@dataclass(frozen=True, slots=True)
class Disclosures:
    """What one protocol tells each role, as data. A transcript test checks that nothing else crosses."""

    protocol: str
    label_holder: tuple[Disclosure, ...] = ()
    feature_holder: tuple[Disclosure, ...] = ()
    coordinator: tuple[Disclosure, ...] = ()


def expect(condition: bool, role: str, message: Message, sender: str) -> None:
    """Refuse a message that is out of turn. Raises `UnexpectedMessage`."""
    if not condition:
        raise UnexpectedMessage(
            "unexpected_message", role=role, message=str(message.__struct_config__.tag), sender=sender
        )


@dataclass(slots=True)
class Rehearsal:
    """Runs all roles of one protocol in one process: for tests, notebooks and equivalence checks.

    roles: by name; `carry` turns a message into what arrives on the other side (default: as it is; tests pass
    the wire's encode-then-decode). Every delivery is kept in `transcript` as (sender, recipient, message).
    """

    roles: Mapping[str, Role]
    carry: Callable[[Message], Message] = lambda message: message
    transcript: list[tuple[str, str, Message]] = field(default_factory=list)

    def run(self) -> dict[str, Any]:
        """Deliver until nothing is in flight; returns every role's result by name."""
        queue: deque[tuple[str, Outgoing]] = deque()
        for name, role in self.roles.items():
            queue.extend((name, out) for out in role.start())
        while queue:
            sender, out = queue.popleft()
            message = self.carry(out.message)
            self.transcript.append((sender, out.to, message))
            queue.extend((out.to, reply) for reply in self.roles[out.to].receive(sender, message))
        return {name: role.result for name, role in self.roles.items()}


__all__ = [
    "COORDINATOR",
    "Decryptor",
    "DirectZeros",
    "Disclosure",
    "Disclosures",
    "MemoryStore",
    "Parties",
    "Progress",
    "Rehearsal",
    "Role",
    "Store",
    "View",
    "ZeroSource",
    "expect",
]
