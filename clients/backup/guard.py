"""A node that was restored deletes again what had been deleted since, before anybody may use it (PIPL 47).

However it was restored (an archive of ours, a copy of the folder, a snapshot of the machine), its ledger of deletions
is shorter than the one on the coordinator's shelf, or another one. That is compared when the node starts and before
every session; a node whose ledger is behind is marked, and refuses everything but replaying. A node cannot take part
without the coordinator, so not asking it is no way around.
Replaying needs the newest audit log: an old copy would give numbers of events to new ones, and nobody would believe the
node again (`federation.witnessing`). Each entry of the ledger says how long the log was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from clients.backup.escrow import Escrow, deposited, escrow_of
from clients.backup.finding import find, stones_from
from clients.backup.ledger import Deletion, head_of, ledger_of
from clients.home import NodeHome
from clients.rights.located import Located
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.errors import AuditBroken, ConfigInvalid, Denied, PeerDropped, UnexpectedMessage
from privacy.reasons import Finding, Reason
from privacy.rights import Outcome

BEHIND_RECORD: Final = "backup/behind"
"""In the vault of a node that may do nothing but replay."""

Erase = Callable[[NodeHome, Sequence[Located], str], Sequence[Outcome]]
"""Deletes subjects from everything here (`clients.rights.erasing`), for a case."""


class Replayed(msgspec.Struct, frozen=True):
    """What a replay did. entries: of the ledger that were missing; subjects: that were here again."""

    entries: int
    subjects: int


def refuse_unless_replayed(home: NodeHome) -> None:
    """Before any use of this node's data. Raises `Denied` (R-RESTORE-NOT-REPLAYED) while deletions are missing."""
    if home.vault.get(BEHIND_RECORD) is not None:
        raise Denied.of([Finding(Reason.RESTORE_NOT_REPLAYED)])


def mark_behind(home: NodeHome) -> None:
    """Nobody may use this node before its ledger has been compared."""
    home.vault.put(BEHIND_RECORD, b"")


def check_at_start(home: NodeHome) -> None:
    """Before a node starts. Raises `Denied`. A coordinator that cannot be reached is asked before every session."""
    with suppress(PeerDropped):
        check(home)
    refuse_unless_replayed(home)


def check(home: NodeHome) -> None:
    """Before a session. Raises `Denied` when deletions are missing here, `PeerDropped` when nobody can tell."""
    with escrow_of(home) as escrow:
        if escrow is not None:
            compare(home, escrow)
    refuse_unless_replayed(home)
    home.consents.suppression.remove_expired(utc_now())


def compare(home: NodeHome, escrow: Escrow) -> None:
    """Compare this node's ledger with the shelf, and deposit there what it lacks.

    Raises `Denied` when it is the node that lacks entries; it is marked then, until it has replayed them.
    """
    try:
        _compare(home, escrow)
    except UnexpectedMessage:  # another process of this node has deposited the same entry first
        _compare(home, escrow)


def _compare(home: NodeHome, escrow: Escrow) -> None:
    # The shelf first: what is appended here meanwhile is then more than it has, and nothing that this node lacks.
    head = escrow.head()
    entries = ledger_of(home).entries()
    if head.count > len(entries) or head_of(entries[: head.count]) != head:
        mark_behind(home)
        raise Denied.of([Finding(Reason.RESTORE_NOT_REPLAYED)])
    for number, entry in enumerate(entries[head.count :], start=head.count + 1):
        escrow.put_entry(number, entry)
    home.vault.remove_one(BEHIND_RECORD)


def replay(home: NodeHome, erase: Erase, *, escrow: Escrow | None = None) -> Replayed:
    """Delete again whom the missing entries name; afterwards the node may take part.

    Cut off, it is simply done again. Raises `AuditBroken` when the shelf's entries are not this node's, or the audit
    log is older than they are; `ConfigInvalid` without a coordinator, or when something could not be deleted.
    """
    with escrow_of(home, escrow) as shelf:
        if shelf is None:
            raise ConfigInvalid("not_joined", folder=home.folder)
        return _replay(home, erase, shelf)


def _replay(home: NodeHome, erase: Erase, escrow: Escrow) -> Replayed:
    ledger = ledger_of(home)
    own = ledger.entries()
    shelf = deposited(escrow, 0)
    kept = _common(own, shelf)
    missing = shelf[kept:]
    start = head_of(own[:kept])
    deletions = ledger.read(missing, start)
    meanwhile = ledger.read(own[kept:], start)
    _check_log(home, deletions)
    found = _delete(home, deletions, erase)
    ledger.adopt(kept, missing, meanwhile)
    if missing:
        head = head_of([*own[:kept], *missing])
        home.audit.append(EventType.RESTORE_REPLAYED, actor="operator", digests={"ledger": head.chain.hex()})
    compare(home, escrow)
    return Replayed(len(missing), found)


def _delete(home: NodeHome, deletions: Sequence[Deletion], erase: Erase) -> int:
    """Tombstones first, so that nobody is used whom an eraser fails to delete; the number of subjects found here."""
    for deletion in deletions:
        home.consents.suppress(stones_from(deletion.subjects), _time_of(deletion.at))
    found = 0
    for deletion in deletions:
        subjects = find(home, stones_from(deletion.subjects), stones_from(deletion.shared))
        if subjects:
            outcomes = erase(home, subjects, deletion.case)
            if any(outcome.is_open for outcome in outcomes):
                raise ConfigInvalid("backup_replay_open", count=sum(one.is_open for one in outcomes))
        found += len(subjects)
    return found


def _check_log(home: NodeHome, deletions: Sequence[Deletion]) -> None:
    expected = max((deletion.events for deletion in deletions), default=0)
    if home.audit.size < expected:
        raise AuditBroken("backup_log_old", found=home.audit.size, expected=expected)


def _common(own: Sequence[bytes], other: Sequence[bytes]) -> int:
    """How many entries at the beginning are the same."""
    count = 0
    for mine, theirs in zip(own, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _time_of(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
