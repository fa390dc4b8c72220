"""The audit log of one party, on its disk: append-only, durable, checked whenever it is opened (PIPL 51, 69).

Files of the folder. `events.jsonl`: an event a line (`privacy.audit`). `leaves.bin`: 32 bytes per event, its hash in
the tree, which names the event when the other file was changed. `checkpoints.jsonl`: own checkpoints and what others
signed under them. `witnessed.jsonl`: what others showed. `lock`: held by whoever writes.
An event is on the disk when `append` returns. Several processes may append; each picks up the others' lines.
What it does not promise. Whoever owns the folder and the key can write another log: only a checkpoint that others have
cosigned binds it. A change of the events after the last checkpoint, and of their hashes, is not seen here.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from federation.audit_folder import AuditFolder
from federation.audit_records import Cosigned, Signed, Witnessed
from federation.line_file import locked, make_folder
from federation.pace import utc_now
from privacy.audit import Event, EventType, time_text
from privacy.checkpoints import Checkpoint, Cosignature
from privacy.errors import AuditBroken, EventInvalid, LogUnavailable, ProofInvalid
from privacy.merkle import EMPTY_ROOT, leaf_hash, verify_consistency
from privacy.sealing import Identity, PublicIdentity

STRETCH: Final = 500
"""Events that are read at a time by whoever goes back from the newest."""
LOCK_SECONDS: Final = 10.0
"""How long to wait for another writer. One that is alive takes milliseconds."""
ACTOR: Final = "log"
"""Who acts in the events that the log makes about itself."""


class AuditLog:
    """The log of `origin` in `folder`; made when it is not there.

    identity: this party's keys, which sign checkpoints. Every method first picks up what other processes wrote, and
    raises `AuditBroken` when something was changed, or `LogUnavailable` when the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        origin: str,
        identity: Identity,
        *,
        lock_seconds: float = LOCK_SECONDS,
        now: Callable[[], datetime.datetime] = utc_now,
    ) -> None:
        self.folder, self.origin = folder, origin
        self._identity, self._lock_seconds, self._now = identity, lock_seconds, now
        self._mutex, self._depth = threading.RLock(), 0
        try:
            make_folder(folder)
            with locked(folder / "lock", lock_seconds):
                self._files = AuditFolder(folder, origin, identity.public)
        except OSError as problem:
            raise self._unavailable(problem) from None
        with self._held():
            pass

    # --- events

    @property
    def public(self) -> PublicIdentity:
        """The key that checks this log's checkpoints."""
        return self._identity.public

    def sign_statement(self, domain: str, statement: bytes) -> bytes:
        """This party's signature over a document about its log (`Identity.sign_statement`)."""
        return self._identity.sign_statement(domain, statement)

    @property
    def size(self) -> int:
        """How many events there are."""
        with self._held():
            return len(self._files.tree)

    @property
    def root(self) -> bytes:
        """The tree's root over all events."""
        with self._held():
            return self._files.tree.root()

    def append(
        self,
        type: EventType,  # noqa: A002
        *,
        actor: str,
        job: str = "",
        session: str = "",
        stage: str = "",
        artefact: str = "",
        policy: str = "",
        reasons: Sequence[str] = (),
        sref: str = "",
        commit: str = "",
        numbers: Mapping[str, int] | None = None,
        digests: Mapping[str, str] | None = None,
    ) -> Event:
        """Log an event; it is on the disk when this returns. The fields are those of `privacy.audit.Event`.

        Raises `EventInvalid` for what must not be logged. After `LogUnavailable` the caller must not go on with what
        it wanted to log; the event is then not in the log, unless the process was stopped as well.
        """
        with self._held():
            fields = {
                "seq": len(self._files.tree),
                "time": time_text(self._now()),
                "origin": self.origin,
                "actor": actor,
                "type": type,
                "job": job,
                "session": session,
                "stage": stage,
                "artefact": artefact,
                "policy": policy,
                "reasons": [str(reason) for reason in reasons],
                "sref": sref,
                "commit": commit,
                "numbers": dict(numbers or {}),
                "digests": dict(digests or {}),
            }
            try:
                event = msgspec.convert(fields, Event)
            except msgspec.ValidationError:
                raise EventInvalid("event_invalid", name=str(type)) from None
            self._files.write_event(event)
            return event

    def lines(self, since: int = 0, until: int | None = None) -> Iterator[bytes]:
        """The canonical events with these numbers (default: all), as they are on the disk."""
        with self._held():
            until = len(self._files.tree) if until is None else min(until, len(self._files.tree))
        if since >= until:
            return
        try:
            with self._files.events.file.open("rb") as stream:
                stream.seek(self._files.starts[since])
                for position in range(since, until):
                    line = stream.readline().removesuffix(b"\n")
                    if leaf_hash(line) != self._files.tree.leaf(position):
                        raise AuditBroken("audit_event_changed", party=self.origin, position=position)
                    yield line
        except OSError as problem:
            raise self._unavailable(problem) from None

    def events(self, since: int = 0, until: int | None = None) -> Iterator[Event]:
        """The events with these numbers (default: all)."""
        return map(Event.parse, self.lines(since, until))

    def newest_first(self, before: int | None = None) -> Iterator[Event]:
        """The events under a number (default: all), the last one first, read a stretch at a time."""
        end = self.size if before is None else min(before, self.size)
        while end > 0:
            start = max(0, end - STRETCH)
            yield from reversed([*self.events(start, end)])
            end = start

    def leaf(self, seq: int) -> bytes:
        """An event's hash in the tree. Raises `IndexError`."""
        with self._held():
            return self._files.tree.leaf(seq)

    def inclusion(self, seq: int, size: int | None = None) -> tuple[bytes, ...]:
        """The proof that event `seq` is among the first `size` (default: all). Raises `IndexError`."""
        with self._held():
            return self._files.tree.inclusion(seq, size)

    def consistency(self, old: int, new: int | None = None) -> tuple[bytes, ...]:
        """The proof that the first `old` events are the beginning of the first `new`. Raises `IndexError`."""
        with self._held():
            return self._files.tree.consistency(old, new)

    # --- own checkpoints

    def checkpoint(self) -> Checkpoint:
        """Sign what the log is now, and keep it; the last one again when there is no new event."""
        with self._held():
            size = len(self._files.tree)
            if size not in self._files.checkpoints:
                made = Checkpoint.sign(
                    self._identity, self.origin, size, self._files.tree.root(), time_text(self._now())
                )
                self._files.write_own(Signed(made))
            return self._files.checkpoints[size]

    def checkpoints(self) -> list[tuple[Checkpoint, tuple[Cosignature, ...]]]:
        """All own checkpoints in order of size, with what others have signed under each."""
        with self._held():
            return [
                (made, tuple(self._files.cosignatures.get(size, {}).values()))
                for size, made in sorted(self._files.checkpoints.items())
            ]

    def add_cosignature(self, size: int, cosignature: Cosignature, key: PublicIdentity) -> None:
        """Keep a witness's signature under the checkpoint of `size` events.

        Raises `AuditBroken` when there is no such checkpoint, `SignatureInvalid` when it is not signed by `key`.
        """
        with self._held():
            if size not in self._files.checkpoints:
                raise AuditBroken("audit_log_foreign", party=self.origin)
            cosignature.verify(key, self._files.checkpoints[size])
            if cosignature.witness not in self._files.cosignatures.get(size, {}):
                self._files.write_own(Cosigned(size, cosignature))

    def cosigned_size(self, witness: str) -> int:
        """How many events the last checkpoint had that this witness has cosigned; 0 when it has none."""
        with self._held():
            return max(
                (size for size, signed in self._files.cosignatures.items() if witness in signed), default=0
            )

    # --- others' checkpoints

    def seen(self, origin: str) -> Checkpoint | None:
        """The last checkpoint of another's log that this party has cosigned."""
        with self._held():
            last = self._last(origin)
            return last.checkpoint if last else None

    def witnessed(self) -> tuple[Witnessed, ...]:
        """All checkpoints of others that were cosigned or refused, in order."""
        with self._held():
            return tuple(self._files.witnessed)

    def witness(self, shown: Checkpoint, key: PublicIdentity, proof: Sequence[bytes] = ()) -> Cosignature:
        """Cosign another's checkpoint, when it is the continuation of the last one that was shown here.

        proof: consistency from the size of `seen`, 0 if there is none. Raises `SignatureInvalid` or `AuditBroken`; a
        signed checkpoint that does not fit is kept as evidence, and both outcomes are logged.
        """
        shown.verify(key)
        with self._held():
            if shown.origin == self.origin:
                raise AuditBroken("audit_log_foreign", party=shown.origin)
            last = self._last(shown.origin)
            if last is not None and last.cosignature is not None and last.checkpoint.body() == shown.body():
                return last.cosignature
            try:
                _check_growth(last.checkpoint if last else None, shown, proof)
            except AuditBroken:
                if Witnessed(shown, None) not in self._files.witnessed:
                    self._remember(Witnessed(shown, None), EventType.LOG_VERIFY_FAILED)
                raise
            cosignature = Cosignature.sign(self._identity, self.origin, time_text(self._now()), shown)
            self._remember(Witnessed(shown, cosignature), EventType.LOG_WITNESSED)
            return cosignature

    def _remember(self, record: Witnessed, outcome: EventType) -> None:
        self._files.write_witnessed(record)
        shown = record.checkpoint
        self.append(
            outcome,
            actor=ACTOR,
            artefact=shown.origin,
            numbers={"size": shown.size},
            digests={"root": shown.root.hex()},
        )

    def _last(self, origin: str) -> Witnessed | None:
        cosigned = (one for one in reversed(self._files.witnessed) if one.cosignature is not None)
        return next((one for one in cosigned if one.checkpoint.origin == origin), None)

    # --- the files

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder's lock, with everything picked up."""
        with self._mutex:
            if self._depth:
                yield
                return
            self._depth += 1
            try:
                with locked(self.folder / "lock", self._lock_seconds):
                    self._files.pick_up()
                    yield
            except OSError as problem:
                raise self._unavailable(problem) from None
            finally:
                self._depth -= 1

    def _unavailable(self, problem: OSError) -> LogUnavailable:
        return LogUnavailable(
            "log_unavailable", party=self.origin, problem=problem.strerror or type(problem).__name__
        )


def _check_growth(last: Checkpoint | None, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """Whether a log grew as RFC 9162 shows it, from nothing or from what was seen last. Raises `AuditBroken`."""
    size, root = (last.size, last.root) if last else (0, EMPTY_ROOT)
    if shown.size < size:
        raise AuditBroken("audit_log_shrank", party=shown.origin, found=shown.size, expected=size)
    try:
        verify_consistency(size, shown.size, root, shown.root, proof)
    except ProofInvalid:
        raise AuditBroken("audit_log_forked", party=shown.origin, position=size) from None
