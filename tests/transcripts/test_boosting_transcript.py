"""What crosses between the parties in boosting and scoring: only what `DISCLOSES` declares."""

import random
import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from federation import boosting, scoring, wire
from federation.boosting import BoostingOptions
from federation.boosting_messages import CandidateSums
from federation.pair_layout import PairLayout
from federation.roles import Parties, Rehearsal, View
from privacy.paillier_secret import SecretKey
from privacy.texts import LANGUAGES, text

OPTIONS = BoostingOptions(trees=3, depth=3, bins=10, node_bins=8, min_child_rows=12, k_min=12)
PARTIES = Parties("bank", ("shop",))
CANARIES = {"bank": 1234567.03125, "shop": 7654321.0625}
"""Planted values, exact in binary; a column of each party holds nothing else but multiples of its own."""

FIELDS = {"bank": ("income_canary", "tenure_canary"), "shop": ("basket_canary", "visits_canary")}


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(11)
    n_rows = 240
    values = {name: np.round(rng.normal(size=(n_rows, 2)) * 4) * canary for name, canary in CANARIES.items()}
    score = values["bank"][:, 0] / CANARIES["bank"] + values["shop"][:, 1] / CANARIES["shop"]
    label = (score + rng.normal(size=n_rows) > 0).astype(np.int8)
    views = {name: View(FIELDS[name], of_party) for name, of_party in values.items()}
    return views, label, np.arange(0, n_rows - 40)


@pytest.fixture(scope="module")
def training(secret, world):
    views, label, rows = world
    holder = boosting.LabelHolder(
        PARTIES, views["bank"], label, rows, OPTIONS, decryptor=secret, public_key=secret.public
    )
    partner = boosting.FeatureHolder(PARTIES, views["shop"], OPTIONS, 512)
    rehearsal = Rehearsal({"bank": holder, "shop": partner})
    return rehearsal.run(), rehearsal.transcript


@pytest.fixture(scope="module")
def scored(training, world):
    models, _ = training
    views, _, _ = world
    roles = {
        "bank": scoring.LabelHolder(PARTIES, views["bank"], models["bank"], np.arange(200, 240)),
        "shop": scoring.FeatureHolder(PARTIES, views["shop"], models["shop"]),
    }
    rehearsal = Rehearsal(roles)
    return rehearsal.run(), rehearsal.transcript


def declared(entries):
    return {tag for entry in entries for tag in entry.messages}


