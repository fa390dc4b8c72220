"""Last of all: what people have said, and the key by which the log's entries about them could be found.

Words go first, and restrictions and key together at the very end: nobody is without a restriction as long as anything
is there. Whose row stays in a file that cannot be written (`FeatureEraser`) keeps its key and gets a restriction for
good measure, so that no job can use the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

import numpy as np
from sqlalchemy import select

from clients.consents.changes import TECHNICAL_DAYS
from clients.consents.rows import Asked, stored
from clients.consents.tables import Restriction, states, words
from clients.gate.abroad import ABROAD, counted_in, without_people
from clients.home import NodeHome
from clients.rights.erasers.eraser import SOURCE_STAYS, BaseEraser, SealedEdits, tell, tokens_of
from clients.rights.erasers.features import rows_left
from clients.rights.erasers.wanted import Mask, Wanted
from federation.pace import today, utc_now
from privacy.audit import EventType
from privacy.joining import Tokens
from privacy.rights import Artefact, Outcome, Result


class ConsentEraser(BaseEraser):
    """Words and the states that came of them, and the year's count of people whose data has gone abroad."""

    artefact = Artefact.CONSENT

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        tokens = tokens_of(wanted)
        found = self._remains(home, wanted)
        with SealedEdits(home) as sealed:
            for name in home.vault.names(ABROAD):
                sealed.edit([name], partial(_without, tokens))
        home.consents.forget_words(tokens)
        return self.erased(found)

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        tokens = tokens_of(wanted)
        found = _has_said(home, tokens)
        for name in home.vault.names(ABROAD):
            for record in home.vault.held([name]).values():
                found |= counted_in(record, tokens)
        return found


class SubjectEraser(BaseEraser):
    """Restrictions, and the salt of the subject's own key: what the log says of a subject leads to nobody then."""

    artefact = Artefact.SUBJECT

    def _erase(self, home: NodeHome, wanted: Wanted) -> list[Outcome]:
        tokens = tokens_of(wanted)
        stays = rows_left(home, wanted)
        found = self._remains(home, wanted) & ~stays
        if stays.any():
            _restrict(home, tokens[stays])
        tell(home, EventType.KEY_SHREDDED, self.artefact.value, wanted, found)
        home.consents.forget(tokens[~stays])
        outcomes = self.erased(found)
        for place in np.flatnonzero(stays).tolist():
            outcomes[place] = self.outcome(Result.RESTRICTED_TECHNICAL, SOURCE_STAYS)
        return outcomes

    def _remains(self, home: NodeHome, wanted: Wanted) -> Mask:
        return home.consents.known(tokens_of(wanted))


def _restrict(home: NodeHome, tokens: Tokens) -> None:
    """Whoever is under no restriction yet, as the law may demand another one."""
    now = utc_now()
    free = tokens[~home.consents.restricted(tokens, now)]
    if len(free):
        review = today() + timedelta(days=TECHNICAL_DAYS)
        home.consents.restrict(free, Restriction.TECHNICAL.value, "PIPL 47", now, review)


def _has_said(home: NodeHome, tokens: Tokens) -> Mask:
    asked = Asked(tokens)
    found = np.zeros(len(asked.distinct), dtype=np.bool_)
    with home.consents.engine.connect() as connection:
        for table in (states, words):
            query = select(table.c.token).distinct()
            for places, _, _ in stored(connection, query, table, asked.distinct):
                found[places] = True
    return asked.spread(found)


def _without(tokens: Tokens, stored_records: Mapping[str, bytes]) -> dict[str, bytes | None]:
    return {name: without_people(record, tokens) for name, record in stored_records.items()}
