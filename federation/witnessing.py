"""Checkpoint exchange: everyone in a session signs the state of everyone else's audit log.

Parties: all of a session, the coordinator included, each with a log of its own. Each shows its checkpoint to every
other, with the proof that it continues what that other has cosigned before; the other checks and cosigns it.
WHAT EACH PARTY LEARNS: how many events another's log has and its root, a hash of salted and keyed content.
A party that remembers another size than the sender does (it was restored, or its answer was lost) says so once; a
log that is shorter than what was shown before, or no continuation of it, ends the exchange with `AuditBroken`.
Cost: one message each way per pair, a few hundred bytes and 32 per doubling of the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from federation.audit_messages import CosignedCheckpoint, KnownSize, ShownCheckpoint
from federation.messages import Message, Outgoing
from federation.roles import Progress, expect
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import AuditBroken
from privacy.sealing import PublicIdentity


class WitnessLog(Protocol):
    """What the exchange needs of a log (`federation.audit_log.AuditLog`)."""

    def checkpoint(self) -> Checkpoint: ...

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]: ...

    def cosigned_size(self, witness: str) -> int: ...

    def add_cosignature(self, size: int, cosignature: Cosignature, key: PublicIdentity) -> None: ...

    def seen(self, origin: str) -> Checkpoint | None: ...

    def witness(self, shown: Checkpoint, key: PublicIdentity, proof: Sequence[bytes] = ()) -> Cosignature: ...


class CheckpointExchange:
    """One party's part (`federation.roles.Role`). others: everyone else's pinned key, by name.

    The result is the own checkpoint, once all others have cosigned it and all of theirs are cosigned.
    """

    name: Final = "audit.CheckpointExchange"

    def __init__(self, own: str, others: Mapping[str, PublicIdentity], log: WitnessLog) -> None:
        self._own, self._others, self._log = own, dict(others), log
        self._checkpoint: Checkpoint | None = None
        self._answered: set[str] = set()  # told once which size is known here
        self._corrected: set[str] = set()  # has told us once
        self._witnessed: set[str] = set()  # cosigned by us
        self._signed: set[str] = set()  # has cosigned ours

    @property
    def done(self) -> bool:
        """Whether all others have cosigned our checkpoint, and we all of theirs."""
        everyone = set(self._others)
        return self._checkpoint is not None and self._signed == everyone == self._witnessed

    @property
    def result(self) -> Checkpoint | None:
        """The own checkpoint, when `done`."""
        return self._checkpoint if self.done else None

    @property
    def progress(self) -> Progress:
        return Progress(
            len(self._signed) + len(self._witnessed), 2 * len(self._others), step="audit.checkpoints"
        )

    def start(self) -> list[Outgoing]:
        """Sign the log as it is now and show it to everyone."""
        own = self._checkpoint = self._log.checkpoint()
        return [self._show(own, other, self._log.cosigned_size(other)) for other in self._others]

    def receive(self, sender: str, message: Message) -> list[Outgoing]:
        """Raises `AuditBroken`, `SignatureInvalid` or `UnexpectedMessage`; `LogUnavailable` when ours fails."""
        own = self._checkpoint
        expect(sender in self._others and own is not None, self.name, message, sender)
        assert own is not None  # noqa: S101 (for the type checker)
        if isinstance(message, ShownCheckpoint):
            return self._witness(sender, message)
        if isinstance(message, KnownSize):
            return self._correct(own, sender, message)
        self._keep(own, sender, message)
        return []

    def _show(self, own: Checkpoint, to: str, old_size: int) -> Outgoing:
        proof = self._log.consistency(old_size, own.size)
        return Outgoing(to, ShownCheckpoint(checkpoint=own, old_size=old_size, proof=proof))

    def _witness(self, sender: str, message: ShownCheckpoint) -> list[Outgoing]:
        expect(sender not in self._witnessed, self.name, message, sender)
        shown, key = message.checkpoint, self._others[sender]
        if shown.origin != sender:
            raise AuditBroken("audit_log_foreign", party=sender)
        shown.verify(key)
        seen = self._log.seen(sender)
        known = seen.size if seen else 0
        if message.old_size != known <= shown.size:
            expect(sender not in self._answered, self.name, message, sender)
            self._answered.add(sender)
            return [Outgoing(sender, KnownSize(size=known))]
        cosignature = self._log.witness(shown, key, message.proof)
        self._witnessed.add(sender)
        return [Outgoing(sender, CosignedCheckpoint(size=shown.size, cosignature=cosignature))]

    def _correct(self, own: Checkpoint, sender: str, message: KnownSize) -> list[Outgoing]:
        expect(sender not in self._corrected | self._signed, self.name, message, sender)
        self._corrected.add(sender)
        if message.size > own.size:
            raise AuditBroken("audit_log_shrank", party=self._own, found=own.size, expected=message.size)
        return [self._show(own, sender, message.size)]

    def _keep(self, own: Checkpoint, sender: str, message: Message) -> None:
        fits = (
            isinstance(message, CosignedCheckpoint)
            and message.size == own.size
            and message.cosignature.witness == sender
            and sender not in self._signed
        )
        expect(fits, self.name, message, sender)
        assert isinstance(message, CosignedCheckpoint)  # noqa: S101 (for the type checker)
        self._log.add_cosignature(message.size, message.cosignature, self._others[sender])
        self._signed.add(sender)
