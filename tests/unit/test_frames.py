"""Frames between parties: each kind of tampering, replaying and misdirecting has its named error."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import frames, wire
from federation.align import TokenPart
from federation.frames import FRAME_VERSION, Endpoint, Frame, Header, binding_of
from federation.messages import COORDINATOR
from federation.session import Attestation, EndSession
from privacy.errors import (
    MessageInvalid,
    SealBroken,
    SignatureInvalid,
    SilhouetteError,
    StaleSnapshot,
    UnexpectedMessage,
)
from privacy.sealing import Identity
from privacy.texts import LANGUAGES

NAMES = ("bank", "shop", COORDINATOR)
IDENTITIES = {name: Identity.generate() for name in (*NAMES, "stranger")}
SESSION = "a" * 32
DIGEST = "d" * 64


def endpoint(own, session=SESSION, digest=DIGEST, peers=NAMES):
    known = {name: IDENTITIES[name].public for name in peers if name != own}
    return Endpoint(own, IDENTITIES[own], known, session, digest)


@pytest.fixture
def shop():
    return endpoint("shop")


@pytest.fixture
def bank():
    return endpoint("bank")


def tokens(length=100):
    return TokenPart(part=0, tokens=bytes(number % 251 for number in range(length)))


def only(sealed):
    (frame,) = sealed
    return frame


def rebuilt(frame, sign_as=None, **changes):
    """The frame with header fields, `sealed` or `signature` changed; signed anew when `sign_as` is given."""
    parts = msgspec.msgpack.decode(frame, type=Frame)
    sealed = changes.pop("sealed", parts.sealed)
    signature = changes.pop("signature", parts.signature)
    header = parts.header
    if changes:
        fields = msgspec.msgpack.decode(header, type=Header)
        header = msgspec.msgpack.encode(msgspec.structs.replace(fields, **changes))
    if sign_as:
        signature = IDENTITIES[sign_as].sign(header, sealed)
    return msgspec.msgpack.encode(Frame(header, sealed, signature))


def refuses(receiver, frame, error, key):
    with pytest.raises(error) as caught:
        receiver.open(frame)
    assert type(caught.value) is error
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)


def still_opens(receiver, frame):
    """A refused frame has changed nothing: the honest one still gets through."""
    assert receiver.open(frame).sender == "bank"


# --- round trips


@pytest.mark.parametrize("length", [0, 1, 99, 100, 101, 1000])
def test_a_message_arrives_whole_in_however_many_pieces(bank, shop, monkeypatch, length):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 100)
    message = tokens(length)
    sent = bank.seal("shop", 3, message)
    assert len(sent) == -(-len(wire.encode(message)) // 100)
    arrived = [shop.open(frame) for frame in sent]
    assert arrived[:-1] == [None] * (len(sent) - 1)
    received = arrived[-1]
    assert (received.sender, received.stage) == ("bank", 3)
    assert isinstance(received.message, TokenPart)
    assert received.message.tokens == message.tokens


def test_pieces_of_two_senders_may_be_interleaved(bank, shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 40)
    coordinator = endpoint(COORDINATOR)
    first, second = bank.seal("shop", 1, tokens(90)), coordinator.seal("shop", 2, tokens(80))
    assert len(first) > 2
    assert len(second) > 2
    arrived = [shop.open(frame) for pair in zip(first, second, strict=False) for frame in pair]
    arrived += [shop.open(frame) for frame in first[len(second) :]]
    whole = {item.sender: item for item in arrived if item}
    assert len(whole["bank"].message.tokens) == 90
    assert (whole[COORDINATOR].stage, len(whole[COORDINATOR].message.tokens)) == (2, 80)


def test_numbers_run_per_pair(bank, shop):
    coordinator = endpoint(COORDINATOR)
    for stage in range(3):
        assert shop.open(only(bank.seal("shop", stage, tokens()))).stage == stage
        assert coordinator.open(only(bank.seal(COORDINATOR, stage, EndSession()))).stage == stage


def test_a_frame_shows_routing_and_no_content(bank):
    message = TokenPart(part=0, tokens=b"canary" * 20)
    frame = only(bank.seal("shop", 1, message))
    header = msgspec.msgpack.decode(msgspec.msgpack.decode(frame, type=Frame).header, type=Header)
    assert header == Header(FRAME_VERSION, SESSION, DIGEST, "bank", "shop", 1, 1, 0, 1, b"")
    assert b"canary" not in frame
    assert b"align" not in frame


def test_the_frame_limit_leaves_room_for_the_longest_header(monkeypatch):
    long = "p" * 32
    monkeypatch.setitem(IDENTITIES, long, IDENTITIES["stranger"])
    big = 2**63 - 1
    sender = endpoint(long, session="s" * 64)
    header = msgspec.msgpack.encode(
        Header(FRAME_VERSION, "s" * 64, DIGEST, long, long, big, big, big, big, bytes(32))
    )
    own = 32 + 16  # HPKE's encapsulated key and the AEAD's tag
    frame = msgspec.msgpack.encode(Frame(header, bytes(frames.MAX_PIECE_BYTES + own), bytes(64)))
    assert len(frame) <= frames.MAX_FRAME_BYTES
    assert only(sender.seal("shop", 1, tokens()))


# --- tampering


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 2},
        {"stage": 2},
        {"piece": 1},
        {"pieces": 2},
        {"sender": COORDINATOR},
        {"binding": bytes(32)},
    ],
)
def test_a_changed_header_refuses(bank, shop, changes):
    frame = only(bank.seal("shop", 1, tokens()))
    refuses(shop, rebuilt(frame, **changes), SignatureInvalid, "signature_invalid")
    still_opens(shop, frame)


@pytest.mark.parametrize(
    "changes",
    [
        {"session": "b" * 32},
        {"job_digest": "e" * 64},
        {"recipient": "bank"},
        {"recipient": COORDINATOR},
        {"version": FRAME_VERSION - 1},
        {"version": FRAME_VERSION + 1},
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_a_frame_for_elsewhere_refuses_even_when_it_is_signed(bank, shop, changes, signed):
    frame = only(bank.seal("shop", 1, tokens()))
    changed = rebuilt(frame, sign_as="bank" if signed else None, **changes)
    refuses(shop, changed, UnexpectedMessage, "frame_foreign")
    still_opens(shop, frame)


def test_changed_content_refuses(bank, shop):
    frame = only(bank.seal("shop", 1, tokens()))
    sealed = bytearray(msgspec.msgpack.decode(frame, type=Frame).sealed)
    sealed[40] ^= 1
    refuses(shop, rebuilt(frame, sealed=bytes(sealed)), SignatureInvalid, "signature_invalid")
    refuses(shop, rebuilt(frame, sealed=bytes(sealed), sign_as="bank"), SealBroken, "seal_broken")
    still_opens(shop, frame)


def test_content_sealed_in_another_place_refuses(bank, shop):
    """The seal is bound to the header as well: re-signing a moved frame does not help its sender's thief."""
    first, second = only(bank.seal("shop", 1, tokens())), only(bank.seal("shop", 1, tokens(5)))
    moved = rebuilt(second, number=1, sign_as="bank")
    refuses(shop, moved, SealBroken, "seal_broken")
    still_opens(shop, first)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65)])
