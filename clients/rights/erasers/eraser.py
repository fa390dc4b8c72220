"""What all erasers have in common: nothing that goes wrong is an exception, and nothing is said twice to the log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

import msgspec
import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from clients.consents.changes import FEWEST_COUNTED, SUBJECTS_WITH_REFERENCE, TECHNICAL_DAYS
from clients.consents.forgetting import clear_traces
from clients.consents.rows import as_tokens
from clients.home import NodeHome
from clients.rights.erasers.wanted import Mask, Wanted
from clients.rights.located import Located
from clients.vault import Change
from federation.pace import today, utc_now
from privacy.audit import EventType
from privacy.errors import SilhouetteError
from privacy.joining import Tokens
from privacy.rights import Artefact, Outcome, Result

FAILED: Final = "rights.erasing.failed"
READ_ONLY: Final = "rights.erasing.read_only"
SOURCE_STAYS: Final = "rights.erasing.source_stays"
UNCLEAR: Final = "rights.erasing.unclear"
"""Why something could not be deleted, as keys of the texts."""
_UNCLEARED: Final = "erasing/uncleared"
"""A vault record that is there while old values may still be in the database's files."""
PROJECT: Final = "rights"
"""Within which the log's references to a deleted subject can be followed, for a year."""


class BaseEraser(ABC):
    """An `Eraser`. What is deleted is deleted for all subjects at once."""

    artefact: Artefact

    def erase(self, home: NodeHome, subjects: Sequence[Located]) -> list[Outcome]:
        """See `Eraser.erase`."""
        if not subjects:
            return []
        try:
            return self._erase(home, Wanted(home.settings.table, subjects))
        except (SilhouetteError, OSError, SQLAlchemyError, ValueError, msgspec.MsgspecError):
            # What it says may hold a path or a cell; that it went wrong, and where, is what a case may know.
            return [self.outcome(Result.FAILED, FAILED)] * len(subjects)

    def remains(self, home: NodeHome, subjects: Sequence[Located]) -> list[bool]:
        """See `Eraser.remains`; what cannot be looked at is taken to be there still."""
        if not subjects:
            return []
        try:
            return [bool(one) for one in self._remains(home, Wanted(home.settings.table, subjects))]
        except (SilhouetteError, OSError, SQLAlchemyError, ValueError, msgspec.MsgspecError):
            return [True] * len(subjects)

    @abstractmethod
    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]: ...

    @abstractmethod
    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask: ...

    def outcome(self, result: Result, reason: str = "") -> Outcome:
        """What became of it; what is technically hard is looked at again within 90 days (PIPL 47)."""
        review = today() + timedelta(days=TECHNICAL_DAYS) if result is Result.RESTRICTED_TECHNICAL else None
        return Outcome(artefact=self.artefact, result=result, reason=reason, review=review)

    def erased(self, found: Mask, unclear: Mask | None = None) -> list[Outcome]:
        """ERASED for those who were there. unclear: of whom it cannot be told whether more of them is there."""
        outcomes = [self.outcome(Result.ERASED if one else Result.NOT_FOUND) for one in found.tolist()]
        for place in () if unclear is None else np.flatnonzero(unclear).tolist():
            outcomes[place] = self.outcome(Result.FAILED, UNCLEAR)
        return outcomes


class SealedEdits:
    """Changes of the vault's records, whose old values are gone from the database's files at the end of the `with`.

    One that was cut off is made up for by the next. Raises `DeadlinePassed` when another program kept the database in
    use: the changes hold, and the files are cleared the next time.
    """

    def __init__(self, home: NodeHome) -> None:
        self._vault = home.vault
        self._heads: list[bytes] = []

    def __enter__(self) -> Self:
        self._is_cut_off = self._vault.get(_UNCLEARED) is not None
        self._is_marked = self._is_cut_off
        return self

    def edit(self, names: Sequence[str], change: Change) -> None:
        """See `Vault.edit`."""
        self.edit_by(lambda: self._vault.edit(names, change))

    def edit_by(self, act: Callable[[], list[bytes]]) -> None:
        """What gives the beginnings of the values that it has replaced."""
        if not self._is_marked:
            self._vault.put(_UNCLEARED, b"")
            self._is_marked = True
        self._heads += act()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._is_marked:
            if self._heads or self._is_cut_off:
                clear_traces(self._vault.engine, self._heads, is_cut_off=self._is_cut_off)
            self._vault.remove_one(_UNCLEARED)


def tokens_of(wanted: Wanted) -> Tokens:
    """(m, 2): the subjects' tokens in the consent store."""
    return as_tokens([one.token for one in wanted.subjects])


def known_srefs(home: NodeHome, wanted: Wanted, project: str, epoch: int) -> list[str]:
    """What each subject is called in one project, "" for one that is forgotten already: asking would make it known."""
    tokens = tokens_of(wanted)
    known = home.consents.known(tokens)
    found = iter(home.consents.srefs(tokens[known], project, epoch) if known.any() else ())
    return [next(found) if is_known else "" for is_known in known.tolist()]


def tell(home: NodeHome, event: EventType, artefact: str, wanted: Wanted, found: Mask) -> None:
    """Tell the log for whom it was done: one event each with a reference, or for many one with their number."""
    people = int(found.sum())
    if people > SUBJECTS_WITH_REFERENCE:
        numbers = {"people": people // FEWEST_COUNTED * FEWEST_COUNTED}
        home.audit.append(event, actor="node", artefact=artefact, numbers=numbers)
        return
    if not people:
        return
    srefs = known_srefs(home, wanted, PROJECT, utc_now().year)
    for place in np.flatnonzero(found).tolist():
        home.audit.append(event, actor="node", artefact=artefact, sref=srefs[place])
