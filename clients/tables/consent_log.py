"""What the subjects of a table have said, in the order in which it holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from clients.tables.columns import Codes, Mask
from clients.tables.joins import Positions, latest_of
from clients.tables.subjects import Funnel
from clients.tables.times import NO_MOMENT, Moments, moment
from privacy.consent import ConsentKind, Need
from privacy.identifiers import Identifiers

_NOWHERE: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class ConsentLog:
    """The words of all subjects, as the file has them, each on one need (n words; a row may name several recipients).

    subjects: (n,) normalised; need: (n,) places in `needs`; granted: (n,); notice: (n,) places in `notices`; stated,
    until: (n,) moments, 0 for none. rows: in the file; unusable: rows among them without an identifier.
    """

    subjects: Identifiers = field(repr=False)
    need: Codes = field(repr=False)
    granted: Mask = field(repr=False)
    notice: Codes = field(repr=False)
    stated: Moments = field(repr=False)
    until: Moments = field(repr=False)
    needs: tuple[Need, ...]
    notices: tuple[str, ...]
    rows: int
    unusable: int

    @property
    def purposes(self) -> list[str]:
        """The purposes about which subjects have given or withdrawn a general consent."""
        places = np.unique(self.need).tolist()
        return sorted({self.needs[place].purpose for place in places if _is_general(self.needs[place])})

    def about(self, need: Need) -> Positions:
        """The words on one need in the order in which they hold, the last one at the end."""
        rows = np.flatnonzero(self.need == self.needs.index(need)) if need in self.needs else _NOWHERE
        return rows[np.argsort(self.stated[rows], kind="stable")]

    def exclude(self, purpose: str, subjects: Identifiers, funnel: Funnel, at: datetime) -> None:
        """Keeps the rows whose subject's latest word on a purpose is a yes that holds, going by this file alone.

        subjects: (n,) per row of the table, different in the rows that remain.
        """
        said = self.about(Need(purpose))
        rows = np.flatnonzero(funnel.remaining)
        latest = latest_of(subjects[rows], self.subjects[said])
        found = latest >= 0
        rows, words = rows[found], said[latest[found]]
        is_over = (self.until[words] != NO_MOMENT) & (self.until[words] <= moment(at))
        answers = np.full((3, len(subjects)), False)
        answers[:, rows] = self.granted[words], self.granted[words] & is_over, ~self.granted[words]
        has_agreed, expired, withdrawn = answers
        funnel.exclude("consent_withdrawn", withdrawn)
        funnel.exclude("consent_expired", expired)
        funnel.exclude("no_consent", ~has_agreed)


def _is_general(need: Need) -> bool:
    return need.kind is ConsentKind.GENERAL