def test_a_missing_or_wrong_signature_refuses(bank, shop, signature):
    frame = only(bank.seal("shop", 1, tokens()))
    refuses(shop, rebuilt(frame, signature=signature), SignatureInvalid, "signature_invalid")
    still_opens(shop, frame)


def test_a_signature_of_another_party_refuses(bank, shop):
    frame = only(bank.seal("shop", 1, tokens()))
    refuses(shop, rebuilt(frame, sign_as=COORDINATOR), SignatureInvalid, "signature_invalid")
    still_opens(shop, frame)


def test_an_unknown_sender_refuses(shop):
    stranger = endpoint("stranger", peers=("shop",))
    refuses(shop, only(stranger.seal("shop", 1, tokens())), SignatureInvalid, "signature_invalid")


def test_a_party_that_is_not_in_this_session_refuses(bank):
    """The roster may know more parties than the job: those cannot speak in its session."""
    coordinator = endpoint(COORDINATOR, peers=("shop",))
    refuses(coordinator, only(bank.seal(COORDINATOR, 1, EndSession())), SignatureInvalid, "signature_invalid")


def test_own_frames_sent_back_refuse(bank):
    refuses(bank, only(bank.seal("shop", 1, tokens())), SignatureInvalid, "signature_invalid")


@settings(max_examples=300)
@given(data=st.data())
def test_no_flipped_bit_gets_through(data):
    receiver, frame = endpoint("shop"), only(endpoint("bank").seal("shop", 1, tokens(30)))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    changed = bytearray(frame)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SilhouetteError):
        receiver.open(bytes(changed))
    still_opens(receiver, frame)


