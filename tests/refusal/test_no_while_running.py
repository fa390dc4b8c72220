"""A person's no ends the session that runs: before its next message, and before its next stage."""

from datetime import UTC, datetime, timedelta

import pytest
from background import wait_until

from clients.approvals.deciding import deny
from clients.approvals.inbox import Inbox
from federation import session as control
from federation.jobs import encode_job
from federation.proposals import JobState, Proposal
from privacy.access import Role
from privacy.errors import Denied

NUMBER = "J-ABCDEFG2"


@pytest.fixture(autouse=True)
def running(scene):
    now = datetime.now(UTC)
    one = Proposal(
        number=NUMBER,
        job=encode_job(scene.job),
        proposer=Role.MODELLER,
        proposed=now,
        expires=now + timedelta(days=1),
        state=JobState.RUNNING,
    )
    Inbox(scene.home).mirror([one], now)


def ends_as_not_approved(scene, party):
    with pytest.raises(Denied) as caught:
        party.run()
    assert caught.value.findings.codes == ("R-JOB-NOT-APPROVED",)
    told = scene.heard()[-1][1]
    assert isinstance(told, control.StageFailed)
    assert told.reasons == ("R-JOB-NOT-APPROVED",)
    return kinds(scene)


def kinds(scene):
    return [type(message).__name__ for _, message in scene.heard()]


def test_a_no_within_a_stage(scene):
    parties = []

    def say_no():
        wait_until(lambda: "TokenList" in kinds(scene))
        deny(scene.home, NUMBER, note="no")
        wait_until(lambda: parties and parties[0]._watch.refused.is_set())

    scene.start()
    scene.script.then(say_no)
    scene.matches()
    parties.append(scene.party())
    assert "MatchRelease" not in ends_as_not_approved(scene, parties[0])


def test_a_no_before_a_stage(scene):
    scene.script.then(lambda: deny(scene.home, NUMBER, note="no"))
    scene.start()
    assert "TokenList" not in ends_as_not_approved(scene, scene.party())
