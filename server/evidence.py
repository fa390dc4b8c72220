"""What the coordinator's audit bundle is made from: its log and the roster's keys; it has no policy and no rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federation.audit_log import AuditLog
    from privacy.sealing import PublicIdentity


def open_log(folder: Path) -> AuditLog:
    """The audit log of a coordinator's home."""
    from server.home import CoordinatorHome

    return CoordinatorHome.open(folder).audit


def documents(folder: Path) -> Mapping[str, bytes]:
    """By file name: the roster, with everybody's public keys."""
    from server.home import CoordinatorHome

    return {"federation.json": CoordinatorHome.open(folder).roster_file.read_bytes()}


def keys(folder: Path) -> Mapping[str, PublicIdentity]:
    """The public keys of all parties, by name."""
    from federation.messages import COORDINATOR
    from server.home import CoordinatorHome

    return CoordinatorHome.open(folder).roster.identities(without=COORDINATOR)
