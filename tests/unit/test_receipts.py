"""What a subject receives of a request, and what is left of its key at the node."""

import base64
import json
import subprocess
import sys
from datetime import date
from types import SimpleNamespace
from unittest.mock import Mock

import msgspec
import numpy as np
import pytest
import receipt_scene as rs
from consent_desk import PHONES
from receipt_scene import NUMBER, Scene
from rights_scene import Clock

from clients.forgetting.cards import ModelState
from clients.gate.gate import SNAPSHOT_RECORD
from clients.rights import receipts
from clients.rights.absences import last_snapshots
from clients.rights.cases import Case
from clients.rights.running import Requests
from clients.rights.store import NEVER, CaseStore
from federation.audit_bundle import read_receipt
from federation.jobs import Job, MatchMode, MatchPlan, PartyPlan, PartyRole, encode_job
from federation.standalone import verify as standalone
from privacy import receipts as structs
from privacy.audit import EventType
from privacy.errors import ConfigInvalid, MessageInvalid
from privacy.reasons import Reason
from privacy.rights import Artefact, CaseState, Outcome, Requester, RequestKind, Result
from privacy.snapshots import Snapshot
from privacy.texts import LANGUAGES

SESSION = "5e55" * 8


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    scene = Scene(tmp_path_factory.mktemp("receipts"))
    return scene, scene.receipt()


def codes(data, pins=None):
    return [finding.code for finding in read_receipt(data, pins).findings]


def test_a_receipt_holds_and_says_everything(made):
    scene, data = made
    assert codes(data, {"bank": scene.home.identity.public.fingerprint}) == []
    receipt = structs.read(data)
    assert [item.artefact for item in receipt.outcomes] == [
        Artefact.SEGMENT,
        Artefact.DECISION,
        Artefact.SUBJECT,
    ]
    assert [msgspec.json.decode(item.event)["type"] for item in receipt.events] == [
        "dsr.received", "dsr.restricted", "dsr.completed",
    ]  # fmt: skip
    assert [item.witness for item in receipt.checkpoint.cosignatures] == ["shop"]
    assert receipt.complaint.authority == "12377"
    summary = read_receipt(data).summary()
    assert (summary["events"], summary["answers"], summary["witnesses"]) == (3, 1, "shop")


def test_the_receipt_is_logged_by_its_digest(made):
    scene, data = made
    event = [item for item in scene.home.audit.events() if item.type is EventType.DSR_RECEIPT_ISSUED][-1]
    assert (event.artefact, event.digests) == (NUMBER, {"receipt": structs.digest(data)})


def test_it_still_verifies_when_the_node_has_destroyed_the_key(tmp_path):
    scene = Scene(tmp_path)
    data = scene.receipt()
    scene.home.consents.forget(scene.tokens)
    receipts.drop(scene.home, NUMBER)
    assert codes(data) == []
    (key,) = scene.home.consents.openings(scene.tokens)
    assert key.tobytes() != scene.key.tobytes(), "the node can no longer make the key"
    assert scene.home.vault.names("rights/") == [], "neither receipt nor opening is left"


def test_the_subject_finds_its_own_entries_and_nobody_elses(made):
    scene, data = made
    own = standalone._srefs_of(json.loads(data)["sections"]["opening"])
    assert scene.sref in own
    (other,) = scene.home.consents.srefs(
        scene.home.consents.tokens("phone/plain", np.array([PHONES[5].encode()], "S11")),
        receipts.RIGHTS,
        2026,
    )
    assert other not in own


def test_the_standalone_verifier_agrees(made, tmp_path):
    _, data = made
    file = tmp_path / "receipt.json"
    for content, status in ((data, 0), (data.replace(b"completed", b"rejected!", 1), 1)):
        file.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-I", standalone.__file__, str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert NUMBER in done.stdout


def test_a_key_that_is_not_the_partys_is_found(made):
    _, data = made
    assert codes(data, {"bank": "0" * 16}) == ["key_not_pinned"]


