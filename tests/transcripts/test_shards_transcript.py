"""In shards, too, only what is declared crosses: which rows are in which shard, and which shards are taken over."""

import numpy as np
import pytest
from shards_scene import DEAL_SEED, EVERYTHING, PLAIN, SEEDS, SHARDS, ShardScene, kept_of, train

from federation import boosting, shards, wire
from federation.boosting_messages import Begin
from federation.disclosed import protocols_of
from federation.jobs import MatchPlan, RiskPlan, Stage
from federation.roles import MemoryStore
from federation.scoring import flags_of
from federation.shards_messages import Shards
from federation.shards_records import deal, digest_of
from privacy.paillier_secret import SecretKey


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    scene = ShardScene(41, n_rows=260, with_levels=True)
    scene.plant_canary()
    return scene


@pytest.fixture(scope="module")
def training(scene, secret):
    roles = scene.sharded_roles(EVERYTHING, secret)
    return roles, train(roles)


@pytest.fixture(scope="module")
def forgetting(scene, secret, training):
    kept = kept_of(training[0])
    less = scene.without(scene.train[0])
    of_partners = {name: {"kept": kept[name]} for name in scene.parties.feature_holders}
    roles = less.sharded_roles(EVERYTHING, secret, of_partners, seeds=None, kept=kept["bank"])
    return less, train(roles)


def told(transcript, recipient):
    return {wire.tag_of(message) for _, to, message in transcript if to == recipient}


@pytest.mark.parametrize("run", ["training", "forgetting"])
def test_every_message_is_declared_for_its_recipient(run, request):
    _, transcript = request.getfixturevalue(run)
    both = (boosting.DISCLOSES, shards.DISCLOSES)
    for recipient, side in (("bank", "label_holder"), ("shop", "feature_holder")):
        declared = {tag for found in both for entry in getattr(found, side) for tag in entry.messages}
        assert told(transcript, recipient) == declared
    assert {tag for entry in shards.DISCLOSES.coordinator for tag in entry.messages} == {"shards.begin/1"}


def test_the_report_speaks_of_shards_where_there_are_any():
    for n_shards, found in ((1, {"boosting"}), (2, {"boosting", "shards"})):
        declared = protocols_of(Stage.RISK, MatchPlan(), RiskPlan(shards=n_shards))
        assert {item.protocol for item in declared} == found


@pytest.mark.parametrize("run", ["training", "forgetting"])
def test_no_value_level_field_label_seed_or_place_in_a_file_crosses(run, request, scene):
    _, transcript = request.getfixturevalue(run)
    sent = b"".join(wire.encode(message) for _, _, message in transcript)
    forbidden = [field.encode() for name in scene.parties.all for field in scene.view(name).fields]
    for value in np.unique(scene.values[np.isfinite(scene.values) & (scene.values != 0)]):
        forbidden += [np.array([value], order).tobytes() for order in ("<f8", ">f8")]
    for name in scene.parties.all:
        forbidden += [digest_of(scene.file_rows[name][scene.train]), scene.file_rows[name][:8].tobytes()]
    forbidden += [np.array(SEEDS, "<i8").tobytes(), scene.label[scene.train][:64].tobytes()]
    assert not [needle for needle in forbidden if needle in sent]


def test_no_digest_of_a_shards_rows_crosses(scene, training):
    roles, transcript = training
    sent = b"".join(wire.encode(message) for _, _, message in transcript)
    for role in roles.values():
        for part in role.shards.parts:
            assert part.trained.digest not in sent
            assert part.model.model_id in sent
    assert roles["bank"].result.model_id not in sent, "everybody works it out"


def test_a_partner_learns_the_parts_of_the_rows_and_nothing_of_how_they_are_dealt(scene, training):
    _, transcript = training
    dealt = deal(scene.keys, SHARDS, DEAL_SEED)
    begun = [message for _, to, message in transcript if to == "shop" and isinstance(message, Begin)]
    for place, message in enumerate(begun):
        flags = flags_of(message.train_rows, len(scene.label), "bank")
        assert np.flatnonzero(flags).tolist() == scene.train[dealt == place].tolist()
    (opened,) = [message for _, to, message in transcript if to == "shop" and isinstance(message, Shards)]
    assert (opened.kept, opened.rows) == ((b"",) * SHARDS, (b"",) * SHARDS)


def test_at_a_retraining_only_the_touched_shard_has_ciphertexts(forgetting, scene):
    less, transcript = forgetting
    touched = int(deal(scene.keys, SHARDS, DEAL_SEED)[0])
    (opened,) = [message for _, to, message in transcript if to == "shop" and isinstance(message, Shards)]
    assert [bool(number) for number in opened.kept] == [place != touched for place in range(SHARDS)]
    (begun,) = [message for _, to, message in transcript if to == "shop" and isinstance(message, Begin)]
    rows = [begun.train_rows, *(bits for bits in opened.rows if bits)]
    flags = [flags_of(bits, len(less.label), "bank") for bits in rows]
    assert np.sum(flags, axis=0).max() == 1
    assert np.flatnonzero(np.any(flags, axis=0)).tolist() == less.train.tolist()


def test_what_is_kept_holds_no_row(scene, secret):
    store = MemoryStore()
    roles = scene.sharded_roles(PLAIN, secret, {"shop": {"store": store}})
    train(roles)
    records = [role.shards.to_bytes() for role in roles.values()] + list(store.records.values())
    for record in records:
        for name in scene.parties.all:
            assert scene.file_rows[name][scene.train][:2].tobytes() not in record
        assert scene.label[scene.train][:64].tobytes() not in record
    assert {name.split("/")[0] for name in store.records} == {f"shard{place}" for place in range(SHARDS)}
