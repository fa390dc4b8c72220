"""The runner with a Flower that only counts: starting, following, stopping, going on. Never two runs of a job."""

import datetime
import threading

import pytest
from databases import postgres_database, postgres_server
from jobs_scene import MODELLER, Scene, job_file
from sqlalchemy.exc import IntegrityError

from federation.database import writing
from federation.proposals import JobState
from privacy.errors import PeerDropped, PeerFailed, ProfileForbidden, StateConflict
from server import attempts
from server.attempts import START_SECONDS, Attempt
from server.db.tables import EventRow
from server.jobs import runner as running
from server.jobs.claims import LEASE_SECONDS
from server.jobs.runner import MOST_ATTEMPTS
from server.records import JobRecord


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(attempts, "build_bundle", lambda: b"bundle")
    monkeypatch.setattr(attempts, "FLOWER_SECONDS", 0.0)


@pytest.fixture
def scene(tmp_path):
    made = Scene.create(tmp_path)
    yield made
    made.engine.dispose()


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture
def on_postgres(server, tmp_path):
    with postgres_database(server) as url:
        made = Scene.create(tmp_path, url)
        yield made
        made.engine.dispose()


def state_of(scene, job):
    return scene.jobs.get(job.number).state


def progress(record, session="5" * 32):
    record.event("inviting", parties=["bank", "shop"], session=session)
    record.event("joined", party="bank", version="1")


def copied(scene, job):
    return [event.kind for event in scene.jobs.events(job.number) if event.kind not in {"state", "word"}]


def states(scene, job):
    found = [event for event in scene.jobs.events(job.number) if event.kind == "state"]
    return [(event.data["state"], event.data.get("attempt")) for event in found]


# --- from approved to done


def test_an_approved_job_is_started_followed_and_done(scene):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    running_job = scene.jobs.get(job.number)
    assert (running_job.state, running_job.attempt) == (JobState.RUNNING, 1)
    assert scene.flower.started == [running_job.record]
    record = scene.record(job.number)
    assert record.job.digest == job.digest
    progress(record)
    runner.step()
    assert scene.jobs.get(job.number).session == "5" * 32
    record.finish({"seconds": {"join": 1}})
    runner.step()
    done = scene.jobs.get(job.number)
    assert (done.state, done.code) == (JobState.DONE, "")
    assert scene.jobs.outcome(done).result == {"seconds": {"join": 1}}
    assert copied(scene, job) == ["inviting", "joined", "job_done"]
    assert scene.kinds()[-2:] == ["job.started", "job.ended"]
    runner.step()
    assert len(scene.flower.started) == 1


def test_a_failed_run_is_told_in_both_languages_and_not_repeated(scene):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    scene.record(job.number).fail(PeerDropped("party_silent", party="shop", seconds=30))
    runner.step()
    failed = scene.jobs.get(job.number)
    assert (failed.state, failed.code) == (JobState.FAILED, "peer_dropped")
    assert "shop" in failed.texts["en"]
    assert "shop" in failed.texts["zh-CN"]
    runner.step()
    assert len(scene.flower.started) == 1


def test_nothing_that_is_not_approved_is_started(scene):
    scene.say(scene.jobs.propose(MODELLER, job_file()), "bank")
    scene.runner().step()
    assert scene.flower.started == []


def test_jobs_with_a_common_party_run_one_after_the_other_in_order(scene):
    first, second = scene.approved("first"), scene.approved("second", "shop", "telecom")
    third = scene.approved("third", "telecom", "bank")
    runner = scene.runner()
    runner.step()
    assert [state_of(scene, job) for job in (first, second, third)] == ["running", "approved", "approved"]
    scene.record(first.number).finish({})
    runner.step()
    assert [state_of(scene, job) for job in (first, second, third)] == ["done", "running", "approved"]
    scene.record(second.number).finish({})
    runner.step()
    assert state_of(scene, third) is JobState.RUNNING


def test_a_run_that_cannot_be_started_fails_the_job(scene):
    job = scene.approved()
    scene.flower.failing = True
    scene.runner().step()
    failed = scene.jobs.get(job.number)
    assert (failed.state, failed.code) == (JobState.FAILED, "job_unstartable")
    assert "ConnectionError" in failed.texts["en"]