def test_a_case_without_a_subject_has_its_own_events(tmp_path):
    scene = Scene(tmp_path)
    scene.log_case()
    data = receipts.issue(scene.home, [rs.case_of()])[NUMBER]
    receipt = structs.read(data)
    assert receipt.opening == structs.Opening()
    assert len(receipt.events) == 3
    assert codes(data) == []


def test_whom_the_node_does_not_know_it_does_not_come_to_know(tmp_path):
    scene = Scene(tmp_path)
    scene.home.consents.forget(scene.tokens)
    receipts.prepare(scene.home, {NUMBER: scene.token})
    assert not scene.home.consents.known(scene.tokens).any()
    assert scene.home.vault.names("rights/") == []


def test_a_receipt_is_made_anew_when_a_witness_has_cosigned(tmp_path):
    scene = Scene(tmp_path)
    scene.log_case()
    receipts.prepare(scene.home, {NUMBER: scene.token})
    first = receipts.issue(scene.home, [rs.case_of()])[NUMBER]
    assert structs.read(first).checkpoint.cosignatures == ()
    assert receipts.kept(scene.home, NUMBER) == first
    scene.cosign()
    later = receipts.kept(scene.home, NUMBER)
    assert [item.witness for item in structs.read(later).checkpoint.cosignatures] == ["shop"]
    assert codes(later) == []
    assert receipts.kept(scene.home, NUMBER) == later, "made once"


class Killed(BaseException):
    pass


@pytest.mark.parametrize("is_handed_over", [False, True])
def test_a_kill_before_the_key_is_destroyed_does_not_leave_it_there(tmp_path, monkeypatch, is_handed_over):
    scene = rs.Scene(tmp_path)
    clock = Clock()
    case = Case(
        number=NUMBER,
        kind=RequestKind.DELETE,
        state=CaseState.COMPLETED,
        requester=Requester.SUBJECT,
        received=clock(),
        due=clock().date(),
        updated=clock(),
        wake=NEVER,
    )
    store = CaseStore(scene.home.vault)
    with store.transaction() as connection:
        store.add(connection, [case])
    receipts.prepare(scene.home, {NUMBER: scene.token})
    with monkeypatch.context() as patched:
        patched.setattr(receipts, "spend", Mock(side_effect=Killed))
        with pytest.raises(Killed):
            receipts.issue(scene.home, [rs.case_of()])
    made = receipts.kept(scene.home, NUMBER)
    assert made is not None
    assert receipts.prepared(scene.home) == [NUMBER]
    if is_handed_over:
        receipts.drop(scene.home, NUMBER)
    Requests(scene.home).close()
    assert receipts.prepared(scene.home) == []
    assert receipts.kept(scene.home, NUMBER) == (None if is_handed_over else made)


def test_many_cases_in_one_walk_do_not_mix(tmp_path):
    scene = Scene(tmp_path)
    other = "fedcba9876543210" * 2
    scene.log_case()
    scene.home.audit.append(EventType.DSR_RECEIVED, actor="node", artefact=other, sref="ab" * 32)
    receipts.prepare(scene.home, {NUMBER: scene.token})
    cases = [
        rs.case_of(),
        rs.case_of(section=rs.section(number=other), answers=()),
    ]
    made = receipts.issue(scene.home, cases)
    assert [len(structs.read(made[number]).events) for number in (NUMBER, other)] == [3, 1]


# --- what may not be told


@pytest.mark.parametrize("word", ["可疑交易报告", "Suspicious transaction report"])
def test_suspicious_reports_are_never_mentioned(tmp_path, word):
    outcome = Outcome(artefact=Artefact.DECISION, result=Result.RESTRICTED_LAW, law=word)
    world = Scene(tmp_path)
    world.log_case()
    other = "fedcba9876543210" * 2
    cases = [rs.case_of(outcomes=(outcome,)), rs.case_of(section=rs.section(number=other), answers=())]
    assert list(receipts.issue(world.home, cases)) == [other], "nobody else waits for it"
    assert receipts.kept(world.home, NUMBER) is None
    with pytest.raises(ConfigInvalid):
        msgspec.structs.replace(structs.read(receipts.kept(world.home, other)), outcomes=(outcome,))


