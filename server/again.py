"""A job that trains an earlier one's models again, made from the coordinator's own record of that job."""

from __future__ import annotations

import msgspec

from federation.jobs import ForgetPlan, Job, check_job
from privacy.errors import ConfigInvalid
from server.home import CoordinatorHome
from server.records import JobRecord


def job_again(home: CoordinatorHome, session: str) -> Job:
    """What the job of this session asked for, of the rows that everybody still has.

    Raises `ConfigInvalid` when no job of this coordinator ended well in that session, or it trained nothing.
    """
    for folder in sorted((home.folder / "jobs").iterdir()):
        record = JobRecord(folder)
        outcome = record.outcome
        if outcome is None or outcome.status != "done" or not _is_of(record, session):
            continue
        earlier = record.job
        job = msgspec.structs.replace(
            earlier, project=earlier.project_name, forget=ForgetPlan(session=session)
        )
        check_job(job)
        return job
    raise ConfigInvalid("forget_session_unknown", name=session)


def _is_of(record: JobRecord, session: str) -> bool:
    """Whether the record's last attempt, the one that ended well, was in this session."""
    sessions = [event["session"] for event in record.events() if event.get("session")]
    return bool(sessions) and sessions[-1] == session
