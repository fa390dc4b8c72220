"""The policy that is in force at a node: activated once, logged, sealed in the vault."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from clients.backup.guard import refuse_unless_replayed
from clients.home import NodeHome
from federation.files import read_toml
from privacy.audit import EventType
from privacy.catalog import Catalog
from privacy.errors import ConfigInvalid, Denied
from privacy.policy import Policy, check_policy, decode_policy, encode_policy
from privacy.reasons import Finding, Reason

POLICY_RECORD: Final = "policy"


class _Part(NamedTuple):
    """One document of a policy: which event announces it, its name, its digest."""

    event: EventType
    name: str
    digest: str


def read_policy(file: Path) -> Policy:
    """A checked policy file. Raises `ConfigInvalid` that names file and key."""
    policy = read_toml(file, Policy)
    check_policy(policy, str(file))
    return policy


def activate(home: NodeHome, policy: Policy, *, is_rehearsal: bool = False) -> Policy:
    """Put a policy in force from now on, and say so in the log.

    Raises `ConfigInvalid` for another party's policy and for a draft, which only a rehearsal may use.
    """
    if policy.party != home.settings.name:
        raise ConfigInvalid("policy_other_party", party=policy.party, own=home.settings.name)
    if policy.is_draft and not is_rehearsal:
        raise ConfigInvalid("policy_draft")
    catalog_of(policy)  # an override that cannot be applied shows now
    before = {} if (old := _stored(home)) is None else {part.name: part.digest for part in _parts(old)}
    # The log first: what it cannot record does not take effect.
    home.audit.append(EventType.POLICY_ACTIVATED, actor="operator", policy=policy.digest)
    for part in _parts(policy):
        if before.get(part.name) != part.digest:
            home.audit.append(
                part.event,
                actor="operator",
                policy=policy.digest,
                artefact=part.name.split("/")[1],
                digests={"document": part.digest},
            )
    home.vault.put(POLICY_RECORD, encode_policy(policy))
    return policy


def active_policy(home: NodeHome) -> Policy:
    """The policy in force. Raises `Denied` when there is none: without rules nothing is processed."""
    policy = _stored(home)
    if policy is None:
        raise Denied.of([Finding(Reason.POLICY_UNAVAILABLE, home.settings.name)])
    return policy


def policy_for_use(home: NodeHome) -> Policy:
    """The same, for a use of people's data, which a node that was restored refuses until it has replayed deletions."""
    refuse_unless_replayed(home)
    return active_policy(home)


def catalog_of(policy: Policy) -> Catalog:
    """The field catalogue with this policy's overrides. Raises `ConfigInvalid` for one that cannot be applied."""
    return Catalog.load(resident_id_sensitive=policy.resident_id_sensitive).with_overrides(policy.overrides)


def _stored(home: NodeHome) -> Policy | None:
    data = home.vault.get(POLICY_RECORD)
    return None if data is None else decode_policy(data, str(home.folder))


def _parts(policy: Policy) -> Iterator[_Part]:
    named: list[tuple[EventType, Iterable[msgspec.Struct], str]] = [
        (EventType.PURPOSE_REGISTERED, policy.purposes, "name"),
        (EventType.NOTICE_PUBLISHED, policy.notices, "id"),
        (EventType.PIPIA_APPROVED, (item for item in policy.assessments if item.approved), "id"),
        (EventType.AGREEMENT_ACTIVATED, policy.agreements, "id"),
    ]
    for event, items, key in named:
        for item in items:
            digest = hashlib.sha256(msgspec.json.encode(item, order="deterministic")).hexdigest()
            yield _Part(event, f"{event.value}/{getattr(item, key)}", digest)
