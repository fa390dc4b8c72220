"""Matching refuses what a peer may not send."""

import hashlib

import numpy as np
import pytest
from matching_parties import as_identifiers, plan, rehearse, roles_of
from refusing import refuses

from federation import align
from federation.jobs import MatchMode
from federation.messages import COORDINATOR
from federation.roles import MemoryStore, Parties, Rehearsal
from privacy import joining, matching
from privacy.errors import (
    CohortTooSmall,
    CryptoError,
    IdentifierInvalid,
    MessageInvalid,
    UnexpectedMessage,
)

PARTIES = Parties("bank", ("shop", "telco"))
IDENTIFIERS = [f"1390000{number:04d}" for number in range(30)]
KEY = bytes(range(32))
KEYED, ECDH = plan(MatchMode.KEYED), plan(MatchMode.ECDH)


def coordinator(**changes):
    return align.KeyedCoordinator(PARTIES, **{"k_min": 5, **changes})


def circle_coordinator(**changes):
    return align.CircleCoordinator(PARTIES, **{"k_min": 5, **changes})


def partner(match=KEYED, k_min=5, own="shop", identifiers=IDENTIFIERS):
    role = align.FeatureHolder(PARTIES, own, "phone", as_identifiers(identifiers), plan=match, k_min=k_min)
    role.start()
    return role


def key_message(kind="phone", key=KEY):
    return align.MatchingKey(kind=kind, key=key)


def partner_with_key(match=KEYED, **changes):
    role = partner(match, **changes)
    role.receive("bank", key_message())
    return role


def new_holder(match=KEYED, k_min=5, identifiers=IDENTIFIERS):
    return align.LabelHolder(PARTIES, "bank", "phone", as_identifiers(identifiers), plan=match, k_min=k_min)


def holder_with_key(match=KEYED):
    role = new_holder(match)
    role.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "derived_key", lambda master, stamps: KEY)
        for name in PARTIES.feature_holders:
            role.receive(name, align.ListStamp(stamp=bytes(32)))
    return role


def matched(*positions, dtype=np.uint32, pieces=1, piece=0):
    return align.Matched(pieces=pieces, piece=piece, positions=np.array(positions, dtype=dtype))


def announced(tokens):
    return align.TokenList(count=len(tokens) // 16, digest=hashlib.sha256(tokens).digest())


def token_part(tokens, part=0):
    return align.TokenPart(part=part, tokens=tokens)


def some_tokens(count=30, start=0):
    return b"".join(bytes([start + place]) * 16 for place in range(count))


def asked(role, tokens=None):
    """Announce lists of all parties; the role now waits for part 0 of each."""
    for name in PARTIES.all:
        role.receive(name, announced(tokens or some_tokens()))
    return role


# --- the coordinator


@pytest.mark.parametrize(
    ("tokens", "key"),
    [
        (b"b" * 16 + b"a" * 16, "align_tokens_unsorted"),
        (b"a" * 16 + b"a" * 16, "align_tokens_repeated"),
        (b"a" * 16 + b"b" * 15, "align_tokens_length"),
        (b"a" * 16, "align_list_invalid"),
        (b"a" * 16 + b"b" * 16 + b"c" * 16, "align_list_invalid"),
    ],
)
def test_the_coordinator_refuses_bad_token_lists(tokens, key):
    role = asked(coordinator(), b"a" * 16 + b"b" * 16)
    refuses(MessageInvalid, role, "shop", token_part(tokens), key)


def test_the_coordinator_refuses_a_length_that_is_no_number_of_tokens():
    role = asked(coordinator(), b"a" * 16 + b"b" * 16)
    refuses(MessageInvalid, role, "shop", token_part(b"a" * 16 + b"b" * 17), "align_tokens_length")


def test_the_coordinator_refuses_tokens_of_another_part():
    role = asked(coordinator(tokens_per_part=16))
    refuses(MessageInvalid, role, "shop", token_part(b"\xff" * 16), "align_tokens_outside_part")
    refuses(UnexpectedMessage, role, "shop", token_part(b"\xff" * 16, part=1))


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (align.TokenList(count=101, digest=bytes(32)), "align_tokens_too_many"),
        (align.TokenList(count=0, digest=bytes(32)), "align_list_invalid"),
        (align.TokenList(count=10, digest=bytes(31)), "align_list_invalid"),
    ],
)
def test_the_coordinator_refuses_lists_that_cannot_be(message, key):
    refuses(MessageInvalid, coordinator(max_identifiers=100), "shop", message, key)


