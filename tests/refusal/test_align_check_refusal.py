"""The partners' row checks: false pairs are found out, and checks out of turn refused."""

import numpy as np
import pytest
from align_scene import (
    IDENTIFIERS,
    KEY,
    PARTIES,
    coordinator,
    holder_with_key,
    matched,
    new_holder,
    partner_with_key,
)
from matching_parties import as_identifiers, plan, roles_of
from refusing import refuses

from federation import align
from federation.jobs import MatchMode
from federation.messages import COORDINATOR
from federation.roles import Rehearsal
from privacy import joining, matching
from privacy.errors import (
    MessageInvalid,
    UnexpectedMessage,
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
