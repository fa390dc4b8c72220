"""The node's ledger of deletions: append-only, numbered, chained; an entry says which tombstones a case left.

`deletions.jsonl` in the home: an entry a line, base64. An entry is sealed by the node to itself and signed by it
(`privacy.sealing`), in the context of its own name and number; inside it names the chain of everything before it
(`federation.post_messages.next_head`). Every entry is also deposited, as it is, on the coordinator's shelf of ledgers:
a node that comes back from an old copy, in whatever way, finds there what it has forgotten.
WHAT IT HOLDS: keyed tombstones (`clients.backup.suppression`), the case's number, a time, the length of the audit log.
What it does not promise. A coordinator that hides the last entries hides deletions from their own node; then the audit
log, which all other parties have cosigned, still shows that the copy is an old one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from clients.tables.times import moment
from federation.files import replace_file
from federation.line_file import LineFile, locked
from federation.post_messages import LedgerHead, next_head
from privacy.errors import AuditBroken, SilhouetteError
from privacy.joining import Tokens, dump
from privacy.parameters import TOKEN_BYTES
from privacy.rights import CaseNumber
from privacy.sealing import SIGNATURE_BYTES, Identity

if TYPE_CHECKING:
    from clients.home import NodeHome

LEDGER_FILE: Final = "deletions.jsonl"
MOST_STONES: Final = 2_000
"""Tombstones in an entry: half of the 64 KiB that the coordinator's shelf takes of one."""
LOCK_SECONDS: Final = 10.0
_CONTEXT: Final = "silhouette deletion ledger v1"

_Stones = Annotated[bytes, Meta(max_length=TOKEN_BYTES * MOST_STONES)]
_Chain = Annotated[bytes, Meta(min_length=32, max_length=32)]


class Deletion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an entry says. subjects, shared: tombstones of consent tokens and of what matchings call the subjects, 16
    bytes each; at: microseconds; events: how long the node's audit log was; previous: the chain before this entry.
    """

    case: CaseNumber
    at: Annotated[int, Meta(gt=0)]
    subjects: _Stones
    shared: _Stones = b""
    events: Annotated[int, Meta(ge=0)]
    previous: _Chain = bytes(32)


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    sealed: bytes
    signature: Annotated[bytes, Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]


class Ledger:
    """The ledger of the party `name` in `file`. Methods read it anew, since several processes may append.

    Raises `AuditBroken` when an entry was altered or does not belong where it is.
    """

    def __init__(self, file: Path, name: str, identity: Identity) -> None:
        self._file, self._name, self._identity = file, name, identity

    @property
    def head(self) -> LedgerHead:
        """How long it is, and its chain."""
        return head_of(self.entries())

    def entries(self) -> list[bytes]:
        """All entries as they are deposited, in order."""
        if not self._file.exists():
            return []
        try:
            return [base64.b64decode(line, validate=True) for line in LineFile(self._file).new_lines()]
        except binascii.Error:
            raise AuditBroken("ledger_broken") from None

    def append(self, deletions: Sequence[Deletion]) -> list[bytes]:
        """Write entries; they are on the disk when this returns. `previous` is filled in."""
        written = []
        with self._held():
            lines = LineFile(self._file)
            found = [base64.b64decode(line) for line in lines.new_lines()]
            if lines.excess > 0:
                lines.cut()  # of a process that was killed while it wrote
            head = head_of(found)
            for deletion in deletions:
                entry = self._sealed(deletion, head)
                lines.append(base64.b64encode(entry))
                head = next_head(head, entry)
                written.append(entry)
        return written

    def adopt(self, kept: int, deposited: Sequence[bytes], own: Sequence[Deletion]) -> None:
        """After a restore: `kept` entries stay, those that were deposited follow, and then own ones made meanwhile."""
        with self._held():
            entries = [*self.entries()[:kept], *deposited]
            for deletion in own:
                entries.append(self._sealed(deletion, head_of(entries)))
            data = b"".join(base64.b64encode(entry) + b"\n" for entry in entries)
            replace_file(self._file, data, secret=True)

    def read(self, entries: Sequence[bytes], after: LedgerHead) -> list[Deletion]:
        """What entries say that follow `after`. Raises `AuditBroken` when one is not this node's, or not the next."""
        found = []
        head = after
        for entry in entries:
            found.append(self._opened(entry, head))
            head = next_head(head, entry)
        return found

    def check(self) -> None:
        """Open every entry. Raises `AuditBroken`."""
        self.read(self.entries(), LedgerHead())

    def _sealed(self, deletion: Deletion, head: LedgerHead) -> bytes:
        content = msgspec.msgpack.encode(msgspec.structs.replace(deletion, previous=head.chain))
        context = self._context(head.count + 1)
        sealed = self._identity.public.seal(content, context)
        return msgspec.msgpack.encode(_Signed(sealed, self._identity.sign(context, sealed)))

    def _opened(self, entry: bytes, head: LedgerHead) -> Deletion:
        context = self._context(head.count + 1)
        try:
            signed = msgspec.msgpack.decode(entry, type=_Signed)
            self._identity.public.verify(signed.signature, context, signed.sealed)
            content = self._identity.open(signed.sealed, context)
            deletion = msgspec.msgpack.decode(content, type=Deletion)
        except (msgspec.MsgspecError, ValueError, SilhouetteError):
            raise AuditBroken("ledger_broken_at", position=head.count + 1) from None
        if deletion.previous != head.chain:
            raise AuditBroken("ledger_broken_at", position=head.count + 1)
        return deletion

    def _context(self, number: int) -> bytes:
        return f"{_CONTEXT}\n{self._name}\n{number}".encode()

    @contextmanager
    def _held(self) -> Iterator[None]:
        with locked(self._file.with_suffix(".lock"), LOCK_SECONDS):
            yield


def head_of(entries: Sequence[bytes]) -> LedgerHead:
    """The head of a ledger with these entries."""
    head = LedgerHead()
    for entry in entries:
        head = next_head(head, entry)
    return head


def ledger_of(home: NodeHome) -> Ledger:
    """A node's own ledger."""
    return Ledger(home.folder / LEDGER_FILE, home.settings.name, home.identity)


def deletions_of(case: str, subjects: Tokens, shared: Tokens, at: datetime, events: int) -> list[Deletion]:
    """The entries for the tombstones of one case: as many as these fill."""
    count = max(len(subjects), len(shared))
    return [
        Deletion(
            case=case,
            at=moment(at),
            subjects=dump(subjects[start : start + MOST_STONES // 2]),
            shared=dump(shared[start : start + MOST_STONES // 2]),
            events=events,
        )
        for start in range(0, count, MOST_STONES // 2)
    ]