@settings(max_examples=200)
@given(data=st.binary(max_size=200))
def test_garbage_refuses(data):
    with pytest.raises(SilhouetteError) as caught:
        endpoint("shop").open(data)
    assert caught.value.key in {"message_undecodable", "signature_invalid"}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\x90",
        b"\xc0",
        b"\x9a\x02\xa2\xff\xfe\xa0\xa0\xa0\x01\x01\x00\x01\xc4\x00",  # a session name that is no UTF-8
        b"\x91" * 100_000,
        msgspec.msgpack.encode((FRAME_VERSION, SESSION, DIGEST, "bank", "shop", 1, 1, 0, 1, b"", "more")),
        msgspec.msgpack.encode((FRAME_VERSION, SESSION, DIGEST, "bank", "shop", 1, 1, 0, 1)),  # no binding
        msgspec.msgpack.encode((FRAME_VERSION, SESSION, DIGEST, "bank", "shop", "1", 1, 0, 1, b"")),
        msgspec.msgpack.encode((FRAME_VERSION, SESSION, DIGEST, "bank", "shop", 1, 1, 0, 1, 5)),
    ],
)
def test_a_malformed_header_refuses(shop, header):
    frame = msgspec.msgpack.encode(Frame(header, b"", bytes(64)))
    refuses(shop, frame, MessageInvalid, "message_undecodable")


# --- order


def test_a_replayed_frame_refuses(bank, shop):
    frame = only(bank.seal("shop", 1, tokens()))
    still_opens(shop, frame)
    refuses(shop, frame, UnexpectedMessage, "frame_out_of_order")


def test_reordered_and_dropped_frames_refuse(bank, shop):
    first, second, third = (only(bank.seal("shop", 1, tokens())) for _ in range(3))
    refuses(shop, second, UnexpectedMessage, "frame_out_of_order")
    still_opens(shop, first)
    refuses(shop, third, UnexpectedMessage, "frame_out_of_order")
    still_opens(shop, second)
    still_opens(shop, third)


def test_reordered_pieces_refuse(bank, shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 50)
    first, second, third = bank.seal("shop", 1, tokens())
    assert shop.open(first) is None
    refuses(shop, third, UnexpectedMessage, "frame_out_of_order")
    refuses(shop, first, UnexpectedMessage, "frame_out_of_order")
    assert shop.open(second) is None
    still_opens(shop, third)


def signed_piece(number, piece, pieces, stage=1, binding=b"", message=None):
    """A piece that a dishonest `bank` seals and signs as it likes."""
    header = msgspec.msgpack.encode(
        Header(FRAME_VERSION, SESSION, DIGEST, "bank", "shop", number, stage, piece, pieces, binding)
    )
    sealed = IDENTITIES["shop"].public.seal(wire.encode(message or EndSession()), header)
    return msgspec.msgpack.encode(Frame(header, sealed, IDENTITIES["bank"].sign(header, sealed)))


