"""The coordinator of a matching refuses what a party may not send, and results that single somebody out."""

import pytest
from align_scene import IDENTIFIERS, PARTIES, announced, asked, coordinator, matched, some_tokens, token_part
from matching_parties import plan, rehearse
from refusing import refuses

from federation import align
from federation.jobs import MatchMode
from privacy.errors import (
    CohortTooSmall,
    MessageInvalid,
    UnexpectedMessage,
)

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


def test_the_coordinator_refuses_a_part_after_a_partys_last():
    role = asked(coordinator())
    role.receive("shop", token_part(some_tokens()))
    refuses(UnexpectedMessage, role, "shop", token_part(b"", part=1))


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
