"""The circle of parties refuses what would ask, mark or break something."""

import numpy as np
import pytest
from align_scene import (
    ECDH,
    IDENTIFIERS,
    KEYED,
    PARTIES,
    circle_coordinator,
    circle_list,
    hello,
    in_circle,
    partner,
    partner_with_key,
    points_of_bank,
    some_tokens,
)
from refusing import refuses

from federation import align
from federation.messages import COORDINATOR
from federation.roles import MemoryStore
from privacy.errors import (
    MessageInvalid,
    UnexpectedMessage,
)

# --- the circle


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
