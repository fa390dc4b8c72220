"""A party's session refuses what a coordinator or a partner may not do, and says why without saying too much."""

import threading

import msgspec
import numpy as np
import pytest
from background import wait_until
from matching_parties import as_identifiers
from party_scene import (
    ATTESTATION,
    CANARY,
    COORDINATOR_KEYS,
    JOB,
    KIND,
    MATCHING_KEY,
    PARTNER_KEYS,
    PHONES,
    ROWS,
    SESSION,
    Script,
    match_job,
    matched,
    row_check,
)

from clients import session as session_module
from clients.gate.policy import activate, active_policy
from clients.session import PartySession
from federation import align
from federation import session as control
from federation.audit_messages import ShownCheckpoint
from federation.frames import Endpoint, binding_of
from federation.jobs import RiskPlan, SegmentsPlan
from federation.messages import COORDINATOR
from federation.pace import Every
from privacy.audit import EventType
from privacy.errors import (
    CohortTooSmall,
    ConfigInvalid,
    Denied,
    MessageInvalid,
    PeerDropped,
    PeerFailed,
    SealBroken,
    SignatureInvalid,
    StaleSnapshot,
    UnexpectedMessage,
)
from privacy.parameters import TESTING_ONLY
from privacy.reasons import Reason
from privacy.texts import LANGUAGES

K_MIN = TESTING_ONLY.k_min


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
    before = set(threading.enumerate())
    scene.start()
    scene.matches()
    scene.ends()
    scene.party().run()
    heard = scene.heard()
    assert kinds_of(heard) == [
        "Attestation", "Ready", "Attestation", "TokenList", "TokenPart", "MatchRelease", "StageFinished",
    ]  # fmt: skip
    about_all = (control.Attestation, control.Ready)
    assert {stage for stage, message in heard if isinstance(message, about_all)} == {0}
    assert {stage for stage, message in heard if not isinstance(message, about_all)} == {1}
    finished = heard[-1][1]
    assert finished.received == {
        "align.stamp/1": 1, "align.part_wanted/1": 1, "align.matched/2": 1, "align.check/1": 1,
        "session.attestation/1": 1,
    }  # fmt: skip
    assert finished.bytes_sent.keys() == {COORDINATOR, "shop"}
    (result,) = scene.home.vault.names("results/")
    assert scene.home.vault.names() == [
        "consents/keys", "flower_key", "identity", f"job/{SESSION}/handle", f"job/{SESSION}/job",
        f"job/{SESSION}/rows", f"job/{SESSION}/snapshot/0", "policy", result,
    ]  # fmt: skip
    assert scene.script.closed
    own = {"inbox", "consent-watch"}
    wait_until(lambda: not own & {thread.name for thread in set(threading.enumerate()) - before})


def without_notes(heard):
    """Without the notes on progress, which come when they come."""
    return [(stage, message) for stage, message in heard if not isinstance(message, control.StageProgress)]


def kinds_of(heard):
    """The kinds of messages."""
    return [type(message).__name__ for _, message in without_notes(heard)]


def test_everything_is_bound_to_what_the_party_attested_last(scene):
    scene.start()
    scene.matches()
    scene.ends()
    scene.party().run()
    bindings = [binding_of(frame)[0] for _, frame in scene.script.sent]
    before, after = scene.script.attested
    assert list(dict.fromkeys(bindings)) == [before, after]
    # Before a row has been read, and with everybody whose data the session uses.
    for heard in (scene.heard(), scene.shop_heard()):
        said = [message for _, message in heard if isinstance(message, control.Attestation)]
        assert [message.binding for message in said] == [before, after]
        assert [len(message.snapshot) for message in said] == [0, 64]
        assert {message.policy for message in said} == {active_policy(scene.home).digest}
        assert said[0].agreements == ("rehearsal-entrusted", "rehearsal-provide")


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
    scene.ends()
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
    scene.ends()
    scene.party().run()
    assert isinstance(scene.heard()[-1][1], control.StageFinished)
    # A feature holder is done when it has told the label holder which rows it has.
    heard = scene.shop_heard()
    assert kinds_of(heard) == ["Attestation", "Attestation", "ListStamp", "RowCheck"]
    assert heard[-1][1].digest == row_check().digest


