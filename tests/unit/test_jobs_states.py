"""Jobs from their proposal to the parties' words: every move that is allowed, and every one that is not."""

import datetime
import itertools

import msgspec
import pytest
from jobs_scene import MODELLER, NOON, Scene, job_file

from federation.proposals import (
    MAX_JOB_BYTES,
    MAX_PROPOSALS,
    OPEN_STATES,
    JobState,
    Standing,
    encode_proposals,
)
from privacy.access import Role
from privacy.errors import (
    ConfigInvalid,
    LogUnavailable,
    MessageInvalid,
    NotFound,
    SignatureInvalid,
    StateConflict,
    UnexpectedMessage,
)
from server.jobs import proposals
from server.jobs.states import NEXT_STATES, check_move


@pytest.fixture
def scene(tmp_path):
    made = Scene.create(tmp_path)
    yield made
    made.engine.dispose()


def refuses(error, key, act, *arguments, **names):
    with pytest.raises(error) as caught:
        act(*arguments, **names)
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in ("en", "zh-CN"))


def kinds(scene, number):
    return [
        (event.kind, event.data.get("state", event.data.get("party"))) for event in scene.jobs.events(number)
    ]


# --- the table of moves


def test_every_state_has_its_moves_and_an_ended_one_has_none():
    assert set(NEXT_STATES) == set(JobState)
    assert {state for state, moves in NEXT_STATES.items() if not moves} == set(JobState) - OPEN_STATES


def test_nothing_runs_that_was_not_approved():
    assert [state for state, moves in NEXT_STATES.items() if JobState.RUNNING in moves] == [JobState.APPROVED]


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_moves_that_are_not_in_the_table_are_refused(before, after):
    if after in NEXT_STATES[before]:
        check_move("J-AAAAAAAA", before, after)
        return
    key = "job_move_forbidden" if before in OPEN_STATES else "job_over"
    refuses(StateConflict, key, check_move, "J-AAAAAAAA", before, after)


# --- proposing


def test_a_proposal_asks_everybody(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    assert (job.state, job.waiting_for, job.proposer, job.proposer_role) == (
        JobState.PROPOSED,
        ("bank", "shop"),
        "ada",
        Role.MODELLER,
    )
    assert job.job.digest == job.digest
    assert job.expires == NOON + datetime.timedelta(days=14)
    assert scene.jobs.get(job.number) == job
    assert [found.number for found in scene.jobs.proposals_for("shop")] == [job.number]
    assert scene.jobs.proposals_for("telecom") == []
    assert scene.kinds() == ["job.proposed"]
    assert encode_proposals([found.proposal for found in scene.jobs.proposals_for("shop")])


def test_the_proposal_hides_who_proposed(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    assert b"ada" not in msgspec.msgpack.encode(job.proposal)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (job_file() + "[party.table]\npath = 'x.csv'\n", "job_holds_tables"),
        (job_file() + "policy = 'p.toml'\n", "job_holds_tables"),
        (job_file(partner="stranger"), "party_not_enrolled"),
        ("name = ", "file_invalid"),
        (job_file() + "unknown = 1\n", "file_invalid"),
        (job_file().encode() + b"\xff", "job_not_toml"),
        ("#" * (MAX_JOB_BYTES + 1), "job_too_large"),
        (job_file(holder="shop"), "job_invalid"),
    ],
)
def test_what_is_no_job_for_a_coordinator_is_refused(scene, source, key):
    refuses(ConfigInvalid, key, scene.jobs.propose, MODELLER, source)
    assert scene.jobs.page() == []
    assert scene.kinds() == []


@pytest.mark.parametrize("days", [0, 91])
def test_a_proposal_stands_for_a_bounded_time(scene, days):
    refuses(ConfigInvalid, "job_days", scene.jobs.propose, MODELLER, job_file(), days)


def test_the_same_job_is_not_proposed_twice_at_a_time(scene):
    first = scene.jobs.propose(MODELLER, job_file())
    refuses(StateConflict, "job_proposed_already", scene.jobs.propose, MODELLER, job_file())
    scene.jobs.stop(MODELLER, first.number)
    assert scene.jobs.propose(MODELLER, job_file()).number != first.number


def test_a_party_has_no_more_open_jobs_than_it_can_be_told_of(scene, monkeypatch):
    from server.jobs import checks

    monkeypatch.setattr(checks, "MAX_PROPOSALS", 2)
    for name in ("a", "b"):
        scene.jobs.propose(MODELLER, job_file(name))
    refuses(StateConflict, "job_too_many", scene.jobs.propose, MODELLER, job_file("c"))
    refuses(StateConflict, "job_too_many", scene.jobs.propose, MODELLER, job_file("c", "telecom"))
    assert MAX_PROPOSALS >= 100