def test_the_coordinator_refuses_strangers_repeats_and_other_messages():
    tokens = some_tokens()
    refuses(UnexpectedMessage, coordinator(), "mallory", announced(tokens))
    refuses(UnexpectedMessage, coordinator(), "shop", token_part(tokens))
    refuses(UnexpectedMessage, coordinator(), "shop", matched(1))
    role = coordinator()
    role.receive("shop", announced(tokens))
    refuses(UnexpectedMessage, role, "shop", announced(tokens))
    role = asked(coordinator())
    refuses(UnexpectedMessage, role, "mallory", token_part(tokens))
    role.receive("shop", token_part(tokens))
    refuses(UnexpectedMessage, role, "shop", token_part(tokens))


def test_the_coordinator_refuses_tokens_after_the_end():
    role = asked(coordinator())
    for name in PARTIES.all:
        role.receive(name, token_part(some_tokens()))
    assert role.result.overlap == 30
    refuses(UnexpectedMessage, role, "shop", token_part(some_tokens()))
    refuses(UnexpectedMessage, role, "shop", announced(some_tokens()))


@pytest.mark.parametrize("n_shared", [0, 4])
def test_the_coordinator_refuses_a_small_overlap(n_shared):
    role = coordinator()
    lists = {
        "bank": some_tokens(20),
        "shop": some_tokens(20, 20 - n_shared),
        "telco": some_tokens(40),
    }
    for name, tokens in lists.items():
        role.receive(name, announced(tokens))
    role.receive("bank", token_part(lists["bank"]))
    role.receive("shop", token_part(lists["shop"]))
    refuses(CohortTooSmall, role, "telco", token_part(lists["telco"]), "align_overlap_small")


@pytest.mark.parametrize(
    ("members", "lists"),
    [
        # The bank would learn that all but three of its customers are not at the shop.
        ("bank - shop", {"bank": range(30), "shop": range(27, 60), "telco": range(60)}),
        # The shop alone is told of three of its own.
        ("bank | shop", {"bank": range(30), "shop": range(100, 103), "telco": range(60)}),
        ("(bank | shop) & telco", {"bank": range(30), "shop": range(40, 43), "telco": range(60)}),
    ],
)
def test_a_result_that_shows_or_leaves_out_a_few_rows_is_refused(members, lists):
    named = {name: [str(one) for one in numbers] for name, numbers in lists.items()}
    with pytest.raises(CohortTooSmall) as caught:
        rehearse(named, plan(members=members), k_min=5)
    assert caught.value.key in {"align_result_small", "align_list_small"}
    assert caught.value.values == {"k_min": 5}


@pytest.mark.parametrize("missing", [0, 1, 4])
def test_a_size_that_says_who_is_missing_is_refused(missing):
    """All, or all but a few, of somebody's customers: the size alone would tell who."""
    many = [f"1390001{number:04d}" for number in range(40)]
    lists = {"bank": many[: 20 + missing], "shop": [*many[:20], *many[30:]], "telco": many}
    with pytest.raises(CohortTooSmall) as caught:
        rehearse(lists, plan(size_only=True), k_min=5)
    assert (caught.value.key, caught.value.values) == ("align_result_small", {"k_min": 5})


@pytest.mark.parametrize("mode", [MatchMode.KEYED, MatchMode.ECDH])
def test_nobody_is_as_few_as_one(mode):
    """Whether one person is on the bank's list must not decide between an answer and a refusal."""
    shared = [f"1390001{number:04d}" for number in range(30)]
    others = [f"1390002{number:04d}" for number in range(30)]
    for own in (others, [*others[:-1], shared[0]]):
        lists = {"bank": own, "shop": shared, "telco": shared}
        with pytest.raises(CohortTooSmall):
            rehearse(lists, plan(mode, members="shop & (bank | telco)"), k_min=5)