def test_a_party_that_has_left_the_roster_fails_the_job(scene):
    job, roster = scene.approved(), scene.home.roster
    kept = tuple(party for party in roster.parties if party.name != "shop")
    scene.home.write_roster(type(roster)(roster.url, roster.certificate, roster.coordinator, kept))
    scene.runner().step()
    assert scene.jobs.get(job.number).code == "party_not_enrolled"
    assert scene.flower.started == []


def test_a_run_that_flower_ended_without_an_outcome_has_failed(scene):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    scene.flower.stopped.append(1)
    runner.step()
    assert state_of(scene, job) is JobState.FAILED


def test_a_run_that_never_begins_is_given_up(scene):
    job = scene.approved()
    now = [0.0]
    record = JobRecord.create(scene.home, job.job)
    attempt = Attempt(scene.home, record, scene.flower, 7, lambda: now[0])
    assert attempt.look() is None
    now[0] = START_SECONDS + 1
    assert attempt.look().status == "failed"
    assert scene.flower.stopped == [7]


# --- stopping


def test_a_running_job_is_stopped_on_request(scene):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    scene.jobs.stop(MODELLER, job.number)
    runner.step()
    stopped = scene.jobs.get(job.number)
    assert (stopped.state, stopped.code, scene.flower.stopped) == (JobState.STOPPED, "job_stopped", [1])
    assert scene.record(job.number).outcome.status == "failed"
    runner.step()
    assert scene.flower.started == [stopped.record]


def test_a_job_that_runs_for_too_long_is_stopped(scene, monkeypatch):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    monkeypatch.setattr(running, "FLOWER_TTL_SECONDS", -1)
    runner.step()
    assert scene.jobs.get(job.number).code == "job_too_long"
    assert scene.flower.stopped == [1]


# --- after a restart


def restarted(scene, name):
    """Another process of the same home: the old one's memory, and Flower's, is gone."""
    return scene.runner(name)


def test_a_job_whose_run_is_gone_goes_on_as_the_next_attempt(scene):
    job = scene.approved()
    scene.runner().step()
    first = scene.record(job.number)
    progress(first)
    again = restarted(scene, "second")
    again.step()
    now = scene.jobs.get(job.number)
    assert (now.state, now.attempt) == (JobState.RUNNING, 2)
    assert scene.flower.started == [first.job_id, now.record]
    assert now.record != first.job_id
    again.step()
    assert len(scene.flower.started) == 2
    scene.record(job.number).finish({})
    again.step()
    assert state_of(scene, job) is JobState.DONE
    assert states(scene, job) == [
        ("proposed", None),
        ("approved", None),
        ("running", 1),
        ("running", 2),
        ("done", None),
    ]


def test_what_ended_while_nobody_looked_is_written_down_once_and_not_run_again(scene):
    job, runner = scene.approved(), scene.runner()
    runner.step()
    record = scene.record(job.number)
    progress(record)
    runner.step()
    record.event("stage_started", stage="match", number=1, of=1)
    record.finish({"releases": {}})
    restarted(scene, "second").step()
    assert state_of(scene, job) is JobState.DONE
    assert copied(scene, job) == ["inviting", "joined", "stage_started", "job_done"]
    restarted(scene, "third").step()
    assert copied(scene, job) == ["inviting", "joined", "stage_started", "job_done"]
    assert len(scene.flower.started) == 1
    assert scene.kinds().count("job.ended") == 1


def test_a_refusal_is_not_tried_again(scene):
    job = scene.approved()
    scene.runner().step()
    scene.record(job.number).fail(ProfileForbidden("profile_forbidden", profile="TESTING_ONLY", minimum=2048))
    restarted(scene, "second").step()
    assert (state_of(scene, job), len(scene.flower.started)) == (JobState.FAILED, 1)


def test_what_the_end_of_the_coordinator_itself_failed_goes_on(scene):
    """The ServerApp outlives its coordinator by a moment, in which it may say that the relay is gone."""
    job = scene.approved()
    scene.runner().step()
    scene.record(job.number).fail(PeerFailed("coordinator_failed", problem="ConnectError", job="x"))
    restarted(scene, "second").step()
    assert scene.jobs.get(job.number).attempt == 2


