"""A party refuses an offer that it should not follow, before anything is sent or any relay is called."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from desk_scene import approve
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.supercore.task_identity import TaskIdentity
from gate_scene import policy_for
from party_scene import CANARY, JOB, URL, Script, match_job, plan

from clients.app import make_app, read_offer
from clients.approvals.deciding import deny
from clients.approvals.inbox import Inbox
from clients.gate.policy import POLICY_RECORD, activate
from clients.home import NodeHome, NodeSettings
from clients.session import connect_http
from clients.tables import TableSpec
from federation.jobs import encode_job
from federation.proposals import DecidedBy, Proposal
from privacy.access import Role
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, Denied, MessageInvalid, ProfileForbidden, UnexpectedMessage
from privacy.identifiers import IdentifierKind
from privacy.texts import LANGUAGES


def refuses_offer(scene, error, key):
    """The offer is refused before anything has been sent or any relay called."""
    with pytest.raises(error) as caught:
        scene.party()
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)
    assert not scene.connected
    assert not scene.script.sent
    return caught.value


def test_a_job_with_strangers(scene):
    parties = (*JOB.parties, plan("telecom"), plan("insurer"))
    scene.use(match_job("bank", "shop", parties=parties))
    error = refuses_offer(scene, UnexpectedMessage, "job_with_strangers")
    assert "insurer, telecom" in error.render("en")


def test_a_job_without_this_party(scene):
    scene.use(match_job("insurer", "shop"))
    refuses_offer(scene, ConfigInvalid, "job_party_unknown")


def test_a_node_without_a_policy(scene):
    scene.home.vault.remove(POLICY_RECORD)
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-POLICY-UNAVAILABLE",)


def test_a_job_for_a_purpose_that_the_policy_does_not_have(scene):
    scene.offer = msgspec.structs.replace(
        scene.offer, job=encode_job(match_job("bank", "shop", purpose="other"))
    )
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-PURPOSE-UNREGISTERED",)
    *_, last = scene.home.audit.events()
    assert (last.type, last.reasons) == (EventType.DATASET_REFUSED, ("R-PURPOSE-UNREGISTERED",))
    assert not scene.home.vault.names("job/")


def approved_by_persons(scene):
    settings = msgspec.structs.replace(scene.home.settings, approves=DecidedBy.PERSON)
    scene.home.write_settings(settings)
    del scene.home.settings


def proposed(scene):
    now = datetime.now(UTC)
    return Proposal(
        number="J-ABCDEFG2",
        job=encode_job(scene.job),
        proposer=Role.MODELLER,
        proposed=now,
        expires=now + timedelta(days=1),
    )


def test_a_job_that_nobody_has_approved(scene):
    approved_by_persons(scene)
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-JOB-NOT-APPROVED",)
    assert error.for_others().findings[0].about == ""
    *_, last = scene.home.audit.events()
    assert (last.type, last.reasons) == (EventType.DATASET_REFUSED, ("R-JOB-NOT-APPROVED",))
    assert not scene.home.vault.names("job/")


def test_a_job_that_somebody_has_approved_may_begin(scene):
    approved_by_persons(scene)
    Inbox(scene.home).mirror([proposed(scene)], datetime.now(UTC))
    approve(scene.home, "J-ABCDEFG2")
    scene.party()
    assert scene.connected


def test_a_job_that_somebody_has_refused(scene):
    """Though the policy admits it, and decides at this node."""
    Inbox(scene.home).mirror([proposed(scene)], datetime.now(UTC))
    deny(scene.home, "J-ABCDEFG2")
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-JOB-NOT-APPROVED",)


def test_marketing_on_another_basis_than_consent(scene):
    """A table without a log of consents: a contract is no basis for profiling."""
    scene.use(match_job("bank", "shop", purpose="marketing"))
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-BASIS-MISSING",)


def test_an_agreement_that_names_another_coordinator(scene):
    policy = policy_for(scene.home, scene.job)
    agreements = (
        msgspec.structs.replace(item, coordinator_fingerprints=("0" * 16,)) for item in policy.agreements
    )
    activate(scene.home, msgspec.structs.replace(policy, agreements=tuple(agreements)), is_rehearsal=True)
    error = refuses_offer(scene, Denied, "denied")
    assert error.findings.codes == ("R-SUBDELEGATION-UNAPPROVED",)


def test_a_weak_profile(scene):
    scene.home.write_settings(msgspec.structs.replace(scene.home.settings, allow_testing_profile=False))
    scene.home = NodeHome.open(scene.home.folder)
    error = refuses_offer(scene, ProfileForbidden, "profile_forbidden")
    assert "TESTING_ONLY" in error.render("en")
    scene.use(match_job("bank", "shop", profile="standard"), session="another")
    assert scene.party()


def test_a_weak_profile_is_refused_unless_a_node_allows_it():
    assert (
        NodeSettings(
            "bank", TableSpec(path="x", id_column="y", id_kind=IdentifierKind.PHONE)
        ).allow_testing_profile
        is False
    )


def test_a_replayed_session(scene):
    scene.start()
    scene.matches()
    scene.ends()
    scene.party().run()
    scene.connected.clear()
    scene.script = Script()
    scene.home = NodeHome.open(scene.home.folder)
    refuses_offer(scene, UnexpectedMessage, "session_replayed")


@pytest.mark.parametrize(
    "job",
    [
        b"",
        b"\xff",
        b"\x81\xa4name\xa2\xff\xfe",
        msgspec.msgpack.encode({**msgspec.to_builtins(JOB), "colour": 1}),
        msgspec.msgpack.encode(
            {**msgspec.to_builtins(JOB), "parties": [msgspec.to_builtins(JOB.parties[0])]}
        ),
    ],
)
def test_what_is_no_valid_job(scene, job):
    scene.offer = msgspec.structs.replace(scene.offer, job=job)
    refuses_offer(scene, ConfigInvalid, "job_invalid")


def test_an_unknown_profile(scene):
    job = msgspec.msgpack.encode({**msgspec.to_builtins(JOB), "profile": "none"})
    scene.offer = msgspec.structs.replace(scene.offer, job=job)
    refuses_offer(scene, ConfigInvalid, "profile_unknown")


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example", "http://coordinator.example", f"{URL}/", f"{URL}.evil.example", ""]
)
def test_a_relay_that_is_not_pinned(scene, url):
    connect = connect_http(scene.home)
    with pytest.raises(UnexpectedMessage) as caught:
        connect(msgspec.structs.replace(scene.offer, relay=url))
    assert caught.value.key == "relay_not_pinned"


# --- over Flower


@pytest.fixture
def run_identity():
    """Flower stamps a message with the run it belongs to, once for a process."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SUPERLINK_NODE_ID, 1