def test_a_size_under_k_min_is_refused_without_the_number():
    lists = {"bank": IDENTIFIERS, "shop": [*IDENTIFIERS[:4], *"abcdefgh"], "telco": IDENTIFIERS}
    with pytest.raises(CohortTooSmall) as caught:
        rehearse(lists, plan(size_only=True), k_min=5)
    assert caught.value.values == {"k_min": 5}


# --- a party and the coordinator


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (matched(1, 2, 3, 4, 5, dtype=np.int64), "align_positions_type"),
        (
            align.Matched(pieces=1, piece=0, positions=np.zeros((5, 1), dtype=np.uint32)),
            "align_positions_type",
        ),
        (matched(1, 2, 3, 4, 30), "align_positions_outside"),
        (matched(1, 2, 3, 3, 4), "align_positions_order"),
        (matched(5, 4, 3, 2, 1), "align_positions_order"),
        (matched(1, 2, pieces=0), "align_parts_invalid"),
        (matched(1, 2, pieces=2, piece=1), "align_parts_invalid"),
        (matched(1, 2, piece=-1), "align_parts_invalid"),
    ],
)
def test_a_party_refuses_bad_positions(message, key):
    refuses(MessageInvalid, partner_with_key(), COORDINATOR, message, key)
    if message != matched(5, 4, 3, 2, 1) and key != "align_positions_order":
        refuses(MessageInvalid, in_circle(), COORDINATOR, message, key)


def test_places_may_come_in_any_order_from_the_circle_but_never_twice():
    falling = in_circle()
    falling.receive(COORDINATOR, matched(5, 4, 3, 2, 1))
    assert falling.result.size == 5
    refuses(MessageInvalid, in_circle(), COORDINATOR, matched(5, 4, 3, 3, 1), "align_positions_order")
    for role in (in_circle(), partner_with_key()):
        role.receive(COORDINATOR, matched(3, 4, pieces=2))
        other = matched(5, pieces=3, piece=1)
        refuses(MessageInvalid, role, COORDINATOR, other, "align_parts_invalid")
        again = matched(4, 5, 6, pieces=2, piece=1)
        refuses(MessageInvalid, role, COORDINATOR, again, "align_positions_order")


def test_a_party_refuses_a_small_overlap_itself():
    refuses(CohortTooSmall, partner_with_key(), COORDINATOR, matched(1, 2, 3, 4), "align_overlap_small")
    few = plan(members="shop - bank")
    refuses(CohortTooSmall, partner_with_key(few), COORDINATOR, matched(1, 2, 3, 4), "align_result_small")
    # Nobody, or all but a few, would tell as much.
    refuses(CohortTooSmall, partner_with_key(few), COORDINATOR, matched(), "align_result_small")
    refuses(CohortTooSmall, partner_with_key(few), COORDINATOR, matched(*range(27)), "align_result_small")
    outside = partner_with_key(plan(members="bank - shop"))
    outside.receive(COORDINATOR, matched())
    assert outside.result.size == 0


def test_a_party_refuses_parts_that_cannot_be():
    for message in (
        align.PartWanted(parts=3, part=0),
        align.PartWanted(parts=0, part=0),
        align.PartWanted(parts=2, part=2),
        align.PartWanted(parts=2, part=-1),
    ):
        refuses(MessageInvalid, partner_with_key(), COORDINATOR, message, "align_parts_invalid")
    role = partner_with_key()
    role.receive(COORDINATOR, align.PartWanted(parts=2, part=0))
    refuses(MessageInvalid, role, COORDINATOR, align.PartWanted(parts=4, part=1), "align_parts_invalid")
    refuses(UnexpectedMessage, role, "bank", align.PartWanted(parts=2, part=1))
    refuses(UnexpectedMessage, partner(), COORDINATOR, align.PartWanted(parts=1, part=0))
    role.receive(COORDINATOR, matched(pieces=2))
    refuses(UnexpectedMessage, role, COORDINATOR, align.PartWanted(parts=2, part=1))