def test_after_three_attempts_it_has_failed_with_the_reason(scene):
    job = scene.approved()
    for name in ("one", "two", "three"):
        restarted(scene, name).step()
    assert scene.jobs.get(job.number).attempt == MOST_ATTEMPTS == 3
    restarted(scene, "four").step()
    failed = scene.jobs.get(job.number)
    assert (failed.state, failed.code) == (JobState.FAILED, "coordinator_restarted")
    assert "3" in failed.texts["en"]
    assert "3" in failed.texts["zh-CN"]
    assert len(scene.flower.started) == 3


def test_a_job_that_was_to_be_stopped_is_not_started_again(scene):
    job = scene.approved()
    scene.runner().step()
    scene.jobs.stop(MODELLER, job.number)
    restarted(scene, "second").step()
    assert (state_of(scene, job), len(scene.flower.started)) == (JobState.STOPPED, 1)


def test_a_job_of_which_a_yes_has_ended_is_not_started_again(scene):
    job = scene.approved()
    scene.runner().step()
    scene.clock.forward(days=31)
    restarted(scene, "second").step()
    assert scene.jobs.get(job.number).code == "job_word_void"
    assert len(scene.flower.started) == 1


def test_a_runner_that_ends_in_order_leaves_its_jobs_to_the_next(scene):
    job, runner = scene.approved(), scene.runner("first", "one-home")
    runner.step()
    runner.leave()
    assert scene.flower.stopped == [1]
    assert state_of(scene, job) is JobState.RUNNING
    scene.runner("second", "another-home").step()
    assert scene.jobs.get(job.number).attempt == 2


