"""A party's session refuses what a coordinator or a partner may not do, and says why without saying too much."""

import threading

import pytest
from party_scene import (
    CANARY,
    COORDINATOR_KEYS,
    JOB,
    KIND,
    MATCHING_KEY,
    PARTNER_KEYS,
    ROWS,
    SESSION,
    Script,
    match_job,
    matched,
    row_check,
)

from clients import session as session_module
from clients.session import PartySession
from federation import align
from federation import session as control
from federation.frames import Endpoint
from federation.jobs import RiskPlan
from federation.messages import COORDINATOR
from privacy.errors import (
    CohortTooSmall,
    ConfigInvalid,
    MessageInvalid,
    PeerDropped,
    PeerFailed,
    SealBroken,
    SignatureInvalid,
    UnexpectedMessage,
)
from privacy.texts import LANGUAGES


def fails(scene, error, key):
    """The session ends with this error, and the coordinator is told in both languages."""
    with pytest.raises(error) as caught:
        scene.party().run()
    assert type(caught.value) is error
    assert caught.value.key == key
    _, told = scene.heard()[-1]
    assert isinstance(told, control.StageFailed)
    assert told.code == error.code
    assert told.texts == {language: caught.value.for_others().render(language) for language in LANGUAGES}
    assert str(scene.home.folder) not in repr(told)
    assert set(told.texts) == {"en", "zh-CN"}
    assert told.texts["en"] != told.texts["zh-CN"]
    assert CANARY not in repr(told)
    assert scene.script.closed
    return told


# --- an honest session


def test_an_honest_session_matches_and_says_goodbye(scene):
    scene.start()
    scene.matches()
    scene.says(0, control.EndSession())
    scene.party().run()
    heard = scene.heard()
    kinds = [type(message).__name__ for _, message in heard if not isinstance(message, control.StageProgress)]
    assert kinds == ["Ready", "TokenList", "TokenPart", "MatchRelease", "StageFinished"]
    assert [stage for stage, _ in heard] == [0] + [1] * (len(heard) - 1)
    finished = heard[-1][1]
    assert finished.received == {
        "align.stamp/1": 1, "align.part_wanted/1": 1, "align.matched/2": 1, "align.check/1": 1,
    }  # fmt: skip
    assert finished.bytes_sent.keys() == {COORDINATOR, "shop"}
    assert scene.home.vault.names() == [
        "flower_key", "identity", f"job/{SESSION}/handle", f"job/{SESSION}/job",
    ]  # fmt: skip
    assert scene.script.closed
    assert not [thread for thread in threading.enumerate() if thread.name == "inbox" and thread.is_alive()]


def unfinished(scene):
    return scene.home.vault.names("unfinished/")


def test_what_a_rerun_may_go_on_from_stays_when_a_session_breaks(scene):
    scene.start()
    with pytest.raises(PeerDropped):
        scene.party().run()
    assert unfinished(scene) == [f"unfinished/{JOB.digest}/match/secrets"]


@pytest.mark.parametrize(
    ("code", "kept"), [("peer_failed", True), ("refused", False), ("cohort_too_small", False)]
)
def test_an_abort_leaves_it_unless_something_was_refused(scene, code, kept):
    scene.start()
    scene.says(0, control.Abort(code=code, texts={}))
    with pytest.raises(PeerFailed):
        scene.party().run()
    assert bool(unfinished(scene)) is kept


def test_a_refusal_leaves_nothing_for_a_rerun(scene):
    scene.start()
    scene.says(1, matched(rows=2))
    fails(scene, CohortTooSmall, "align_overlap_small")
    assert unfinished(scene) == []


def test_customers_are_written_when_the_job_has_ended_and_not_before(scene):
    scene.start()
    scene.matches()
    with pytest.raises(PeerDropped):
        scene.party().run()
    assert not list(scene.home.results.rglob("customers.csv"))
    scene.use(JOB, session="5e5511" * 5)
    scene.start()
    scene.matches()
    scene.says(0, control.EndSession())
    scene.script.closed = False
    scene.party().run()
    (file,) = scene.home.results.rglob("customers.csv")
    assert len(file.read_text().splitlines()) == 1 + ROWS


def test_a_partners_message_waits_until_the_stage_begins(scene):
    job = match_job("bank", "shop", own_is_holder=False)
    scene.use(job)
    scene.says(1, align.MatchingKey(kind=KIND, key=MATCHING_KEY), scene.shop)
    scene.start()
    scene.says(1, matched())
    scene.says(0, control.EndSession())
    scene.party().run()
    assert isinstance(scene.heard()[-1][1], control.StageFinished)
    # A feature holder is done when it has told the label holder which rows it has.
    stamp, told = [scene.shop.open(frame).message for to, frame in scene.script.sent if to == "shop"]
    assert isinstance(stamp, align.ListStamp)
    assert told.digest == row_check().digest


def test_a_partners_check_may_come_before_the_matches(scene):
    scene.start()
    scene.says(1, row_check(), scene.shop)
    scene.says(1, matched())
    scene.says(0, control.EndSession())
    scene.party().run()
    assert isinstance(scene.heard()[-1][1], control.StageFinished)


def test_without_the_partners_check_the_stage_does_not_end(scene):
    scene.start()
    scene.says(1, matched())
    scene.says(0, control.EndSession())
    fails(scene, UnexpectedMessage, "unexpected_message")
    assert f"job/{SESSION}/handle" not in scene.home.vault.names()


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


def test_a_stage_after_the_last(scene):
    scene.start()
    scene.matches()
    scene.start(2, "score")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_the_end_before_the_last_stage(scene):
    scene.start()
    scene.says(0, control.EndSession())
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
    scene.matches()
    scene.says(1, matched())
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("message", [control.EndSession(), control.StartStage(stage=1, name="match"),
                                     control.Abort(code="x", texts={}), matched()])  # fmt: skip
def test_a_partner_gives_no_orders(scene, message):
    scene.start()
    scene.says(1, message, scene.shop)
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("message", [control.Ready(version="1"), control.StageFailed(code="x", texts={}),
                                     align.TokenPart(part=0, tokens=b"")])  # fmt: skip
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


def test_a_partner_with_other_rows(scene):
    scene.start()
    scene.says(1, matched())
    scene.says(1, row_check(ROWS - 1), scene.shop)
    told = fails(scene, MessageInvalid, "align_rows_differ")
    assert "shop" in told.texts["en"]
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
