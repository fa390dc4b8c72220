"""Boosting and scoring refuse messages out of turn, of the wrong size, and numbers that cannot be right."""

from collections import deque
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from federation import boosting, scoring, wire
from federation.boosting import BoostingOptions
from federation.boosting_messages import Begin, CandidateSums, Chosen, Finish, Gradients, Level, SplitSides
from federation.messages import Message
from federation.roles import Parties, Rehearsal, View
from privacy.errors import CiphertextInvalid, KeyMismatch, MessageInvalid, PackingOverflow, UnexpectedMessage
from privacy.paillier_secret import SecretKey

PARTIES = Parties("bank", ("shop", "carrier"))
OPTIONS = BoostingOptions(
    trees=2, depth=2, bins=8, node_bins=8, min_child_rows=10, k_min=10, first_tree_local=False
)
N_ROWS = 160


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture
def roles(secret):
    rng = np.random.default_rng(3)
    values = {name: rng.normal(size=(N_ROWS, 2)) for name in PARTIES.all}
    label = (values["bank"][:, 0] + 3 * values["shop"][:, 0] + 3 * values["carrier"][:, 0] > 0).astype(
        np.int8
    )
    views = {name: View((f"{name}_0", f"{name}_1"), of_party) for name, of_party in values.items()}
    return {
        "bank": boosting.LabelHolder(
            PARTIES,
            views["bank"],
            label,
            np.arange(N_ROWS),
            OPTIONS,
            decryptor=secret,
            public_key=secret.public,
        ),
        **{
            name: boosting.FeatureHolder(PARTIES, views[name], OPTIONS, 512)
            for name in PARTIES.feature_holders
        },
    }


