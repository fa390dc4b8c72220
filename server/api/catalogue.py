"""What parties have published, opened and checked once for each list that has come."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from sqlalchemy import Engine, select

from federation.database import reading
from federation.publications import Noun, Publication
from federation.roster import Roster
from server.db.tables import PublicationRow
from server.home import CoordinatorHome
from server.jobs.desk import Publications

_Seen = tuple[Roster, tuple[tuple[str, int], ...]]
"""The roster, and each party's list by its number: a list has a number that no earlier one had."""


class Catalogue:
    """Any thread may use it. A signature is checked again only when a list or the roster is another one."""

    def __init__(self, engine: Engine, home: CoordinatorHome, publications: Publications) -> None:
        self._engine, self._home, self._publications = engine, home, publications
        self._kept: dict[Noun, tuple[_Seen, Mapping[str, Publication]]] = {}
        self._mutex = threading.Lock()

    def of(self, noun: Noun) -> Mapping[str, Publication]:
        """Every party's newest list of a noun, by party, as `Publications.of`."""
        seen = (self._home.roster, self._numbers(noun))
        with self._mutex:
            kept = self._kept.get(noun)
            if kept is None or kept[0] != seen:
                kept = self._kept[noun] = (seen, self._publications.of(noun))
            return kept[1]

    def _numbers(self, noun: Noun) -> tuple[tuple[str, int], ...]:
        query = select(PublicationRow.party, PublicationRow.number).where(PublicationRow.noun == noun.value)
        with reading(self._engine) as session:
            return tuple((party, number) for party, number in session.execute(query.order_by("party")))
