"""kill -9 of the coordinator while a job runs: started again, it goes on with the job, and nothing is there twice."""

from __future__ import annotations

import contextlib
import datetime
import os
import signal
import time

import pytest
from sqlalchemy import Engine

from clients.finished import sessions_with
from clients.home import NodeHome
from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.jobfile import read_job_file
from federation.jobs import Job, encode_job
from federation.proposals import DecidedBy, JobState, Word, sign_word
from privacy.access import Caller, Means, Role
from server.jobs.proposals import Jobs
from server.jobs.views import JobView
from server.local import LocalFederation

pytestmark = pytest.mark.timeout(400)
MODELLER = Caller("ada", frozenset({Role.MODELLER}), Means.LOGIN)
WAIT_SECONDS = 200.0
JOB_SETTINGS = """profile = "TESTING_ONLY"
"""
DEADLINES = """
[deadlines]
join = 150
silence = 15
step = 120
"""


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    write_world(make_world(1500, seed=5), folder / "world")
    file = write_job(folder / "world", with_scorecard=False)
    file.write_text(JOB_SETTINGS + file.read_text() + DEADLINES)
    parsed = read_job_file(file)
    local = LocalFederation(folder / "federation", parsed, file)
    local.start()
    yield local, parsed.job
    local.stop()


def jobs_of(local: LocalFederation) -> Jobs:
    home = local.coordinator
    return Jobs(home.database, home, home.audit)


def say_yes(local: LocalFederation, jobs: Jobs, job: JobView) -> None:
    """What nodes do, where nobody is asked."""
    now = datetime.datetime.now(datetime.UTC)
    for party in job.parties:
        word = Word(
            number=job.number,
            digest=job.digest,
            party=party,
            approved=True,
            revision=1,
            made=now,
            until=now + datetime.timedelta(days=1),
            policy="",
            code="c" * 64,
            by=DecidedBy.POLICY,
        )
        home = NodeHome.open(local.home_of(party))
        with contextlib.suppress(Exception):  # the node itself has been faster
            jobs.word(sign_word(word, home.identity, local.coordinator.roster.coordinator), party)


def wait_for(jobs: Jobs, number: str, condition) -> JobView:
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition(job := jobs.get(number)):
        assert time.monotonic() < give_up, (job.state, job.attempt, jobs.events(number)[-5:])
        assert job.state in {JobState.PROPOSED, JobState.APPROVED, JobState.RUNNING}, job.texts
        time.sleep(0.1)
    return job


def with_trees(job: Job, trees: int) -> Job:
    import msgspec

    risk = msgspec.structs.replace(job.risk, trees=trees)
    return msgspec.structs.replace(job, risk=risk, segments=None)


def kill_coordinator(local: LocalFederation) -> int:
    pid = local.coordinator.running.pid
    os.kill(pid, signal.SIGKILL)
    local._children["coordinator"].end_by(time.monotonic() + 10)
    return pid


def test_a_job_goes_on_after_the_coordinator_was_killed(federation) -> None:
    local, job = federation
    jobs = jobs_of(local)
    engine: Engine = local.coordinator.database
    assert engine.dialect.name == "sqlite"
    proposed = jobs.propose(MODELLER, with_trees(job, 12))
    assert proposed.data == encode_job(proposed.job)
    say_yes(local, jobs, proposed)
    number = proposed.number
    wait_for(
        jobs,
        number,
        lambda _: any(event.data.get("step") == "boosting.trees" for event in jobs.events(number)),
    )
    killed = kill_coordinator(local)
    before = jobs.get(number)
    assert (before.state, before.attempt) == (JobState.RUNNING, 1)

    local._children["coordinator"].start()
    done = wait_for(jobs, number, lambda found: found.state is JobState.DONE)
    assert local.coordinator.running.pid != killed
    assert done.attempt == 2
    assert done.record != before.record
    outcome = jobs.outcome(done)
    assert outcome is not None
    assert set(outcome.result["releases"]) == set(job.roles.all)

    events = jobs.events(number, limit=100_000)
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.data["state"] for event in events if event.kind == "state"].count("done") == 1
    assert [event.kind for event in events].count("job_done") == 1
    assert [event.data["attempt"] for event in events if event.data.get("state") == "running"] == [1, 2]
    logged = [event for event in local.coordinator.audit.events() if event.artefact == number]
    assert [event.type.value for event in logged].count("job.ended") == 1
    assert [event.numbers.get("attempt") for event in logged if event.type == "job.started"] == [1, 2]
    # Only the attempt that ended well has results: the first left no scores.
    holder = NodeHome.open(local.home_of(done.label_holder)).vault
    assert sessions_with(holder, "scores") == [done.session]