def test_what_is_confidential_by_law_is_left_out():
    outcome = Outcome(artefact=Artefact.DECISION, result=Result.RESTRICTED_LAW, reason=structs.CONFIDENTIAL)
    assert structs.tellable((outcome, rs.KEPT)) == (rs.KEPT,)


# --- absence


def test_a_session_that_no_longer_uses_the_subject_is_proved(tmp_path):
    world = Scene(tmp_path)
    party = PartyPlan(name="bank", role=PartyRole.LABEL_HOLDER, segment_fields=("x",), risk_fields=("x",))
    shop = PartyPlan(name="shop", role=PartyRole.FEATURE_HOLDER, segment_fields=("y",), risk_fields=("y",))
    job = Job(
        name="tiny", purpose="marketing", parties=(party, shop), profile="TESTING_ONLY",
        match=MatchPlan(mode=MatchMode.KEYED),
    )  # fmt: skip
    world.home.vault.put(f"job/{SESSION}/job", encode_job(job))
    context = f"{job.project_name}\x00{SESSION}".encode()
    phones = np.array([phone.encode() for phone in PHONES], "S11")
    tokens = world.home.consents.tokens("phone/plain", phones)
    for number, who in enumerate((tokens, tokens[1:])):
        leaves = Snapshot.of(world.home.consents.commitments(who, context)).members
        world.home.vault.put(f"job/{SESSION}/{SNAPSHOT_RECORD}/{number}", leaves)
    assert [item.snapshot.size for item in last_snapshots(world.home)] == [9]
    data = world.receipt()
    (proved,) = structs.read(data).absences
    assert proved.session == SESSION
    assert codes(data) == []
    loaded = json.loads(data)
    absence = loaded["sections"]["absences"][0]["proof"]
    neighbour = absence["below"] or absence["above"]
    with pytest.raises(ValueError, match="neighbours"):
        standalone.check_absence(
            base64.b64decode(neighbour["commitment"]), bytes.fromhex(proved.root), absence
        )


# --- models


def test_models_that_the_row_took_part_in_are_told_with_what_becomes_of_them(tmp_path, monkeypatch):
    world = Scene(tmp_path)
    world.log_case()
    day = date(2099, 1, 1)
    known = {
        SESSION: [
            SimpleNamespace(
                number="ab" * 16, kind="boosting", deadline=day, state=lambda _day, state=state: state
            )
            for state in (ModelState.TAINTED, ModelState.SUPERSEDED, ModelState.ACTIVE)
        ]
    }
    monkeypatch.setattr(receipts, "cards", lambda _home, session: known[session])
    outcome = Outcome(artefact=Artefact.MODEL, result=Result.RESTRICTED_TECHNICAL, review=day)
    receipts.prepare(world.home, {NUMBER: world.token}, {NUMBER: [SESSION, SESSION]})
    assert receipts.prepared(world.home) == [NUMBER]
    data = receipts.issue(world.home, [rs.case_of(outcomes=(outcome,), models=())])[NUMBER]
    models = structs.read(data).models
    assert [item.plan for item in models] == ["relearn", "retired", "kept"]
    assert models[0].until == day
    assert receipts.prepared(world.home) == []
    assert codes(data) == []


# --- the page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_in_both_languages(made, language):
    _, data = made
    page = receipts.page(data, language)
    assert f'lang="{language}"' in page
    assert NUMBER in page
    assert "电子商务法 31" in page
    assert "12377" in page
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "@page" in page


def test_every_kind_state_and_result_has_words(made):
    from clients.rights.wording import Wording

    for language in LANGUAGES:
        t = Wording(language)
        assert all(map(t.kind, RequestKind))
        assert all(map(t.state, CaseState))
        assert all(map(t.result, Result))
        assert all(map(t.artefact, Artefact))
        assert all(map(t.requester, Requester))
        assert all(map(t.plan, ("relearn", "retired", "kept")))
        assert Reason.RETENTION_EXPIRED.value in t.reason(Reason.RETENTION_EXPIRED.value)


def test_what_is_no_receipt_is_refused():
    for data in (b"", b"{}", b"\xff", b"[" * 10000):
        with pytest.raises(MessageInvalid):
            structs.read(data)
        assert codes(data) == ["receipt_unreadable"]
