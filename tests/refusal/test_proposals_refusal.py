"""Words and lists that are not a party's own, are old, altered or too large, and callers without a signature."""

import logging
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from desk_scene import JOB, NUMBER, OTHER, DeskScene, proposal

from clients.approvals.inbox import Inbox
from federation import desk_client
from federation.jobs import PartyPlan, PartyRole, encode_job
from federation.post_client import Put
from federation.proposals import (
    DOMAIN,
    MAX_JOB_BYTES,
    MAX_PROPOSALS,
    MAX_WORD_BYTES,
    DecidedBy,
    JobState,
    Proposals,
    Standing,
    Word,
    decode_proposals,
    encode_proposals,
    open_word,
    sign_word,
    standings,
    version_of,
)
from federation.publications import DOMAIN as PUBLICATION_DOMAIN
from federation.publications import (
    MAX_PUBLICATION_BYTES,
    Column,
    Dataset,
    Datasets,
    Models,
    Noun,
    PublishedModel,
    open_publication,
    publication_of,
    rounded,
    sign_publication,
)
from federation.signed_records import Signed, parts_of, sign_record
from privacy.errors import ConfigInvalid, MessageInvalid, PeerDropped, SignatureInvalid, UnexpectedMessage
from privacy.identifiers import IdentifierKind
from privacy.sealing import Identity

COORDINATOR, ANOTHER = "keys of the coordinator", "keys of another"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEYS, STRANGER = Identity.generate(), Identity.generate()
WORD = Word(
    number=NUMBER,
    digest=JOB.digest,
    party="shop",
    approved=True,
    revision=7,
    made=NOW,
    until=NOW + timedelta(days=7),
    policy="a" * 64,
    code="b" * 64,
    by=DecidedBy.PERSON,
)
MODEL = PublishedModel(
    number="ab" * 16,
    kind="boosting",
    job="lending",
    purpose="credit_risk",
    parties=("bank", "shop"),
    state="active",
    trained=NOW.date(),
    rows=100,
    k_min=50,
)


def changed(**values):
    return msgspec.structs.replace(WORD, **values)


def signed(word=WORD, identity=KEYS, coordinator=COORDINATOR):
    return sign_word(word, identity, coordinator)


def opened(data, party="shop", identity=KEYS, coordinator=COORDINATOR):
    return open_word(data, party, identity.public, coordinator)


def with_unknown(record):
    return msgspec.msgpack.encode(msgspec.to_builtins(record, builtin_types=(datetime, bytes)) | {"more": 1})


# --- words


def test_a_word_opens():
    assert opened(signed()) == WORD


def test_a_word_of_somebody_else():
    with pytest.raises(SignatureInvalid):
        opened(signed(identity=STRANGER))
    with pytest.raises(UnexpectedMessage):
        opened(signed(), party="bank")


def test_a_word_to_another_coordinator():
    with pytest.raises(SignatureInvalid):
        opened(signed(coordinator=ANOTHER))


def test_a_word_is_no_list_and_a_list_no_word():
    statement = sign_record(WORD, KEYS, PUBLICATION_DOMAIN, COORDINATOR, MAX_WORD_BYTES)
    with pytest.raises(SignatureInvalid):
        opened(statement)
    with pytest.raises(SignatureInvalid):
        open_publication(signed(), Noun.MODELS, "shop", KEYS.public, COORDINATOR)


def test_an_altered_word():
    frame = parts_of(signed())
    other = msgspec.msgpack.encode(changed(approved=False))
    with pytest.raises(SignatureInvalid):
        opened(msgspec.msgpack.encode(Signed(other, frame.signature)))


def test_a_word_that_is_cut_off():
    whole = signed()
    for cut in range(len(whole)):
        with pytest.raises(MessageInvalid):
            opened(whole[:cut])


def test_a_word_that_is_too_large():
    with pytest.raises(MessageInvalid):
        opened(bytes(MAX_WORD_BYTES * 2))
    frame = parts_of(signed())
    long = Signed(frame.data + bytes(MAX_WORD_BYTES), frame.signature)
    with pytest.raises(MessageInvalid):
        opened(msgspec.msgpack.encode(long))


def test_a_word_with_more_in_it():
    data = with_unknown(WORD)
    statement = msgspec.msgpack.encode((COORDINATOR, data))
    frame = Signed(data, KEYS.sign_statement(DOMAIN, statement))
    with pytest.raises(MessageInvalid):
        opened(msgspec.msgpack.encode(frame))


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": NOW + timedelta(days=365)},
        {"reasons": ("Somebody's sentence.",)},
        {"reasons": ("13900000007",)},
        {"number": "J-abc"},
        {"digest": "0"},
        {"revision": 0},
        {"party": "Shop"},
        {"by": "li"},
    ],
)
def test_a_word_that_says_what_no_word_may(wrong):
    with pytest.raises((MessageInvalid, UnexpectedMessage)):
        opened(signed(changed(**wrong)))


