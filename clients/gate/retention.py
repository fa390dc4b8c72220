"""What has had its time is removed (PIPL 19, 47). It could not be read any more since the moment it expired."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Final

from clients.home import NodeHome
from federation.pace import today
from privacy.audit import EventType

RESULTS: Final = "results/"
"""Vault records under this name say until when a folder of results may stay."""
AUDIENCES: Final = "audiences/"
"""The same for lists for marketing (`clients.audiences`)."""
COPIES: Final = "copies/"
"""The same for copies for data subjects (`clients.rights.copies`)."""
_DERIVED: Final = "job/"


def sweep(home: NodeHome) -> int:
    """Remove expired records and results, and what was derived from a table whose time is over; how many things."""
    names = home.vault.expired()
    removed = Counter[str]()
    for name in names:
        if name.startswith((RESULTS, AUDIENCES, COPIES)):
            folder = home.folder / name
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                continue  # its record stays, so that the next sweep tries again
        home.vault.remove_one(name)
        removed[name.split("/")[0]] += 1
    removed += _sweep_table(home)
    for artefact, count in sorted(removed.items()):
        home.audit.append(
            EventType.RETENTION_EXPIRED, actor="node", artefact=artefact, numbers={"removed": count}
        )
    return sum(removed.values())


def _sweep_table(home: NodeHome) -> Counter[str]:
    """The registered table is over: its derived copies go, and the file where its registration says so."""
    table, removed = home.settings.table, Counter[str]()
    if table.retain_until is None or table.retain_until >= today():
        return removed
    derived = home.vault.names(_DERIVED)
    if derived:
        home.vault.remove(_DERIVED)
        removed["job"] = len(derived)
    file = Path(table.path)
    if table.erase_when_expired and file.exists():
        file.unlink()
        removed["table"] = 1
    return removed
