"""What the coordinator's audit bundle is made from: its log and the roster's keys; it has no policy and no rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from federation.audit_log import AuditLog
    from privacy.sealing import PublicIdentity
    from server.home import CoordinatorHome


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


def bundle(home: CoordinatorHome, actor: str) -> tuple[str, bytes]:
    """The whole log for an auditor, now: name of a file, and the ZIP archive in it. actor: who takes it."""
    from federation.audit_bundle import export

    with TemporaryDirectory() as place:
        file = export(home.audit, Path(place), documents(home.folder), keys(home.folder), actor=actor)
        return file.name, file.read_bytes()
