"""A node's documents: generated from its activated policy, written to a folder, compared with what lies there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path

from clients.gate.policy import active_policy, catalog_of
from clients.home import NodeHome
from federation.disclosed import protocols_of
from federation.files import replace_file
from federation.jobs import METHOD_OF_STAGE, MatchPlan, PartyRole, RiskPlan
from federation.messages import COORDINATOR
from privacy.documents import Document, Flow, Material, is_untouched
from privacy.errors import ConfigInvalid
from privacy.parameters import Profile


class Written(StrEnum):
    """What became of one document."""

    NEW = "new"
    REPLACED = "replaced"
    SAME = "same"
    LEFT = "left"
    """A human has written in the file that is there, so it was not replaced."""


def material_of(home: NodeHome, profile: Profile) -> Material:
    """What this node's documents are made from. Raises `Denied` when no policy is in force."""
    policy = active_policy(home)
    declared = {item.name: item.kind for item in home.settings.table.fields}
    return Material(
        policy=policy,
        catalog=catalog_of(policy),
        k_min=profile.k_min,
        key_bits=profile.key_bits,
        flows=tuple(dict.fromkeys(flows())),
        declared=declared,
    )


def flows() -> Iterator[Flow]:
    """What each role learns, as the protocols declare it; matching in its default mode, trees in shards."""
    for stage in METHOD_OF_STAGE:
        for protocol in protocols_of(stage, MatchPlan(), RiskPlan(shards=2)):
            learned = {
                PartyRole.LABEL_HOLDER.value: protocol.label_holder,
                PartyRole.FEATURE_HOLDER.value: protocol.feature_holder,
                COORDINATOR: protocol.coordinator,
            }
            for role, disclosures in learned.items():
                for item in disclosures:
                    yield Flow(METHOD_OF_STAGE[stage].value, role, f"{protocol.protocol}.{item.what}")


def write(documents: Iterable[Document], folder: Path, *, replace: bool = False) -> dict[str, Written]:
    """Write documents into a folder, by file name. replace: also where a human has written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for document in documents:
        file = folder / document.name
        old = file.read_bytes() if file.exists() else None
        if old == document.content:
            written[document.name] = Written.SAME
        elif old is not None and not replace and not is_untouched(old):
            written[document.name] = Written.LEFT
        else:
            replace_file(file, document.content)
            written[document.name] = Written.NEW if old is None else Written.REPLACED
    return written


def published_in(folder: Path) -> dict[str, bytes]:
    """The Markdown files of a folder, by name. Raises `ConfigInvalid` when there is no such folder."""
    if not folder.is_dir():
        raise ConfigInvalid("file_missing", file=folder)
    return {file.name: file.read_bytes() for file in sorted(folder.glob("*.md"))}