def test_a_partners_check_may_come_before_the_matches(scene):
    scene.start()
    scene.says(1, row_check(), scene.shop)
    scene.says(1, matched())
    scene.ends()
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


# --- what messages rest on


def test_a_partner_that_has_not_said_what_it_works_on(scene):
    scene.says(1, control.StartStage(stage=1, name="match"))
    scene.script.deliver(scene.shop.seal("bank", 1, align.ListStamp(stamp=bytes(32))))
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("binding", [b"", bytes(32)])
def test_a_partners_message_on_anything_else_than_it_attested(scene, binding):
    scene.attests()
    scene.says(1, control.StartStage(stage=1, name="match"))
    scene.shop.binding = binding
    scene.script.deliver(scene.shop.seal("bank", 1, align.ListStamp(stamp=bytes(32))))
    told = fails(scene, StaleSnapshot, "snapshot_stale")
    assert told.reasons == (Reason.CONSENT_STALE_SNAPSHOT,)
    assert unfinished(scene) == []


def test_a_coordinator_attests_nothing(scene):
    scene.coordinator.binding = ATTESTATION.binding
    scene.says(0, ATTESTATION)
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.fixture
def at_message(monkeypatch):
    """Lets something happen when the label holder's role has received its n-th message, before it answers."""

    def hook(number, act):
        count = 0
        receive = align.LabelHolder.receive

        def hooked(self, sender, message):
            nonlocal count
            count += 1
            answers = receive(self, sender, message)
            if count == number:
                act()
            return answers

        monkeypatch.setattr(align.LabelHolder, "receive", hooked)

    return hook


STAMP, PART_WANTED, MATCHED = 1, 2, 3
LEFT = [phone for phone in PHONES if phone != CANARY]


@pytest.mark.parametrize("moment", [STAMP, PART_WANTED, MATCHED])
def test_who_leaves_while_it_is_matched_is_in_no_later_message(scene, at_message, moment):
    at_message(moment, lambda: scene.restrict(CANARY))
    scene.start()
    scene.says(1, align.PartWanted(parts=1, part=0))
    scene.says(1, matched())
    scene.says(1, row_check(), scene.shop)
    scene.start(2, voids=1)
    scene.matches(2, LEFT)
    scene.ends(3, voids=1)
    scene.party().run()

    heard = without_notes(scene.heard())
    place = kinds_of(heard).index("StageVoided")
    before = ["TokenList", "TokenPart"][: moment - STAMP]
    assert kinds_of(heard)[:place] == ["Attestation", "Ready", "Attestation", *before, "Attestation"]
    assert heard[place][1].rematch
    assert kinds_of(heard)[place + 1 :] == ["TokenList", "TokenPart", "MatchRelease", "StageFinished"]
    assert {stage for stage, _ in heard[place + 1 :]} == {2}
    counts = [message.count for _, message in heard if isinstance(message, align.TokenList)]
    assert counts == [ROWS] * ("TokenList" in before) + [ROWS - 1]
    told = scene.shop_heard()
    (place,) = [place for place, kind in enumerate(kinds_of(told)) if kind == "RowsWithdrawn"]
    assert isinstance(told[place - 1][1], control.Attestation)
    assert (told[place][1].rematch, len(told[place][1].positions)) == (True, 0)
    (file,) = scene.home.results.rglob("customers.csv")
    assert CANARY not in file.read_text()
    assert len(file.read_text().splitlines()) == 1 + len(LEFT)


def finished_without(scene, act):
    """A session in which somebody leaves while the second message is handled; then it is matched again."""
    scene.start()
    scene.says(1, align.PartWanted(parts=1, part=0))
    scene.start(2, voids=1)
    scene.matches(2, LEFT)
    scene.ends(3, voids=1)
    party = scene.party()
    act(party)
    party.run()
    return without_notes(scene.heard())


