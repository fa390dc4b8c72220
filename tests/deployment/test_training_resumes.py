"""A node is killed in the middle of a training over real Flower; the rerun of the job goes on with the next tree."""

from __future__ import annotations

import msgspec
import pytest

from clients.sample import make_world, write_world
from clients.sample.job import write_job
from federation.jobfile import read_job_file
from federation.jobs import Deadlines
from server.jobs.submitting import SubmittedJob
from server.local import LocalFederation

pytestmark = pytest.mark.timeout(300)
TREES = 20
KILLED_AFTER = 4
DYING = "ecommerce"


def trees_done(event) -> int | None:
    """How many trees the bank has, where an event tells."""
    tells = event["event"] == "progress" and event["step"] == "boosting.trees" and event["party"] == "bank"
    return event["done"] if tells else None


def test_a_killed_training_resumes(tmp_path) -> None:
    write_world(make_world(1000, seed=5), tmp_path / "world")
    file = write_job(tmp_path / "world", with_scorecard=False)
    file.write_text('profile = "TESTING_ONLY"\n' + file.read_text())
    parsed = read_job_file(file)
    job = msgspec.structs.replace(
        parsed.job,
        segments=None,
        risk=msgspec.structs.replace(parsed.job.risk, trees=TREES),
        deadlines=Deadlines(join=150, silence=15, step=120),
    )
    local = LocalFederation(tmp_path / "federation", parsed, file)
    local.start()
    try:
        seen = []

        def kill(event) -> None:
            done = trees_done(event)
            if done is not None and done >= KILLED_AFTER and not seen:
                seen.append(done)
                local.kill_node(DYING)

        outcome = SubmittedJob(local.coordinator, job).follow(kill)
        assert seen
        assert seen[0] < TREES
        assert outcome.status == "failed"
        assert DYING in outcome.texts["en"]

        again, sessions = [], []

        def note(event) -> None:
            sessions.extend([event["session"]] if "session" in event else [])
            if trees_done(event) is not None:
                again.append(trees_done(event))

        local.start_node(DYING)
        outcome = SubmittedJob(local.coordinator, job).follow(note)
        assert outcome.status == "done", outcome.texts
        assert again[0] >= seen[0]
        assert local.compare(sessions[-1])["risk"]["largest_score_difference"] < 1e-12
    finally:
        local.stop()
