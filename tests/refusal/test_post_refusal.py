"""Letters that were tampered with, and callers that are not who they say: refused, and told nothing."""

import msgspec
import pytest
from post_scene import PARTIES, Scene, a_task, an_answer, answered, asked

from federation import post_client, post_requests
from federation.messages import COORDINATOR
from federation.post import STEP_BYTES, new_letter_id, open_letter, pad, seal_letter
from federation.post_messages import (
    MAX_ENTRY_BYTES,
    MAX_ITEMS,
    MAX_LETTER_BYTES,
    SKEW_SECONDS,
    Answered,
    Asked,
    Content,
    Delivered,
)
from federation.post_requests import PREFIX, signed_headers
from privacy.errors import MessageInvalid, PeerDropped, SealBroken, SignatureInvalid, UnexpectedMessage
from privacy.sealing import Identity
from server import post_callers, post_routes
from server.web import create_app

A, B = "a" * 32, "b" * 32


@pytest.fixture(scope="module")
def keys():
    return {party: Identity.generate() for party in PARTIES}


@pytest.fixture(scope="module")
def peers(keys):
    return {party: identity.public for party, identity in keys.items()}


def letter_of(keys, items, letter=A, sender="bank", recipient="shop", signer=None):
    signer = signer or keys[sender]
    data = seal_letter(items, letter, sender, signer, recipient, keys[recipient].public)
    return Delivered(letter, sender, data)


def plain_letter(keys, plain, letter=A, sender="bank", recipient="shop", pad=pad):
    """A letter that holds any bytes, sealed and signed as it should be."""
    plain = pad(plain)
    context = msgspec.msgpack.encode(("silhouette letter v1", sender, recipient, letter))
    sealed = keys[recipient].public.seal(plain, context)
    return Delivered(letter, sender, keys[sender].sign(context, sealed) + sealed)


def changed(delivered, **values):
    return msgspec.structs.replace(delivered, **values)


# --- letters


def test_a_letter_opens_for_its_recipient(keys, peers):
    items = (asked(), answered("bank", keys["bank"]))
    assert open_letter(letter_of(keys, items), "shop", keys["shop"], peers) == items
    assert open_letter(
        plain_letter(keys, msgspec.msgpack.encode(Content(items))), "shop", keys["shop"], peers
    )


@pytest.mark.parametrize("values", [{"letter": B}, {"sender": "telecom"}])
def test_a_letter_under_another_id_or_name_refuses(keys, peers, values):
    delivered = changed(letter_of(keys, [asked()]), **values)
    with pytest.raises(SignatureInvalid):
        open_letter(delivered, "shop", keys["shop"], peers)


def test_a_letter_that_was_moved_to_another_box_refuses(keys, peers):
    with pytest.raises(SignatureInvalid):
        open_letter(letter_of(keys, [asked()]), "telecom", keys["telecom"], peers)


def test_a_letter_that_is_signed_anew_by_another_refuses(keys, peers):
    """Who cannot open it cannot pass it on as its own either: the seal is bound to the sender's name too."""
    data = letter_of(keys, [asked()]).data[64:]
    context = msgspec.msgpack.encode(("silhouette letter v1", "telecom", "shop", A))
    stolen = Delivered(A, "telecom", keys["telecom"].sign(context, data) + data)
    with pytest.raises(SealBroken):
        open_letter(stolen, "shop", keys["shop"], peers)


def test_a_letter_with_another_signature_refuses(keys, peers):
    with pytest.raises(SignatureInvalid):
        open_letter(letter_of(keys, [asked()], signer=keys["telecom"]), "shop", keys["shop"], peers)


@pytest.mark.parametrize("place", [0, 63, 64, 95, 96, -17, -1])
def test_a_letter_with_one_changed_byte_refuses(keys, peers, place):
    data = bytearray(letter_of(keys, [asked()]).data)
    data[place] ^= 1
    with pytest.raises(SignatureInvalid):
        open_letter(Delivered(A, "bank", bytes(data)), "shop", keys["shop"], peers)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 100])
def test_a_stump_of_a_letter_refuses(keys, peers, length):
    delivered = letter_of(keys, [asked()])
    with pytest.raises(SignatureInvalid):
        open_letter(changed(delivered, data=delivered.data[:length]), "shop", keys["shop"], peers)


@pytest.mark.parametrize("sender", ["stranger", "shop"])
def test_a_letter_from_nobody_known_refuses(keys, peers, sender):
    others = {name: key for name, key in peers.items() if name != "shop"}
    with pytest.raises(UnexpectedMessage) as caught:
        open_letter(changed(letter_of(keys, [asked()]), sender=sender), "shop", keys["shop"], others)
    assert (caught.value.key, caught.value.values) == ("post_unknown_sender", {"sender": sender})


