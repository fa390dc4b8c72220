"""The oblivious function finds exactly what sets share, gives the sender's other items random values, and refuses."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import joining, oprf, oprf_parameters
from privacy.errors import ConfigInvalid, CryptoError, IdentifierInvalid, MessageInvalid
from privacy.oprf import Receiver, Sender
from privacy.texts import LANGUAGES

# Every run costs some 200 transfers, a tenth of a second.
few = settings(max_examples=12, deadline=None)


def column(items):
    return np.array([b"%d" % item for item in items], "S11")


def in_touch(own, other):
    """Both roles, ready for corrections."""
    receiver = Receiver("phone", column(own), len(other), "shop")
    sender = Sender("phone", column(other), len(own), "bank")
    sender.start(receiver.answer(sender.choose(receiver.offer())))
    return receiver, sender


def finished(own, other):
    receiver, sender = in_touch(own, other)
    for bucket in range(receiver.parameters.n_buckets):
        assert receiver.blinded is None
        assert sender.blinded is None
        sender.evaluate(bucket, receiver.correction(bucket))
    return receiver, sender


def matches(own, other):
    """The shared items as each party reads them from its own rows."""
    receiver, sender = finished(own, other)
    places = joining.intersect([receiver.blinded.tokens, sender.blinded.tokens])
    return [
        [items[role.blinded.rows[place]] for place in found]
        for items, role, found in zip((own, other), (receiver, sender), places, strict=True)
    ]


sets = st.sets(st.integers(0, 60), min_size=1, max_size=40)


@few
@given(sets, sets)
def test_matches_are_those_of_sets(own, other):
    mine, yours = matches(sorted(own), sorted(other))
    assert set(mine) == own & other
    assert mine == yours
    assert len(mine) == len(own & other)


@pytest.mark.parametrize(
    ("own", "other"),
    [
        (range(1), range(1)),
        (range(1), range(1, 2)),
        (range(50), range(50)),
        (range(50), range(50, 100)),
        (range(1), range(300)),
        (range(299, 300), range(300)),
        (range(300), range(7, 8)),
    ],
    ids=["one alike", "one unlike", "all", "none", "first of many", "last of many", "one of the receiver's"],
)
def test_edges(own, other):
    mine, yours = matches(list(own), list(other))
    assert mine == yours
    assert sorted(mine) == sorted(set(own) & set(other))


@pytest.fixture
def small_buckets(monkeypatch):
    """Matrices of 256 rows, so that small lists fill several buckets."""
    monkeypatch.setattr(oprf_parameters, "_MAX_HEIGHT", 256)


@pytest.mark.parametrize(("n_own", "n_other"), [(700, 900), (900, 3), (130, 2000)])
def test_several_buckets(small_buckets, n_own, n_other):
    own, other = list(range(n_own)), list(range(n_own // 2, n_own // 2 + n_other))
    assert Receiver("phone", column(own), n_other, "shop").parameters.n_buckets > 1
    mine, yours = matches(own, other)
    assert mine == yours
    assert sorted(mine) == sorted(set(own) & set(other))


def test_buckets_may_come_in_any_order(small_buckets):
    receiver, sender = in_touch(list(range(600)), list(range(300, 900)))
    for bucket in reversed(range(receiver.parameters.n_buckets)):
        correction = receiver.correction(bucket)
        assert len(correction) == receiver.parameters.correction_bytes
        sender.evaluate(bucket, correction)
    places = joining.intersect([receiver.blinded.tokens, sender.blinded.tokens])
    assert sorted(receiver.blinded.rows[places[0]].tolist()) == list(range(300, 600))


def test_values_are_random_every_time_and_their_order_is_not_the_rows():
    tokens = [finished(list(range(200)), list(range(200)))[1].blinded for _ in range(2)]
    assert not np.isin(tokens[0].tokens[:, 0], tokens[1].tokens[:, 0]).any()
    assert all(abs(np.corrcoef(one.rows, np.arange(200))[0, 1]) < 0.4 for one in tokens)
    bits = np.unpackbits(np.frombuffer(joining.dump(tokens[0].tokens), np.uint8))
    assert abs(bits.mean() - 0.5) < 0.02  # 25,600 bits: 6 standard deviations


def test_the_message_depends_on_the_items_only_through_random_masks():
    """The correction is B xor D under a fresh generator: its bits are balanced, whatever the receiver holds."""
    receiver, _ = in_touch(list(range(40)), list(range(40)))
    first = np.frombuffer(receiver.correction(0), np.uint8)
    bits = np.unpackbits(first)
    assert abs(bits.mean() - 0.5) < 3 / np.sqrt(len(bits))
    other, _ = in_touch(list(range(40)), list(range(40)))
    differing = np.unpackbits(first ^ np.frombuffer(other.correction(0), np.uint8))
    assert abs(differing.mean() - 0.5) < 3 / np.sqrt(len(bits))


def test_an_item_the_receiver_lacks_meets_enough_secret_bits():
    """What the width is for: of the columns in which it meets D = 1 there are at least SECURITY_BITS."""
    receiver, _ = in_touch(list(range(500)), list(range(1000, 1200)))
    scheme = receiver.parameters
    own = list(receiver._items.columns(0, receiver._function_key, scheme))
    others = oprf._Items("phone", column(range(1000, 1200)), receiver._salt, 1)
    ones = np.zeros(200, int)
    for mine, theirs in zip(own, others.columns(0, receiver._function_key, scheme), strict=True):
        unmet = np.ones(scheme.height, bool)
        unmet[mine] = False
        ones += unmet[theirs]
    assert ones.min() >= oprf_parameters.SECURITY_BITS
    # p = (1 - 1/1024)^500 of the columns, to six standard deviations
    assert abs(ones.mean() / scheme.width - (1 - 1 / scheme.height) ** 500) < 0.02


def test_a_salt_that_fills_a_bucket_too_much_is_drawn_again(monkeypatch, small_buckets):
    tries = []

    class Counted(oprf._Items):
        @property
        def largest_bucket(self):
            tries.append(super().largest_bucket)
            return tries[-1] if len(tries) > 3 else 10**6

    monkeypatch.setattr(oprf, "_Items", Counted)
    receiver = Receiver("phone", column(range(500)), 500, "shop")
    assert len(tries) == 4
    assert tries[-1] <= receiver.parameters.capacity


def test_no_salt_that_spreads_the_items_is_an_error(monkeypatch, small_buckets):
    sizes = oprf_parameters.parameters(500, 500)
    tight = oprf.Parameters(sizes.n_buckets, 500 // sizes.n_buckets, sizes.height, sizes.width)
    monkeypatch.setattr(oprf, "parameters", lambda *_: tight)
    with pytest.raises(CryptoError) as caught:
        Receiver("phone", column(range(500)), 500, "shop")
    assert caught.value.key == "oprf_bucket_overflow"
    assert all(caught.value.render(language) for language in LANGUAGES)


# --- refusals


def refused(call, key, error=MessageInvalid):
    with pytest.raises(error) as caught:
        call()
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)


@pytest.mark.parametrize("change", [-1, 1, -32, 32])
def test_messages_of_a_wrong_length_are_refused(change):
    receiver, sender = in_touch([1, 2, 3], [2, 3, 4])

    def resized(data):
        return data[:change] if change < 0 else data + bytes(change)

    choices = sender.choose(receiver.offer())
    refused(lambda: sender.choose(resized(receiver.offer())), "oprf_message_length")
    refused(lambda: receiver.answer(resized(choices)), "oprf_message_length")
    refused(lambda: sender.start(resized(bytes(16))), "oprf_message_length")
    refused(lambda: sender.evaluate(0, resized(receiver.correction(0))), "oprf_message_length")
    assert sender.blinded is None


def test_elements_outside_the_group_are_refused():
    receiver, sender = in_touch([1, 2, 3], [2, 3, 4])
    choices = sender.choose(receiver.offer())
    refused(lambda: sender.choose(bytes(32) + receiver.offer()[32:]), "oprf_group_element")
    refused(lambda: receiver.answer(bytes(32) + choices[32:]), "oprf_group_element")


def test_buckets_that_are_done_or_do_not_exist_are_refused(small_buckets):
    receiver, sender = in_touch(list(range(300)), list(range(300)))
    correction = receiver.correction(0)
    sender.evaluate(0, correction)
    for bucket in (0, -1, receiver.parameters.n_buckets):
        refused(lambda bucket=bucket: sender.evaluate(bucket, correction), "oprf_bucket_invalid")


def test_steps_out_of_turn_are_refused():
    receiver = Receiver("phone", column([1, 2]), 2, "shop")
    with pytest.raises(ValueError, match="answer"):
        receiver.correction(0)
    sender = Sender("phone", column([1, 2]), 2, "bank")
    for ready in (False, True):
        if ready:
            sender.choose(receiver.offer())
        with pytest.raises(ValueError, match="choose and start"):
            sender.evaluate(0, b"")
    assert sender.blinded is None


def test_repeated_identifiers_empty_lists_and_bad_kinds_are_refused():
    for own, other in (([1, 2, 1], [1]), ([1], [1, 2, 1])):
        receiver, sender = finished(own, other)
        with pytest.raises(IdentifierInvalid) as caught:
            _ = receiver.blinded, sender.blinded
        assert caught.value.values == {"count": 1}
    for role in (Receiver, Sender):
        refused(lambda role=role: role("phone", column([]), 5, "x"), "oprf_list_empty", ConfigInvalid)
        refused(lambda role=role: role("phone", column([1]), 0, "x"), "oprf_list_empty", ConfigInvalid)
        refused(lambda role=role: role("a\x00", column([1]), 1, "x"), "align_kind_invalid", ConfigInvalid)


def test_roles_are_not_pickled():
    for role in in_touch([1], [1]):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(role)


def test_generator_stretches_of_buckets_do_not_overlap():
    whole = oprf._stretch(bytes(16), 0, 2**16)
    others = [oprf._stretch(bytes(16), bucket, 2**16) for bucket in (1, 2, 255, 256)]
    blocks = [{row.tobytes() for row in one.reshape(-1, 16)} for one in (whole, *others)]
    assert all(not one & other for one, other in pairwise(blocks))
    assert len(set.union(*blocks)) == 5 * 512
