"""Messages that the job's options do not provide for are refused: samples, leaves, and trees that are said to stand."""

from collections import deque
from copy import copy
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from boosting_scene import OPTIONS, Scene

from federation.boosting_messages import Begin, Chosen, Gradients, Level
from federation.boosting_options import Growth
from federation.roles import Rehearsal
from federation.row_weights import counted_rows
from federation.scoring import bits_of
from privacy.errors import CheckpointUnknown, CiphertextInvalid, MessageInvalid, UnexpectedMessage
from privacy.paillier_secret import SecretKey

EARLY = replace(OPTIONS, patience=2, validation_share=0.2)
SAMPLED = replace(OPTIONS, goss_top=0.3, goss_other=0.3)
LEAF = replace(OPTIONS, growth=Growth.LEAF, max_leaves=4, depth=3, trees=1)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    return Scene(31, partners=1, n_rows=200)


def changed(message, **fields):
    return msgspec.structs.replace(message, **fields)


def until(roles, wanted):
    """Deliver messages until a partner is about to get the one that is wanted."""
    queue = deque((name, out) for name, role in roles.items() for out in role.start())
    while queue:
        sender, out = queue.popleft()
        if wanted(out.message):
            return roles[out.to], out.message
        queue.extend((out.to, reply) for reply in roles[out.to].receive(sender, out.message))
    raise AssertionError("no such message was sent")


def refuses(partner, message, key, error=MessageInvalid):
    with pytest.raises(error) as caught:
        partner.receive("bank", message)
    assert caught.value.key == key


def of_tree(kind, tree):
    return lambda message: isinstance(message, kind) and message.tree == tree


# --- which rows count


def test_rows_are_left_out_only_where_the_options_say_why(scene, secret):
    partner, message = until(scene.roles(OPTIONS, secret), of_tree(Gradients, 0))
    width = secret.public.ciphertext_bytes
    sample = np.ones(len(scene.train), dtype=bool)
    sample[0] = False
    less = changed(message, sample=bits_of(sample), ciphertexts=message.ciphertexts[width:])
    refuses(partner, less, "boosting_sample")
    partner.receive("bank", message)


def test_without_sampling_the_same_rows_count_in_every_tree(scene, secret):
    partner, message = until(scene.roles(EARLY, secret), of_tree(Gradients, 1))
    counted = np.unpackbits(np.frombuffer(message.sample, np.uint8))[: len(scene.train)].astype(bool)
    assert 0 < counted.sum() < len(counted)
    for other in (np.roll(counted, 1), ~counted, np.ones_like(counted)):
        refuses(partner, changed(message, sample=bits_of(other)), "boosting_sample")
    refuses(partner, changed(message, sample=b""), "boosting_sample")
    partner.receive("bank", message)


def test_a_sample_of_another_length_and_other_ciphertexts_than_it_has_rows_are_refused(scene, secret):
    partner, message = until(scene.roles(SAMPLED, secret), of_tree(Gradients, 0))
    width = secret.public.ciphertext_bytes
    for sample in (message.sample + b"\x00", message.sample[:-1], b"\x01"):
        refuses(partner, changed(message, sample=sample), "boosting_bits_length")
    for ciphertexts in (message.ciphertexts[width:], message.ciphertexts + message.ciphertexts[:width]):
        with pytest.raises(CiphertextInvalid):
            partner.receive("bank", changed(message, ciphertexts=ciphertexts))
    partner.receive("bank", message)


def test_a_sample_with_too_few_rows_is_not_summed(scene, secret):
    strict = replace(SAMPLED, min_child_rows=50)
    roles = {"bank": scene.label_holder(SAMPLED, secret), "shop": scene.feature_holder("shop", strict)}
    partner, root = until(roles, of_tree(Level, 0))
    assert len(partner._sample) < 2 * strict.min_child_rows < len(scene.train)
    refuses(partner, root, "boosting_node_too_small")


def sized(message, secret, rows, size):
    """The message with the first `size` of the rows as its sample, however many it had."""
    sample = np.arange(rows) < size
    ciphertexts = secret.public.dump(secret.public.encrypt([0] * size))
    return changed(message, sample=bits_of(sample), ciphertexts=ciphertexts)


