"""What was said with keys, or to keys, that somebody else has in their place now is no yes any more."""

import msgspec
import pytest
from desk_scene import JOB, NUMBER, DeskScene, approve, proposal
from jobs_scene import Scene

from clients.approvals.deciding import missing_approval
from federation.proposals import DecidedBy, JobState
from federation.roster import Enrolment, from_json
from privacy.sealing import Identity
from server.home import CoordinatorHome


@pytest.fixture
def scene(tmp_path):
    return Scene.create(tmp_path)


def replaced(roster, party, identity):
    parties = (
        msgspec.structs.replace(one, identity=identity.public.to_text()) if one.name == party else one
        for one in roster.parties
    )
    return msgspec.structs.replace(roster, parties=tuple(parties))


def nodes(folder, approves=DecidedBy.PERSON):
    made = DeskScene.create(folder, approves)
    made.desk.propose(proposal())
    made.traffic("shop").step()
    return made


# --- at a node


def test_a_yes_ends_with_a_partners_keys(tmp_path):
    shop = nodes(tmp_path).homes["shop"]
    approve(shop, NUMBER)
    assert not missing_approval(shop, JOB)
    shop.join(replaced(shop.roster, "bank", Identity.generate()))
    assert missing_approval(shop, JOB).codes == ("R-JOB-NOT-APPROVED",)
    approve(shop, NUMBER)
    assert not missing_approval(shop, JOB)


def test_a_yes_to_one_coordinator_is_none_to_another(tmp_path):
    made = nodes(tmp_path)
    shop = made.homes["shop"]
    approve(shop, NUMBER)
    other = CoordinatorHome.create(tmp_path / "other", "127.0.0.1", 0, "127.0.0.1")
    for home in made.homes.values():
        other.enrol(from_json(home.enrolment_file.read_bytes(), Enrolment, "enrolment"))
    shop.join(other.roster, other_coordinator=True)
    assert missing_approval(shop, JOB).codes == ("R-JOB-NOT-APPROVED",)


def test_keys_of_somebody_who_takes_no_part_change_nothing(tmp_path):
    shop = nodes(tmp_path).homes["shop"]
    approve(shop, NUMBER)
    roster = shop.roster
    telecom = msgspec.structs.replace(
        roster.parties[0], name="telecom", identity=Identity.generate().public.to_text()
    )
    shop.join(msgspec.structs.replace(roster, parties=(*roster.parties, telecom)))
    assert not missing_approval(shop, JOB)


def test_the_policy_answers_new_keys_again(tmp_path):
    made = nodes(tmp_path, DecidedBy.POLICY)
    shop, node = made.homes["shop"], made.traffic("shop")
    shop.join(replaced(shop.roster, "bank", Identity.generate()))
    for _ in range(3):
        node.step()
    assert len([call for call in made.desk.calls if call[0] == "word"]) == 2, "once for each keys"


# --- at the coordinator


def give_keys(scene, party):
    scene.identities[party] = Identity.generate()
    scene.home.write_roster(replaced(scene.home.roster, party, scene.identities[party]))


def test_a_job_does_not_begin_on_words_of_old_keys(scene):
    job = scene.approved()
    give_keys(scene, "shop")
    assert scene.claims().begin(job.number, "record") is None
    found = scene.jobs.get(job.number)
    assert (found.state, found.waiting_for) == (JobState.PROPOSED, ("shop",))
    scene.say(job, "shop", revision=2)
    assert scene.claims().begin(job.number, "record").state is JobState.RUNNING


def test_the_last_yes_does_not_count_words_of_old_keys(scene):
    job = scene.approved()
    give_keys(scene, "bank")
    give_keys(scene, "shop")
    assert scene.claims().begin(job.number, "record") is None
    assert scene.say(job, "bank", revision=2).state is JobState.PROPOSED
    give_keys(scene, "bank")
    assert scene.say(job, "shop", revision=2).waiting_for == ("bank",)


def test_a_job_that_was_left_behind_does_not_go_on_with_words_of_old_keys(scene):
    job = scene.approved()
    scene.claims("first", "before").begin(job.number, "record")
    give_keys(scene, "shop")
    scene.clock.forward(minutes=5)
    scene.runner("second").step()
    found = scene.jobs.get(job.number)
    assert (found.state, found.code) == (JobState.FAILED, "job_word_void")
    assert scene.flower.started == []
