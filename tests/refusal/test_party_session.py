"""A party's session refuses what a coordinator or a partner may not do, and says why without saying too much."""

import queue
import threading

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.supercore.task_identity import TaskIdentity

from clients import session as session_module
from clients.app import make_app, read_offer
from clients.home import NodeHome, NodeSettings
from clients.session import PartySession, connect_http
from clients.tables import FieldSpec, TableSpec
from federation import align
from federation import session as control
from federation.frames import Endpoint
from federation.jobs import Job, PartyPlan, PartyRole, RiskPlan, encode_job
from federation.messages import COORDINATOR
from federation.roster import Enrolment, Roster, from_json
from federation.transport import SessionClosed
from privacy.errors import (
    CohortTooSmall,
    ConfigInvalid,
    MessageInvalid,
    PeerDropped,
    PeerFailed,
    ProfileForbidden,
    SealBroken,
    SignatureInvalid,
    UnexpectedMessage,
)
from privacy.identifiers import IdentifierKind
from privacy.sealing import Identity
from privacy.texts import LANGUAGES

SESSION = "5e5510" * 5
ROWS = 60
CANARY = "13900000007"
URL = "https://coordinator.example"
COORDINATOR_KEYS = Identity.generate()
PARTNER_KEYS = Identity.generate()


def plan(name, role=PartyRole.FEATURE_HOLDER, fields=("income",)):
    return PartyPlan(name=name, role=role, segment_fields=fields, risk_fields=fields)


def match_job(own, other, own_is_holder=True, **changes):
    """A job that only matches, between the party under test and its partner."""
    roles = [PartyRole.LABEL_HOLDER, PartyRole.FEATURE_HOLDER]
    first, second = roles if own_is_holder else reversed(roles)
    job = Job(
        name="tiny",
        purpose="marketing",
        parties=(plan(own, first), plan(other, second)),
        profile="TESTING_ONLY",
    )
    return msgspec.structs.replace(job, **changes)


JOB = match_job("bank", "shop")


class Script:
    """A transport that delivers prepared frames, then says that the session is closed."""

    def __init__(self):
        self.sent = []
        self.closed = False
        self.fails_to_send = False
        self.end = SessionClosed()
        self._frames = queue.SimpleQueue()

    def deliver(self, frames):
        for frame in frames:
            self._frames.put(frame)

    def send(self, recipient, frame):
        if self.fails_to_send:
            raise PeerDropped("relay_unreachable")
        self.sent.append((recipient, frame))

    def receive(self, state, wait_seconds=10.0):
        try:
            return self._frames.get_nowait()
        except queue.Empty:
            raise self.end from None

    def close(self):
        self.closed = True


class Scene:
    """The bank's home, its coordinator and its partner as seen from outside, and one session."""

    def __init__(self, folder):
        table = folder / "bank.csv"
        lines = [f"139{number:08d},{number % 7},{number % 2}" for number in range(ROWS)]
        table.write_text("phone,income,default\n" + "\n".join(lines))
        spec = TableSpec(
            path=str(table),
            id_column="phone",
            id_kind=IdentifierKind.PHONE,
            fields=(FieldSpec(name="income"),),
        )
        settings = NodeSettings(name="bank", table=spec, allow_testing_profile=True)
        self.home = NodeHome.create(folder / "home", settings)
        own = from_json(self.home.enrolment_file.read_bytes(), Enrolment, "enrolment.json")
        partner = Enrolment("shop", PARTNER_KEYS.public.to_text(), "PEM")
        self.home.join(Roster(URL, "PEM", COORDINATOR_KEYS.public.to_text(), (own, partner)))
        self.script = Script()
        self.connected = []
        self.use(JOB)

    def use(self, job, session=SESSION):
        """Take another job; the coordinator and the partner begin anew."""
        self.offer = control.Offer(session, URL, "token", encode_job(job))
        keys = {COORDINATOR: COORDINATOR_KEYS, "shop": PARTNER_KEYS}
        public = {name: key.public for name, key in keys.items()} | {"bank": self.home.identity.public}
        self.coordinator, self.shop = (
            Endpoint(
                name,
                keys[name],
                {peer: key for peer, key in public.items() if peer != name},
                session,
                job.digest,
            )
            for name in (COORDINATOR, "shop")
        )

    def party(self):
        def connect(offer):
            self.connected.append(offer)
            return self.script

        return PartySession(self.home, self.offer, connect)

    def says(self, stage, message, sender=None):
        """Let a peer (default: the coordinator) send a message."""
        self.script.deliver((sender or self.coordinator).seal("bank", stage, message))

    def start(self, number=1, name="match"):
        self.says(0 if number < 0 else number, control.StartStage(stage=number, name=name))

    def heard(self):
        """(stage, message) of everything the coordinator received."""
        opened = [self.coordinator.open(frame) for to, frame in self.script.sent if to == COORDINATOR]
        return [(item.stage, item.message) for item in opened if item]


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.home.vault.close()


