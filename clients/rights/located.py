"""Where a subject is at this node, and what deletes one kind of artefact there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from clients.home import NodeHome
from privacy.rights import Artefact, Outcome, SharedRow

NOWHERE: Final = -1
"""The place of a subject that is not in the table's file."""


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """One subject, captured before anything is deleted and kept sealed until its case has ended.

    identifier: canonical, as the node's table has it; token: in the consent store (16 bytes); row: its place in the
    table's file, -1 where it is not there (places stay the same when other rows are deleted); shared: the matchings
    that hold it; is_narrowed: it is looked for in these and in their lists alone, as what other jobs have of it stays.
    """

    identifier: bytes
    token: bytes
    row: int
    shared: tuple[SharedRow, ...] = ()
    is_narrowed: bool = False


class Eraser(Protocol):
    """Deletes one kind of artefact. Doing it again after it was cut off, or for nobody, does no harm."""

    @property
    def artefact(self) -> Artefact: ...

    def erase(self, home: NodeHome, subjects: Sequence[Located]) -> list[Outcome]:
        """What became of it, per subject. What goes wrong for one is its outcome, FAILED, and no exception."""
        ...

    def remains(self, home: NodeHome, subjects: Sequence[Located]) -> list[bool]:
        """Looking for it again: per subject, whether anything is still there."""
        ...