@pytest.mark.parametrize(("piece", "pieces"), [(1, 2), (0, 0), (0, -1), (-1, 1)])
def test_a_message_begins_with_its_first_piece(shop, piece, pieces):
    refuses(shop, signed_piece(1, piece, pieces), UnexpectedMessage, "frame_out_of_order")
    still_opens(shop, signed_piece(1, 0, 1))


@pytest.mark.parametrize("other", [{"pieces": 2}, {"pieces": 4}, {"pieces": 3, "stage": 2}])
def test_all_pieces_belong_to_one_message(shop, other):
    assert shop.open(signed_piece(1, 0, 3)) is None
    refuses(shop, signed_piece(2, 1, **other), UnexpectedMessage, "frame_out_of_order")


# --- what a message rests on


def attestation(snapshot="e" * 64):
    return Attestation(policy="a" * 64, schema="b" * 64, snapshot=snapshot, agreements=("one",), pipia="p")


def attest(sender, receiver, said):
    """The sender works from now on as it says; the receiver hears of it."""
    sender.binding = said.binding
    return receiver.open(only(sender.seal(receiver.own, 0, said)))


def test_a_binding_is_all_of_an_attestation():
    one = attestation()
    assert len(one.binding) == 32
    changes = [
        {"policy": "c" * 64},
        {"schema": "c" * 64},
        {"snapshot": ""},
        {"agreements": ()},
        {"pipia": "q"},
    ]
    others = [msgspec.structs.replace(one, **change).binding for change in changes]
    assert len({one.binding, *others}) == 1 + len(others)
    assert attestation().binding == one.binding


def test_messages_are_bound_to_what_their_sender_attested_last(bank, shop):
    assert not shop.has_attested("bank")
    assert isinstance(attest(bank, shop, attestation()).message, Attestation)
    assert shop.has_attested("bank")
    assert not shop.has_attested(COORDINATOR)
    frame = only(bank.seal("shop", 1, tokens()))
    assert binding_of(frame) == (attestation().binding, True)
    still_opens(shop, frame)
    attest(bank, shop, attestation("f" * 64))
    still_opens(shop, only(bank.seal("shop", 1, tokens())))


@pytest.mark.parametrize("binding", [b"", bytes(32), attestation("f" * 64).binding])
def test_a_message_that_rests_on_anything_else_refuses(bank, shop, binding):
    attest(bank, shop, attestation())
    bank.binding = binding
    refuses(shop, only(bank.seal("shop", 1, tokens())), StaleSnapshot, "snapshot_stale")


def test_a_message_on_an_older_snapshot_refuses(bank, shop):
    attest(bank, shop, attestation())
    attest(bank, shop, attestation("f" * 64))
    bank.binding = attestation().binding
    refuses(shop, only(bank.seal("shop", 1, tokens())), StaleSnapshot, "snapshot_stale")


def test_a_binding_without_an_attestation_refuses(bank, shop):
    bank.binding = attestation().binding
    refuses(shop, only(bank.seal("shop", 1, tokens())), StaleSnapshot, "snapshot_stale")


def test_an_attestation_is_bound_to_itself(shop):
    frame = signed_piece(1, 0, 1, binding=attestation("f" * 64).binding, message=attestation())
    refuses(shop, frame, StaleSnapshot, "snapshot_stale")


def test_the_binding_of_another_party_is_not_ones_own(bank, shop):
    coordinator = endpoint(COORDINATOR)
    attest(bank, shop, attestation())
    coordinator.binding = attestation().binding
    refuses(shop, only(coordinator.seal("shop", 1, EndSession())), StaleSnapshot, "snapshot_stale")


