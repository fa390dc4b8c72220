"""Matching refuses what a peer may not send."""

import numpy as np
import pytest
from refusing import refuses

from federation import align
from federation.messages import COORDINATOR
from federation.roles import Parties, Rehearsal
from privacy import matching
from privacy.errors import CohortTooSmall, CryptoError, MessageInvalid, UnexpectedMessage

PARTIES = Parties("bank", ("shop", "telco"))
IDENTIFIERS = [f"1390000{number:04d}" for number in range(30)]
KEY = bytes(range(32))


def align_coordinator(**changes):
    return align.Coordinator(PARTIES, **{"k_min": 5, **changes})


def align_partner(k_min=5):
    return align.FeatureHolder(PARTIES, "phone", IDENTIFIERS, k_min=k_min)


def partner_with_key():
    role = align_partner()
    (sent,) = role.receive("bank", align.MatchingKey(kind="phone", key=KEY))
    return role, sent.message


def matched(*positions, dtype=np.uint32):
    return align.Matched(positions=np.array(positions, dtype=dtype))


@pytest.mark.parametrize(
    ("tokens", "key"),
    [
        (bytes(15), "align_tokens_length"),
        (b"b" * 16 + b"a" * 16, "align_tokens_unsorted"),
        (b"a" * 16 + b"a" * 16, "align_tokens_repeated"),
        (bytes(16 * 101), "align_tokens_too_many"),
    ],
)
def test_the_coordinator_refuses_bad_token_lists(tokens, key):
    role = align_coordinator(max_identifiers=100)
    refuses(MessageInvalid, role, "shop", align.TokenList(tokens=tokens), key)


def test_the_coordinator_refuses_strangers_repeats_and_other_messages():
    _, tokens = partner_with_key()
    refuses(UnexpectedMessage, align_coordinator(), "mallory", tokens)
    refuses(UnexpectedMessage, align_coordinator(), "shop", matched(1))
    role = align_coordinator()
    role.receive("shop", tokens)
    refuses(UnexpectedMessage, role, "shop", tokens)


def test_the_coordinator_refuses_tokens_after_the_end():
    role = align_coordinator()
    _, tokens = partner_with_key()
    for name in PARTIES.all:
        role.receive(name, tokens)
    with pytest.raises(UnexpectedMessage):
        role.receive("shop", tokens)


@pytest.mark.parametrize("n_shared", [0, 4])
def test_the_coordinator_refuses_a_small_overlap(n_shared):
    role = align_coordinator()
    tokens = [bytes([place]) * 16 for place in range(40)]
    role.receive("bank", align.TokenList(tokens=b"".join(tokens[:20])))
    role.receive("shop", align.TokenList(tokens=b"".join(tokens[20 - n_shared :])))
    refuses(CohortTooSmall, role, "telco", align.TokenList(tokens=b"".join(tokens)), "align_overlap_small")


@pytest.mark.parametrize(
    ("message", "key"),
    [
        (matched(1, 2, 3, 4, 5, dtype=np.int64), "align_positions_type"),
        (align.Matched(positions=np.zeros((5, 1), dtype=np.uint32)), "align_positions_type"),
        (matched(1, 2, 3, 4, 30), "align_positions_outside"),
        (matched(1, 2, 3, 3, 4), "align_positions_order"),
        (matched(5, 4, 3, 2, 1), "align_positions_order"),
    ],
)
def test_a_party_refuses_bad_positions(message, key):
    role, _ = partner_with_key()
    refuses(MessageInvalid, role, COORDINATOR, message, key)


def test_a_party_refuses_a_small_overlap_itself():
    role, _ = partner_with_key()
    refuses(CohortTooSmall, role, COORDINATOR, matched(1, 2, 3, 4), "align_overlap_small")