def test_a_party_refuses_members_it_did_not_ask_for_and_sizes_likewise():
    size = align.OverlapSize(size=10)
    refuses(UnexpectedMessage, partner_with_key(), COORDINATOR, size)
    refuses(UnexpectedMessage, partner_with_key(plan(size_only=True)), COORDINATOR, matched(*range(6)))
    refuses(UnexpectedMessage, partner_with_key(plan(size_only=True)), "bank", size)
    small = align.OverlapSize(size=4)
    refuses(CohortTooSmall, partner_with_key(plan(size_only=True)), COORDINATOR, small)
    for impossible in (12, 35):  # k_min is 5, and the list has 30
        message = align.OverlapSize(size=impossible)
        role = partner_with_key(plan(size_only=True))
        refuses(MessageInvalid, role, COORDINATOR, message, "align_size_impossible")
    role = partner_with_key(plan(size_only=True))
    role.receive(COORDINATOR, size)
    refuses(UnexpectedMessage, role, COORDINATOR, size)


def test_a_party_refuses_wrong_senders_and_messages_out_of_turn():
    key = key_message()
    refuses(UnexpectedMessage, partner(), "telco", key)
    refuses(UnexpectedMessage, partner(), COORDINATOR, key)
    refuses(UnexpectedMessage, partner(), COORDINATOR, matched(0, 1, 2, 3, 4))
    role = partner_with_key()
    refuses(UnexpectedMessage, role, "bank", key)
    refuses(UnexpectedMessage, role, "telco", matched(0, 1, 2, 3, 4))
    role.receive(COORDINATOR, matched(0, 1, 2, 3, 4))
    refuses(UnexpectedMessage, role, COORDINATOR, matched(0, 1, 2, 3, 4))
    refuses(UnexpectedMessage, role, "bank", key)
    holder = holder_with_key()
    refuses(UnexpectedMessage, holder, "shop", key)
    refuses(UnexpectedMessage, holder, "shop", matched(0, 1, 2, 3, 4))
    refuses(UnexpectedMessage, holder, "shop", align.TokenList(count=5, digest=bytes(32)))


def test_a_party_refuses_another_kind_a_short_key_a_short_list_and_repeated_identifiers():
    refuses(MessageInvalid, partner(), "bank", key_message(kind="card"), "align_kind_differs")
    for match in (KEYED, ECDH):
        refuses(CryptoError, partner(match), "bank", key_message(key=KEY[:16]))
        for changes, error, key in [
            ({"k_min": 31}, CohortTooSmall, "align_list_small"),
            (
                {"identifiers": [*IDENTIFIERS, IDENTIFIERS[3]]},
                IdentifierInvalid,
                "align_identifiers_repeated",
            ),
        ]:
            with pytest.raises(error) as caught:
                partner(match, **changes)
            assert caught.value.key == key
            with pytest.raises(error) as caught:
                new_holder(match, **changes).start()
            assert caught.value.key == key


def test_the_label_holder_refuses_stamps_of_strangers_twice_malformed_or_too_late():
    stamp = align.ListStamp(stamp=bytes(32))
    refuses(UnexpectedMessage, new_holder(), "shop", stamp)
    role = new_holder()
    role.start()
    for sender in ("bank", "mallory", COORDINATOR):
        refuses(UnexpectedMessage, role, sender, stamp)
    refuses(MessageInvalid, role, "shop", align.ListStamp(stamp=bytes(31)), "align_check_length")
    assert role.receive("shop", stamp) == []
    refuses(UnexpectedMessage, role, "shop", stamp)
    refuses(UnexpectedMessage, holder_with_key(), "telco", stamp)
    refuses(UnexpectedMessage, partner(), "bank", stamp)


# --- the circle


def hello(name=b"n" * 16, count=30):
    return align.BlindingId(name=name, count=count)


def in_circle(own="shop"):
    """A party that knows all names: its list is under way."""
    role = partner_with_key(ECDH, own=own)
    for name in PARTIES.all:
        if name != own:
            role.receive(name, hello(name.encode().ljust(16)))
    return role


def points_of_bank(n_points=4):
    """The bank's points as they reach the shop."""
    transcript = rehearse(dict.fromkeys(PARTIES.all, IDENTIFIERS), ECDH)[1]
    message = next(
        message
        for sender, to, message in transcript
        if (sender, to) == ("bank", "shop") and isinstance(message, align.Points)
    )
    return message.points[: 32 * n_points]


