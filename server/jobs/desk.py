"""What stands behind the desk of the public port: proposals out, words and publications in."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine, select

from federation.database import reading, writing
from federation.messages import COORDINATOR
from federation.pace import utc_now
from federation.proposals import Proposal, Word
from federation.publications import Noun, Publication, open_publication
from privacy.errors import ConfigInvalid, SilhouetteError, StateConflict
from server.db.engine import exclusively
from server.db.tables import PublicationRow
from server.home import CoordinatorHome
from server.jobs.proposals import Jobs

PUBLICATIONS_LOCK: Final = 0x50554253
"""Of `server.db.engine.exclusively`."""


class Desk:
    """The `DeskService` of `server.desk_routes`. Any thread may use it."""

    def __init__(self, jobs: Jobs, publications: Publications) -> None:
        self._jobs, self._publications = jobs, publications

    def proposals_for(self, party: str) -> list[Proposal]:
        """The open jobs that this party takes part in, the oldest first."""
        return [job.proposal for job in self._jobs.proposals_for(party)]

    def take_word(self, word: Word, signed: bytes) -> None:
        """A party's word on a proposal (`Jobs.word`)."""
        self._jobs.word(signed, word.party)

    def take_publication(self, noun: Noun, publication: Publication, signed: bytes) -> None:
        """A party's list of a noun (`Publications.take`)."""
        self._publications.take(noun, publication.party, signed)


class Publications:
    """What parties tell of themselves: one list of each noun, the newest. Any thread and any process may use it."""

    def __init__(
        self, engine: Engine, home: CoordinatorHome, now: Callable[[], datetime.datetime] = utc_now
    ) -> None:
        self._engine, self._home, self._now = engine, home, now

    def take(self, noun: Noun, party: str, signed: bytes) -> None:
        """Replace a party's list; the same bytes again change nothing.

        Raises `StateConflict` when a list with this number or a later one is there, and what `open_publication` does.
        """
        roster = self._home.roster
        identity = roster.identities(without=COORDINATOR).get(party)
        if identity is None:
            raise ConfigInvalid("party_not_enrolled", party=party)
        found = open_publication(signed, noun, party, identity, roster.coordinator)
        with writing(self._engine) as session:
            # A party's first list has no row yet that could be held.
            exclusively(session, PUBLICATIONS_LOCK)
            row = session.get(PublicationRow, (party, noun.value), with_for_update=True)
            if row is not None and row.signed == signed:
                return
            if row is not None and row.number >= found.number:
                raise StateConflict("publication_old", party=party)
            session.merge(
                PublicationRow(
                    party=party, noun=noun.value, number=found.number, signed=signed, received=self._now()
                )
            )

    def of(self, noun: Noun) -> dict[str, Publication]:
        """Every party's list of a noun, by party; of parties that are no longer enrolled, and what was signed with
        other keys than the party has now, nothing is shown.
        """
        roster = self._home.roster
        identities = roster.identities(without=COORDINATOR)
        query = select(PublicationRow).where(PublicationRow.noun == noun.value).order_by(PublicationRow.party)
        with reading(self._engine) as session:
            rows = session.scalars(query).all()
        shown: dict[str, Publication] = {}
        for row in rows:
            identity = identities.get(row.party)
            if identity is not None:
                with contextlib.suppress(SilhouetteError):
                    shown[row.party] = open_publication(
                        row.signed, noun, row.party, identity, roster.coordinator
                    )
        return shown