def raw(*items):
    return msgspec.msgpack.encode({"items": list(items)})


TASK = msgspec.to_builtins(asked(), builtin_types=(bytes,))


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\xc1",
        b"\x80",
        raw(),
        raw(*[TASK] * (MAX_ITEMS + 1)),
        raw({**TASK, "type": "post.task/2"}),
        raw({**TASK, "type": "session.begin/1"}),
        raw({**TASK, "more": 1}),
        raw({**TASK, "task": {**TASK["task"], "kind": "anything"}}),
        raw({**TASK, "task": {**TASK["task"], "case": "x"}}),
        raw({**TASK, "task": {**TASK["task"], "rows": []}}),
        raw({**TASK, "task": {**TASK["task"], "received": "2026-11-24T09:30:00"}}),
        raw({**TASK, "task": {**TASK["task"], "phone": "13900001234"}}),
        raw({"type": "post.answer/1", "answer": TASK["task"], "signature": bytes(64)}),
        msgspec.msgpack.encode({"items": [TASK], "more": 1}),
        msgspec.msgpack.encode([TASK]),
        raw(TASK) + b"\x00",
        b"\x81\xa5items\x91" * 2000,
    ],
    ids=range(18),
)
def test_a_letter_that_holds_anything_else_refuses(keys, peers, plain):
    with pytest.raises(MessageInvalid) as caught:
        open_letter(plain_letter(keys, plain), "shop", keys["shop"], peers)
    assert (caught.value.key, caught.value.values) == ("post_letter", {"sender": "bank"})


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain[:-1],
        lambda plain: plain + bytes(1),
        lambda plain: plain + bytes(STEP_BYTES),
        lambda plain: plain[:-1] + b"x",
        lambda plain: b"\xff" * 4 + plain[4:],
        lambda plain: plain[:3],
        lambda _: b"",
    ],
    ids=range(7),
)
def test_a_letter_with_anything_beside_its_content_refuses(keys, peers, change):
    plain = msgspec.msgpack.encode(Content((asked(),)))
    delivered = plain_letter(keys, plain, pad=lambda content: change(pad(content)))
    with pytest.raises(MessageInvalid):
        open_letter(delivered, "shop", keys["shop"], peers)


def test_few_items_have_one_size(keys):
    sizes = {len(letter_of(keys, [asked()] * count).data) for count in range(1, 20)}
    assert len(sizes) == 1
    assert len(letter_of(keys, [asked()] * MAX_ITEMS).data) > sizes.pop()


def test_an_oversized_letter_refuses_before_it_is_opened(keys, peers):
    with pytest.raises(MessageInvalid):
        open_letter(Delivered(A, "bank", bytes(MAX_LETTER_BYTES + 1)), "shop", keys["shop"], peers)


def test_an_answer_in_anothers_name_refuses(keys, peers):
    items = (asked(), answered("telecom", keys["telecom"]))
    with pytest.raises(UnexpectedMessage) as caught:
        open_letter(letter_of(keys, items), "shop", keys["shop"], peers)
    assert caught.value.key == "post_other_party"


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(65)])
def test_an_answer_without_a_whole_signature_refuses(keys, peers, signature):
    plain = msgspec.msgpack.encode(Content((Answered(an_answer("bank"), signature),)))
    with pytest.raises(MessageInvalid):
        open_letter(plain_letter(keys, plain), "shop", keys["shop"], peers)


def test_a_letter_with_too_much_in_it_is_not_sealed(keys):
    for items in ([], [asked()] * (MAX_ITEMS + 1), [Asked(a_task(rows=1000))] * 30):
        with pytest.raises(MessageInvalid):
            letter_of(keys, items)
    assert len(letter_of(keys, [Asked(a_task(rows=1000))] * 10).data) <= MAX_LETTER_BYTES
    assert new_letter_id() != new_letter_id()


# --- callers


@pytest.fixture
def scene(tmp_path):
    return Scene.create(tmp_path)


def headers_of(scene, party="bank", method="GET", path="/post", body=b"", seconds=None, identity=None):
    coordinator = scene.home.roster.coordinator
    identity = identity or scene.identities[party]
    seconds = scene.clock() if seconds is None else seconds
    return signed_headers(party, identity, coordinator, method, path, body, seconds)