@pytest.mark.parametrize("message", [hello(b"n" * 15), hello(count=0), hello(count=50_000_001)])
def test_a_party_refuses_names_that_cannot_be(message):
    refuses(MessageInvalid, partner_with_key(ECDH), "telco", message, "align_blinding_invalid")


def test_a_party_refuses_names_from_strangers_twice_or_without_a_circle():
    role = partner_with_key(ECDH)
    role.receive("telco", hello())
    for sender in ("telco", "mallory", "shop", COORDINATOR):
        refuses(UnexpectedMessage, role, sender, hello())
    early = partner(ECDH)
    early.receive("telco", hello())
    refuses(UnexpectedMessage, early, "telco", hello())
    refuses(UnexpectedMessage, early, "mallory", hello())
    refuses(UnexpectedMessage, partner(KEYED), "telco", hello())
    refuses(UnexpectedMessage, partner_with_key(KEYED), "telco", hello())


def test_a_party_refuses_points_that_do_not_belong_to_it():
    good = points_of_bank()

    def points(owner="bank", part=0, data=good):
        return align.Points(owner=owner, part=part, points=data)

    refuses(UnexpectedMessage, partner(ECDH), "bank", points())
    half = partner_with_key(ECDH)
    half.receive("bank", hello(b"b" * 16))
    refuses(UnexpectedMessage, half, "bank", points())  # not before everybody has said how many will come
    refuses(UnexpectedMessage, partner_with_key(KEYED), "bank", points())
    role = in_circle()
    refuses(UnexpectedMessage, role, "mallory", points())
    refuses(UnexpectedMessage, role, "telco", points())  # not the one before us
    for sender, message in [
        ("bank", points(owner="mallory")),
        ("bank", points(owner="shop")),  # our own does not come back
        ("bank", points(part=-1)),
        ("bank", points(data=good[:-1])),
    ]:
        refuses(MessageInvalid, role, sender, message, "align_points_invalid")
    (out,) = role.receive("bank", points())
    assert (out.to, out.message.owner) == ("telco", "bank")
    assert out.message.points != good
    refuses(MessageInvalid, role, "bank", points(), "align_points_invalid")


@pytest.mark.parametrize(
    "bad",
    [
        bytes(32),  # small order
        (1).to_bytes(32, "little"),  # small order
        (2**255 - 19 + 9).to_bytes(32, "little"),  # not canonical
        (2).to_bytes(32, "little"),  # on the twist
    ],
)
def test_a_party_refuses_points_that_could_mark_a_row(bad):
    message = align.Points(owner="bank", part=0, points=points_of_bank() + bad)
    refuses(MessageInvalid, in_circle(), "bank", message, "align_point_invalid")


def test_a_party_refuses_more_points_than_were_announced():
    role = in_circle()  # where everybody announced 30
    data = points_of_bank(25)
    role.receive("bank", align.Points(owner="bank", part=0, points=data))
    more = align.Points(owner="bank", part=1, points=data)
    refuses(MessageInvalid, role, "bank", more, "align_tokens_too_many")


def test_a_party_in_the_circle_refuses_parts_it_has_not_or_has_sent():
    role = in_circle()
    for message in (
        align.PartWanted(parts=2, part=0),
        align.PartWanted(parts=1, part=1),
        align.PartWanted(parts=1, part=-1),
    ):
        refuses(MessageInvalid, role, COORDINATOR, message, "align_parts_invalid")
    wanted = align.PartWanted(parts=1, part=0)
    refuses(UnexpectedMessage, role, "telco", wanted)
    (out,) = role.receive(COORDINATOR, wanted)
    assert (out.to, out.message.owner, len(out.message.points)) == ("telco", "shop", 32 * len(IDENTIFIERS))
    refuses(MessageInvalid, role, COORDINATOR, wanted, "align_parts_invalid")
    early = partner_with_key(ECDH)
    refuses(UnexpectedMessage, early, COORDINATOR, wanted)


