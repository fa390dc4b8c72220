"""That a subject is no more among those whose data a session uses: proofs over the snapshots whose leaves are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from clients.consents.subjects import commitments
from clients.gate.gate import SNAPSHOT_RECORD
from clients.home import NodeHome
from federation.jobs import decode_job
from privacy.errors import Denied
from privacy.receipts import Opening, ProvedAbsence
from privacy.snapshots import COMMITMENT_BYTES, Snapshot

_JOB: Final = "job/"


class SessionSnapshot(NamedTuple):
    """The last snapshot of a session. context: what its commitments are made for."""

    session: str
    context: str
    snapshot: Snapshot


def last_snapshots(home: NodeHome) -> list[SessionSnapshot]:
    """Of every session whose leaves are kept. Costs what `Snapshot` does."""
    last: dict[str, int] = {}
    for name in home.vault.names(_JOB):
        session, _, record = name.removeprefix(_JOB).partition("/")
        kind, _, number = record.partition("/")
        if kind == SNAPSHOT_RECORD and number.isdecimal():
            last[session] = max(last.get(session, 0), int(number))
    found = []
    for session, latest in last.items():
        job = _kept(home, f"{_JOB}{session}/job")
        members = _kept(home, f"{_JOB}{session}/{SNAPSHOT_RECORD}/{latest}")
        if job is not None and members is not None:
            context = f"{decode_job(job).project_name}\x00{session}"
            leaves = np.frombuffer(members, np.uint8).reshape(-1, COMMITMENT_BYTES)
            found.append(SessionSnapshot(session, context, Snapshot.of(leaves)))
    return found


def proofs_of(snapshots: Sequence[SessionSnapshot], opening: Opening) -> tuple[ProvedAbsence, ...]:
    """For every snapshot that does not hold the subject. One that holds it was taken before its restriction."""
    if not opening.key:
        return ()
    key = np.frombuffer(bytes.fromhex(opening.key), np.uint8)[None, :]
    found = []
    for session, context, snapshot in snapshots:
        own = commitments(key, context.encode())[0].tobytes()
        if own not in snapshot:
            proof, root = snapshot.absence(own), snapshot.root.hex()
            found.append(ProvedAbsence(session=session, context=context, root=root, proof=proof))
    return tuple(found)


def _kept(home: NodeHome, name: str) -> bytes | None:
    """A record whose time is not over."""
    try:
        return home.vault.get(name)
    except Denied:
        return None
