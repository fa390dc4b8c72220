"""The selection of fields refuses messages out of turn, of the wrong size, and sums that no rows can have."""

from collections import deque

import msgspec
import numpy as np
import pytest
from refusing import refuses
from woe_scene import World

from federation.collinearity_messages import Begin, Kept, Moments, layout_of
from federation.messages import Message
from federation.roles import Rehearsal
from federation.scoring import bits_of
from federation.woe_selection import SelectionOptions
from privacy.errors import CiphertextInvalid, KeyMismatch, MessageInvalid, PackingOverflow, UnexpectedMessage
from privacy.paillier_secret import SecretKey

KINDS = [Begin, Moments, Kept]
OPTIONS = SelectionOptions(min_iv=0.0, runs=0)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def world():
    return World(3, partners=2)


@pytest.fixture(scope="module")
def bins(world, secret):
    return world.bin_together(secret)[0]


@pytest.fixture
def roles(world, secret, bins):
    return world.selection_roles(secret, bins, OPTIONS)


def run_until(roles, kind):
    """Deliver messages until one of `kind` is about to arrive: (sender, recipient's role, message)."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, kind):
            return sender, roles[out.to], out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError(f"no {kind.__name__} was sent")


def changed(message, **fields):
    return msgspec.structs.replace(message, **fields)


class Stranger(Message, frozen=True, tag="nobody.says_this/3"):
    """A message that belongs to no step of the selection."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_from_the_wrong_sender_or_of_another_kind_is_refused(roles, kind):
    sender, role, message = run_until(roles, kind)
    refuses(UnexpectedMessage, role, "mallory", message)
    wrong = [
        Stranger(),
        Kept(numbers=(), dropped=())
        if kind is not Kept
        else Moments(own=np.eye(1), sums=np.zeros(1), cross=b""),
    ]
    for other in wrong:
        refuses(UnexpectedMessage, role, sender, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_message_is_refused(roles, kind):
    sender, role, message = run_until(roles, kind)
    role.receive(sender, message)
    refuses(UnexpectedMessage, role, sender, message)


def test_nothing_is_accepted_before_the_start_or_after_the_end(world, secret, bins, roles):
    sender, _, message = run_until(world.selection_roles(secret, bins, OPTIONS), Moments)
    refuses(UnexpectedMessage, roles["bank"], sender, message)
    Rehearsal(roles).run()
    refuses(UnexpectedMessage, roles["bank"], sender, message)


def test_an_invalid_opening_is_refused(roles, world, secret):
    sender, role, message = run_until(roles, Begin)
    width = secret.public.ciphertext_bytes
    one_other = np.zeros(len(world.label), dtype=bool)
    one_other[world.train[1:]] = True
    one_other[np.setdiff1d(np.arange(len(world.label)), world.train)[0]] = True
    fewer = one_other.copy()
    fewer[world.train[5]] = False
    for error, fields in (
        (MessageInvalid, {"model": bytes(16)}),
        (MessageInvalid, {"train_rows": b"\xff"}),
        (MessageInvalid, {"train_rows": bytes(50)}),
        (MessageInvalid, {"train_rows": bits_of(fewer)}),
        (MessageInvalid, {"numbers": (*message.numbers, message.numbers[0])}),
        (MessageInvalid, {"numbers": (1,)}),
        (MessageInvalid, {"n_values": -1}),
        (MessageInvalid, {"n_values": 1 << 40}),
        (MessageInvalid, {"n_values": 0}),
        (MessageInvalid, {"woe": message.woe[:-width]}),
        (MessageInvalid, {"woe": message.woe + message.woe[:width]}),
        (CiphertextInvalid, {"woe": bytes(width) + message.woe[width:]}),
        (CiphertextInvalid, {"woe": b"\xff" * width + message.woe[width:]}),
        (CiphertextInvalid, {"woe": secret.public.dump([secret.public.n]) + message.woe[width:]}),
        (KeyMismatch, {"public_key": b"\x0f" * 16}),
        (KeyMismatch, {"public_key": b""}),
        (KeyMismatch, {"generator": b"\x02"}),
    ):
        key = (
            "collinearity_begin" if error is MessageInvalid and fields.get("train_rows") != b"\xff" else None
        )
        refuses(error, role, sender, changed(message, **fields), key)


def edited(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


def test_own_sums_that_cannot_be_are_refused(roles):
    sender, role, message = run_until(roles, Moments)
    own = message.own
    for wrong in (
        own.astype("<f8"),
        own[:-1],
        own[0],
        edited(own, (0, 0), own[0, 0] + 1),  # known from the counts
        edited(own, (0, 1), own[0, 1] + 1),  # not symmetric
        edited(edited(own, (0, 1), 1 << 40), (1, 0), 1 << 40),  # above 1
        edited(edited(own, (0, 1), -(2**63)), (1, 0), -(2**63)),
    ):
        refuses(MessageInvalid, role, sender, changed(message, own=wrong), "collinearity_moments")


def test_sums_with_the_label_holders_fields_that_cannot_be_are_refused(roles, secret, world):
    sender, role, message = run_until(roles, Moments)
    width = secret.public.ciphertext_bytes
    layout = layout_of(secret.public.bits, OPTIONS.scale_bits, len(world.train))
    head, tail = secret.public.load(message.cross[:width], 1), message.cross[width:]
    for slot in (0, 1):
        for size in (1 << (layout.value_bits - 1), -(1 << (layout.value_bits - 1))):
            altered = secret.public.dump(secret.public.add_plain(head, [size << (slot * layout.slot_bits)]))
            refuses(
                MessageInvalid, role, sender, changed(message, cross=altered + tail), "collinearity_moments"
            )
    for wrong in (b"", message.cross[:-1], message.cross * 2):
        refuses(CiphertextInvalid, role, sender, changed(message, cross=wrong))
    foreign = SecretKey.generate(512, testing_only=True).public
    for first in (foreign.dump(foreign.encrypt([1])), bytes([message.cross[0] ^ 1]) + message.cross[1:width]):
        with pytest.raises((MessageInvalid, PackingOverflow, CiphertextInvalid)):
            role.receive(sender, changed(message, cross=first + tail))
    assert role.result is None
    assert role.receive(sender, message) == []  # the true answer is still taken


def test_a_choice_that_does_not_fit_is_refused(roles):
    sender, role, message = run_until(roles, Kept)
    for wrong in (
        {"numbers": message.numbers[:-1]},
        {"numbers": (*message.numbers[:-1], message.numbers[0])},
        {"numbers": (*message.numbers[:-1], 1)},
        {"dropped": message.dropped[:-1]},
        {"dropped": (*message.dropped[:-1], "dislike")},
        {"numbers": message.numbers[:-1], "dropped": message.dropped[:-1]},
    ):
        refuses(MessageInvalid, role, sender, changed(message, **wrong), "collinearity_kept")