def offered(data):
    array = Array(dtype="uint8", shape=(len(data),), stype="raw", data=data)
    return RecordDict({"offer": ArrayRecord({"offer": array})})


@pytest.mark.usefixtures("run_identity")
def test_an_offer_in_a_flower_message_is_read(scene):
    message = Message(offered(msgspec.msgpack.encode(scene.offer)), 1, "train.session")
    assert read_offer(message) == scene.offer


@pytest.mark.usefixtures("run_identity")
@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"offer": ConfigRecord({"offer": 1})}),
        RecordDict({"offer": ArrayRecord()}),
        offered(b""),
        offered(CANARY.encode()),
        offered(b"\x81\xa7session\xa2\xff\xfe"),
        offered(
            msgspec.msgpack.encode({"session": "s", "relay": "r", "token": "t", "job": b"", "colour": 1})
        ),
    ],
)
def test_a_flower_message_without_an_offer_is_refused(content):
    with pytest.raises(MessageInvalid) as caught:
        read_offer(Message(content, 1, "train.session"))
    assert CANARY not in repr(caught.value)


@pytest.mark.usefixtures("run_identity")
@pytest.mark.parametrize("kind", ["query", "train", "evaluate", "train.other"])
def test_the_client_app_answers_only_sessions(scene, kind):
    app = make_app(scene.home, lambda _offer: scene.script)
    with pytest.raises(ValueError, match=r"No .* function"):
        app(message=Message(RecordDict(), 1, kind), context=None)
    assert not scene.script.sent
