"""The consents of one node: its store, its table, its log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from clients.consents.changes import Changes, ConsentEvent
from clients.consents.importing import ImportReport
from clients.consents.tables import Source
from clients.tables.problems import Problems
from privacy.errors import Denied, SchemaMismatch

if TYPE_CHECKING:
    from clients.home import NodeHome

_EMPTY: Final = "errors.table_empty"


def changes_of(home: NodeHome, source: Source) -> Changes:
    """What changes a node's consents, and tells its audit log. source: who speaks."""
    actor = "node" if source is Source.FILE else source.value

    def log(event: ConsentEvent) -> None:
        home.audit.append(
            event.type,
            actor=actor,
            artefact=event.artefact,
            sref=event.sref,
            numbers=event.numbers,
            digests=event.digests,
        )

    return Changes(home.consents, home.settings.table, source, log)


def bring_in(home: NodeHome) -> ImportReport:
    """The consent log of a node's table into its store; words may name the notices of the policy in force.

    Raises `SchemaMismatch` with every problem of the file.
    """
    return changes_of(home, Source.FILE).bring_in(_known_notices(home))


def bring_in_for_withdrawal(home: NodeHome) -> None:
    """As `bring_in`, before words are taken back: so "everything" holds what the file says too. A file without rows
    says nothing. Raises `SchemaMismatch` for any other that cannot be read.
    """
    try:
        bring_in(home)
    except SchemaMismatch as error:
        problems = cast(Problems, error.values["problems"])
        if any(problem.key != _EMPTY for problem in problems):
            raise


def _known_notices(home: NodeHome) -> set[str] | None:
    """The ids of all notices of the policy and of those that it still relies on; None for a node without a policy."""
    from clients.gate.policy import active_policy

    try:
        policy = active_policy(home)
    except Denied:
        return None
    return {number for item in policy.notices for number in (item.id, *item.still_valid)}
