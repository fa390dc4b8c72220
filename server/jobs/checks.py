"""What a proposal and a word have to keep to beside the other jobs and words that are there."""

from __future__ import annotations

import datetime
import secrets
from typing import Final

from sqlalchemy.orm import Session

from federation.jobs import Job
from federation.post_messages import SKEW_SECONDS
from federation.proposals import MAX_PROPOSALS, JobState, Word
from privacy.access import PERMISSIONS_OF, Caller, Permission, Role
from privacy.audit import is_name
from privacy.errors import ConfigInvalid, StateConflict
from server.db.tables import JobRow, WordRow
from server.jobs.rows import open_jobs
from server.jobs.states import check_move
from server.jobs.views import holds

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
"""Base 32 (RFC 4648): no letter is taken for a digit."""
_LENGTH: Final = 8


def role_of(caller: Caller) -> Role:
    """In which of their roles somebody proposes: parties are told this, and no name."""
    may = [role for role in Role if role in caller.roles and Permission.JOBS_PROPOSE in PERMISSIONS_OF[role]]
    return may[0] if may else Role.OPERATOR


def new_number(session: Session) -> str:
    while True:
        number = "J-" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        if is_name(number) and session.get(JobRow, number) is None:
            return number


def check_room(session: Session, job: Job) -> None:
    """Raises `StateConflict` when the same job is open, or a party has more open ones than it can be told of."""
    digest, parties = job.digest, job.roles.all
    counts = dict.fromkeys(parties, 0)
    for row in session.scalars(open_jobs()):
        if row.digest == digest:
            raise StateConflict("job_proposed_already", job=row.number)
        for party in row.parties:
            if party in counts:
                counts[party] += 1
    for party, count in counts.items():
        if count >= MAX_PROPOSALS:
            raise StateConflict("job_too_many", party=party, maximum=MAX_PROPOSALS)


def check_answerable(row: JobRow, word: Word, known: WordRow | None, now: datetime.datetime) -> None:
    """Raises `StateConflict` for a word that comes too late, or while an earlier one stands, and `ConfigInvalid` for
    one that says it was made later than now: its yes would hold longer than any may.
    """
    after = JobState.APPROVED if word.approved else JobState.REFUSED
    if row.state != JobState.APPROVED or not word.approved:
        check_move(row.number, JobState(row.state), after)
    if word.made > now + datetime.timedelta(seconds=SKEW_SECONDS):
        raise ConfigInvalid("job_word_early", party=word.party, job=row.number)
    if row.expires <= now:
        raise StateConflict("job_over", job=row.number)
    if known is None:
        return
    is_renewal = not holds(known, now) or not word.approved
    if word.revision <= known.revision or not is_renewal:
        raise StateConflict("job_word_given", party=word.party, job=row.number)


def row_of(word: Word, signed: bytes, now: datetime.datetime) -> WordRow:
    return WordRow(
        job=word.number,
        party=word.party,
        approved=word.approved,
        revision=word.revision,
        by=word.by.value,
        made=word.made,
        until=word.until,
        policy=word.policy,
        code=word.code,
        reasons=list(word.reasons),
        signed=signed,
        received=now,
    )
