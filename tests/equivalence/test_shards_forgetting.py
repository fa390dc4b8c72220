"""Who is deleted is out of the model: only one shard is trained again, and all is as if the person had never been."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shards_scene import (
    DEAL_SEED,
    EVERYTHING,
    PLAIN,
    SHARDS,
    ShardScene,
    deliver,
    kept_of,
    models_of,
    train,
)

from federation.boosting_messages import Begin, Gradients
from federation.roles import MemoryStore
from federation.shards_messages import Shards
from federation.shards_records import content_digest, deal
from privacy.errors import CheckpointUnknown
from privacy.paillier_secret import SecretKey

BALANCED = replace(PLAIN, class_weight="balanced", patience=1, validation_share=0.3)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    return ShardScene(21, n_rows=260, with_levels=True)


def digests(roles):
    return {name: content_digest(model) for name, model in models_of(roles).items()}


@pytest.fixture(scope="module")
def originals(scene, secret):
    """By options: what every party kept of the model with everybody."""
    found = {}
    for options in (PLAIN, EVERYTHING, BALANCED):
        roles = scene.sharded_roles(options, secret)
        train(roles)
        found[options] = kept_of(roles)
    return found


def retrained(scene, options, secret, kept, **of_bank):
    """The roles of a training that goes on from what was kept, after its end, and what they said."""
    of_partners = {name: {"kept": kept[name]} for name in scene.parties.feature_holders}
    roles = scene.sharded_roles(options, secret, of_partners, seeds=None, kept=kept["bank"], **of_bank)
    return roles, train(roles)


def fresh(scene, options, secret):
    roles = scene.sharded_roles(options, secret)
    train(roles)
    return digests(roles)


@pytest.mark.parametrize("options", [PLAIN, EVERYTHING, BALANCED])
@pytest.mark.parametrize("place", [0, 57])
def test_only_the_shard_of_the_deleted_person_is_trained_again(scene, secret, originals, options, place):
    gone = scene.train[place]
    touched = int(deal(scene.keys, SHARDS, DEAL_SEED)[place])
    less = scene.without(gone).reordered()
    kept = originals[options]
    roles, transcript = retrained(less, options, secret, kept)
    assert digests(roles) == fresh(less, options, secret)
    assert digests(roles)["bank"] != fresh(scene, options, secret)["bank"]
    begun = [message for _, to, message in transcript if isinstance(message, Begin) and to == "shop"]
    assert len(begun) == 1
    for name, role in roles.items():
        for number, (before, after) in enumerate(zip(kept[name].parts, role.shards.parts, strict=True)):
            assert (before == after) == (number != touched)
    n_rows = roles["bank"].shards.parts[touched].trained.rows
    assert n_rows == kept["bank"].parts[touched].trained.rows - 1


@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_any_deletions_one_after_another_end_with_the_model_without_them(scene, secret, originals, data):
    kept, less = originals[PLAIN], scene
    for _ in range(data.draw(st.integers(1, 3), "rounds")):
        size = len(less.label)
        gone = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=4, unique=True), "gone")
        less = less.without(*gone)
        roles, _ = retrained(less, PLAIN, secret, kept)
        kept = kept_of(roles)
    assert digests(roles) == fresh(less, PLAIN, secret)


def test_when_nobody_has_left_nothing_is_trained(scene, secret, originals):
    roles, transcript = retrained(scene.without(scene.test[0]), PLAIN, secret, originals[PLAIN])
    assert {type(message) for _, _, message in transcript} == {Shards}
    assert kept_of(roles) == originals[PLAIN]


def test_a_corrected_label_or_own_value_trains_its_shard_again(scene, secret, originals):
    for change in ("label", "value"):
        other = scene.taken(np.arange(len(scene.label)), np.isin(np.arange(len(scene.label)), scene.train))
        if change == "label":
            other.label[other.train[4]] ^= 1
        else:
            other.values[other.train[4], 1] = 3.25
        roles, _ = retrained(other, PLAIN, secret, originals[PLAIN])
        same = [
            a == b for a, b in zip(originals[PLAIN]["bank"].parts, roles["bank"].shards.parts, strict=True)
        ]
        assert same.count(False) == 1
        assert digests(roles) == fresh(other, PLAIN, secret)


def test_who_was_deleted_at_a_partner_cannot_be_kept(scene, secret, originals):
    """The label holder still has the row and says that nothing has changed; the partner has another person's there."""
    kept = originals[PLAIN]
    moved = {name: rows.copy() for name, rows in scene.file_rows.items()}
    moved["shop"][scene.train[0]] = 10**6
    other = scene.taken(np.arange(len(scene.label)), np.isin(np.arange(len(scene.label)), scene.train))
    other.file_rows = moved
    with pytest.raises(CheckpointUnknown) as caught:
        retrained(other, PLAIN, secret, kept)
    assert caught.value.key == "shards_rows_changed"


