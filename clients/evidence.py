"""What a node's audit bundle holds beside its log: the policy in force, and evidence for the auditor's guideline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.home import NodeHome
    from federation.audit_log import AuditLog
    from privacy.sealing import PublicIdentity


def open_log(folder: Path) -> AuditLog:
    """The audit log of a node's home."""
    from clients.home import NodeHome

    return NodeHome.open(folder).audit


def documents(folder: Path) -> Mapping[str, bytes]:
    """By file name: the policy as canonical JSON, and the evidence for each item of the audit guideline.

    Nothing for a node without a policy: its log is to be had all the same.
    """
    from clients.gate.policy import active_policy, catalog_of
    from clients.home import NodeHome
    from privacy.audit_items import Cosigned, items_of
    from privacy.errors import Denied
    from privacy.policy import encode_policy

    home = NodeHome.open(folder)
    try:
        policy = active_policy(home)
    except Denied:
        return {}
    cosigned = [
        Cosigned(made.size, frozenset(one.witness for one in signed))
        for made, signed in home.audit.checkpoints()
    ]
    items = items_of(home.audit.events(), policy, catalog_of(policy), cosigned)
    return {"policy.json": encode_policy(policy), **items, **_requests(home)}


def _requests(home: NodeHome) -> Mapping[str, bytes]:
    """The register of requests of data subjects, where there have been any: keyed references and no names."""
    from clients.rights.register import as_csv, register
    from federation.audit_records import canonical

    found = register(home)
    if not found.cases:
        return {}
    return {"requests/register.json": canonical(found), "requests/register.csv": as_csv(found).encode()}


def keys(folder: Path) -> Mapping[str, PublicIdentity]:
    """The public keys of everybody who may have cosigned, by name; none before the node has joined."""
    from clients.home import NodeHome

    home = NodeHome.open(folder)
    return home.roster.identities(home.settings.name) if home.roster_file.exists() else {}
