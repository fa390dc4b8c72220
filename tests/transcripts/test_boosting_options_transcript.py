"""With every option of boosting, only what is declared crosses, and no sum covers fewer rows than allowed."""

from dataclasses import replace

import numpy as np
import pytest
from boosting_scene import OPTIONS, SEED, Scene

from federation import boosting, wire
from federation.boosting_messages import CandidateSums, Gradients
from federation.boosting_options import Growth
from federation.pair_layout import layout_for
from federation.roles import MemoryStore, Rehearsal
from federation.row_weights import Draws, validation_rows
from privacy.paillier_secret import SecretKey

EVERYTHING = replace(
    OPTIONS, patience=5, validation_share=0.2, class_weight="balanced", goss_top=0.3, goss_other=0.4,
    min_child_rows=6, growth=Growth.LEAF, max_leaves=5, first_tree_local=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    scene = Scene(41, n_rows=240, with_levels=True)
    scene.plant_canary()
    return scene


@pytest.fixture(scope="module")
def training(scene, secret):
    roles = scene.roles(EVERYTHING, secret)
    rehearsal = Rehearsal(roles)
    return rehearsal.run(), rehearsal.transcript


def test_every_message_is_declared_for_its_recipient(training):
    _, transcript = training
    for recipient, told in (
        ("bank", boosting.DISCLOSES.label_holder),
        ("shop", boosting.DISCLOSES.feature_holder),
    ):
        declared = {tag for entry in told for tag in entry.messages}
        assert {wire.tag_of(message) for _, to, message in transcript if to == recipient} == declared


def test_no_value_level_field_name_or_label_crosses(training, scene):
    _, transcript = training
    sent = b"".join(wire.encode(message) for _, _, message in transcript)
    label = scene.label[scene.train]
    forbidden = [field.encode() for name in scene.parties.all for field in scene.view(name).fields]
    for value in np.unique(scene.values[np.isfinite(scene.values) & (scene.values != 0)]):
        forbidden += [np.array([value], order).tobytes() for order in ("<f8", ">f8")]
    forbidden += [label[:64].tobytes(), np.packbits(label[:64]).tobytes()]
    assert not [needle for needle in forbidden if needle in sent]
    assert training[0]["bank"].model_id in sent


def test_a_partner_is_told_which_rows_count_and_nothing_of_why(training, scene):
    _, transcript = training
    label = scene.label[scene.train]
    validation = validation_rows(label, EVERYTHING, Draws.of(len(label), SEED))
    samples = [
        np.unpackbits(np.frombuffer(message.sample, np.uint8))[: len(label)].astype(bool)
        for _, to, message in transcript
        if to == "shop" and isinstance(message, Gradients)
    ]
    assert len(samples) == EVERYTHING.trees - 1
    for sample in samples:
        assert not (sample & validation).any()
        for kind in (0, 1):
            size = int((~validation & (label == kind)).sum())
            assert sample[label == kind].sum() == round(0.3 * size) + round(0.4 * size)
    assert (samples[0] != samples[1]).any()


class Counting:
    """Encrypts (1, 1) for every row that counts: then the sums *are* numbers of rows."""

    def __init__(self, secret, n_rows):
        self.secret, self.layout = secret, layout_for(secret.public, EVERYTHING, n_rows)

    def encrypt(self, plaintexts):
        ones = np.ones(len(plaintexts), dtype=np.int64)
        return self.secret.encrypt(self.layout.join(ones, ones))

    def decrypt(self, ciphertexts):
        return self.secret.decrypt(ciphertexts)


def test_no_sum_is_over_fewer_rows_that_count_than_allowed(scene, secret):
    options = replace(EVERYTHING, first_tree_local=False)
    counting = Counting(secret, len(scene.train))
    holder = boosting.LabelHolder(
        scene.parties, scene.view("bank"), scene.label, scene.train, options,
        decryptor=counting, public_key=secret.public, seed=SEED,
    )  # fmt: skip
    partner, layout, found = scene.feature_holder("shop", options), counting.layout, []
    for out in holder.start():
        if out.to != "shop":
            continue
        for reply in partner.receive("bank", out.message):
            assert isinstance(reply.message, CandidateSums)
            total = int(reply.message.counts.sum())
            ciphertexts = secret.public.load(reply.message.sums, layout.slots.plaintexts(total))
            found += layout.separate(layout.slots.unpack(secret.decrypt(ciphertexts), total))[1]
    counted = len(partner._sample)
    assert counted < len(scene.train) * 0.6
    assert len(found) > 4
    assert min(found) >= options.min_child_rows
    assert max(found) <= counted - options.min_child_rows


def test_what_a_partner_keeps_for_a_rerun_stays_with_it_and_says_nothing_of_labels(scene, secret):
    store = MemoryStore()
    roles = scene.roles(EVERYTHING, secret)
    roles["shop"] = scene.feature_holder("shop", EVERYTHING, store=store)
    rehearsal = Rehearsal(roles)
    models = rehearsal.run()
    (record,) = store.records.values()
    assert scene.label[scene.train].tobytes() not in record
    sent = b"".join(wire.encode(message) for sender, _, message in rehearsal.transcript if sender == "shop")
    edges = [edge for edges in models["shop"].binning.edges for edge in edges if edge]
    assert edges
    for edge in edges:
        assert np.array([edge], ">f8").tobytes() in record
        assert np.array([edge], ">f8").tobytes() not in sent
