"""What a node and the coordinator's desk say to each other: the declared messages, and no value of any row."""

from collections import Counter

import msgspec
import pytest
from desk_scene import CANARY, CANARY_INCOME, JOB, NUMBER, DeskScene, approve, proposal

from clients.approvals.deciding import deny
from clients.approvals.inbox import Inbox
from clients.approvals.review import as_record, review
from clients.rights.intake import Intake, Request
from federation.proposals import DISCLOSES as PROPOSALS
from federation.publications import DISCLOSES as PUBLICATIONS
from federation.publications import Noun
from federation.signed_records import parts_of
from privacy.rights import RequestKind
from privacy.texts import LANGUAGES, catalogue

WHO, WHY = "wang-operator", "the-reason-of-somebody"
SECRETS = (CANARY, CANARY_INCOME, WHO, WHY)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two nodes publish, look, and answer, one yes and one no: every byte on the wire, and the tags of the records."""
    scene = DeskScene.create(tmp_path_factory.mktemp("desk"))
    scene.desk.propose(proposal())
    wire = []
    ordinary = scene.http.stream

    def seen(method, path, **more):
        wire.append(repr((method, path, more.get("headers"))).encode() + more.get("content", b""))
        return ordinary(method, path, **more)

    scene.http.stream = seen
    nodes = {party: scene.traffic(party) for party in scene.homes}
    Intake(scene.homes["bank"]).file(Request(kind=RequestKind.DELETE, verified_by="login"), CANARY)
    for party, node in nodes.items():
        node.step()
        home = scene.homes[party]
        found = review(home, Inbox(home).get(NUMBER).proposal, with_rows=True)
        (approve if party == "bank" else deny)(home, NUMBER, who=WHO, note=WHY)
        node.step()
        node.step()
        wire.append(msgspec.json.encode(as_record(found)))
    return scene, wire


def test_no_canary_is_on_the_wire_or_in_a_review(run):
    scene, wire = run
    assert len(scene.desk.words[NUMBER]) == 2
    everything = b"".join(wire)
    assert JOB.purpose.encode() in everything, "the test looks at what is said"
    for secret in SECRETS:
        assert secret.encode() not in everything, secret
        assert secret.encode() not in msgspec.msgpack.encode(scene.desk.calls), secret


def test_who_and_why_stay_in_the_node(run):
    scene, _ = run
    for home in scene.homes.values():
        said = Inbox(home).decision(NUMBER)
        assert (said.who, said.note) == (WHO, WHY)
        for event in home.audit.events():
            assert WHO.encode() not in event.canonical()
            assert WHY.encode() not in event.canonical()
        raw = b"".join(file.read_bytes() for file in home.folder.rglob("vault.sqlite*"))
        assert WHY.encode() not in raw
        assert NUMBER.encode() in raw, "names of records are not secret"


def test_only_declared_messages_reach_the_coordinator(run):
    scene, _ = run
    tags = Counter(msgspec.msgpack.decode(parts_of(signed).data)["type"] for _, _, signed in scene.desk.calls)
    declared = {tag for item in (*PROPOSALS.coordinator, *PUBLICATIONS.coordinator) for tag in item.messages}
    assert set(tags) == declared
    assert tags["desk.word/1"] == 2


def test_a_word_holds_what_is_declared_and_no_more(run):
    scene, _ = run
    word = msgspec.to_builtins(scene.desk.words[NUMBER]["shop"])
    assert set(word) == {
        "type", "number", "digest", "party", "approved", "revision", "made", "until", "policy", "code", "by", "reasons",
    }  # fmt: skip
    assert word["by"] == "person"


def test_others_hear_how_words_stand_and_not_why(run):
    scene, _ = run
    (found,) = scene.client("bank").proposals().proposals
    assert {party: standing.value for party, standing in found.words.items()} == {
        "bank": "approved",
        "shop": "refused",
    }
    assert set(msgspec.to_builtins(found)) == {
        "type", "number", "job", "proposer", "proposed", "expires", "state", "words",
    }  # fmt: skip


def test_counts_of_requests_name_nobody(run):
    scene, _ = run
    assert sum(scene.desk.lists["bank", Noun.REQUESTS].items.values()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_is_in_words(language):
    known = catalogue(language)
    for found in (PROPOSALS, PUBLICATIONS):
        for item in (*found.label_holder, *found.feature_holder, *found.coordinator):
            assert known[f"disclosures.{found.protocol}.{item.what}"]
