"""How a job may go from one state to the next, as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.proposals import OPEN_STATES, JobState
from privacy.errors import StateConflict

NEXT_STATES: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.PROPOSED: frozenset({JobState.APPROVED, JobState.REFUSED, JobState.EXPIRED, JobState.STOPPED}),
    JobState.APPROVED: frozenset(
        {JobState.RUNNING, JobState.PROPOSED, JobState.REFUSED, JobState.EXPIRED, JobState.STOPPED}
    ),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.STOPPED}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.STOPPED: frozenset(),
    JobState.REFUSED: frozenset(),
    JobState.EXPIRED: frozenset(),
}
"""Back from approved to proposed: a yes has ended before the job began, and is asked for again."""
WAITING_STATES: Final = frozenset({JobState.PROPOSED, JobState.APPROVED})
"""In which parties may still answer, and nothing has run."""


def check_move(number: str, before: JobState, after: JobState) -> None:
    """Raises `StateConflict` for a move that is not in `NEXT_STATES`."""
    if before not in OPEN_STATES:
        raise StateConflict("job_over", job=number)
    if after not in NEXT_STATES[before]:
        raise StateConflict("job_move_forbidden", job=number)