NOTHING = b'{"detail":"Not Found"}'
CALLS = [
    ("PUT", f"/post/shop/{A}", b"letter"),
    ("GET", "/post", b""),
    ("DELETE", f"/post/{A}", b""),
    ("DELETE", f"/post/{A}?refused=1", b""),
    ("PUT", "/ledger/1", b"entry"),
    ("GET", "/ledger?from=1", b""),
    ("GET", "/ledger/head", b""),
]


def call(scene, method, path, body, headers):
    answer = scene.http.request(method, path, content=body, headers=headers)
    return answer.status_code, answer.content


def is_refused(scene, method, path, body, headers):
    assert call(scene, method, path, body, headers) == (404, NOTHING)


def test_the_post_adds_just_its_routes(scene):
    with_post = {route.path for route in scene.app.routes}
    without = {route.path for route in create_app("https://127.0.0.1:1", scene.trust, "driver").routes}
    assert with_post - without == {
        "/post", "/post/{letter}", "/post/{recipient}/{letter}", "/ledger", "/ledger/head", "/ledger/{number}",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_every_route_answers_its_party_and_nobody_else(scene, method, path, body):
    right = headers_of(scene, "bank", method, path, body)
    for wrong in (
        {},
        {"authorization": "Bearer driver"},
        headers_of(scene, "bank", method, path, body, identity=scene.identities["shop"]),
        headers_of(scene, "stranger", method, path, body, identity=Identity.generate()),
        headers_of(scene, COORDINATOR, method, path, body, identity=scene.home.identity),
        headers_of(scene, "bank", "POST", path, body),
        headers_of(scene, "bank", method, path + "x", body),
        headers_of(scene, "bank", method, path, body + b"x"),
        {**right, PREFIX + "party": "telecom"},
        *({name: value for name, value in right.items() if name != left_out} for left_out in right),
    ):
        is_refused(scene, method, path, body, wrong)
    assert call(scene, method, path, body, right)[0] in {200, 204}
    assert scene.home.ledger_head("telecom").count == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("party", "Bank"), ("party", "../bank"), ("time", "-5"), ("time", "1e9"), ("time", "0x5"), ("time", ""),
        ("time", "9" * 17), ("nonce", ""), ("nonce", "g" * 32), ("nonce", "A" * 33), ("body", "0" * 63),
        ("signature", ""), ("signature", "A" * 88), ("signature", "é" * 86 + "=="),
    ],
)  # fmt: skip
def test_a_malformed_claim_refuses(scene, name, value):
    headers = {key: text.encode() for key, text in headers_of(scene).items()}
    is_refused(scene, "GET", "/post", b"", {**headers, PREFIX + name: value.encode()})


def test_a_request_is_good_for_one_coordinator(scene, tmp_path):
    other = Scene.create(tmp_path / "other")
    other.home.enrol(replace_identity(other, scene), replace=True)
    is_refused(other, "GET", "/post", b"", headers_of(scene))
    assert call(scene, "GET", "/post", b"", headers_of(scene))[0] == 200


def replace_identity(other, scene):
    entry = next(party for party in other.home.roster.parties if party.name == "bank")
    return msgspec.structs.replace(entry, identity=scene.identities["bank"].public.to_text())


@pytest.mark.parametrize("offset", [-SKEW_SECONDS - 1, SKEW_SECONDS + 1])
def test_an_old_or_early_request_refuses(scene, offset):
    scene.clock.seconds += 10_000
    now = scene.clock()
    is_refused(scene, "GET", "/post", b"", headers_of(scene, seconds=now + offset))
    near = offset - 2 if offset > 0 else offset + 2
    assert call(scene, "GET", "/post", b"", headers_of(scene, seconds=now + near))[0] == 200


def test_a_request_is_taken_once(scene):
    headers = headers_of(scene)
    assert call(scene, "GET", "/post", b"", headers)[0] == 200
    for later in (0, SKEW_SECONDS - 1, SKEW_SECONDS):
        scene.clock.seconds += later
        is_refused(scene, "GET", "/post", b"", headers)


def test_an_early_request_is_not_taken_again_when_its_time_comes(scene):
    headers = headers_of(scene, seconds=scene.clock() + SKEW_SECONDS)
    assert call(scene, "GET", "/post", b"", headers)[0] == 200
    for _ in range(4):
        scene.clock.seconds += SKEW_SECONDS / 2 - 1
        is_refused(scene, "GET", "/post", b"", headers)