def test_a_party_refuses_wrong_senders_and_messages_out_of_turn():
    key = align.MatchingKey(kind="phone", key=KEY)
    refuses(UnexpectedMessage, align_partner(), "telco", key)
    refuses(UnexpectedMessage, align_partner(), COORDINATOR, key)
    refuses(UnexpectedMessage, align_partner(), COORDINATOR, matched(0, 1, 2, 3, 4))
    role, _ = partner_with_key()
    refuses(UnexpectedMessage, role, "bank", key)
    refuses(UnexpectedMessage, role, "telco", matched(0, 1, 2, 3, 4))
    role.receive(COORDINATOR, matched(0, 1, 2, 3, 4))
    with pytest.raises(UnexpectedMessage):
        role.receive(COORDINATOR, matched(0, 1, 2, 3, 4))
    holder = align.LabelHolder(PARTIES, "phone", IDENTIFIERS, k_min=5)
    holder.start()
    refuses(UnexpectedMessage, holder, "shop", key)
    refuses(UnexpectedMessage, holder, "shop", matched(0, 1, 2, 3, 4))


def test_a_party_refuses_another_kind_a_short_key_and_a_short_list():
    refuses(
        MessageInvalid, align_partner(), "bank", align.MatchingKey(kind="card", key=KEY), "align_kind_differs"
    )
    refuses(CryptoError, align_partner(), "bank", align.MatchingKey(kind="phone", key=KEY[:16]))
    refuses(
        CohortTooSmall,
        align_partner(k_min=31),
        "bank",
        align.MatchingKey(kind="phone", key=KEY),
        "align_list_small",
    )


# --- the partners' row checks


@pytest.fixture
def holder(monkeypatch):
    """The label holder, with a key that the test knows, waiting for its matches."""
    monkeypatch.setattr(matching, "new_key", lambda: KEY)
    role = align.LabelHolder(PARTIES, "phone", IDENTIFIERS, k_min=5)
    role.start()
    return role


def check(*positions, key=KEY):
    """The check of a party with the same list whose matches are these."""
    tokens = matching.blind(KEY, "phone", IDENTIFIERS).tokens[list(positions)]
    return align.RowCheck(digest=align.row_digest(key, matching.subject_refs(KEY, tokens)))


def test_the_result_waits_for_every_partner_in_any_order(holder):
    holder.receive("telco", check(*range(6)))
    assert holder.result is None
    holder.receive(COORDINATOR, matched(*range(6)))
    assert holder.result is None
    assert holder.progress.done < holder.progress.total
    assert holder.receive("shop", check(*range(6))) == []
    assert holder.result.size == 6
    assert holder.progress.done == holder.progress.total
    for sender in ("shop", "telco"):
        with pytest.raises(UnexpectedMessage):
            holder.receive(sender, check(*range(6)))


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
    fresh = align.LabelHolder(PARTIES, "phone", IDENTIFIERS, k_min=5)
    refuses(UnexpectedMessage, fresh, "shop", check(*range(6)))
    role, _ = partner_with_key()
    refuses(UnexpectedMessage, role, "telco", check(*range(6)))
    refuses(UnexpectedMessage, role, "bank", check(*range(6)))
    refuses(UnexpectedMessage, align_coordinator(), "shop", check(*range(6)))


class Lying(align.Coordinator):
    """Tells the second party other positions than it should."""

    def __init__(self, change):
        super().__init__(PARTIES, k_min=5)
        self._change = change

    def receive(self, sender, message):
        answers = super().receive(sender, message)
        for out in answers:
            if out.to == "shop":
                positions = self._change(out.message.positions)
                answers[answers.index(out)] = type(out)("shop", align.Matched(positions=positions))
        return answers


def lied_to(change):
    """The label holder's result when each party has own rows too, and the coordinator lies."""
    roles = {COORDINATOR: Lying(change)}
    for place, name in enumerate(PARTIES.all):
        own = [f"13{place}1111{number:04d}" for number in range(20)]
        role = align.FeatureHolder if place else align.LabelHolder
        roles[name] = role(PARTIES, "phone", [*IDENTIFIERS, *own], k_min=5)
    return Rehearsal(roles).run()["bank"]


def test_a_coordinator_that_pairs_other_subjects_is_found_out():
    assert lied_to(lambda positions: positions).size == len(IDENTIFIERS)

    def swap_one(positions):
        free = np.setdiff1d(np.arange(50, dtype=np.uint32), positions)
        return np.sort(np.append(positions[1:], free[:1]))

    for change in (swap_one, lambda positions: positions[1:]):
        with pytest.raises(MessageInvalid) as caught:
            lied_to(change)
        assert caught.value.key == "align_rows_differ"
        assert caught.value.values == {"party": "shop"}
