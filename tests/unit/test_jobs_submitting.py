"""A job of the command line: proposed, followed through words, run and end, and taken back. Flower only counts here."""

import threading

import pytest
from jobs_scene import Scene, job_file

from federation.jobfile import job_file_of
from federation.proposals import JobState
from privacy.errors import ConfigInvalid, PeerDropped, StateConflict
from privacy.texts import LANGUAGES
from server import attempts
from server.home import CoordinatorHome
from server.jobs import submitting
from server.jobs.submitting import OPERATOR, SubmittedJob

LONG = 10.0


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(attempts, "build_bundle", lambda: b"bundle")
    monkeypatch.setattr(attempts, "FLOWER_SECONDS", 0.0)
    monkeypatch.setattr(submitting, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(submitting, "LEAVE_SECONDS", 1.0)


@pytest.fixture
def scene(tmp_path, monkeypatch):
    made = Scene.create(tmp_path)
    # The command line opens the home by itself: it has to find the tests' database and their clock there.
    monkeypatch.setattr(CoordinatorHome, "database", made.engine)
    monkeypatch.setattr(submitting, "Jobs", lambda engine, home, log: made.jobs)
    yield made
    made.engine.dispose()


def submit(scene, name="lending"):
    return SubmittedJob(scene.home, job_file_of(job_file(name), "job.toml").job)


class Following:
    """`follow` in a thread; every event that it reports is kept."""

    def __init__(self, submitted):
        self.events, self.outcome, self.error = [], None, None
        self._submitted = submitted
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            self.outcome = self._submitted.follow(self.events.append)
        except Exception as error:
            self.error = error

    def until(self, is_there):
        give_up = threading.Event()
        for _ in range(int(LONG * 100)):
            if any(is_there(event) for event in list(self.events)):
                return
            give_up.wait(0.01)
        raise AssertionError(self.events)

    def end(self):
        self._thread.join(LONG)
        assert not self._thread.is_alive(), self.events
        return self.outcome

    @property
    def kinds(self):
        return [event["event"] for event in self.events]


def waits_for(*parties):
    return lambda event: event["event"] == "waiting" and event["parties"] == list(parties)


def test_a_job_is_followed_from_the_first_word_to_its_result(scene):
    submitted = submit(scene)
    job = scene.jobs.get(submitted.number)
    assert (job.proposer, job.proposer_role.value) == (OPERATOR.name, "operator")
    following = Following(submitted)
    following.until(waits_for("bank", "shop"))
    scene.say(job, "bank")
    following.until(waits_for("shop"))
    assert scene.flower.started == []
    scene.say(job, "shop")
    following.until(waits_for())
    runner = scene.runner()
    runner.step()
    record = scene.record(submitted.number)
    record.event("inviting", parties=["bank", "shop"], session="5" * 32)
    record.event("joined", party="bank", version="1")
    record.finish({"seconds": {"join": 1}})
    runner.step()
    outcome = following.end()
    assert (outcome.status, outcome.result) == ("done", {"seconds": {"join": 1}})
    assert submitted.session == "5" * 32
    told = [kind for kind in following.kinds if kind not in {"state", "waiting"}]
    assert told == ["word", "word", "inviting", "joined", "job_done"]
    states = [event["state"] for event in following.events if event["event"] == "state"]
    assert states == ["proposed", "approved", "running", "done"]


def test_whoever_refuses_is_named_with_codes_article_and_remedy(scene):
    submitted = submit(scene)
    following = Following(submitted)
    scene.say(scene.jobs.get(submitted.number), "shop", approved=False)
    outcome = following.end()
    assert (outcome.status, outcome.code, outcome.result) == ("failed", "R-PURPOSE-MISMATCH", {})
    for language in LANGUAGES:
        assert outcome.texts[language].startswith("shop")
        assert "R-PURPOSE-MISMATCH [PIPL" in outcome.texts[language]
        assert "bank" not in outcome.texts[language]
    assert outcome.texts["en"] != outcome.texts["zh-CN"]
    assert scene.flower.started == []


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ((), "somebody there has said no"),
        (("profile_forbidden",), "security profile 'standard'"),
        (("disclosure_not_accepted",), "accept_distance_disclosure"),
        (("unexpected_message",), "(unexpected_message)"),
        (("R-PURPOSE-MISMATCH", "disclosure_not_accepted"), "accept_distance_disclosure"),
    ],
)
def test_a_no_for_other_reasons_is_told_too(scene, reasons, said):
    submitted = submit(scene)
    scene.say(scene.jobs.get(submitted.number), "shop", approved=False, reasons=reasons)
    outcome = submitted.follow(lambda event: None)
    assert said in outcome.texts["en"]
    assert outcome.texts["zh-CN"].startswith("shop")


def test_a_proposal_that_nobody_answers_expires_and_names_them(scene):
    submitted = submit(scene)
    scene.say(scene.jobs.get(submitted.number), "bank")
    scene.clock.forward(days=15)
    scene.jobs.expire()
    outcome = submitted.follow(lambda event: None)
    assert (outcome.status, outcome.code) == ("failed", "job_expired")
    assert "shop" in outcome.texts["en"]
    assert "已过期" in outcome.texts["zh-CN"]


def test_an_interrupt_takes_the_proposal_back(scene):
    submitted = submit(scene)
    submitted.interrupt()
    assert scene.jobs.get(submitted.number).state is JobState.STOPPED
    submitted.interrupt()
    outcome = submitted.follow(lambda event: None)
    assert (outcome.status, outcome.code) == ("failed", "job_stopped")
    assert submit(scene).number != submitted.number


def test_an_interrupt_stops_the_run(scene):
    submitted = submit(scene)
    for party in ("bank", "shop"):
        scene.say(scene.jobs.get(submitted.number), party)
    runner = scene.runner()
    runner.step()
    interrupting = threading.Thread(target=submitted.interrupt, daemon=True)
    interrupting.start()
    following = Following(submitted)
    while not scene.jobs.get(submitted.number).is_stopping:
        assert interrupting.is_alive()
    runner.step()
    interrupting.join(LONG)
    assert following.end().code == "job_stopped"
    assert scene.flower.stopped == [1]


def test_a_coordinator_that_does_not_serve_is_not_waited_for(scene, monkeypatch):
    scene.home.write_running(None)
    with pytest.raises(ConfigInvalid) as refused:
        submit(scene)
    assert refused.value.key == "not_serving"
    assert scene.jobs.page() == []


def test_a_proposal_is_taken_back_when_the_coordinator_has_gone(scene, monkeypatch):
    monkeypatch.setattr(submitting, "LOST_SECONDS", 0.0)
    submitted = submit(scene)
    scene.home.write_running(None)
    with pytest.raises(ConfigInvalid) as refused:
        submitted.follow(lambda event: None)
    assert refused.value.key == "not_serving"
    assert scene.jobs.get(submitted.number).state is JobState.STOPPED


def test_strangers_and_the_same_job_twice_are_refused(scene):
    submit(scene)
    with pytest.raises(StateConflict) as refused:
        submit(scene)
    assert refused.value.key == "job_proposed_already"
    with pytest.raises(PeerDropped) as refused:
        SubmittedJob(scene.home, job_file_of(job_file("other", partner="nobody"), "job.toml").job)
    assert refused.value.key == "party_not_enrolled"