def test_a_request_is_not_taken_again_by_a_coordinator_that_started_anew(scene):
    headers = headers_of(scene)
    assert call(scene, "GET", "/post", b"", headers)[0] == 200
    scene.clock.seconds += 5
    scene.start()
    is_refused(scene, "GET", "/post", b"", headers)
    assert call(scene, "GET", "/post", b"", headers_of(scene))[0] == 200


def test_a_party_that_calls_without_end_is_told_so(scene, monkeypatch):
    monkeypatch.setattr(post_callers, "MAX_NONCES", 3)
    statuses = [call(scene, "GET", "/post", b"", headers_of(scene))[0] for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    assert call(scene, "GET", "/post", b"", headers_of(scene, "shop"))[0] == 200
    scene.clock.seconds += 2 * SKEW_SECONDS + 1
    assert call(scene, "GET", "/post", b"", headers_of(scene))[0] == 200


def test_who_leaves_the_roster_is_a_stranger_and_who_enters_is_not(scene):
    roster = scene.home.roster
    assert call(scene, "GET", "/post", b"", headers_of(scene, "telecom"))[0] == 200
    scene.home.write_roster(msgspec.structs.replace(roster, parties=roster.parties[:2]))
    is_refused(scene, "GET", "/post", b"", headers_of(scene, "telecom"))
    scene.home.write_roster(roster)
    assert call(scene, "GET", "/post", b"", headers_of(scene, "telecom"))[0] == 200


# --- what they put


@pytest.mark.parametrize("recipient", ["stranger", COORDINATOR, "bank"])
def test_an_unknown_recipient_refuses(scene, recipient):
    assert scene.client("bank").put(recipient, A, b"x") is post_client.Put.NEVER


@pytest.mark.parametrize("letter", ["x", "A" * 32, "a" * 31, "a" * 33])
def test_an_id_of_another_form_refuses(scene, letter):
    with pytest.raises(PeerDropped):
        scene.client("bank").put("shop", letter, b"x")


@pytest.mark.parametrize(
    ("path", "limit"), [(f"/post/shop/{A}", MAX_LETTER_BYTES), ("/ledger/1", MAX_ENTRY_BYTES)]
)
def test_an_oversized_body_refuses(scene, path, limit):
    for size, status in ((limit + 1, 413), (limit, 204)):
        body = bytes(size)
        assert call(scene, "PUT", path, body, headers_of(scene, "bank", "PUT", path, body))[0] == status


def test_the_bodies_of_strangers_are_not_read(scene, monkeypatch):
    async def read(*_):
        raise AssertionError("read")

    monkeypatch.setattr(post_routes, "read_body", read)
    for method, path, body in CALLS:
        stranger = headers_of(scene, "bank", method, path, body, identity=scene.identities["shop"])
        is_refused(scene, method, path, body, stranger)
        with pytest.raises(AssertionError):
            call(scene, method, path, body, headers_of(scene, "bank", method, path, body))


def test_a_body_that_was_not_signed_refuses(scene):
    path = f"/post/shop/{A}"
    is_refused(scene, "PUT", path, b"other", headers_of(scene, "bank", "PUT", path, b"letter"))
    assert scene.client("shop").fetch().letters == ()


@pytest.mark.parametrize("query", ["wait=-1", "wait=21", "wait=x", "most=0", "most=65", "wait=1&wait=99"])
def test_nobody_waits_or_takes_without_end(scene, query):
    path = f"/post?{query}"
    is_refused(scene, "GET", path, b"", headers_of(scene, path=path))


@pytest.mark.parametrize("number", ["0", "-1", "x", "9007199254740992", "1e3"])
def test_an_entrys_number_is_one(scene, number):
    path = f"/ledger/{number}"
    is_refused(scene, "PUT", path, b"x", headers_of(scene, "bank", "PUT", path, b"x"))


def test_only_the_next_entry_is_taken_and_only_the_party_reads_it(scene):
    bank, shop = scene.client("bank"), scene.client("shop")
    bank.put_entry(1, b"one")
    for number in (1, 3):
        with pytest.raises(UnexpectedMessage) as caught:
            bank.put_entry(number, b"other")
        assert caught.value.values == {"position": number}
    bank.put_entry(1, b"one")
    assert (bank.entries(1), bank.head().count) == ((b"one",), 1)
    assert (shop.entries(1), shop.head().count) == ((), 0)


def test_an_answer_that_is_none_refuses(scene, monkeypatch):
    client = scene.client("bank")
    monkeypatch.setattr(post_client, "MAX_ANSWER_BYTES", 5)
    with pytest.raises(MessageInvalid):
        client.fetch()
    assert post_requests.digest_of(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