def test_a_yes_that_has_ended_counts_as_none():
    words = {"shop": WORD, "telecom": changed(party="telecom", approved=False)}
    parties = ("bank", "shop", "telecom")
    assert standings(parties, words, NOW) == {
        "bank": Standing.WAITING,
        "shop": Standing.APPROVED,
        "telecom": Standing.REFUSED,
    }
    later = standings(parties, words, NOW + timedelta(days=8))
    assert (later["shop"], later["telecom"]) == (Standing.WAITING, Standing.REFUSED)


# --- proposals


def test_proposals_survive_the_wire():
    given = [proposal(words={"bank": Standing.APPROVED}), proposal(number=OTHER, state=JobState.RUNNING)]
    found = decode_proposals(encode_proposals(given))
    assert list(found.proposals) == given
    assert found.version == version_of(given) != version_of(given[:1])


def test_an_answer_that_is_none():
    good = proposal()
    answers = (
        b"",
        b"\xc1",
        msgspec.msgpack.encode(Proposals("0" * 64, (good,))),
        msgspec.msgpack.encode(Proposals(version_of([good, good]), (good, good))),
        with_unknown(Proposals(version_of([]), ())),
    )
    for answer in answers:
        with pytest.raises(MessageInvalid):
            decode_proposals(answer)


def test_too_many_proposals():
    with pytest.raises(MessageInvalid):
        encode_proposals([proposal()] * (MAX_PROPOSALS + 1))


def test_a_job_that_is_too_large_or_not_canonical():
    large = msgspec.structs.replace(proposal(), job=bytes(MAX_JOB_BYTES + 1))
    with pytest.raises(MessageInvalid):
        decode_proposals(encode_proposals([large]))
    loose = msgspec.msgpack.encode({"type": "x"} | msgspec.msgpack.decode(encode_job(JOB)))
    with pytest.raises((ConfigInvalid, MessageInvalid)):
        proposal(job=JOB).__class__(**_fields(proposal()) | {"job": loose}).job_for("bank")
    shuffled = msgspec.msgpack.encode(dict(reversed(msgspec.msgpack.decode(encode_job(JOB)).items())))
    with pytest.raises(MessageInvalid):
        msgspec.structs.replace(proposal(), job=shuffled).job_for("bank")


def test_a_job_of_strangers():
    with pytest.raises(ConfigInvalid):
        proposal().job_for("telecom")


def test_the_largest_list_of_proposals_fits():
    wide = PartyPlan(
        name="bank", role=PartyRole.LABEL_HOLDER, risk_fields=tuple(f"{n:060}" for n in range(980))
    )
    job = msgspec.structs.replace(JOB, parties=(wide, JOB.parties[1]))
    assert len(encode_job(job)) > MAX_JOB_BYTES * 0.9
    many = [
        proposal(job, number=f"J-ABCDE{'ABCDEFGHIJ'[n // 10]}{'ABCDEFGHIJ'[n % 10]}A")
        for n in range(MAX_PROPOSALS)
    ]
    assert len(decode_proposals(encode_proposals(many)).proposals) == MAX_PROPOSALS


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


# --- lists


def listed(noun=Noun.MODELS, number=1, items=(MODEL,), party="shop"):
    return publication_of(noun, party, number, NOW, items)


def test_a_list_opens():
    data = sign_publication(listed(), KEYS, COORDINATOR)
    assert open_publication(data, Noun.MODELS, "shop", KEYS.public, COORDINATOR) == listed()


def test_a_list_of_somebody_else_of_another_noun_or_for_another_coordinator():
    data = sign_publication(listed(), KEYS, COORDINATOR)
    with pytest.raises(UnexpectedMessage):
        open_publication(data, Noun.MODELS, "bank", KEYS.public, COORDINATOR)
    with pytest.raises(MessageInvalid):
        open_publication(data, Noun.AUDIENCES, "shop", KEYS.public, COORDINATOR)
    for identity, coordinator in ((STRANGER, COORDINATOR), (KEYS, ANOTHER)):
        with pytest.raises(SignatureInvalid):
            open_publication(data, Noun.MODELS, "shop", identity.public, coordinator)


def test_an_exact_size():
    exact = msgspec.structs.replace(MODEL, rows=101)
    with pytest.raises(MessageInvalid):
        sign_publication(listed(items=(exact,)), KEYS, COORDINATOR)
    forced = Models(party="shop", number=1, made=NOW, items=(exact,))
    data = sign_record(forced, KEYS, PUBLICATION_DOMAIN, COORDINATOR, MAX_PUBLICATION_BYTES)
    with pytest.raises(MessageInvalid):
        open_publication(data, Noun.MODELS, "shop", KEYS.public, COORDINATOR)
    assert [rounded(count, 50) for count in (0, 49, 50, 101)] == [0, 0, 50, 100]