@pytest.mark.parametrize("options", [SAMPLED, EARLY, replace(SAMPLED, patience=2, validation_share=0.2)])
def test_a_sample_has_as_many_rows_as_the_shares_give(scene, secret, options):
    """Else a label holder could ask for sums over any rows it likes, of one tree after another."""
    rows = len(scene.train)
    fewest, most = counted_rows(rows, options)
    assert 0 < fewest <= most <= rows
    partner, message = until(scene.roles(options, secret), of_tree(Gradients, 0))
    for size in {fewest - 1, min(most + 1, rows), 1, 0} - {*range(fewest, most + 1)}:
        refuses(partner, sized(message, secret, rows, size), "boosting_sample_size")
    partner.receive("bank", sized(message, secret, rows, fewest))


def test_rows_that_leave_may_all_be_such_as_did_not_validate(scene, secret):
    """Those that validate are then a larger share than the job's, which is no reason to refuse."""
    options = replace(EARLY, trees=4, patience=3)
    before = scene.roles(options, secret)
    until(before, of_tree(Gradients, 2))
    validation = np.zeros(len(scene.label), dtype=bool)
    validation[scene.train] = before["bank"]._ensemble.validation
    leaves = scene.train[~validation[scene.train]][:40]
    stays = ~np.isin(np.arange(len(scene.label)), leaves)
    rest = copy(scene)
    rest.values, rest.label = scene.values[stays], scene.label[stays]
    rest.train = np.flatnonzero(np.isin(np.flatnonzero(stays), scene.train))
    roles = {
        "bank": rest.label_holder(options, secret, before=before["bank"].carry_on(stays)),
        "shop": rest.feature_holder("shop", options, before=before["shop"]),
    }
    n_rows = len(rest.train)
    assert n_rows - int(validation.sum()) < counted_rows(n_rows, options)[0]
    Rehearsal(roles).run()


def test_a_child_with_too_few_rows_that_count_is_not_summed(scene, secret):
    """However many rows reach it that do not count."""
    partner, message = until(
        scene.roles(SAMPLED, secret), lambda message: isinstance(message, Level) and message.level == 1
    )
    sampled = partner._sample
    left = np.ones(len(scene.train), dtype=bool)
    left[sampled[2 * SAMPLED.min_child_rows - 1 :]] = False
    assert left.sum() > 4 * SAMPLED.min_child_rows
    message = changed(message, split=np.ones(1, bool), left=bits_of(left), ask=np.array([True, False]))
    refuses(partner, message, "boosting_node_too_small")


# --- leaves


def leaf_wise(scene, secret, options=LEAF, exchange=1):
    return until(
        scene.roles(options, secret),
        lambda message: isinstance(message, Level) and message.level == exchange,
    )


def test_a_partition_speaks_of_every_waiting_node(scene, secret):
    partner, message = leaf_wise(scene, secret, exchange=2)
    assert len(message.split) == 2
    for split in (message.split[:1], np.append(message.split, False), message.split.astype("|u1")):
        refuses(partner, changed(message, split=split), "boosting_level")
    partner.receive("bank", message)


def test_no_more_leaves_than_agreed(scene, secret):
    few = replace(LEAF, max_leaves=2)
    partner, question = until(scene.roles(few, secret), of_tree(Level, 0))
    partner.receive("bank", question)
    halves = np.arange(len(scene.train)) % 2 == 0
    first = changed(
        question, level=1, split=np.ones(1, bool), left=bits_of(halves), ask=np.ones(2, dtype=bool)
    )
    partner.receive("bank", first)
    quarters = np.arange(int(halves.sum())) % 2 == 0
    second = changed(first, level=2, split=np.array([True, False]), left=bits_of(quarters))
    with pytest.raises((MessageInvalid, UnexpectedMessage)):
        partner.receive("bank", second)
    both = changed(second, split=np.ones(2, bool), ask=np.ones(4, bool))
    with pytest.raises((MessageInvalid, UnexpectedMessage)):
        partner.receive("bank", both)