def test_a_message_that_the_relay_refuses_is_not_sent_again(scene):
    """The watch has told the relay of a new snapshot while a message on the older one was made."""

    def meanwhile(party):
        def leave(recipient):
            if recipient == "shop" and sum(to == "shop" for to, _ in scene.script.sent) == 2:
                scene.script.before_send = lambda to: None
                scene.restrict(CANARY)
                assert party._gate.look()

        scene.script.before_send = leave

    heard = finished_without(scene, meanwhile)
    # A message was on its way; every number arrives once and in order, or it could not be opened.
    assert kinds_of(heard) == [
        "Attestation", "Ready", "Attestation", "Attestation", "StageVoided",
        "TokenList", "TokenPart", "MatchRelease", "StageFinished",
    ]  # fmt: skip
    assert [message.count for _, message in heard if isinstance(message, align.TokenList)] == [ROWS - 1]


def test_who_leaves_while_another_leaves(scene, at_message):
    """The relay hears of a newer snapshot while the party still tells of the one before."""
    others = [phone for phone in LEFT if phone != PHONES[0]]

    def first():
        scene.restrict(CANARY)
        scene.script.before_send = second

    def second(recipient):
        if recipient == COORDINATOR:
            scene.script.before_send = lambda to: None
            scene.restrict(PHONES[0])
            assert party._gate.look()

    at_message(PART_WANTED, first)
    scene.start()
    scene.says(1, align.PartWanted(parts=1, part=0))
    scene.start(2, voids=1)
    scene.start(3, voids=2)
    scene.matches(3, others)
    scene.ends(4, voids=2)
    party = scene.party()
    party.run()
    heard = without_notes(scene.heard())
    assert kinds_of(heard)[-4:] == ["TokenList", "TokenPart", "MatchRelease", "StageFinished"]
    assert [message.count for _, message in heard if isinstance(message, align.TokenList)] == [ROWS, ROWS - 2]
    assert kinds_of(heard).count("StageVoided") == kinds_of(scene.shop_heard()).count("RowsWithdrawn")


def test_who_is_not_in_the_table_makes_nothing_void(scene, at_message):
    at_message(PART_WANTED, lambda: scene.restrict("13999999999"))
    scene.start()
    scene.matches()
    scene.ends()
    scene.party().run()
    assert "StageVoided" not in kinds_of(scene.heard())
    assert len(scene.script.attested) == 2


# --- rows of a partner leave


def test_a_matching_begins_again_when_a_partners_rows_leave(scene):
    scene.start()
    scene.says(1, align.PartWanted(parts=1, part=0))
    scene.withdraw_rows(rematch=True)
    scene.says(1, matched(), None)  # of the stage that is void
    scene.says(1, row_check(), scene.shop)
    scene.start(2, voids=1)
    scene.matches(2)
    scene.ends(3, voids=1)
    scene.party().run()
    kinds = kinds_of(scene.heard())
    assert kinds[3:] == ["TokenList", "TokenPart", "TokenList", "TokenPart", "MatchRelease", "StageFinished"]
    (file,) = scene.home.results.rglob("customers.csv")
    assert len(file.read_text().splitlines()) == 1 + ROWS


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float64])
def test_places_of_another_type(scene, dtype):
    scene.start()
    scene.withdraw_rows(1, 2, dtype=dtype)
    fails(scene, MessageInvalid, "message_undecodable")


def test_places_of_another_shape(scene):
    scene.start()
    gone = control.RowsWithdrawn(positions=np.zeros((2, 2), np.uint32), rematch=False)
    scene.says(0, gone, scene.shop)
    fails(scene, MessageInvalid, "message_undecodable")


def with_a_matching(scene):
    """A session whose matching is done and whose next stage has begun."""
    scene.use(msgspec.structs.replace(JOB, segments=SegmentsPlan(n_clusters=2, n_init=1)))
    scene.start()
    scene.matches()
    scene.witness(2)
    scene.start(3, "segments")


def test_places_that_the_matching_does_not_have(scene):
    with_a_matching(scene)
    scene.withdraw_rows(0, ROWS)
    fails(scene, UnexpectedMessage, "rows_unknown")


def test_so_many_rows_leave_that_too_few_stay(scene):
    with_a_matching(scene)
    scene.withdraw_rows(*range(ROWS - K_MIN + 1))
    told = fails(scene, CohortTooSmall, "rows_left_few")
    assert told.reasons == (Reason.COHORT_TOO_SMALL,)


