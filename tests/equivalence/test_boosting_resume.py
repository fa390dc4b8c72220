"""A training that was interrupted anywhere goes on from the finished trees, and ends with the model of a whole run."""

from collections import deque
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from boosting_scene import OPTIONS, SEED, Scene
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.boosting_messages import Begin, Finish, Gradients, SplitSides
from federation.boosting_options import Growth
from federation.boosting_resume import FEATURE_RECORD, LABEL_RECORD
from federation.roles import MemoryStore
from privacy.errors import CheckpointUnknown
from privacy.paillier_secret import SecretKey

PLAIN = replace(OPTIONS, depth=2, first_tree_local=True)
JOINT = replace(OPTIONS, first_tree_local=False)
EVERYTHING = replace(
    OPTIONS, trees=4, depth=3, patience=2, validation_share=0.2, class_weight="balanced",
    goss_top=0.3, goss_other=0.4, min_child_rows=5, growth=Growth.LEAF, max_leaves=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    return Scene(21, n_rows=160, with_levels=True)


def reordered(scene, seed):
    """The same people as another matching would order them, and the place of every training row in the bank's file."""
    order = np.random.default_rng(seed).permutation(len(scene.label))
    other = object.__new__(Scene)
    other.__dict__.update(scene.__dict__)
    other.values, other.label = scene.values[order], scene.label[order]
    other.train = np.flatnonzero(np.isin(order, scene.train))
    return other, np.searchsorted(scene.train, order[other.train])


class Run:
    """One attempt at a training: what the stores hold is all that it knows of the one before."""

    def __init__(self, scene, options, secret, stores, attempt, **changes):
        moved, keys = reordered(scene, attempt)
        settings = {"row_keys": keys, "store": stores.setdefault("bank", MemoryStore())} | changes
        self.roles = {"bank": moved.label_holder(options, secret, **settings)}
        for name in scene.parties.feature_holders:
            store = stores.setdefault(name, MemoryStore())
            self.roles[name] = moved.feature_holder(name, options, store=store)
        self.delivered = []

    def run(self, deliveries=10**6):
        """Returns whether everybody finished within so many deliveries."""
        queue = deque((name, out) for name, role in self.roles.items() for out in role.start())
        while queue and deliveries:
            sender, out = queue.popleft()
            self.delivered.append(out.message)
            deliveries -= 1
            queue.extend((out.to, reply) for reply in self.roles[out.to].receive(sender, out.message))
        return not queue

    @property
    def trees(self):
        """How many trees stand at the bank."""
        return len(self.roles["bank"]._ensemble.trees)

    @property
    def models(self):
        return {name: role.result for name, role in self.roles.items()}

    def of(self, kind):
        return [message for message in self.delivered if isinstance(message, kind)]


def whole(scene, options, secret):
    run = Run(scene, options, secret, {}, 0)
    assert run.run()
    twin, codes = scene.twin(options)
    scene.check_equal(run.models, twin, codes)
    return run, twin, codes


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING])
def test_an_interruption_at_any_message_ends_with_the_same_model(scene, secret, options):
    once, twin, codes = whole(scene, options, secret)
    stood = set()
    for deliveries in range(0, len(once.delivered), 1 if options is PLAIN else 7):
        stores = {}
        first = Run(scene, options, secret, stores, 0)
        assert not first.run(deliveries)
        last = Run(scene, options, secret, stores, 1, seed=SEED)
        finished = last.trees
        assert last.run()
        scene.check_equal(last.models, twin, codes)
        stood.add(finished)
        assert finished >= max((message.tree for message in first.of(Gradients)), default=0)
        assert min((message.tree for message in last.of(Gradients)), default=finished) >= finished
    assert stood >= set(range(1, len(twin.losses or twin.trees)))


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_any_number_of_interruptions_ends_well(scene, secret, data):
    once, twin, codes = whole(scene, EVERYTHING, secret)
    stores = {}
    for attempt in range(data.draw(st.integers(1, 4), "interruptions")):
        deliveries = data.draw(st.integers(0, len(once.delivered) - 1), "deliveries")
        Run(scene, EVERYTHING, secret, stores, attempt).run(deliveries)
    last = Run(scene, EVERYTHING, secret, stores, 9)
    assert last.run()
    scene.check_equal(last.models, twin, codes)


def test_a_finished_training_is_only_told_to_be_finished(scene, secret):
    stores = {}
    assert Run(scene, PLAIN, secret, stores, 0).run()
    again = Run(scene, PLAIN, secret, stores, 1)
    assert again.run()
    assert {type(message) for message in again.delivered} == {Begin, Finish}
    twin, codes = scene.twin(PLAIN)
    scene.check_equal(again.models, twin, codes)


def test_what_is_drawn_goes_on_from_the_first_runs_seed(scene, secret):
    stores = {}
    first = Run(scene, EVERYTHING, secret, stores, 0)
    stop_when_two_stand(first)
    last = Run(scene, EVERYTHING, secret, stores, 1, seed=SEED + 1)
    assert last.run()
    twin, codes = scene.twin(EVERYTHING)
    scene.check_equal(last.models, twin, codes)


def stop_when_two_stand(run):
    queue = deque((name, out) for name, role in run.roles.items() for out in role.start())
    while run.trees < 2:
        sender, out = queue.popleft()
        queue.extend((out.to, reply) for reply in run.roles[out.to].receive(sender, out.message))