def run_until(roles, kind):
    """Deliver messages until one of `kind` is about to arrive: (sender, recipient, message)."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, kind):
            return sender, out.to, out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError(f"no {kind.__name__} was sent")


def changed(message, **fields):
    return msgspec.structs.replace(message, **fields)


class Stranger(Message, frozen=True, tag="nobody.says_this/1"):
    """A message that belongs to no step of boosting."""


@pytest.mark.parametrize("kind", [Begin, Gradients, Level, CandidateSums, Chosen, SplitSides])
def test_a_message_from_the_wrong_sender_is_refused(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    for impostor in {"bank", "shop", "carrier", "mallory"} - {sender, *PARTIES.feature_holders}:
        with pytest.raises(UnexpectedMessage):
            roles[recipient].receive(impostor, message)
    if recipient != "bank":
        with pytest.raises(UnexpectedMessage):
            roles[recipient].receive("carrier" if recipient == "shop" else "shop", message)


@pytest.mark.parametrize("kind", [Begin, Gradients, Level, CandidateSums, Chosen, SplitSides])
def test_a_repeated_message_is_refused(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    roles[recipient].receive(sender, message)
    with pytest.raises(UnexpectedMessage):
        roles[recipient].receive(sender, message)


@pytest.mark.parametrize("kind", [Begin, Gradients, Level, CandidateSums, Chosen, SplitSides])
def test_a_message_of_another_kind_tree_or_level_is_refused(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    wrong = [Stranger(), *([Finish()] if kind in {Begin, CandidateSums, SplitSides} else [])]
    if hasattr(message, "level"):
        wrong += [changed(message, level=message.level + 1), changed(message, tree=message.tree + 1)]
    elif hasattr(message, "tree"):
        wrong += [changed(message, tree=OPTIONS.trees)]
    for other in wrong:
        with pytest.raises(UnexpectedMessage):
            roles[recipient].receive(sender, other)


def test_nothing_is_accepted_after_the_end(roles):
    Rehearsal(roles).run()
    for name in PARTIES.feature_holders:
        with pytest.raises(UnexpectedMessage):
            roles[name].receive("bank", Finish())
    with pytest.raises(UnexpectedMessage):
        roles["bank"].receive("shop", Finish())


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"model": b"short"}, MessageInvalid),
        ({"train_rows": b"\xff"}, MessageInvalid),
        ({"train_rows": bytes(N_ROWS // 8)}, MessageInvalid),
        ({"public_key": b"\x0f" * 16}, KeyMismatch),
        ({"public_key": b""}, KeyMismatch),
    ],
)
def test_an_invalid_opening_is_refused(roles, fields, error):
    sender, recipient, message = run_until(roles, Begin)
    with pytest.raises(error):
        roles[recipient].receive(sender, changed(message, **fields))


def test_ciphertexts_of_the_wrong_number_size_or_ring_are_refused(roles, secret):
    sender, recipient, message = run_until(roles, Gradients)
    width = secret.public.ciphertext_bytes
    good = message.ciphertexts
    foreign = SecretKey.generate(1024, testing_only=True).public
    for wrong in (
        good[:-width],
        good + good[:width],
        good[:-1],
        bytes(width) + good[width:],
        b"\xff" * width + good[width:],
        secret.public.dump([secret.public.n]) + good[width:],
        foreign.dump(foreign.encrypt([0] * N_ROWS)),
    ):
        with pytest.raises(CiphertextInvalid):
            roles[recipient].receive(sender, changed(message, ciphertexts=wrong))


def test_a_partition_that_does_not_fit_the_nodes_is_refused(roles):
    sender, recipient, root = run_until(roles, Level)
    flags = np.ones(1, dtype=np.bool_)
    for wrong in (changed(root, split=flags), changed(root, ask=~flags), changed(root, left=b"\x00")):
        with pytest.raises(MessageInvalid):
            roles[recipient].receive(sender, wrong)
    roles[recipient].receive(sender, root)
    half = bytes([0b11110000]) * (N_ROWS // 8)
    both = np.ones(2, dtype=np.bool_)
    next_level = changed(root, level=1, split=flags, left=half, ask=both)
    for wrong in (
        changed(next_level, left=half[:-1]),
        changed(next_level, split=np.ones(2, dtype=np.bool_)),
        changed(next_level, split=flags.astype("|u1")),
        changed(next_level, ask=~both),
        changed(next_level, ask=np.ones(4, dtype=np.bool_)),
        # A child that is too small to be split would be asked for sums over fewer rows than allowed.
        changed(next_level, left=b"\xff" + bytes(N_ROWS // 8 - 1)),
    ):
        with pytest.raises(MessageInvalid):
            roles[recipient].receive(sender, wrong)


@pytest.mark.parametrize("counts", [[3], [-1, 3], [2, 2, 2]])
def test_counts_of_candidates_must_fit_the_nodes_and_the_sums(roles, counts):
    sender, recipient, message = run_until(roles, CandidateSums)
    with pytest.raises((MessageInvalid, CiphertextInvalid, PackingOverflow)):
        roles[recipient].receive(sender, changed(message, counts=np.array(counts, dtype="<i4")))
    with pytest.raises(MessageInvalid):
        roles[recipient].receive(sender, changed(message, counts=message.counts.astype("<f8")))


def with_lowest_pair(roles, secret, message, gradient, hessian):
    """The partner's answer with the first candidate's sums replaced, as only the key holder could do it."""
    width, layout = secret.public.ciphertext_bytes, roles["bank"]._layout
    first = secret.public.load(message.sums[:width], 1)
    lowest = layout.slots.unpack(secret.decrypt(first), layout.slots.slots)[0]
    wanted = (gradient << layout.low_bits) + hessian
    altered = secret.public.add_plain(first, [wanted - lowest])
    return changed(message, sums=secret.public.dump(altered) + message.sums[width:])


@pytest.mark.parametrize(("gradient", "hessian"), [(0, -1), (0, "largest"), (1 << 31, 0), (-(1 << 31), 0)])
def test_sums_that_no_rows_can_have_are_refused(roles, secret, gradient, hessian):
    sender, recipient, message = run_until(roles, CandidateSums)
    if hessian == "largest":  # that the layout can hold
        hessian = (1 << roles["bank"]._layout.low_bits) - 1
    altered = with_lowest_pair(roles, secret, message, gradient, hessian)
    with pytest.raises((MessageInvalid, PackingOverflow)):
        roles[recipient].receive(sender, altered)


def test_a_foreign_or_tampered_ciphertext_is_refused(roles, secret):
    """What was not encrypted under this key decrypts to a number all over the plaintext's range."""
    sender, recipient, message = run_until(roles, CandidateSums)
    width = secret.public.ciphertext_bytes
    foreign = SecretKey.generate(512, testing_only=True).public
    for first in (foreign.dump(foreign.encrypt([1])), bytes([message.sums[0] ^ 1]) + message.sums[1:width]):
        with pytest.raises((MessageInvalid, PackingOverflow, CiphertextInvalid)):
            roles[recipient].receive(sender, changed(message, sums=first + message.sums[width:]))


def test_plausible_but_false_sums_are_found_out_by_the_partition(roles, secret):
    sender, recipient, message = run_until(roles, CandidateSums)
    lie = with_lowest_pair(roles, secret, message, 20 << 24, 10 << 22)
    other = "carrier" if sender == "shop" else "shop"
    quiet = CandidateSums(tree=0, level=0, counts=np.zeros(1, "<i4"), sums=b"")
    assert roles[recipient].receive(sender, lie) == []
    (chosen,) = roles["bank"].receive(other, quiet)
    (answer,) = roles[sender].receive("bank", chosen.message)
    with pytest.raises(MessageInvalid) as caught:
        roles["bank"].receive(sender, answer.message)
    assert caught.value.key == "boosting_sides_do_not_match"


