"""Proposals at a node: fetched, looked at, answered by a person or by the policy, and what a session is held to."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from desk_scene import CANARY, JOB, NUMBER, OTHER, ROWS, Away, DeskScene, approve, proposal, state
from gate_scene import activate, policy_for
from typer.testing import CliRunner

from clients.approvals import deciding
from clients.approvals.deciding import deny, missing_approval
from clients.approvals.inbox import Delivery, Inbox
from clients.approvals.review import as_lines, as_record, review
from clients.cli import app
from clients.gate.policy import POLICY_RECORD
from federation.jobs import SegmentsPlan
from federation.proposals import DecidedBy, JobState, Standing
from privacy.audit import EventType
from privacy.errors import (
    ConfigInvalid,
    Denied,
    DisclosureNotAccepted,
    NotFound,
    StateConflict,
)
from privacy.texts import LANGUAGES


@pytest.fixture
def scene(tmp_path):
    made = DeskScene.create(tmp_path)
    made.desk.propose(proposal())
    return made


@pytest.fixture
def shop(scene):
    return scene.homes["shop"]


def is_refused(home, job=JOB):
    return [finding.reason.value for finding in missing_approval(home, job)] == ["R-JOB-NOT-APPROVED"]


# --- two nodes and a coordinator


def test_a_job_is_approved_by_everybody(scene):
    nodes = {party: scene.traffic(party) for party in scene.homes}
    for party, node in nodes.items():
        assert node.step()
        assert is_refused(scene.homes[party])
        approve(scene.homes[party], NUMBER, days=2, who="li", note="as agreed")
        assert not is_refused(scene.homes[party])
        assert node.step()
    words = scene.desk.words[NUMBER]
    assert {party: (word.approved, word.by) for party, word in words.items()} == dict.fromkeys(
        ("bank", "shop"), (True, DecidedBy.PERSON)
    )
    assert words["bank"].digest == JOB.digest
    assert words["bank"].until - words["bank"].made == timedelta(days=2)
    for node in nodes.values():
        node.step()
    held = Inbox(scene.homes["bank"]).get(NUMBER)
    assert held.proposal.words == dict.fromkeys(("bank", "shop"), Standing.APPROVED)
    events = [event for event in scene.homes["bank"].audit.events() if event.type is EventType.JOB_APPROVED]
    assert [(event.job, event.artefact, event.actor) for event in events] == [
        (JOB.digest, NUMBER, "operator")
    ]


def test_the_policy_answers_at_once(tmp_path):
    scene = DeskScene.create(tmp_path, DecidedBy.POLICY)
    scene.desk.propose(proposal())
    scene.traffic("bank").step()
    shop = scene.homes["shop"]
    shop.vault.remove(POLICY_RECORD)
    scene.traffic("shop").step()
    bank, other = (scene.desk.words[NUMBER][party] for party in ("bank", "shop"))
    assert (bank.approved, bank.by, bank.reasons) == (True, DecidedBy.POLICY, ())
    assert (other.approved, other.reasons, other.policy) == (False, ("R-POLICY-UNAVAILABLE",), "")
    assert not missing_approval(scene.homes["bank"], JOB)
    assert [event.actor for event in shop.audit.events() if event.type is EventType.JOB_REFUSED] == ["node"]


def test_a_word_is_said_once(tmp_path):
    scene = DeskScene.create(tmp_path, DecidedBy.POLICY)
    scene.desk.propose(proposal())
    node = scene.traffic("shop")
    for _ in range(3):
        node.step()
    scene.traffic("shop").step()
    assert [call[:2] for call in scene.desk.calls if call[0] == "word"] == [("word", "shop")]


def test_a_person_outweighs_the_policy(tmp_path):
    scene = DeskScene.create(tmp_path, DecidedBy.POLICY)
    scene.desk.propose(proposal())
    home, node = scene.homes["shop"], scene.traffic("shop")
    node.step()
    deny(home, NUMBER, note="no")
    assert is_refused(home)
    scene.desk.propose(proposal(number=OTHER))
    node.step()
    word = scene.desk.words[OTHER]["shop"]
    assert (word.approved, word.reasons) == (False, ("R-JOB-NOT-APPROVED",))


def test_a_waiting_node_hears_of_what_is_new(scene):
    client = scene.client("shop")
    known = client.proposals().version
    assert client.proposals(known, 1).version == known, "nothing new, after the wait"
    scene.desk.propose(proposal(number=OTHER))
    found = client.proposals(known, 20)
    assert [one.number for one in found.proposals] == [NUMBER, OTHER]


# --- the inbox


def test_the_inbox_follows_the_coordinator(scene, shop):
    node = scene.traffic("shop")
    node.step()
    seen = Inbox(shop).get(NUMBER).seen
    scene.desk.propose(proposal(number=OTHER, proposed=datetime.now(UTC) - timedelta(days=1)))
    node.step()
    assert [held.proposal.number for held in Inbox(shop).all()] == [OTHER, NUMBER]
    state(scene, NUMBER, JobState.RUNNING)
    node.step()
    held = Inbox(shop).get(NUMBER)
    assert (held.proposal.state, held.seen) == (JobState.RUNNING, seen)
    state(scene, NUMBER, JobState.DONE)
    del scene.desk.jobs[OTHER]
    node.step()
    assert Inbox(shop).all() == []


def test_what_expires_goes_away_while_the_coordinator_is_away(scene, shop, monkeypatch):
    scene.traffic("shop").step()
    node = scene.traffic("shop")
    node._connect = lambda _roster: Away()
    assert not node.step()
    assert len(Inbox(shop).all()) == 1
    later = datetime.now(UTC) + timedelta(days=4)
    monkeypatch.setattr("clients.approvals.running.utc_now", lambda: later)
    assert not node.step()
    assert Inbox(shop).all() == []
    with pytest.raises(NotFound):
        approve(shop, NUMBER)


def test_a_word_waits_for_the_coordinator(scene, shop):
    scene.traffic("shop").step()
    said = approve(shop, NUMBER)
    node = scene.traffic("shop")
    node._connect = lambda _roster: Away()
    assert not node.step()
    assert node.pause_seconds > 0.5
    assert Inbox(shop).waiting() == [said]
    again = scene.traffic("shop")  # the node has been started again
    assert again.step()
    assert Inbox(shop).decision(NUMBER).delivery is Delivery.TAKEN
    assert scene.desk.signed[NUMBER, "shop"] == said.signed


def test_a_word_that_is_never_taken_is_not_sent_again(scene, shop):
    node = scene.traffic("shop")
    node.step()
    approve(shop, NUMBER)
    node.step()
    deny(shop, NUMBER)  # a word stands at the coordinator, but not here
    node.step()
    node.step()
    assert Inbox(shop).decision(NUMBER).delivery is Delivery.NEVER
    assert len([call for call in scene.desk.calls if call[0] == "word"]) == 2
    assert is_refused(shop)


def test_a_word_said_while_another_is_sent_stays_in_the_outbox(scene, shop):
    scene.traffic("shop").step()
    inbox = Inbox(shop)
    first = approve(shop, NUMBER)
    second = deny(shop, NUMBER)
    inbox.settle(first, Delivery.TAKEN)
    assert inbox.waiting() == [second]
    assert second.word.revision > first.word.revision


def test_a_number_stays_with_its_job(scene, shop, caplog):
    node = scene.traffic("shop")
    node.step()
    other = msgspec.structs.replace(JOB, name="another")
    scene.desk.propose(proposal(other))
    node.step()
    assert Inbox(shop).get(NUMBER).proposal.digest == JOB.digest
    assert "another job" in caplog.text
    approve(shop, NUMBER)
    Inbox(shop).mirror([], datetime.now(UTC))
    Inbox(shop).mirror([proposal(other)], datetime.now(UTC))
    assert Inbox(shop).all() == []


def test_a_job_without_this_party_is_left_out(scene, shop):
    parties = (JOB.parties[0], msgspec.structs.replace(JOB.parties[1], name="telecom"))
    Inbox(shop).mirror([proposal(msgspec.structs.replace(JOB, parties=parties))], datetime.now(UTC))
    assert Inbox(shop).all() == []


# --- what a yes is


def test_a_yes_ends(scene, shop, monkeypatch):
    scene.traffic("shop").step()
    approve(shop, NUMBER, days=1)
    assert not is_refused(shop)
    monkeypatch.setattr(deciding, "utc_now", lambda: datetime.now(UTC) + timedelta(days=1, seconds=5))
    assert is_refused(shop)


def test_a_yes_ends_with_another_policy(scene, shop):
    scene.traffic("shop").step()
    approve(shop, NUMBER)
    activate(shop, policy_for(shop, JOB, retention_days=31), is_rehearsal=True)
    assert is_refused(shop)


def test_a_yes_ends_with_other_code(scene, shop, monkeypatch):
    scene.traffic("shop").step()
    approve(shop, NUMBER)
    monkeypatch.setattr(deciding, "installed_digest", lambda: "c" * 64)
    assert is_refused(shop)


def test_a_yes_is_to_one_job(scene, shop):
    scene.traffic("shop").step()
    approve(shop, NUMBER)
    assert is_refused(shop, msgspec.structs.replace(JOB, name="another"))


def test_a_yes_of_the_policy_is_no_persons(tmp_path):
    scene = DeskScene.create(tmp_path, DecidedBy.POLICY)
    scene.desk.propose(proposal())
    home = scene.homes["shop"]
    scene.traffic("shop").step()
    home.write_settings(msgspec.structs.replace(home.settings, approves=DecidedBy.PERSON))
    del home.settings
    assert is_refused(home)


@pytest.mark.parametrize("days", [0, 91])
def test_a_yes_is_not_for_ever(scene, shop, days):
    scene.traffic("shop").step()
    with pytest.raises(ConfigInvalid) as caught:
        approve(shop, NUMBER, days=days)
    assert caught.value.key == "proposal_days"


def test_what_the_gate_refuses_is_not_approved(scene, shop):
    scene.traffic("shop").step()
    activate(shop, policy_for(shop, JOB, methods=("matching",)), is_rehearsal=True)
    with pytest.raises(Denied) as caught:
        approve(shop, NUMBER)
    assert "R-PURPOSE-MISMATCH" in caught.value.findings.codes
    assert Inbox(shop).decision(NUMBER) is None
    assert deny(shop, NUMBER).word.reasons == review(shop, Inbox(shop).get(NUMBER).proposal).codes


def test_what_the_owner_has_not_allowed_is_not_approved(scene, shop):
    plans = tuple(msgspec.structs.replace(plan, segment_fields=plan.risk_fields) for plan in JOB.parties)
    job = msgspec.structs.replace(JOB, parties=plans, segments=SegmentsPlan())
    scene.desk.propose(proposal(job))
    scene.traffic("shop").step()
    activate(shop, policy_for(shop, job), is_rehearsal=True)
    with pytest.raises(DisclosureNotAccepted):
        approve(shop, NUMBER)
    assert deny(shop, NUMBER).word.reasons == ("disclosure_not_accepted",)


def test_nobody_decides_about_what_is_over(scene, shop, monkeypatch):
    scene.traffic("shop").step()
    monkeypatch.setattr(deciding, "utc_now", lambda: datetime.now(UTC) + timedelta(days=4))
    with pytest.raises(StateConflict) as caught:
        approve(shop, NUMBER)
    assert caught.value.key == "proposal_over"


# --- what one sees before


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_review_tells_what_leaves(scene, shop, language):
    scene.traffic("shop").step()
    found = review(shop, Inbox(shop).get(NUMBER).proposal, with_rows=True)
    k_min = JOB.security.k_min
    assert found.rows == ROWS // k_min * k_min == 20
    record = as_record(found, language)
    assert record["admitted"]
    assert [column["name"] for column in record["columns"]] == ["spend"]
    assert record["columns"][0]["treatment"]
    assert [stage["stage"] for stage in record["leaving"]["stages"]] == ["match", "risk", "score"]
    assert record["leaving"]["sizes"]["rows"] == 20
    lines = "\n".join(as_lines(found, language))
    for stage in record["leaving"]["stages"]:
        assert all(item["text"] in lines for item in stage["leaves"])
    assert CANARY not in lines
    assert msgspec.json.encode(record)


def test_a_review_tells_every_reason(scene, shop):
    scene.traffic("shop").step()
    activate(shop, policy_for(shop, JOB, methods=("matching",), retention_days=0), is_rehearsal=True)
    found = review(shop, Inbox(shop).get(NUMBER).proposal, with_rows=True)
    assert {"R-PURPOSE-MISMATCH", "R-RETENTION-MISSING"} <= set(found.codes)
    assert found.rows is None
    assert not found.is_admitted
    assert all(finding.render("en") in "\n".join(as_lines(found, "en")) for finding in found.findings)


# --- the command line


def run(*words):
    return CliRunner().invoke(app, ["jobs", *words], catch_exceptions=False)


def test_the_command_line(scene, shop):
    at = ("--home", str(shop.folder))
    assert "[]" in run("list", *at, "--json").stdout
    scene.traffic("shop").step()
    (line,) = msgspec.json.decode(run("list", *at, "--json").stdout)
    assert (line["number"], line["job"], line["word"]) == (NUMBER, "lending", "waiting")
    assert NUMBER in run("list", *at).stdout
    shown = msgspec.json.decode(run("show", NUMBER, *at, "--rows", "--json").stdout)
    assert (shown["rows"], shown["admitted"]) == (20, True)
    assert NUMBER in run("show", NUMBER, *at).stdout
    seen = ("--digest", shown["digest"], "--policy", shown["policy"])
    assert all(digest in run("show", NUMBER, *at).stdout for digest in seen[1::2])
    said = msgspec.json.decode(run("approve", NUMBER, *at, *seen, "--days", "3", "--json").stdout)
    assert said["approved"]
    assert run("deny", NUMBER, *at, "--note", "why").exit_code == 0
    (line,) = msgspec.json.decode(run("list", *at, "--json").stdout)
    assert (line["word"], line["by"], line["delivery"]) == ("refused", "person", "waiting")
    assert Inbox(shop).decision(NUMBER).note == "why"


@pytest.mark.parametrize("seen", [("--json",), ("--digest", JOB.digest), ("--policy", "a" * 64)])
def test_the_command_line_wants_to_know_what_was_seen(scene, shop, seen):
    scene.traffic("shop").step()
    with pytest.raises(ConfigInvalid) as caught:
        run("approve", NUMBER, "--home", str(shop.folder), *seen)
    assert caught.value.key == "proposal_unseen"


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_the_command_line_shows_a_job_before_it_asks(scene, shop, answer):
    scene.traffic("shop").step()
    words = ["jobs", "approve", NUMBER, "--home", str(shop.folder)]
    found = CliRunner().invoke(app, words, input=f"{answer}\n")
    assert JOB.digest in found.stdout
    assert (Inbox(shop).decision(NUMBER) is not None) == (answer == "y") == (found.exit_code == 0)