def matched(rows=ROWS):
    return align.Matched(positions=np.arange(rows, dtype=np.uint32))


def refuses_offer(scene, error, key):
    """The offer is refused before anything has been sent or any relay called."""
    with pytest.raises(error) as caught:
        scene.party()
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)
    assert not scene.connected
    assert not scene.script.sent
    return caught.value


def fails(scene, error, key):
    """The session ends with this error, and the coordinator is told in both languages."""
    with pytest.raises(error) as caught:
        scene.party().run()
    assert type(caught.value) is error
    assert caught.value.key == key
    _, told = scene.heard()[-1]
    assert isinstance(told, control.StageFailed)
    assert told.code == error.code
    assert told.texts == {language: caught.value.render(language) for language in LANGUAGES}
    assert set(told.texts) == {"en", "zh-CN"}
    assert told.texts["en"] != told.texts["zh-CN"]
    assert CANARY not in repr(told)
    assert scene.script.closed
    return told


# --- an honest session


def test_an_honest_session_matches_and_says_goodbye(scene):
    scene.start()
    scene.says(1, matched())
    scene.says(0, control.EndSession())
    scene.party().run()
    heard = scene.heard()
    kinds = [type(message).__name__ for _, message in heard if not isinstance(message, control.StageProgress)]
    assert kinds == ["Ready", "TokenList", "MatchRelease", "StageFinished"]
    assert [stage for stage, _ in heard] == [0] + [1] * (len(heard) - 1)
    finished = heard[-1][1]
    assert finished.received == {"align.matched/1": 1}
    assert finished.bytes_sent.keys() == {COORDINATOR, "shop"}
    assert scene.home.vault.names() == [
        "flower_key", "identity", f"job/{SESSION}/handle", f"job/{SESSION}/job",
    ]  # fmt: skip
    assert scene.script.closed
    assert not [thread for thread in threading.enumerate() if thread.name == "inbox" and thread.is_alive()]


def test_a_partners_message_waits_until_the_stage_begins(scene):
    job = match_job("bank", "shop", own_is_holder=False)
    scene.use(job)
    scene.says(1, align.MatchingKey(kind="phone", key=bytes(32)), scene.shop)
    scene.start()
    scene.says(1, matched())
    scene.says(0, control.EndSession())
    scene.party().run()
    assert isinstance(scene.heard()[-1][1], control.StageFinished)


# --- offers that are refused


def test_a_job_with_strangers(scene):
    parties = (*JOB.parties, plan("telecom"), plan("insurer"))
    scene.use(match_job("bank", "shop", parties=parties))
    error = refuses_offer(scene, UnexpectedMessage, "job_with_strangers")
    assert "insurer, telecom" in error.render("en")


def test_a_job_without_this_party(scene):
    scene.use(match_job("insurer", "shop"))
    refuses_offer(scene, ConfigInvalid, "job_party_unknown")


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
    scene.says(0, control.EndSession())
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


# --- out of turn


@pytest.mark.parametrize(
    ("number", "name"),
    [(2, "match"), (0, "match"), (-1, "match"), (1, "risk"), (1, "score"), (1, ""), (1, CANARY)],
)
def test_another_stage_than_the_next(scene, number, name):
    scene.start(number, name)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_stage_that_is_started_twice(scene):
    scene.start()
    scene.start()
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.xfail(
    raises=IndexError, reason="PartySession._start looks the stage up before it knows that there is one"
)
def test_a_stage_after_the_last(scene):
    scene.start()
    scene.says(1, matched())
    scene.start(2, "score")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_message_before_any_stage(scene):
    scene.says(0, matched())
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_message_of_an_earlier_stage(scene):
    scene.start()
    scene.says(0, matched())
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_message_after_the_stage(scene):
    scene.start()
    scene.says(1, matched())
    scene.says(1, matched())
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("message", [control.EndSession(), control.StartStage(stage=1, name="match"),
                                     control.Abort(code="x", texts={}), matched()])  # fmt: skip
def test_a_partner_gives_no_orders(scene, message):
    scene.start()
    scene.says(1, message, scene.shop)
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("message", [control.Ready(version="1"), control.StageFailed(code="x", texts={}),
                                     align.TokenList(tokens=b"")])  # fmt: skip
def test_messages_that_are_for_the_coordinator(scene, message):
    scene.start()
    scene.says(1, message)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_too_many_messages_for_later_stages(scene, monkeypatch):
    monkeypatch.setattr(session_module, "MAX_EARLY_MESSAGES", 3)
    for _ in range(4):
        scene.says(1, align.MatchingKey(kind="phone", key=bytes(32)), scene.shop)
    fails(scene, MessageInvalid, "message_oversized")