WRAPPED = (0, 2**63 - 1, -(2**63), -1, 0)
"""Increasing, if differences are taken in signed 64-bit integers."""


def test_a_choice_that_was_not_offered_is_refused(roles):
    sender, recipient, message = run_until(roles, Chosen)
    for nodes, candidates in [
        ((5,), ((0,),)),
        ((-1,), ((0,),)),
        ((0, 0), ((0,), (0,))),
        ((0,), ((9999,),)),
        ((0,), ((-1,),)),
        ((0,), ((1, 1),)),
        (WRAPPED, ((0,),) * 5),
        ((0,), (WRAPPED,)),
        ((0,), ((),)),
        ((0,), ()),
        ((), ()),
    ]:
        with pytest.raises(MessageInvalid):
            roles[recipient].receive(sender, changed(message, nodes=nodes, candidates=candidates))


@pytest.mark.parametrize("number", [-1, 2**31, 2**63, 2**64 - 1])
def test_a_choice_beyond_any_list_does_not_arrive(number):
    first = Chosen(tree=0, level=0, nodes=(0,), candidates=((0, 2**31 - 1),))
    assert wire.decode(wire.encode(first)).candidates == first.candidates
    for wrong in (changed(first, nodes=(number,)), changed(first, candidates=((number, 0),))):
        with pytest.raises(MessageInvalid):
            wire.decode(wire.encode(wrong))


def test_sides_must_have_the_right_length_and_match_the_sums(roles):
    sender, recipient, message = run_until(roles, SplitSides)
    flipped = bytes([message.left[0] ^ 0b10000000]) + message.left[1:]
    inverted = bytes(byte ^ 0xFF for byte in message.left)
    for left in (message.left[:-1], message.left + b"\x00", flipped, inverted, bytes(len(message.left))):
        with pytest.raises(MessageInvalid):
            roles[recipient].receive(sender, changed(message, left=left))
    for splits in ((), message.splits * 2):
        with pytest.raises(MessageInvalid):
            roles[recipient].receive(sender, changed(message, splits=splits))
    roles[recipient].receive(sender, message)


def test_scoring_questions_out_of_line_are_refused(roles):
    models = Rehearsal(roles).run()
    rng = np.random.default_rng(3)
    values = {name: rng.normal(size=(N_ROWS, 2)) for name in PARTIES.all}
    views = {name: View((f"{name}_0", f"{name}_1"), of_party) for name, of_party in values.items()}
    scorers = {
        "bank": scoring.LabelHolder(PARTIES, views["bank"], models["bank"]),
        **{
            name: scoring.FeatureHolder(PARTIES, views[name], models[name])
            for name in PARTIES.feature_holders
        },
    }
    questions = {out.to: out.message for out in scorers["bank"].start()}
    partner, question = next(iter(questions.items()))
    size = len(question.splits)
    for fields in (
        {"model": bytes(16)},
        {"splits": (12345,) * size},
        {"splits": question.splits + question.splits},
        {"sizes": question.sizes[:-1]},
        {"sizes": question.sizes + 1},
        {"sizes": -question.sizes},
        {"rows": question.rows + N_ROWS},
        {"rows": question.rows - N_ROWS},
        {"rows": question.rows[::-1]},
        {
            "sizes": np.array([5] + [0] * (size - 1), dtype="<i4"),
            "rows": np.array([0, 2**31 - 1, -(2**31), -1, 5], dtype="<i4"),
        },
        {"rows": question.rows.astype("<f8")},
    ):
        with pytest.raises(MessageInvalid):
            scorers[partner].receive("bank", changed(question, **fields))
    with pytest.raises(UnexpectedMessage):
        scorers[partner].receive("carrier" if partner == "shop" else "shop", question)
    answer = scorers[partner].receive("bank", question)[0].message
    with pytest.raises(MessageInvalid):
        scorers[partner].receive("bank", question)
    with pytest.raises(MessageInvalid):
        scorers["bank"].receive(partner, changed(answer, left=answer.left + b"\x00"))
    for stranger, message in (("mallory", answer), (partner, scoring.Done())):
        with pytest.raises(UnexpectedMessage):
            scorers["bank"].receive(stranger, message)
    with pytest.raises(UnexpectedMessage):
        scorers[partner].receive("bank", Stranger())


def test_model_parts_that_cannot_be_read_are_refused():
    for part in (scoring.LabelHolderModel, scoring.FeatureHolderModel):
        with pytest.raises(MessageInvalid):
            part.from_bytes(b"\x81\xa1x\x01")


def test_min_child_rows_under_k_min_is_not_an_option():
    with pytest.raises(Exception, match="min_child_rows"):
        replace(OPTIONS, min_child_rows=5)
