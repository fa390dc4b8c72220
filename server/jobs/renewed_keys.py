"""A yes is worth as much as its signature: with the party's keys of today, to the coordinator of today."""

from __future__ import annotations

import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.messages import COORDINATOR
from federation.proposals import open_word
from federation.roster import Roster
from privacy.errors import SilhouetteError
from server.db.tables import JobRow, WordRow
from server.jobs.views import holds


def end_words_of_old_keys(session: Session, row: JobRow, roster: Roster, now: datetime.datetime) -> None:
    """What a job's parties said with keys that are not theirs any more ends, so that they are asked again.

    The job's row is held. The signed words themselves stay.
    """
    for word in session.scalars(select(WordRow).where(WordRow.job == row.number)):
        if holds(word, now) and not _may_be_theirs(word, roster):
            word.until = now
    session.flush()


def _may_be_theirs(word: WordRow, roster: Roster) -> bool:
    identity = roster.identities(without=COORDINATOR).get(word.party)
    if identity is None:  # it has left: a job with it cannot be started, which says why
        return True
    try:
        open_word(word.signed, word.party, identity, roster.coordinator)
    except SilhouetteError:
        return False
    return True
