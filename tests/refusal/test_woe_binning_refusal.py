"""Federated binning refuses messages out of turn, of the wrong size, and numbers that cannot be right."""

from collections import deque

import msgspec
import numpy as np
import pytest
from refusing import refuses
from woe_scene import World

from federation.messages import Message
from federation.roles import Rehearsal
from federation.woe_messages import Begin, CellSums, FinalBins
from privacy.errors import CiphertextInvalid, KeyMismatch, MessageInvalid, PackingOverflow, UnexpectedMessage
from privacy.fixed_point import SlotLayout
from privacy.paillier_secret import SecretKey

KINDS = [Begin, CellSums, FinalBins]


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture
def world():
    return World(3, partners=2)


@pytest.fixture
def roles(world, secret):
    return world.binning_roles(secret)


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


class Stranger(Message, frozen=True, tag="nobody.says_this/2"):
    """A message that belongs to no step of binning."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_from_the_wrong_sender_or_of_another_kind_is_refused(roles, kind):
    sender, role, message = run_until(roles, kind)
    refuses(UnexpectedMessage, role, "mallory", message)
    others = [item for item in KINDS if item is not kind]
    _, _, begin = run_until(roles, Begin)
    for other in (Stranger(), *([begin] if Begin in others else [])):
        refuses(UnexpectedMessage, role, sender, other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_message_is_refused(roles, kind):
    sender, role, message = run_until(roles, kind)
    role.receive(sender, message)
    refuses(UnexpectedMessage, role, sender, message)


def test_nothing_is_accepted_before_the_start_or_after_the_end(world, secret, roles):
    sender, _, message = run_until(world.binning_roles(secret), CellSums)
    refuses(UnexpectedMessage, roles["bank"], sender, message)
    Rehearsal(roles).run()
    refuses(UnexpectedMessage, roles["bank"], sender, message)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": b"short"}, MessageInvalid),
        ({"train_rows": b"\xff"}, MessageInvalid),
        ({"train_rows": bytes(50)}, MessageInvalid),
        ({"train_rows": b"\xff" + bytes(49)}, MessageInvalid),  # fewer rows than k_min
        ({"public_key": b"\x0f" * 16}, KeyMismatch),
        ({"public_key": b""}, KeyMismatch),
        ({"generator": b"\x02"}, KeyMismatch),
        ({"labels": b""}, CiphertextInvalid),
    ],
)
def test_an_invalid_opening_is_refused(roles, fields, error):
    sender, role, message = run_until(roles, Begin)
    refuses(error, role, sender, changed(message, **fields))


def test_labels_of_the_wrong_number_size_or_ring_are_refused(roles, secret):
    sender, role, message = run_until(roles, Begin)
    width, good = secret.public.ciphertext_bytes, message.labels
    foreign = SecretKey.generate(1024, testing_only=True).public
    for wrong in (
        good[:-width],
        good + good[:width],
        good[:-1],
        bytes(width) + good[width:],
        b"\xff" * width + good[width:],
        secret.public.dump([secret.public.n]) + good[width:],
        foreign.dump(foreign.encrypt([0] * 320)),
    ):
        refuses(CiphertextInvalid, role, sender, changed(message, labels=wrong))


def edited(array, place, value):
    copy = array.copy()
    copy[place] = value
    return copy


def test_cells_that_do_not_fit_are_refused(roles):
    sender, role, message = run_until(roles, CellSums)
    rows = message.rows
    for wrong in (
        {"numbers": message.numbers[:-1]},
        {"numbers": (*message.numbers[:-1], message.numbers[0])},
        {"ordered": message.ordered.astype("<i4")},
        {"ordered": edited(message.ordered, 0, message.ordered[0] + 1)},
        {"ordered": message.ordered[:, None]},
        {"loose": edited(message.loose, 0, 200)},
        {"trends": edited(message.trends, 0, 4)},
        {"rows": rows.astype("<f8")},
        {"rows": rows[:-1]},
        {"rows": edited(rows, 0, 14)},  # under k_min
        {"rows": edited(rows, 0, -1)},
    ):
        refuses(MessageInvalid, role, sender, changed(message, **wrong), "woe_cells")
    more = 52 - int(message.loose[0])  # than special values and missing ones can be
    wrong = {
        "loose": edited(message.loose, 0, 52),
        "rows": np.insert(rows, int(message.ordered[0]), [int(rows.min())] * more),
    }
    refuses(MessageInvalid, role, sender, changed(message, **wrong), "woe_cells")
    empty = np.zeros(0, "|u1")
    nothing = CellSums(
        numbers=(), ordered=empty, loose=empty, trends=empty, rows=np.zeros(0, "<i4"), sums=b""
    )
    refuses(MessageInvalid, role, sender, nothing, "woe_cells")


def test_counts_that_do_not_add_up_are_refused(roles, secret, world):
    sender, role, message = run_until(roles, CellSums)
    first = message.rows[0]
    refuses(
        MessageInvalid, role, sender, changed(message, rows=edited(message.rows, 0, first + 1)), "woe_counts"
    )
    # Rows moved from one cell to another add up, but one cell then has more bads than rows, or too few rows.
    layout = SlotLayout.for_sums(secret.public.bits, len(world.train).bit_length(), 1)
    width = secret.public.ciphertext_bytes
    head = secret.public.load(message.sums[:width], 1)
    sums = layout.unpack(secret.decrypt(head), layout.slots)
    rows = message.rows.tolist()
    for moved in (-1 - sums[0], rows[0] - sums[0] + 1):
        delta = moved - (moved << layout.slot_bits)  # into the first cell, out of the second
        altered = secret.public.dump(secret.public.add_plain(head, [delta]))
        wrong = changed(message, sums=altered + message.sums[width:])
        refuses(MessageInvalid, role, sender, wrong, "woe_counts")
    one_more = secret.public.dump(secret.public.add_plain(head, [1]))
    wrong = changed(message, sums=one_more + message.sums[width:])
    refuses(MessageInvalid, role, sender, wrong, "woe_counts")


def test_sums_of_the_wrong_number_or_of_another_key_are_refused(roles, secret):
    sender, role, message = run_until(roles, CellSums)
    width = secret.public.ciphertext_bytes
    for wrong in (b"", message.sums[:-width], message.sums + message.sums[:width]):
        refuses(CiphertextInvalid, role, sender, changed(message, sums=wrong))
    foreign = SecretKey.generate(512, testing_only=True).public
    for first in (foreign.dump(foreign.encrypt([1])), bytes([message.sums[0] ^ 1]) + message.sums[1:width]):
        with pytest.raises((MessageInvalid, PackingOverflow, CiphertextInvalid)):
            role.receive(sender, changed(message, sums=first + message.sums[width:]))
    assert role.result is None


def test_a_merging_that_does_not_fit_is_refused(roles):
    sender, role, message = run_until(roles, FinalBins)
    cells = len(role._shown[0].cells)
    whole = np.zeros(cells, "|u1")
    for wrong in (
        {"numbers": message.numbers[::-1]},
        {"sizes": message.sizes.astype("<f8")},
        {"sizes": message.sizes[:-1]},
        {"sizes": edited(message.sizes, 0, message.sizes[0] + 1)},
        {"final": message.final[:-1]},
        {"final": message.final.astype("<i4")},
        {"final": edited(message.final, 0, 200)},
        {"final": edited(message.final, 0, message.final[1] + 1)},  # not contiguous
        {"final": np.concatenate([whole, message.final[cells:]])},  # a bin without a cell
        {"woe": edited(message.woe, 0, np.nan)},
        {"woe": edited(message.woe, 0, np.inf)},
        {"woe": edited(message.woe, 0, 64.0)},
        {"woe": message.woe[:-1]},
        {"woe": message.woe.astype("<i8")},
        {"iv": edited(message.iv, 0, np.nan)},
        {"iv": edited(message.iv, 0, -0.1)},
        {"iv": message.iv[1:]},
        {"symmetric": ~message.symmetric},
        {"symmetric": message.symmetric.astype("|u1")},
    ):
        refuses(MessageInvalid, role, sender, changed(message, **wrong), "woe_bins")


def test_a_merging_that_breaks_the_rules_is_refused(roles):
    """Every pre-bin a bin of its own: too many, too small, and up and down."""
    sender, role, message = run_until(roles, FinalBins)
    sizes = [len(shown.cells) for shown in role._shown]
    wrong = changed(
        message,
        final=np.concatenate([np.arange(size) for size in sizes]).astype("|u1"),
        sizes=np.array(sizes, "|u1"),
        woe=np.zeros(sum(sizes)),
    )
    refuses(MessageInvalid, role, sender, wrong, "woe_bins")
    zigzag = changed(message, woe=np.abs(message.woe) * np.where(np.arange(len(message.woe)) % 2, 1, -1))
    refuses(MessageInvalid, role, sender, zigzag, "woe_bins")
