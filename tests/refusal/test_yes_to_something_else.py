"""A person's yes is to the job and the policy that they were shown, and to nothing that took their place since."""

from datetime import timedelta

import msgspec
import pytest
from desk_scene import JOB, NUMBER, OTHER, DeskScene, approve, proposal
from gate_scene import activate, policy_for

from clients.approvals import deciding
from clients.approvals.deciding import deny, missing_approval
from clients.approvals.inbox import Inbox
from clients.approvals.review import review
from federation.jobs import RiskPlan
from privacy.errors import NotFound, StateConflict
from privacy.texts import LANGUAGES

ANOTHER = msgspec.structs.replace(JOB, risk=RiskPlan(trees=50, depth=2, bins=4))


@pytest.fixture
def scene(tmp_path):
    made = DeskScene.create(tmp_path)
    made.desk.propose(proposal())
    made.traffic("shop").step()
    return made


def shown(home):
    found = review(home, Inbox(home).get(NUMBER).proposal)
    return {"digest": found.proposal.digest, "policy": found.policy}


def is_refused_as_changed(home, seen):
    with pytest.raises(StateConflict) as caught:
        deciding.approve(home, NUMBER, **seen)
    assert Inbox(home).decision(NUMBER) is None
    assert all(caught.value.render(language) for language in LANGUAGES)
    return caught.value.key == "proposal_changed"


def test_a_number_that_comes_back_with_another_job(scene):
    """The coordinator leaves the job out of one answer, in which the node forgets it, and then names another."""
    shop, node = scene.homes["shop"], scene.traffic("shop")
    seen = shown(shop)
    scene.desk.jobs.clear()
    node.step()
    assert Inbox(shop).all() == []
    scene.desk.propose(proposal(ANOTHER))
    node.step()
    with pytest.raises(NotFound):
        deciding.approve(shop, NUMBER, **seen)
    assert missing_approval(shop, ANOTHER)
    scene.desk.propose(proposal())
    node.step()
    assert deciding.approve(shop, NUMBER, **seen).word.digest == JOB.digest, "the job itself may come back"


def test_another_job_than_was_shown(scene):
    shop = scene.homes["shop"]
    assert is_refused_as_changed(shop, shown(shop) | {"digest": ANOTHER.digest})


@pytest.mark.parametrize("seen", [{"digest": ""}, {"policy": ""}])
def test_nothing_that_was_shown(scene, seen):
    shop = scene.homes["shop"]
    assert is_refused_as_changed(shop, shown(shop) | seen)


def test_another_policy_than_was_shown(scene):
    shop = scene.homes["shop"]
    seen = shown(shop)
    activate(shop, policy_for(shop, JOB, retention_days=31), is_rehearsal=True)
    assert is_refused_as_changed(shop, seen)


def test_the_last_word_counts_though_the_clock_was_set_back(scene, monkeypatch):
    shop = scene.homes["shop"]
    right = deciding.utc_now
    monkeypatch.setattr(deciding, "utc_now", lambda: right() + timedelta(seconds=90))
    approve(shop, NUMBER)
    monkeypatch.setattr(deciding, "utc_now", right)
    scene.desk.jobs.clear()
    scene.desk.propose(proposal(number=OTHER))
    scene.traffic("shop").step()
    deny(shop, OTHER)
    assert missing_approval(shop, JOB).codes == ("R-JOB-NOT-APPROVED",)
