"""The coordinator makes a job that forgets from its own record of the earlier one."""

import pytest
from typer.testing import CliRunner

from federation.jobs import ForgetPlan, Job, PartyPlan, PartyRole, RiskPlan
from privacy.errors import ConfigInvalid, PeerFailed
from server.again import job_again
from server.home import CoordinatorHome
from server.records import JobRecord

FIRST, SECOND = "ab" * 16, "cd" * 16
BANK = PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=("income",))
SHOP = PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER)


@pytest.fixture
def home(tmp_path):
    return CoordinatorHome.create(tmp_path / "coordinator", "127.0.0.1", 1, "127.0.0.1")


def finished(home, *sessions, failed=False, **changes):
    job = Job(name="lending", purpose="credit_risk", parties=(BANK, SHOP), **({"risk": RiskPlan()} | changes))
    record = JobRecord.create(home, job)
    for session in sessions:
        record.event("inviting", parties=["bank", "shop"], session=session)
    if failed:
        record.fail(PeerFailed("job_interrupted"))
    else:
        record.finish({})
    return job


def test_the_job_is_the_earlier_one_again_of_what_is_left(home):
    earlier = finished(home, FIRST)
    finished(home, SECOND, risk=RiskPlan(trees=3))
    job = job_again(home, FIRST)
    assert job.is_again(earlier)
    assert (job.forget, job.project) == (ForgetPlan(session=FIRST), "lending")
    assert job_again(home, SECOND).risk.trees == 3


def test_what_was_forgotten_once_can_be_again(home):
    earlier = finished(home, FIRST, forget=ForgetPlan(session=SECOND), project="lending")
    job = job_again(home, FIRST)
    assert job.forget.session == FIRST
    assert job.is_again(earlier)


@pytest.mark.parametrize(
    "changes",
    [{"failed": True}, {"risk": None}],
    ids=["it failed", "it trained nothing"],
)
def test_what_trained_nothing_is_not_trained_again(home, changes):
    finished(home, FIRST, **changes)
    with pytest.raises(ConfigInvalid):
        job_again(home, FIRST)


def test_only_the_attempt_that_ended_well_counts(home):
    finished(home, SECOND, FIRST)
    assert job_again(home, FIRST)
    with pytest.raises(ConfigInvalid) as caught:
        job_again(home, SECOND)
    assert caught.value.key == "forget_session_unknown"


def test_the_command_names_an_unknown_session(home):
    from server.cli import app

    result = CliRunner().invoke(app, ["forget", FIRST, "--home", str(home.folder)])
    assert isinstance(result.exception, ConfigInvalid)
    assert result.exception.key == "forget_session_unknown"