def test_rows_leave_the_stages_that_follow_and_those_of_before_stay(scene):
    with_a_matching(scene)
    scene.withdraw_rows(3, 5)
    scene.start(4, "segments", voids=1)
    with pytest.raises(PeerDropped):
        scene.party().run()
    kinds = kinds_of(scene.heard())
    assert kinds.count("StageFinished") == 1  # the matching, which is not repeated
    handle = msgspec.msgpack.decode(scene.home.vault.get(f"job/{SESSION}/handle"))
    rows = np.frombuffer(handle["rows"], np.int64)
    assert len(rows) == ROWS - 2


def test_what_was_released_is_not_released_again(scene):
    """The difference between two releases would tell of the rows that have left."""
    scene.start()
    scene.matches()
    scene.start(2, "witness")
    scene.withdraw_rows(rematch=True)
    scene.start(3, voids=1)
    scene.matches(3)
    scene.ends(4, voids=1)
    scene.party().run()
    kinds = kinds_of(scene.heard())
    assert kinds.count("TokenList") == 2
    assert kinds.count("MatchRelease") == 1


def test_a_partner_that_makes_everything_begin_again_too_often(scene, monkeypatch):
    monkeypatch.setattr(session_module, "MAX_REMATCHES", 2)
    scene.start()
    for number in range(3):
        scene.withdraw_rows(rematch=True)
        scene.start(number + 2, voids=number + 1)
    fails(scene, UnexpectedMessage, "rows_withdrawn_often")


def test_a_coordinator_makes_no_rows_leave(scene):
    scene.start()
    scene.says(1, control.RowsWithdrawn(positions=np.zeros(1, np.uint32), rematch=False))
    fails(scene, UnexpectedMessage, "unexpected_message")


# --- stages that are void


def test_no_stage_is_repeated_without_a_reason(scene):
    scene.start()
    scene.matches()
    scene.start(2)
    fails(scene, UnexpectedMessage, "unexpected_message")


@pytest.mark.parametrize("name", ["match", "score"])
def test_no_stage_but_the_next_one_is_begun_when_the_logs_are_signed(scene, name):
    scene.use(msgspec.structs.replace(JOB, segments=SegmentsPlan(n_clusters=2, n_init=1)))
    scene.start()
    scene.matches()
    scene.witness(2)
    scene.start(3, name)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_after_a_list_has_changed_nothing_but_the_matching_is_begun(scene):
    with_a_matching(scene)
    scene.withdraw_rows(rematch=True)
    scene.start(4, "segments", voids=1)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_stage_that_is_void_is_not_begun_twice(scene):
    scene.start()
    scene.withdraw_rows(rematch=True)
    scene.start(2, voids=1)
    scene.start(3, voids=1)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_another_stage_than_the_one_that_is_void(scene):
    scene.start()
    scene.withdraw_rows(rematch=True)
    scene.start(2, "segments", voids=1)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_news_that_nobody_has_told(scene):
    scene.start(voids=1)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_stage_that_began_before_the_coordinator_heard_is_void_at_once(scene):
    scene.start()
    scene.withdraw_rows(rematch=True)
    scene.start(2, voids=0)  # crossed the news on its way
    scene.says(2, matched())
    scene.start(3, voids=1)
    scene.matches(3)
    scene.ends(4, voids=1)
    scene.party().run()
    heard = without_notes(scene.heard())
    assert {stage for stage, _ in heard if stage > 1} == {3}


# --- who witnesses


def test_logs_are_witnessed_only_after_a_stage(scene):
    scene.start(1, "witness")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_the_next_stage_waits_until_the_logs_are_signed(scene):
    scene.use(msgspec.structs.replace(JOB, segments=SegmentsPlan(n_clusters=2, n_init=1)))
    scene.start()
    scene.matches()
    scene.start(2, "segments")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_the_session_does_not_end_before_the_logs_are_signed(scene):
    scene.start()
    scene.matches()
    scene.says(0, control.EndSession())
    fails(scene, UnexpectedMessage, "unexpected_message")
    assert not list(scene.home.results.rglob("customers.csv"))


