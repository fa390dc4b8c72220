"""The files of an audit log, as one process has read and checked them so far (see `federation.audit_log`).

Rules, in the order in which new content is checked:
1. A file is not shorter than it was.
2. An event's hash is the one in `leaves.bin`; events and hashes are equally many. Only the process that was killed
   while it wrote the last event may have left a part of a line, or a line without a hash: the part is cut off, the
   hash put in.
3. An event that no checkpoint covers is a valid canonical event of this log with the next number.
4. A checkpoint is signed by this party, and the tree had its root at its size.
5. A record of what others showed or signed is canonical; what this party signed is signed by it.
"""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from federation.audit_records import OwnRecord, Signed, Witnessed, canonical, from_line
from federation.line_file import LineFile, write_all
from privacy.audit import Event
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import AuditBroken, SilhouetteError
from privacy.merkle import HASH_BYTES, Tree, leaf_hash
from privacy.sealing import PublicIdentity


class AuditFolder:
    """The content of the files; every method is for the holder of the folder's lock.

    tree: the events' hashes. starts: where each event's line begins. checkpoints: own ones, by size. cosignatures: by
    size and witness. witnessed: others' checkpoints, in order. The methods raise `AuditBroken` and `OSError`.
    """

    def __init__(self, folder: Path, origin: str, key: PublicIdentity) -> None:
        self.tree, self.starts = Tree(), array("Q")
        self.checkpoints: dict[int, Checkpoint] = {}
        self.cosignatures: dict[int, dict[str, Cosignature]] = {}
        self.witnessed: list[Witnessed] = []
        self.events = LineFile(folder / "events.jsonl")
        self._leaves = folder / "leaves.bin"
        self._own, self._others = LineFile(folder / "checkpoints.jsonl"), LineFile(folder / "witnessed.jsonl")
        self._origin, self._key = origin, key
        self._unchecked: deque[OwnRecord] = deque()
        self._own_lines, self._covered = 0, 0

    def pick_up(self) -> None:
        """Read and check what was written since the last call."""
        self._read_own()
        self._read_events()
        self._check_own()
        self._read_others()

    def write_event(self, event: Event) -> None:
        """Append an event, which has the next number."""
        self.events.append(event.canonical())
        self._read_events()

    def write_own(self, record: OwnRecord) -> None:
        """Append a checkpoint of this log, or what another signed under one."""
        self._own.append(canonical(record))
        self._read_own()
        self._check_own()

    def write_witnessed(self, record: Witnessed) -> None:
        """Append another's checkpoint."""
        self._others.append(canonical(record))
        self._read_others()

    # --- events

    def _read_events(self) -> None:
        if self.events.excess < 0:
            self._event_missing(len(self.tree) - 1)
        first = len(self.tree)
        stored = self._stored_leaves(first)
        for line in self.events.new_lines():
            place = (len(self.tree) - first) * HASH_BYTES
            self._admit(line, stored[place : place + HASH_BYTES])
        known = self._leaf_bytes() // HASH_BYTES
        if known > len(self.tree):
            self._event_missing(len(self.tree))
        if self.events.excess:
            self.events.cut()
        if known < len(self.tree):
            self._store_leaves(known)

    def _admit(self, line: bytes, stored: bytes) -> None:
        """The next event. stored: its hash on the disk, or less than that."""
        position, leaf = len(self.tree), leaf_hash(line)
        if len(stored) == HASH_BYTES and stored != leaf:
            self._event_changed(position)
        if position >= self._covered:
            try:
                event = Event.parse(line)
            except (ValueError, SilhouetteError):
                self._event_changed(position)
            if (event.seq, event.origin) != (position, self._origin):
                self._event_changed(position)
        self.starts.append(self.events.read_bytes)
        self.tree.append(leaf)

    def _leaf_bytes(self) -> int:
        return self._leaves.stat().st_size if self._leaves.exists() else 0

    def _stored_leaves(self, first: int) -> bytes:
        if self._leaf_bytes() <= first * HASH_BYTES:
            return b""
        with self._leaves.open("rb") as stream:
            stream.seek(first * HASH_BYTES)
            return stream.read()

    def _store_leaves(self, first: int) -> None:
        """Write the hashes from number `first` on. They can be made again: no need to wait for the disk."""
        descriptor = os.open(self._leaves, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(descriptor, first * HASH_BYTES)
            os.lseek(descriptor, 0, os.SEEK_END)
            write_all(descriptor, b"".join(map(self.tree.leaf, range(first, len(self.tree)))))
        finally:
            os.close(descriptor)

    def _event_changed(self, position: int) -> NoReturn:
        raise AuditBroken("audit_event_changed", party=self._origin, position=position)

    def _event_missing(self, position: int) -> NoReturn:
        raise AuditBroken("audit_event_missing", party=self._origin, position=position)

    # --- records

    def _read_own(self) -> None:
        for line in self._new_records(self._own):
            record: OwnRecord = self._parse(line, OwnRecord, self._own, self._own_lines + 1)
            self._unchecked.append(record)
            self._own_lines += 1
            if isinstance(record, Signed):
                self._covered = max(self._covered, record.checkpoint.size)

    def _check_own(self) -> None:
        while self._unchecked:
            record = self._unchecked[0]
            line = self._own_lines - len(self._unchecked) + 1
            if isinstance(record, Signed):
                self._check_checkpoint(record.checkpoint, line)
                self.checkpoints[record.checkpoint.size] = record.checkpoint
            else:
                if record.size not in self.checkpoints:
                    self._record_broken(self._own, line)
                signed = self.cosignatures.setdefault(record.size, {})
                signed[record.cosignature.witness] = record.cosignature
            self._unchecked.popleft()

    def _check_checkpoint(self, made: Checkpoint, line: int) -> None:
        before = max(self.checkpoints, default=-1)
        if made.origin != self._origin or made.size <= before:
            self._record_broken(self._own, line)
        try:
            made.verify(self._key)
        except SilhouetteError:
            self._record_broken(self._own, line)
        if made.size > len(self.tree):
            self._event_missing(len(self.tree))
        if made.root != self.tree.root(made.size):
            raise AuditBroken(
                "audit_events_unlike_checkpoint",
                party=self._origin,
                position=max(before, 0),
                most=made.size - 1,
            )

    def _read_others(self) -> None:
        for line in self._new_records(self._others):
            number = len(self.witnessed) + 1
            record: Witnessed = self._parse(line, Witnessed, self._others, number)
            if record.cosignature is not None:
                try:
                    record.cosignature.verify(self._key, record.checkpoint)
                except SilhouetteError:
                    self._record_broken(self._others, number)
            self.witnessed.append(record)

    def _new_records(self, file: LineFile) -> Iterator[bytes]:
        if file.excess < 0:
            self._record_broken(file, 1)
        yield from file.new_lines()
        if file.excess:
            file.cut()

    def _parse(self, line: bytes, kind: Any, file: LineFile, number: int) -> Any:
        try:
            return from_line(line, kind)
        except (ValueError, SilhouetteError):
            self._record_broken(file, number)

    def _record_broken(self, file: LineFile, line: int) -> NoReturn:
        raise AuditBroken("audit_record_broken", party=self._origin, file=file.file.name, line=line)