@pytest.fixture
def halfway(scene, secret):
    """The stores of a training that was stopped when two trees stood."""
    stores = {}
    first = Run(scene, JOINT, secret, stores, 0)
    stop_when_two_stand(first)
    assert first.roles["bank"]._partner_splits["shop"]
    return stores


def starts_from_zero(scene, secret, stores, **changes):
    last = Run(scene, JOINT, secret, stores, 1, **changes)
    assert last.trees == 0
    assert last.run()
    return last


def test_a_partner_that_has_kept_nothing_refuses_and_the_next_run_starts_from_zero(scene, secret, halfway):
    halfway["shop"].clear()
    with pytest.raises(CheckpointUnknown) as caught:
        Run(scene, JOINT, secret, halfway, 1).run()
    assert caught.value.key == "boosting_model_not_kept"
    for store in halfway.values():  # as whoever runs the roles does after a refusal
        store.clear()
    last = starts_from_zero(scene, secret, halfway)
    twin, codes = scene.twin(JOINT)
    scene.check_equal(last.models, twin, codes)


@pytest.mark.parametrize("party", ["bank", "shop"])
def test_what_cannot_be_read_is_as_good_as_nothing(scene, secret, halfway, party):
    name = LABEL_RECORD if party == "bank" else FEATURE_RECORD
    halfway[party].put(name, b"\x93from another version")
    if party == "bank":
        starts_from_zero(scene, secret, halfway)
        return
    with pytest.raises(CheckpointUnknown):
        Run(scene, JOINT, secret, halfway, 1).run()


def test_a_partners_other_model_is_not_gone_on_with(scene, secret, halfway):
    other = {"bank": MemoryStore(), "shop": halfway["shop"], "carrier": MemoryStore()}
    Run(scene, JOINT, secret, other, 5).run(40)
    with pytest.raises(CheckpointUnknown):
        Run(scene, JOINT, secret, halfway, 1).run()


def changed(scene, **changes):
    other = object.__new__(Scene)
    other.__dict__.update(scene.__dict__ | changes)
    return other


def test_other_rows_labels_or_columns_of_the_label_holder_start_from_zero(scene, secret, halfway):
    label = scene.label.copy()
    label[scene.train[0]] ^= 1
    values = scene.values.copy()
    values[scene.train[0], 0] = 1e6
    fewer = changed(scene, train=scene.train[1:])
    for other in (changed(scene, label=label), changed(scene, values=values), fewer):
        stores = {name: MemoryStore(dict(store.records)) for name, store in halfway.items()}
        starts_from_zero(other, secret, stores)
    moved = np.arange(len(scene.train)) + 1
    starts_from_zero(scene, secret, halfway, row_keys=moved)


def test_other_values_of_a_partners_rows_are_refused(scene, secret, halfway):
    values = scene.values.copy()
    values[scene.train[0], scene.starts[1] + 1] = 1e6
    with pytest.raises(CheckpointUnknown):
        Run(changed(scene, values=values), JOINT, secret, halfway, 1).run()


def test_a_partner_keeps_its_thresholds_before_it_answers(scene, secret):
    stores = {}
    run = Run(scene, JOINT, secret, stores, 0)
    queue = deque((name, out) for name, role in run.roles.items() for out in role.start())
    answered = 0
    while queue:
        sender, out = queue.popleft()
        if isinstance(out.message, SplitSides):
            answered += 1
            record = msgspec.msgpack.decode(stores[sender].get(FEATURE_RECORD))
            assert set(out.message.splits) <= set(record["splits"])
        queue.extend((out.to, reply) for reply in run.roles[out.to].receive(sender, out.message))
    assert answered > 1


def test_rows_that_leave_are_out_of_the_label_holders_record_at_once(scene, secret):
    stores = {}
    first = Run(scene, EVERYTHING, secret, stores, 0)
    stop_when_two_stand(first)
    moved, keys = reordered(scene, 0)
    stays = np.ones(len(scene.label), dtype=bool)
    stays[moved.train[3]] = False
    left = first.roles["bank"].carry_on(stays)
    less = changed(
        moved,
        values=moved.values[stays],
        label=moved.label[stays],
        train=np.flatnonzero(np.isin(np.flatnonzero(stays), moved.train)),
    )
    holder = less.label_holder(
        EVERYTHING, secret, before=left, row_keys=np.delete(keys, 3), store=stores["bank"]
    )
    holder.start()
    record = msgspec.msgpack.decode(stores["bank"].get(LABEL_RECORD))
    assert keys[3] not in np.frombuffer(record["keys"], dtype=np.int64)
    assert len(record["trees"]) == 2
    assert len(record["scores"]) == 8 * (len(keys) - 1)


def test_a_partner_without_a_split_in_the_trees_that_stand_need_not_know_the_model(scene, secret):
    """The bank has grown its own tree and been stopped before a partner has heard of it."""
    stores = {}
    first = Run(scene, PLAIN, secret, stores, 0)
    assert not first.run(0)
    assert first.trees == 1
    last = Run(scene, PLAIN, secret, stores, 1)
    assert last.trees == 1
    assert last.run()
    assert {message.trees for message in last.of(Begin)} == {0}
    twin, codes = scene.twin(PLAIN)
    scene.check_equal(last.models, twin, codes)