def test_too_many_splits_at_once_are_refused(scene, secret):
    options = replace(LEAF, max_leaves=3)
    partner, message = leaf_wise(scene, secret, options)
    partner.receive("bank", message)
    sizes = [len(node.rows) for node in partner._waiting]
    assert len(sizes) == 2
    flags = np.concatenate([np.arange(size) % 2 == 0 for size in sizes])
    too_many = changed(message, level=2, split=np.ones(2, bool), left=bits_of(flags), ask=np.ones(4, bool))
    refuses(partner, too_many, "boosting_level")


def test_no_node_below_the_agreed_depth(scene, secret):
    flat = replace(LEAF, depth=1, max_leaves=4)
    partner, question = until(scene.roles(flat, secret), of_tree(Level, 0))
    partner.receive("bank", question)
    halves = np.arange(len(scene.train)) % 2 == 0
    below = changed(question, level=1, split=np.ones(1, bool), left=bits_of(halves), ask=np.ones(2, bool))
    refuses(partner, below, "boosting_level")


def test_a_waiting_node_is_answered_once(secret):
    """Else a label holder could learn on which side rows lie at every one of its candidates."""
    scene = Scene(33, partners=1, n_rows=300)
    options = replace(LEAF, max_leaves=6, depth=5)
    roles = scene.roles(options, secret)
    partner, message = until(roles, lambda message: isinstance(message, Chosen) and message.level > 0)
    partner.receive("bank", message)
    waiting = len(partner._waiting)
    skip = Level(
        tree=0, level=message.level + 1, split=np.zeros(waiting, bool), left=b"", ask=np.zeros(0, bool)
    )
    partner.receive("bank", skip)
    refuses(partner, changed(message, level=message.level + 1), "boosting_chosen")


# --- trees that stand


@pytest.mark.parametrize("trees", [-1, OPTIONS.trees + 1])
def test_no_more_trees_stand_than_there_are(scene, secret, trees):
    partner, message = until(scene.roles(OPTIONS, secret), lambda message: isinstance(message, Begin))
    refuses(partner, changed(message, trees=trees), "training_begin")


def test_trees_of_which_nothing_was_kept_do_not_stand(scene, secret):
    partner, message = until(scene.roles(OPTIONS, secret), lambda message: isinstance(message, Begin))
    refuses(partner, changed(message, trees=1), "boosting_model_not_kept", CheckpointUnknown)


def test_a_tree_that_stands_is_not_grown_again(scene, secret):
    before = scene.roles(OPTIONS, secret)
    _, gradients = until(before, of_tree(Gradients, 2))
    stands = before["bank"].carry_on(np.ones(len(scene.label), dtype=bool))
    roles = {
        "bank": scene.label_holder(OPTIONS, secret, before=stands),
        "shop": scene.feature_holder("shop", OPTIONS, before=before["shop"]),
    }
    partner, begin = until(roles, lambda message: isinstance(message, Begin))
    assert begin.trees == 2
    root = Level(tree=1, level=0, split=np.zeros(0, bool), left=b"", ask=np.ones(1, bool))
    partner.receive("bank", begin)
    for early in (changed(gradients, tree=1), changed(gradients, tree=0), root):
        with pytest.raises(UnexpectedMessage):
            partner.receive("bank", early)
    partner.receive("bank", gradients)


def test_no_level_comes_before_the_first_tree(scene, secret):
    partner, begin = until(scene.roles(OPTIONS, secret), lambda message: isinstance(message, Begin))
    partner.receive("bank", begin)
    for tree in (-1, 0):
        root = Level(tree=tree, level=0, split=np.zeros(0, bool), left=b"", ask=np.ones(1, bool))
        with pytest.raises(UnexpectedMessage):
            partner.receive("bank", root)


@pytest.mark.parametrize("options", [EARLY, SAMPLED, LEAF])
def test_the_honest_run_is_not_refused(scene, secret, options):
    Rehearsal(scene.roles(options, secret)).run()