# --- rows that leave while a model is trained, and nodes that are killed


def until_tree(number):
    seen = set()

    def wanted(message):
        if isinstance(message, Begin):
            seen.add(message.model)
        return len(seen) == 2 and isinstance(message, Gradients) and message.tree >= number

    return wanted


def carried(scene, options, secret, roles, gone, changes=None, **of_bank):
    """The roles that go on without these aligned places."""
    stays = np.ones(len(scene.label), dtype=bool)
    stays[list(gone)] = False
    changes = changes or {name: {} for name in scene.parties.feature_holders}
    of_partners = {name: changes[name] | {"before": roles[name]} for name in scene.parties.feature_holders}
    before = roles["bank"].carry_on(stays)
    return scene.without(*gone).sharded_roles(options, secret, of_partners, before=before, **of_bank)


@pytest.mark.parametrize("tree", [0, 1])
def test_rows_that_leave_meanwhile_leave_finished_trees_as_they_are(scene, secret, tree):
    options = replace(PLAIN, trees=3)
    roles = scene.sharded_roles(options, secret)
    assert not deliver(roles, until=until_tree(tree))[0]
    dealt = deal(scene.keys, SHARDS, DEAL_SEED)
    gone = [int(scene.train[dealt == place][3]) for place in range(SHARDS)]
    first = roles["bank"]._parts[0].model
    last = carried(scene, options, secret, roles, gone)
    again = carried(scene.without(*gone), options, secret, last, [])  # before anything has arrived
    train(again)
    parts = again["bank"].shards.parts
    assert parts[0].model == first
    assert parts[1].model.model_id == roles["bank"]._roles[1].model_id
    assert [part.trained.rows for part in parts] == [
        int((dealt == place).sum()) - (place == 2) for place in range(SHARDS)
    ]
    for name in scene.parties.feature_holders:
        assert [part.model.model_id for part in again[name].shards.parts] == [
            part.model.model_id for part in parts
        ]
    # What has seen somebody who left is known as such: the next retraining begins it anew.
    less = scene.without(*gone)
    final, transcript = retrained(less, options, secret, kept_of(again))
    opened = transcript[0][2]
    assert [bool(number) for number in opened.kept] == [False, False, True]
    assert digests(final) == fresh(less, options, secret)


def test_a_kill_after_rows_left_does_not_make_the_model_forget_that_it_saw_them(scene, secret):
    options = replace(PLAIN, trees=3)
    stores = {name: MemoryStore() for name in scene.parties.all}
    of_partners = {name: {"store": stores[name]} for name in scene.parties.feature_holders}
    roles = scene.sharded_roles(options, secret, of_partners, store=stores["bank"])
    assert not deliver(roles, until=until_tree(1))[0]
    dealt = deal(scene.keys, SHARDS, DEAL_SEED)
    gone = [int(scene.train[dealt == 1][3])]
    less = scene.without(*gone)
    second = carried(scene, options, secret, roles, gone, of_partners, store=stores["bank"])
    deliver(second, 12)
    third = less.sharded_roles(options, secret, of_partners, store=stores["bank"])
    train(third)
    assert third["bank"].shards.parts[1].model.model_id == roles["bank"]._roles[1].model_id
    kept = kept_of(third)
    assert [part.trained.rows for part in kept["bank"].parts] == np.bincount(dealt).tolist()
    final, transcript = retrained(less, options, secret, kept)
    assert [bool(number) for number in transcript[0][2].kept] == [True, False, True]
    assert digests(final) == fresh(less, options, secret)


def test_a_shard_that_was_taken_over_is_trained_when_one_of_its_rows_leaves_meanwhile(
    scene, secret, originals
):
    dealt = deal(scene.keys, SHARDS, DEAL_SEED)
    first_gone, then_gone = int(scene.train[dealt == 0][0]), int(scene.train[dealt == 2][0])
    less, kept = scene.without(first_gone), originals[PLAIN]
    of_partners = {name: {"kept": kept[name]} for name in scene.parties.feature_holders}
    settings = {"seeds": None, "kept": kept["bank"]}
    roles = less.sharded_roles(PLAIN, secret, of_partners, **settings)
    assert not deliver(roles, 8)[0]
    then = then_gone - (then_gone > first_gone)
    last = carried(less, PLAIN, secret, roles, [then], of_partners, **settings)
    transcript = train(last)
    assert [bool(number) for number in transcript[0][2].kept] == [False, True, False]
    assert last["bank"].shards.parts[2].trained.rows == int((dealt == 2).sum()) - 1
    final, _ = retrained(less.without(then), PLAIN, secret, kept_of(last))
    assert digests(final) == fresh(less.without(then), PLAIN, secret)
