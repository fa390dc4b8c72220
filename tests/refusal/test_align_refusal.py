"""A party of a matching refuses what the coordinator or a partner may not send."""

import numpy as np
import pytest
from align_scene import (
    ECDH,
    IDENTIFIERS,
    KEY,
    KEYED,
    holder_with_key,
    in_circle,
    key_message,
    matched,
    new_holder,
    partner,
    partner_with_key,
)
from matching_parties import plan
from refusing import refuses

from federation import align
from federation.messages import COORDINATOR
from privacy.errors import (
    CohortTooSmall,
    CryptoError,
    IdentifierInvalid,
    MessageInvalid,
    UnexpectedMessage,
)

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