@pytest.mark.parametrize("module", [boosting, scoring])
def test_every_message_is_declared_for_its_recipient(module, training, scored):
    _, transcript = training if module is boosting else scored
    told = {
        "bank": declared(module.DISCLOSES.label_holder),
        "shop": declared(module.DISCLOSES.feature_holder),
    }
    seen = {"bank": set(), "shop": set()}
    for _, recipient, message in transcript:
        seen[recipient].add(wire.tag_of(message))
    assert seen == told
    assert declared(module.DISCLOSES.coordinator) == told["bank"] | told["shop"]
    assert {str(kind.__struct_config__.tag) for kind in module.MESSAGES} == told["bank"] | told["shop"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("module", [boosting, scoring])
def test_every_disclosure_has_a_text(module, language):
    disclosures = module.DISCLOSES
    for entry in disclosures.label_holder + disclosures.feature_holder + disclosures.coordinator:
        assert text(f"disclosures.{disclosures.protocol}.{entry.what}", language=language)


def forbidden_bytes(world):
    views, label, _ = world
    for view in views.values():
        yield from (field.encode() for field in view.fields)
        for value in np.unique(view.values[np.abs(view.values) > 0]):
            yield from (np.array([value], order).tobytes() for order in ("<f8", ">f8"))
    # The label as a run of bytes, of bits and as numbers, in the places of the first 64 rows.
    yield label[:64].tobytes()
    yield np.packbits(label[:64]).tobytes()
    yield label[:64].astype("<f8").tobytes()


def test_no_planted_value_field_name_or_label_crosses(training, scored, world):
    sent = b"".join(
        wire.encode(message) for _, transcript in (training, scored) for _, _, message in transcript
    )
    assert len(sent) > 10_000
    for canary in forbidden_bytes(world):
        assert canary not in sent
    # The search can find what does cross: the model's identifier.
    assert training[0]["bank"].model_id in sent


def test_the_same_gradients_never_look_the_same(training):
    _, transcript = training
    ciphertexts = [
        wire.encode(message)[i : i + 64]
        for _, _, message in transcript
        if wire.tag_of(message) in {"boosting.gradients/1", "boosting.candidates/1"}
        for i in [len(wire.encode(message)) - 64]
    ]
    assert max(Counter(ciphertexts).values()) == 1


def test_the_label_holder_sees_no_sum_over_fewer_rows_than_allowed(secret, world):
    """With every gradient 2**-scale_bits, the sums *are* row counts. The first tree that asks is enough."""
    views, label, rows = world
    options = replace(OPTIONS, first_tree_local=False)

    class Counting:
        def __init__(self):
            self.layout = PairLayout.for_gradients(secret.public.bits, options.scale_bits, len(rows))

        def encrypt(self, plaintexts):
            return secret.encrypt(self.layout.join(*[np.ones(len(plaintexts), dtype=np.int64)] * 2))

        def decrypt(self, ciphertexts):
            return secret.decrypt(ciphertexts)

    holder = boosting.LabelHolder(
        PARTIES, views["bank"], label, rows, options, decryptor=Counting(), public_key=secret.public
    )
    partner = boosting.FeatureHolder(PARTIES, views["shop"], options, 512)
    layout = Counting().layout
    offers = []
    for out in holder.start():
        for reply in partner.receive("bank", out.message):
            assert isinstance(reply.message, CandidateSums)
            total = int(reply.message.counts.sum())
            ciphertexts = secret.public.load(reply.message.sums, layout.slots.plaintexts(total))
            offers += layout.separate(layout.slots.unpack(secret.decrypt(ciphertexts), total))[1]
    counts = np.array(offers)
    assert len(counts) > 4
    assert counts.min() >= OPTIONS.min_child_rows
    assert counts.max() <= len(rows) - OPTIONS.min_child_rows


def test_candidates_come_in_another_order_every_time(secret, world):
    views, label, rows = world
    flat = replace(OPTIONS, trees=1, depth=1, first_tree_local=False)
    layout = PairLayout.for_gradients(secret.public.bits, flat.scale_bits, len(rows))
    orders = set()
    for _ in range(3):
        holder = boosting.LabelHolder(
            PARTIES, views["bank"], label, rows, flat, decryptor=secret, public_key=secret.public
        )
        partner = boosting.FeatureHolder(PARTIES, views["shop"], flat, 512)
        replies = [reply for out in holder.start() for reply in partner.receive("bank", out.message)]
        message = replies[0].message
        total = int(message.counts.sum())
        ciphertexts = secret.public.load(message.sums, layout.slots.plaintexts(total))
        orders.add(tuple(layout.slots.unpack(secret.decrypt(ciphertexts), total)))
    assert len({tuple(sorted(order)) for order in orders}) == 1
    assert len(orders) == 3


def test_a_partners_answer_cannot_be_recomputed_from_the_gradients(secret, world):
    """Same ciphertexts, same shuffle, same sums: only the fresh randomness of the answer differs."""
    views, label, rows = world
    options = replace(OPTIONS, first_tree_local=False)
    holder = boosting.LabelHolder(
        PARTIES, views["bank"], label, rows, options, decryptor=secret, public_key=secret.public
    )
    questions = [out.message for out in holder.start()]
    answers = []
    for _ in range(2):
        partner = boosting.FeatureHolder(PARTIES, views["shop"], options, 512, random.Random(1))
        replies = [reply for question in questions for reply in partner.receive("bank", question)]
        answers.append(replies[0].message)
    first, second = (
        secret.public.load(answer.sums, len(answer.sums) // secret.public.ciphertext_bytes)
        for answer in answers
    )
    assert secret.decrypt(first) == secret.decrypt(second)
    assert not set(first) & set(second)


def test_a_feature_holders_thresholds_stay_with_it(training):
    models, _ = training
    kept = models["bank"].to_bytes()
    assert models["shop"].splits
    for field in FIELDS["shop"]:
        assert field.encode() not in kept
    for edge in [edge for edges in models["shop"].binning.edges for edge in edges if edge]:
        assert not re.search(re.escape(np.array([edge], ">f8").tobytes()), kept)