def test_a_group_smaller_than_any_profile_allows():
    with pytest.raises(MessageInvalid):
        listed(items=(msgspec.structs.replace(MODEL, k_min=1, rows=3),))


def test_a_list_that_is_too_large():
    columns = tuple(Column(name=f"{number:0120}") for number in range(4000))
    table = Dataset(name="shop", id_kind=IdentifierKind.PHONE, columns=columns)
    large = Datasets(party="shop", number=1, made=NOW, items=(table,) * 3)
    with pytest.raises(MessageInvalid):
        sign_publication(large, KEYS, COORDINATOR)


# --- at the desk


@pytest.fixture
def scene(tmp_path):
    made = DeskScene.create(tmp_path)
    made.desk.propose(proposal())
    return made


def own_word(scene, party="shop", **changes):
    home = scene.homes[party]
    now = datetime.now(UTC)
    word = changed(party=party, made=now, until=now + timedelta(days=1), **changes)
    return sign_word(word, home.identity, home.roster.coordinator)


def test_who_is_not_in_the_roster_finds_nothing_there(scene):
    for method, path in (
        ("GET", "/desk/proposals"),
        ("PUT", f"/desk/proposals/{NUMBER}/word"),
        ("PUT", "/desk/publications/models"),
    ):
        assert scene.http.request(method, path).status_code == 404
    for call in (
        lambda client: client.proposals(),
        lambda client: client.put_word(NUMBER, own_word(scene)),
        lambda client: client.put_publication(Noun.MODELS, b"x"),
    ):
        with pytest.raises(PeerDropped):
            call(scene.client("shop", STRANGER))
    assert scene.desk.calls == []


def test_a_word_under_another_number_or_of_another_party(scene):
    client = scene.client("shop")
    assert client.put_word(OTHER, own_word(scene)) is Put.NEVER
    assert client.put_word(NUMBER, own_word(scene, "bank")) is Put.NEVER
    assert client.put_word(NUMBER, b"no word") is Put.NEVER
    assert scene.desk.calls == []
    assert client.put_word(NUMBER, own_word(scene)) is Put.TAKEN


def test_a_word_about_another_job_or_on_no_proposal(scene):
    client = scene.client("shop")
    assert client.put_word(NUMBER, own_word(scene, digest="c" * 64)) is Put.NEVER
    assert client.put_word(OTHER, own_word(scene, number=OTHER)) is Put.NEVER
    assert scene.desk.words == {}


def test_the_same_word_again_is_taken_and_another_is_not(scene):
    client, first = scene.client("shop"), own_word(scene)
    assert [client.put_word(NUMBER, first) for _ in range(2)] == [Put.TAKEN, Put.TAKEN]
    assert client.put_word(NUMBER, own_word(scene, approved=False)) is Put.NEVER
    assert scene.desk.words[NUMBER]["shop"].approved


def test_a_request_that_was_recorded_is_refused_when_it_comes_again(scene):
    sent = []
    ordinary = scene.http.stream

    def recording(method, path, **more):
        sent.append((method, path, more))
        return ordinary(method, path, **more)

    scene.http.stream = recording
    scene.client("shop").put_word(NUMBER, own_word(scene))
    ((method, path, more),) = sent
    again = scene.http.request(method, path, **more)
    assert again.status_code == 404
    assert len(scene.desk.calls) == 1


def test_an_upload_beyond_the_limit_is_not_read_to_its_end(scene):
    client = scene.client("shop")
    assert client.put_word(NUMBER, bytes(MAX_WORD_BYTES * 2)) is Put.NEVER
    assert client.put_publication(Noun.MODELS, bytes(MAX_PUBLICATION_BYTES * 2)) is Put.NEVER
    assert scene.desk.calls == []


def test_an_old_list_does_not_come_back(scene):
    home, client = scene.homes["shop"], scene.client("shop")
    old, new = (
        sign_publication(listed(number=number), home.identity, home.roster.coordinator) for number in (1, 2)
    )
    assert client.put_publication(Noun.MODELS, new) is Put.TAKEN
    assert client.put_publication(Noun.MODELS, old) is Put.NEVER
    assert client.put_publication(Noun.AUDIENCES, new) is Put.NEVER
    assert scene.desk.lists["shop", Noun.MODELS].number == 2


def test_a_coordinator_that_answers_nonsense(scene, caplog, monkeypatch):
    def nonsense(_data):
        raise MessageInvalid("desk_record")

    node = scene.traffic("shop")
    monkeypatch.setattr(desk_client, "decode_proposals", nonsense)
    caplog.set_level(logging.WARNING)
    assert not node.step()
    assert not node.step()
    assert caplog.text.count("message_invalid") == 1, "told once"
    assert Inbox(scene.homes["shop"]).all() == []