def test_a_runner_does_not_die_of_a_step_that_fails(scene, monkeypatch, caplog):
    runner, stopped, steps = scene.runner(), threading.Event(), []

    def fail():
        steps.append(1)
        if len(steps) == 2:
            stopped.set()
        raise RuntimeError("a value of somebody's")

    monkeypatch.setattr(running, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(runner, "step", fail)
    runner.run(stopped)
    assert len(steps) == 2
    assert "RuntimeError" in caplog.text
    assert "somebody" not in caplog.text


# --- never two runs of one job


def test_another_homes_process_waits_until_the_claim_has_ended(scene):
    job, first = scene.approved(), scene.runner("first", "one")
    other = scene.runner("second", "two")
    first.step()
    other.step()
    assert scene.jobs.get(job.number).attempt == 1
    scene.clock.forward(seconds=LEASE_SECONDS - 1)
    first.step()  # renews
    scene.clock.forward(seconds=LEASE_SECONDS - 1)
    other.step()
    assert len(scene.flower.started) == 1
    scene.clock.forward(seconds=2)
    other.step()
    assert scene.jobs.get(job.number).attempt == 2


def test_who_has_lost_the_claim_ends_its_run(scene, monkeypatch):
    monkeypatch.setattr(running, "RENEW_SECONDS", 0.0)
    job, first = scene.approved(), scene.runner("first", "one")
    first.step()
    scene.clock.forward(seconds=LEASE_SECONDS + 1)
    scene.runner("second", "two").step()
    assert scene.flower.stopped == []
    first.step()
    assert scene.flower.stopped == [1]
    assert (state_of(scene, job), scene.jobs.get(job.number).attempt) == (JobState.RUNNING, 2)
    first.step()
    assert len(scene.flower.started) == 2


def test_a_claim_that_is_lost_changes_nothing_any_more(scene):
    job, claims = scene.approved(), scene.claims("first", "one")
    mine = claims.begin(job.number, "a-0000000000")
    scene.clock.forward(seconds=LEASE_SECONDS + 1)
    assert scene.claims("second", "two").take_over(mine, "b-0000000000").attempt == 2
    for act in (
        lambda: claims.renew(mine),
        lambda: claims.copy(mine, [{"time": 1.0, "event": "joined"}]),
        lambda: claims.note_run(mine, 1),
        lambda: claims.end(mine, JobState.DONE),
        lambda: claims.let_go(mine),
    ):
        with pytest.raises(StateConflict) as caught:
            act()
        assert caught.value.key == "run_taken_over"
    assert claims.take_over(mine, "c-0000000000") is None
    assert claims.adopt(mine) is False


def at_once(acts):
    """What each of these gives, all begun at the same moment in threads of their own."""
    found, barrier = [None] * len(acts), threading.Barrier(len(acts))

    def run(place, act):
        barrier.wait()
        found[place] = act()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.parametrize("name", ["scene", "on_postgres"])
def test_of_many_runners_that_claim_a_job_one_wins(request, name):
    scene = request.getfixturevalue(name)
    for turn in range(3):
        job = scene.approved(f"job{turn}")
        claims = [scene.claims(f"runner{number}", f"home{number}") for number in range(6)]
        won = at_once(
            [
                lambda own=own, number=job.number: own.begin(number, f"{own.runner[:5]}-0000000000")
                for own in claims
            ]
        )
        winners = [own for own, view in zip(claims, won, strict=True) if view is not None]
        assert len(winners) == 1
        assert scene.jobs.get(job.number).attempt == 1
        winners[0].end(scene.jobs.get(job.number), JobState.DONE)


@pytest.mark.parametrize("name", ["scene", "on_postgres"])
def test_of_many_runners_that_take_a_job_over_one_wins(request, name):
    scene = request.getfixturevalue(name)
    job = scene.approved()
    left = scene.claims("gone", "gone").begin(job.number, "a-0000000000")
    scene.clock.forward(seconds=LEASE_SECONDS + 1)
    claims = [scene.claims(f"runner{number}", f"home{number}") for number in range(6)]
    won = at_once([lambda own=own: own.take_over(left, "b-0000000000") for own in claims])
    assert sum(view is not None for view in won) == 1
    assert scene.jobs.get(job.number).attempt == 2


@pytest.mark.parametrize("name", ["scene", "on_postgres"])
def test_jobs_with_a_common_party_are_not_claimed_at_the_same_moment(request, name):
    scene = request.getfixturevalue(name)
    jobs = [scene.approved("a", "bank", "shop"), scene.approved("b", "shop", "telecom")]
    claims = [scene.claims(f"runner{number}", f"home{number}") for number in range(2)]
    at_once(
        [
            lambda own=own, job=job: own.begin(job.number, "x-0000000000")
            for own, job in zip(claims, jobs, strict=True)
        ]
    )
    assert [state_of(scene, job) for job in jobs] == [JobState.RUNNING, JobState.APPROVED]


@pytest.mark.parametrize("name", ["scene", "on_postgres"])
def test_words_that_come_at_the_same_moment_are_all_counted(request, name):
    scene = request.getfixturevalue(name)
    for turn in range(3):
        job = scene.jobs.propose(MODELLER, job_file(f"job{turn}"))
        at_once([lambda party=party, job=job: scene.say(job, party) for party in ("bank", "shop")])
        assert state_of(scene, job) is JobState.APPROVED
        numbers = [event.number for event in scene.jobs.events(job.number)]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("name", ["scene", "on_postgres"])
def test_the_same_job_proposed_at_the_same_moment_is_there_once(request, name):
    scene = request.getfixturevalue(name)

    def propose():
        try:
            return scene.jobs.propose(MODELLER, job_file())
        except StateConflict:
            return None

    assert sum(job is not None for job in at_once([propose] * 4)) == 1
    assert len(scene.jobs.page()) == 1


def test_a_line_becomes_one_event_whoever_copies_it(on_postgres):
    """The database itself refuses a second event of the same line."""
    scene = on_postgres
    job = scene.approved()
    claims = scene.claims()
    mine = claims.begin(job.number, "a-0000000000")
    assert claims.copy(mine, [{"time": 1.0, "event": "joined"}]) == 1

    def twice():
        with writing(scene.engine) as session:
            session.add(
                EventRow(
                    job=job.number,
                    number=99,
                    kind="joined",
                    moment=datetime.datetime.now(datetime.UTC),
                    data={},
                    attempt=1,
                    line=1,
                )
            )

    with pytest.raises(IntegrityError):
        twice()