# --- frames that are refused


def test_a_frame_with_a_wrong_signature(scene):
    forged = Endpoint(COORDINATOR, PARTNER_KEYS, {"bank": scene.home.identity.public}, SESSION, JOB.digest)
    scene.says(0, control.EndSession(), forged)
    fails(scene, SignatureInvalid, "signature_invalid")


def test_a_frame_that_does_not_open(scene):
    misdirected = Endpoint(COORDINATOR, COORDINATOR_KEYS, {"bank": PARTNER_KEYS.public}, SESSION, JOB.digest)
    scene.says(0, control.EndSession(), misdirected)
    fails(scene, SealBroken, "seal_broken")


def test_a_frame_of_another_job(scene):
    other = match_job("bank", "shop", purpose="other")
    foreign = Endpoint(
        COORDINATOR, COORDINATOR_KEYS, {"bank": scene.home.identity.public}, SESSION, other.digest
    )
    scene.says(0, control.EndSession(), foreign)
    fails(scene, UnexpectedMessage, "frame_foreign")


def test_a_replayed_frame(scene):
    (frame,) = scene.coordinator.seal("bank", 1, control.StartStage(stage=1, name="match"))
    scene.script.deliver([frame, frame])
    fails(scene, UnexpectedMessage, "frame_out_of_order")


def test_garbage(scene):
    scene.script.deliver([CANARY.encode()])
    fails(scene, MessageInvalid, "message_undecodable")


# --- failures


def test_a_refusal_of_a_role_is_told(scene):
    scene.start()
    scene.says(1, matched(3))
    told = fails(scene, CohortTooSmall, "align_overlap_small")
    assert told.code == "cohort_too_small"
    assert f"job/{SESSION}/handle" not in scene.home.vault.names()


def test_a_job_that_needs_a_label_that_is_not_there(scene):
    scene.use(match_job("bank", "shop", risk=RiskPlan()))
    scene.start()
    fails(scene, ConfigInvalid, "label_not_registered")


def test_an_unforeseen_error_tells_only_its_type(scene, monkeypatch):
    def breaks(*_):
        raise ValueError(f"row of {CANARY}")

    monkeypatch.setattr(align.LabelHolder, "receive", breaks)
    scene.start()
    scene.says(1, matched())
    with pytest.raises(ValueError, match=CANARY):
        scene.party().run()
    _, told = scene.heard()[-1]
    assert isinstance(told, control.StageFailed)
    assert told.code == PeerFailed.code
    assert set(told.texts) == {"en", "zh-CN"}
    for text in told.texts.values():
        assert "ValueError" in text
        assert CANARY not in text
    assert CANARY not in repr(told)
    assert scene.script.closed


def test_an_abort_is_passed_on_in_the_process_language_and_not_reported_back(scene, monkeypatch):
    texts = {"en": "shop: disk full", "zh-CN": "商店：磁盘已满"}
    for language in LANGUAGES:
        monkeypatch.setenv("SILHOUETTE_LANG", language)
        scene.use(JOB, session=f"session-{language}")
        scene.script = Script()
        scene.start()
        scene.says(0, control.Abort(code="peer_failed", texts=texts))
        with pytest.raises(PeerFailed) as caught:
            scene.party().run()
        assert caught.value.key == "aborted"
        assert texts[language] in str(caught.value)
        assert not [message for _, message in scene.heard() if isinstance(message, control.StageFailed)]


def test_an_abort_without_text_tells_its_code(scene):
    scene.says(0, control.Abort(code="deadline_passed", texts={}))
    with pytest.raises(PeerFailed, match="deadline_passed"):
        scene.party().run()


def test_a_session_that_the_coordinator_closes(scene):
    scene.start()
    fails(scene, PeerDropped, "session_closed")


def test_a_relay_that_goes_away(scene):
    scene.script.end = PeerDropped("relay_unreachable")
    fails(scene, PeerDropped, "relay_unreachable")


def test_a_relay_that_fails_unforeseen_tells_only_the_type(scene):
    scene.script.end = OSError(f"{CANARY} unreachable")
    with pytest.raises(PeerFailed) as caught:
        scene.party().run()
    assert caught.value.key == "relay_failed"
    assert "OSError" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_report_that_cannot_be_sent_hides_nothing(scene, monkeypatch):
    scene.says(0, matched())
    party = scene.party()
    send = PartySession._send

    def only_the_first(self, outgoing, stage):
        send(self, outgoing, stage)
        scene.script.fails_to_send = True

    monkeypatch.setattr(PartySession, "_send", only_the_first)
    with pytest.raises(UnexpectedMessage):
        party.run()
    assert scene.script.closed


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
