"""Deleting subjects from every backup, and for good (PIPL 47): what erasers of other artefacts rely on.

In this order, so that a deletion that is cut off is finished by doing it again: the ledger gets its entry, the
subjects their tombstones, the keys of their records in archives are destroyed, the audit log hears of it, the entry is
deposited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import numpy as np

from clients.backup.escrow import Escrow, escrow_of
from clients.backup.finding import stones_of
from clients.backup.guard import compare
from clients.backup.keys import BackupKeys
from clients.backup.ledger import deletions_of, ledger_of
from clients.consents.changes import SUBJECTS_WITH_REFERENCE
from clients.consents.rows import as_tokens
from clients.finished import NO_TOKEN
from clients.home import NodeHome
from clients.rights.located import Located
from federation.pace import utc_now
from privacy.audit import EventType
from privacy.errors import Denied, PeerDropped, UnexpectedMessage
from privacy.joining import Tokens
from privacy.rights import Artefact, Outcome, Result

PROJECT: Final = "backup"
"""Within which a subject's events of this kind can be followed."""


def shred(
    home: NodeHome,
    subjects: Sequence[Located],
    case: str,
    *,
    now: Callable[[], datetime] = utc_now,
    escrow: Escrow | None = None,
) -> list[Outcome]:
    """What became of each subject's records in backups; for nobody, or again, it does no harm.

    case: 32 hexadecimal digits. escrow: None for the coordinator's. A coordinator that cannot be reached gets the entry
    before this node takes part in anything again.
    """
    with escrow_of(home, escrow) as shelf:
        return _shred(home, subjects, case, now(), shelf)


def _shred(
    home: NodeHome, subjects: Sequence[Located], case: str, at: datetime, escrow: Escrow | None
) -> list[Outcome]:
    try:
        _bury(home, [one for one in subjects if one.token != NO_TOKEN], case, at, escrow)
    except Denied as refused:
        failed = Outcome(artefact=Artefact.BACKUP, result=Result.FAILED, reason=refused.findings.codes[0])
        return [failed] * len(subjects)
    tokens = _tokens(subjects)
    gone = np.zeros(len(subjects), np.bool_)
    if BackupKeys.exist(home.folder) and len(subjects):
        gone = BackupKeys(home.folder).destroy(tokens)
        _tell(home, tokens[gone], case, at)
    if escrow is not None:
        # What fails here is done before the next session; a node that replays is behind until it has finished.
        with suppress(PeerDropped, Denied, UnexpectedMessage):
            compare(home, escrow)
    results = (Result.CRYPTO_SHREDDED if one else Result.NOT_FOUND for one in gone.tolist())
    return [Outcome(artefact=Artefact.BACKUP, result=result) for result in results]


def remains(home: NodeHome, subjects: Sequence[Located]) -> list[bool]:
    """Per subject, whether its records in any archive can still be opened, or it could be brought back unseen."""
    known = [one for one in subjects if one.token != NO_TOKEN]
    tokens = _tokens(subjects)
    opened = np.zeros(len(subjects), np.bool_)
    if BackupKeys.exist(home.folder) and len(subjects):
        opened = BackupKeys(home.folder).have(tokens)
    buried = np.ones(len(subjects), np.bool_)
    if known:
        buried[[one.token != NO_TOKEN for one in subjects]] = home.consents.suppression.stand(
            _tokens(known), utc_now()
        )
    return [bool(one) for one in opened | ~buried]


def _bury(home: NodeHome, subjects: list[Located], case: str, at: datetime, escrow: Escrow | None) -> None:
    """An entry in the ledger and tombstones, for whom has none. Raises `Denied` when the ledger is an old one."""
    standing = home.consents.suppression.stand(_tokens(subjects), at)
    new = [one for one, stands in zip(subjects, standing.tolist(), strict=True) if not stands]
    if not new:
        return
    if escrow is not None:
        with suppress(PeerDropped):
            compare(home, escrow)
    stones, shared = stones_of(home, new)
    ledger_of(home).append(deletions_of(case, stones, shared, at, home.audit.size))
    home.consents.suppress(stones, at)


def _tokens(subjects: Sequence[Located]) -> Tokens:
    return as_tokens([one.token for one in subjects])


def _tell(home: NodeHome, tokens: Tokens, case: str, at: datetime) -> None:
    """To the log: single people by a reference, many by their number."""
    if not len(tokens):
        return
    if len(tokens) > SUBJECTS_WITH_REFERENCE:
        home.audit.append(
            EventType.KEY_SHREDDED, actor="node", artefact=case, numbers={"subjects": len(tokens)}
        )
        return
    # Asking for a reference would make a subject known again that is already forgotten.
    known = tokens[home.consents.known(tokens)]
    for sref in home.consents.srefs(known, PROJECT, at.year):
        home.audit.append(EventType.KEY_SHREDDED, actor="node", artefact=case, sref=sref)
    if len(known) < len(tokens):
        home.audit.append(EventType.KEY_SHREDDED, actor="node", artefact=case)