def test_without_a_log_nothing_is_proposed(scene, monkeypatch):
    def fail(*_arguments, **_names):
        raise LogUnavailable("log_unavailable", folder="x", problem="full")

    monkeypatch.setattr(type(scene.home.audit), "append", fail)
    with pytest.raises(LogUnavailable):
        scene.jobs.propose(MODELLER, job_file())
    assert scene.jobs.page() == []


def test_a_preview_tells_of_every_party(scene):
    found = scene.jobs.preview(scene.jobs.read(job_file()))
    assert [party.party for party in found] == ["bank", "shop"]
    assert all(stage.items for party in found for stage in party.stages)


# --- words


def test_the_last_yes_makes_it_ready(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    half = scene.say(job, "bank")
    assert (half.state, half.waiting_for) == (JobState.PROPOSED, ("shop",))
    ready = scene.say(job, "shop")
    assert (ready.state, ready.is_approved) == (JobState.APPROVED, True)
    assert kinds(scene, job.number) == [
        ("state", "proposed"),
        ("word", "bank"),
        ("word", "shop"),
        ("state", "approved"),
    ]
    assert [event.number for event in scene.jobs.events(job.number)] == [1, 2, 3, 4]
    assert scene.kinds() == ["job.proposed", "job.approved", "job.approved"]


def test_one_no_refuses_it_for_everybody(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    scene.say(job, "bank")
    refused = scene.say(job, "shop", approved=False)
    assert (refused.state, refused.code) == (JobState.REFUSED, "R-PURPOSE-MISMATCH")
    assert {word.party: word.standing for word in refused.words} == {
        "bank": Standing.APPROVED,
        "shop": Standing.REFUSED,
    }
    refuses(StateConflict, "job_over", scene.say, job, "bank", approved=False, revision=2)
    assert scene.jobs.proposals_for("shop") == []


def test_the_same_bytes_again_change_nothing(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    signed = scene.signed(scene.word(job, "bank"))
    assert scene.jobs.word(signed, "bank") == scene.jobs.word(signed, "bank")
    assert len(scene.jobs.events(job.number)) == 2
    assert scene.kinds() == ["job.proposed", "job.approved"]


def test_a_second_word_is_refused_while_the_first_stands(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    scene.say(job, "bank", revision=2)
    refuses(StateConflict, "job_word_given", scene.say, job, "bank", revision=3)
    refuses(StateConflict, "job_word_given", scene.say, job, "bank", approved=False, revision=1)


def test_a_yes_is_taken_back_until_the_job_runs(scene):
    job = scene.approved()
    assert scene.say(job, "bank", approved=False, revision=2).state is JobState.REFUSED


def test_a_running_job_takes_no_word(scene):
    job = scene.approved()
    assert scene.claims().begin(job.number, "lending-0000000000") is not None
    refuses(StateConflict, "job_move_forbidden", scene.say, job, "bank", approved=False, revision=2)
    refuses(StateConflict, "job_move_forbidden", scene.say, job, "bank", revision=2)


def test_a_yes_that_has_ended_is_asked_for_again(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    scene.say(job, "bank", until=scene.clock() + datetime.timedelta(hours=1))
    scene.clock.forward(hours=2)
    assert scene.say(job, "shop").waiting_for == ("bank",)
    assert scene.say(job, "bank", revision=2).state is JobState.APPROVED


def test_an_approved_job_of_which_a_yes_has_ended_does_not_begin(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    scene.say(job, "bank", until=scene.clock() + datetime.timedelta(hours=1))
    scene.say(job, "shop")
    scene.clock.forward(hours=2)
    assert scene.claims().begin(job.number, "lending-0000000000") is None
    assert scene.jobs.get(job.number).state is JobState.PROPOSED
    assert scene.say(job, "bank", revision=2).state is JobState.APPROVED


@pytest.mark.parametrize(
    ("changes", "error", "key"),
    [
        ({"digest": "b" * 64}, ConfigInvalid, "job_word_other"),
        ({"number": "J-ZZZZZZZZ"}, NotFound, "job_unknown"),
    ],
)
def test_a_word_about_something_else_is_refused(scene, changes, error, key):
    job = scene.jobs.propose(MODELLER, job_file())
    refuses(error, key, scene.say, job, "bank", **changes)


def test_nobody_speaks_for_another(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    word = scene.word(job, "bank")
    with pytest.raises(SignatureInvalid):
        scene.jobs.word(scene.signed(word, "shop"), "bank")
    with pytest.raises(UnexpectedMessage):
        scene.jobs.word(scene.signed(word, "shop"), "shop")
    with pytest.raises(MessageInvalid):
        scene.jobs.word(b"nothing", "bank")
    refuses(ConfigInvalid, "job_word_stranger", scene.say, job, "telecom")
    refuses(ConfigInvalid, "party_not_enrolled", scene.jobs.word, scene.signed(word), "nobody")
    assert scene.jobs.get(job.number).waiting_for == ("bank", "shop")


def test_a_word_after_the_end_of_the_proposal_is_too_late(scene):
    job = scene.jobs.propose(MODELLER, job_file(), 1)
    scene.clock.forward(days=1)
    refuses(StateConflict, "job_over", scene.say, job, "bank")


# --- ends


@pytest.mark.parametrize("is_approved", [False, True])
def test_what_does_not_run_is_stopped_at_once(scene, is_approved):
    job = scene.approved() if is_approved else scene.jobs.propose(MODELLER, job_file())
    stopped = scene.jobs.stop(MODELLER, job.number)
    assert (stopped.state, stopped.code) == (JobState.STOPPED, "job_stopped")
    assert set(stopped.texts) == {"en", "zh-CN"}
    refuses(StateConflict, "job_over", scene.jobs.stop, MODELLER, job.number)
    assert scene.kinds()[-1] == "job.stopped"


def test_a_running_job_is_asked_to_stop_once(scene):
    job = scene.approved()
    scene.claims().begin(job.number, "lending-0000000000")
    assert scene.jobs.stop(MODELLER, job.number).is_stopping
    assert scene.jobs.stop(MODELLER, job.number).state is JobState.RUNNING
    assert scene.kinds().count("job.stopped") == 1


def test_what_waits_too_long_expires(scene):
    waiting, ready = scene.jobs.propose(MODELLER, job_file("a")), scene.approved("b")
    running = scene.approved("c", "telecom", "bank")
    assert scene.claims().begin(ready.number, "b-0000000000") is not None
    assert scene.jobs.expire() == []
    scene.clock.forward(days=15)
    assert set(scene.jobs.expire()) == {waiting.number, running.number}
    assert scene.jobs.expire() == []
    assert scene.jobs.get(waiting.number).state is JobState.EXPIRED
    assert scene.jobs.get(ready.number).state is JobState.RUNNING
    assert scene.kinds().count("job.expired") == 2


# --- looking


def test_pages_are_complete_and_do_not_overlap(scene):
    made = [scene.jobs.propose(MODELLER, job_file(f"job{number}")).number for number in range(5)]
    pages, after = [], ""
    while page := scene.jobs.page(after=after, limit=2):
        pages.append([job.number for job in page])
        after = page[-1].number
    assert sorted(itertools.chain(*pages)) == sorted(made)
    assert [len(page) for page in pages] == [2, 2, 1]


def test_the_newest_comes_first_and_pages_are_chosen_by_state_and_party(scene):
    old = scene.jobs.propose(MODELLER, job_file("old"))
    scene.clock.forward(minutes=1)
    new = scene.jobs.propose(MODELLER, job_file("new", "telecom", "bank"))
    scene.jobs.stop(MODELLER, old.number)
    assert [job.number for job in scene.jobs.page()] == [new.number, old.number]
    assert [job.number for job in scene.jobs.page(states=[JobState.STOPPED])] == [old.number]
    assert [job.number for job in scene.jobs.page(party="telecom")] == [new.number]
    assert scene.jobs.page(party="tele") == []
    assert scene.jobs.page(party="%") == []
    assert scene.jobs.counts() == {JobState.PROPOSED: 1, JobState.STOPPED: 1}


def test_an_unknown_job_is_named(scene):
    for act in (scene.jobs.get, lambda number: scene.jobs.stop(MODELLER, number)):
        refuses(NotFound, "job_unknown", act, "J-AAAAAAAA")
    refuses(NotFound, "job_unknown", scene.jobs.page, after="J-AAAAAAAA")
    assert scene.jobs.events("J-AAAAAAAA") == []


def test_numbers_can_be_logged(scene):
    from privacy.audit import is_name

    assert is_name(scene.jobs.propose(MODELLER, job_file()).number)
    assert proposals.DAYS <= proposals.MOST_DAYS


def test_a_word_of_tomorrow_is_refused(scene):
    job = scene.jobs.propose(MODELLER, job_file())
    made = scene.clock() + datetime.timedelta(days=3650)
    until = made + datetime.timedelta(days=90)
    refuses(ConfigInvalid, "job_word_early", scene.say, job, "bank", made=made, until=until)
    assert scene.jobs.get(job.number).waiting_for == ("bank", "shop")
    soon = scene.clock() + datetime.timedelta(minutes=4)
    assert scene.say(job, "bank", made=soon).waiting_for == ("shop",), "clocks are never quite alike"