def test_pieces_are_told_from_beginnings(bank, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 100)
    bank.binding = attestation().binding
    sent = bank.seal("shop", 1, tokens(300))
    assert [binding_of(frame) for frame in sent] == [(bank.binding, place == 0) for place in range(len(sent))]
    assert len(sent) > 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"frame",
        b"\x93\xc4\x00\xc4\x00\xc4\x00",
        msgspec.msgpack.encode((b"", b"")),
        msgspec.msgpack.encode(Frame(b"\x9a\x02\xa2\xff\xfe\xa0\xa0\xa0\x01\x01\x00\x01\xc4\x00", b"", b"")),
        msgspec.msgpack.encode(
            Frame(msgspec.msgpack.encode((1, SESSION, DIGEST, "bank", "shop", 1, 1, 0, 1)), b"", b"")
        ),
    ],
)
def test_what_is_no_frame_has_no_binding(data):
    with pytest.raises(MessageInvalid) as caught:
        binding_of(data)
    assert caught.value.key == "message_undecodable"


def test_a_message_that_was_not_sent_is_taken_back(bank, shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 100)
    still_opens(shop, only(bank.seal("shop", 1, EndSession())))
    before = bank.traffic.copy()
    bank.take_back("shop", bank.seal("shop", 1, tokens(500)))
    assert bank.traffic.bytes_sent == before.bytes_sent
    sent = bank.seal("shop", 2, tokens(150))  # its numbers are free again
    assert [shop.open(frame) for frame in sent[:-1]] == [None] * (len(sent) - 1)
    assert shop.open(sent[-1]).stage == 2


# --- size


def test_an_oversize_frame_refuses_before_it_is_decoded(shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 1000)
    refuses(shop, bytes(1001), MessageInvalid, "message_oversized")
    refuses(shop, bytes(1000), MessageInvalid, "message_undecodable")


def test_an_oversize_message_refuses_while_it_arrives(bank, shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 100)
    sent = bank.seal("shop", 1, tokens(1000))
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", 250)
    assert shop.open(sent[0]) is None
    assert shop.open(sent[1]) is None
    refuses(shop, sent[2], MessageInvalid, "message_oversized")


def test_a_message_that_nobody_may_receive_is_not_sent(bank, monkeypatch):
    monkeypatch.setattr(wire, "MAX_MESSAGE_BYTES", 250)
    with pytest.raises(MessageInvalid) as caught:
        bank.seal("shop", 1, tokens(1000))
    assert caught.value.key == "message_oversized"
    assert not bank.traffic.bytes_sent


# --- counters


def test_traffic_counts_bytes_by_peer_and_messages_by_tag(bank, shop, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIECE_BYTES", 64)
    coordinator = endpoint(COORDINATOR)
    to_shop = [*bank.seal("shop", 1, tokens(200)), *bank.seal("shop", 1, tokens(10))]
    to_coordinator = bank.seal(COORDINATOR, 1, EndSession())
    from_coordinator = coordinator.seal("shop", 1, EndSession())
    for frame in (*to_shop, *from_coordinator):
        shop.open(frame)
    assert dict(bank.traffic.bytes_sent) == {
        "shop": sum(map(len, to_shop)),
        COORDINATOR: sum(map(len, to_coordinator)),
    }
    assert dict(shop.traffic.bytes_received) == {
        "bank": sum(map(len, to_shop)),
        COORDINATOR: sum(map(len, from_coordinator)),
    }
    assert dict(shop.traffic.received) == {"align.tokens/2": 2, "session.end/1": 1}
    assert not shop.traffic.bytes_sent


def test_refused_frames_are_not_counted(bank, shop):
    frame = only(bank.seal("shop", 1, tokens()))
    shop.open(frame)
    before = shop.traffic.bytes_received.copy()
    refuses(shop, frame, UnexpectedMessage, "frame_out_of_order")
    refuses(shop, rebuilt(frame, sign_as=COORDINATOR), SignatureInvalid, "signature_invalid")
    assert shop.traffic.bytes_received == before
    assert dict(shop.traffic.received) == {"align.tokens/2": 1}