def circle_list(*sizes, dtype="<u4", stamps=None):
    stamps = b"".join(bytes([place]) * 32 for place in range(len(sizes))) if stamps is None else stamps
    return align.CircleList(sizes=np.array(sizes, dtype=dtype), stamps=stamps)


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (circle_list(30, dtype="<i8"), "align_list_invalid"),
        (align.CircleList(sizes=np.ones((1, 1), dtype="<u4"), stamps=bytes(32)), "align_list_invalid"),
        (circle_list(30, stamps=bytes(31)), "align_list_invalid"),
        (circle_list(), "align_list_invalid"),
        (circle_list(0, 0), "align_list_invalid"),
        (circle_list(60, 41), "align_tokens_too_many"),
    ],
)
def test_the_coordinator_refuses_circle_lists_that_cannot_be(message, key):
    refuses(MessageInvalid, circle_coordinator(max_identifiers=100), "shop", message, key)


def test_the_coordinator_refuses_circle_parts_from_the_wrong_hop_or_that_it_did_not_ask_for():
    def part(owner="shop", number=0, data=bytes(16 * 30)):
        return align.CirclePart(owner=owner, part=number, tokens=data)

    role = circle_coordinator()
    refuses(UnexpectedMessage, role, "bank", part())
    refuses(UnexpectedMessage, role, "mallory", circle_list(30))
    for name in PARTIES.all:
        role.receive(name, circle_list(30))
    refuses(UnexpectedMessage, role, "shop", circle_list(30))
    # The circle is bank, shop, telco: the bank is the last hop of the shop's list.
    for sender in ("shop", "telco", "mallory"):
        refuses(UnexpectedMessage, role, sender, part())
    refuses(UnexpectedMessage, role, "bank", part(number=1))
    refuses(UnexpectedMessage, role, "bank", part(owner="mallory"))
    for data in (bytes(16 * 29), bytes(16 * 30 + 1)):
        refuses(MessageInvalid, role, "bank", part(data=data), "align_points_invalid")
    role.receive("bank", part(data=some_tokens()))
    refuses(UnexpectedMessage, role, "bank", part(data=some_tokens()))
    role.receive("shop", part("telco", data=some_tokens()))
    # All of the bank's points made equal by its last hop, the telco.
    with pytest.raises(MessageInvalid) as caught:
        role.receive("telco", part("bank"))
    assert (caught.value.key, caught.value.values["party"]) == ("align_circle_broken", "bank")


def test_the_coordinator_does_not_join_when_a_part_has_vanished():
    store = MemoryStore()
    role = circle_coordinator(store=store)
    for name in PARTIES.all:
        role.receive(name, circle_list(15, 15))
    for owner, hop in (("shop", "bank"), ("telco", "shop"), ("bank", "telco")):
        for number in (0, 1):
            if (owner, number) == ("bank", 1):
                store.remove(store.names("shop/")[0])
                message = align.CirclePart(owner=owner, part=number, tokens=some_tokens(15, 15))
                refuses(MessageInvalid, role, hop, message, "align_list_invalid")
            else:
                role.receive(
                    hop, align.CirclePart(owner=owner, part=number, tokens=some_tokens(15, 15 * number))
                )


# --- the partners' row checks


def check(*positions, key=KEY):
    """The check of a party with the same list whose matches are these."""
    tokens = matching.blind(KEY, "phone", as_identifiers(IDENTIFIERS)).tokens[list(positions)]
    return align.RowCheck(digest=align.row_digest(key, matching.subject_refs(KEY, tokens)))


@pytest.fixture
def holder():
    """The label holder, with a key that the test knows, waiting for its matches."""
    return holder_with_key()


def test_the_result_waits_for_every_partner_in_any_order(holder):
    holder.receive("telco", check(*range(6)))
    assert holder.result is None
    holder.receive(COORDINATOR, matched(*range(6)))
    assert holder.result is None
    assert holder.receive("shop", check(*range(6))) == []
    assert holder.result.size == 6
    assert holder.progress.done == holder.progress.total
    for sender in ("shop", "telco"):
        refuses(UnexpectedMessage, holder, sender, check(*range(6)))


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize(
    "other",
    [check(0, 1, 2, 3, 4, 6), check(0, 1, 2, 3, 4), check(1, 0, 2, 3, 4, 5), check(*range(6), key=KEY[::-1])],
    ids=["another subject", "one less", "another order", "another key"],
)
def test_other_rows_at_a_partner_are_refused(holder, early, other):
    if early:
        holder.receive("telco", other)
        refuses(MessageInvalid, holder, COORDINATOR, matched(*range(6)), "align_rows_differ")
    else:
        holder.receive(COORDINATOR, matched(*range(6)))
        holder.receive("shop", check(*range(6)))
        refuses(MessageInvalid, holder, "telco", other, "align_rows_differ")