def test_logs_are_signed_once_after_a_stage(scene):
    scene.start()
    scene.matches()
    scene.witness(2)
    scene.start(3, "witness")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_what_a_partner_works_on_is_in_the_own_log(scene):
    """Who attests differently to different parties can be shown to have done so."""
    scene.start()
    scene.attests()
    scene.withdraw_rows(rematch=True)
    with pytest.raises(PeerDropped):
        scene.party().run()
    noted = [event for event in scene.home.audit.events() if event.type is EventType.ROUND_UPDATE_ACCEPTED]
    changed = msgspec.structs.replace(ATTESTATION, snapshot="d" * 64)
    assert [(event.artefact, event.digests["binding"]) for event in noted] == [
        ("shop", said.binding.hex()) for said in (ATTESTATION, changed)
    ]


def test_after_a_stage_the_state_of_the_log_is_shown_to_everybody(scene):
    scene.start()
    scene.matches()
    scene.start(2, "witness")
    with pytest.raises(PeerDropped):
        scene.party().run()
    shown = [message for _, message in scene.heard() if isinstance(message, ShownCheckpoint)]
    assert [message.checkpoint.origin for message in shown] == ["bank"]
    shown = [message for _, message in scene.shop_heard() if isinstance(message, ShownCheckpoint)]
    assert [message.checkpoint.origin for message in shown] == ["bank"]


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


# --- nothing twice, and nothing unsigned


def test_the_next_stage_before_the_logs_are_signed(scene):
    scene.use(msgspec.structs.replace(JOB, segments=SegmentsPlan(n_clusters=2, n_init=1)))
    scene.start()
    scene.matches()
    scene.start(2, "segments")
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_the_end_before_the_logs_are_signed(scene):
    scene.start()
    scene.matches()
    scene.says(0, control.EndSession())
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_stage_that_is_done_everywhere_is_not_begun_again_because_a_later_one_is_void(scene):
    """The difference of what it released twice would tell of who has left."""
    with_a_matching(scene)
    scene.withdraw_rows(3)
    scene.start(4, "match", voids=1)
    fails(scene, UnexpectedMessage, "unexpected_message")


def test_a_stage_that_begins_again_releases_nothing_again(scene):
    scene.start()
    scene.matches()
    scene.withdraw_rows(rematch=True)
    scene.start(2, voids=1)
    scene.matches(2)
    scene.ends(3, voids=1)
    scene.party().run()
    kinds = kinds_of(scene.heard())
    assert (kinds.count("StageFinished"), kinds.count("MatchRelease")) == (2, 1)


def test_others_make_a_session_begin_again_only_so_often(scene, monkeypatch):
    monkeypatch.setattr(session_module, "MAX_REMATCHES", 2)
    scene.start()
    for _ in range(3):
        scene.withdraw_rows(rematch=True)
    fails(scene, UnexpectedMessage, "rows_withdrawn_often")


def test_who_is_forgotten_leaves_whatever_the_basis_is(scene, at_message):
    """The scene's policy rests on a contract, so no consent is looked for."""
    tokens = scene.home.consents.tokens(KIND, as_identifiers([CANARY]))
    at_message(PART_WANTED, lambda: scene.home.consents.forget(tokens))
    finished_without(scene, lambda party: None)
    (file,) = scene.home.results.rglob("customers.csv")
    assert CANARY not in file.read_text()
    assert not scene.home.consents.known(tokens).any()


def test_a_policy_that_changes_the_rows_ends_the_job(scene, at_message):
    policy = active_policy(scene.home)
    older = msgspec.structs.replace(policy.purposes[0], minimum_age=21)
    stricter = msgspec.structs.replace(policy, purposes=(older,))
    at_message(PART_WANTED, lambda: activate(scene.home, stricter, is_rehearsal=True))
    scene.start()
    scene.says(1, align.PartWanted(parts=1, part=0))
    party = scene.party()
    party._gate._policy_looks = Every(0)
    with pytest.raises(Denied) as caught:
        party.run()
    assert caught.value.findings.codes == (Reason.CONSENT_STALE_SNAPSHOT.value,)
