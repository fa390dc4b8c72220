"""Whether a model in this node's vault is made of single people's rows (`clients.forgetting.records`)."""

from __future__ import annotations

import msgspec

from clients.finished import SEGMENTS, per_row, record_name
from clients.forgetting.records import check_clusters
from clients.home import NodeHome
from federation.jobs import Method
from privacy.errors import Denied
from privacy.reasons import Finding


def records_held(home: NodeHome, kind: str, session: str, k_min: int) -> tuple[Finding, ...]:
    """Why a job's model may not leave, or stay in use after a deletion, for the rows it holds; empty: it holds none.

    Only segments can: a cluster's centre is the mean of its rows, so it speaks of few where these are few. Bins, points
    and leaves of the other kinds are about k_min rows at least when they are made.
    """
    stored = home.vault.get(record_name(session, SEGMENTS)) if kind == Method.KMEANS else None
    if stored is None:
        return ()
    n_clusters = int(msgspec.msgpack.decode(stored).get("n_clusters", 0))
    try:
        check_clusters(per_row(SEGMENTS, stored), n_clusters, k_min)
    except Denied as denied:
        return tuple(denied.findings)
    return ()