def test_the_refusal_names_the_partners_that_differ(holder):
    for name in PARTIES.feature_holders:
        holder.receive(name, check(*range(7)))
    with pytest.raises(MessageInvalid) as caught:
        holder.receive(COORDINATOR, matched(*range(6)))
    assert caught.value.values == {"party": "shop, telco"}


def test_checks_of_a_wrong_length_repeated_or_from_strangers_are_refused(holder):
    good = check(*range(6))
    for digest in (b"", good.digest[:16], good.digest + b"\x00"):
        refuses(MessageInvalid, holder, "shop", align.RowCheck(digest=digest), "align_check_length")
    for sender in (COORDINATOR, "bank", "mallory"):
        refuses(UnexpectedMessage, holder, sender, good)
    holder.receive("shop", good)
    refuses(UnexpectedMessage, holder, "shop", good)
    holder.receive(COORDINATOR, matched(*range(6)))
    refuses(UnexpectedMessage, holder, "shop", good)
    refuses(UnexpectedMessage, holder, COORDINATOR, matched(*range(6)))


def test_checks_that_nobody_asked_for_are_refused():
    refuses(UnexpectedMessage, new_holder(), "shop", check(*range(6)))
    refuses(UnexpectedMessage, partner_with_key(), "telco", check(*range(6)))
    refuses(UnexpectedMessage, partner_with_key(), "bank", check(*range(6)))
    refuses(UnexpectedMessage, coordinator(), "shop", check(*range(6)))
    for match in (plan(members="bank & shop"), plan(size_only=True)):
        refuses(UnexpectedMessage, holder_with_key(match), "shop", check(*range(6)))


def lied_to(change, mode):
    """The label holder's result when each party has own rows too, and the coordinator lies to the shop."""
    lists = {
        name: [*IDENTIFIERS, *(f"13{place}1111{number:04d}" for number in range(20))]
        for place, name in enumerate(PARTIES.all)
    }
    roles = roles_of(lists, plan(mode), k_min=5)
    honest = roles[COORDINATOR].receive

    def lying(sender, message):
        answers = honest(sender, message)
        for place, out in enumerate(answers):
            if out.to == "shop" and isinstance(out.message, align.Matched):
                positions = change(out.message.positions)
                answers[place] = type(out)("shop", align.Matched(pieces=1, piece=0, positions=positions))
        return answers

    roles[COORDINATOR].receive = lying
    return Rehearsal(roles).run()["bank"]


@pytest.mark.parametrize("mode", [MatchMode.KEYED, MatchMode.ECDH])
def test_a_coordinator_that_pairs_other_subjects_is_found_out(mode):
    assert lied_to(lambda positions: positions, mode).size == len(IDENTIFIERS)

    def swap_one(positions):
        free = np.setdiff1d(np.arange(50, dtype=np.uint32), positions)
        swapped = np.append(positions[1:], free[:1])
        return np.sort(swapped) if mode is MatchMode.KEYED else swapped

    for change in (swap_one, lambda positions: positions[1:]):
        with pytest.raises(MessageInvalid) as caught:
            lied_to(change, mode)
        assert caught.value.key == "align_rows_differ"
        assert caught.value.values == {"party": "shop"}


def test_token_order_is_byte_order():
    """What the coordinator's parts rely on: leading bits name ranges of the sorted list."""
    blinded = matching.blind(KEY, "phone", as_identifiers(IDENTIFIERS))
    data = joining.dump(blinded.tokens)
    tokens = [data[at : at + 16] for at in range(0, len(data), 16)]
    assert tokens == sorted(tokens)
