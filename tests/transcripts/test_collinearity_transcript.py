"""What crosses between the parties when fields are selected: only what `DISCLOSES` declares."""

import numpy as np
import pytest
from woe_scene import World, over_the_wire

from federation import collinearity, wire
from federation.collinearity_messages import DISCLOSES, MESSAGES, Begin, Moments, layout_of
from federation.roles import Rehearsal
from federation.woe_selection import SelectionOptions, woe_integers
from privacy.paillier_secret import SecretKey
from privacy.texts import LANGUAGES, text

OPTIONS = SelectionOptions(runs=5)
CANARIES = (1234567.03125, 7654321.0625, 2345671.125)
"""Planted factors, exact in binary: every value of a party is a multiple of its own."""


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def world():
    made = World(11, partners=2)
    for name, canary in zip(made.parties.all, CANARIES, strict=True):
        columns = made.columns(name)
        made.values[:, columns] = np.round(made.values[:, columns] * 4) * canary
    return made


@pytest.fixture(scope="module")
def finished(secret, world):
    bins, _ = world.bin_together(secret)
    rehearsal = Rehearsal(world.selection_roles(secret, bins, OPTIONS), over_the_wire)
    return bins, rehearsal.run(), rehearsal.transcript


def declared(entries):
    return {tag for entry in entries for tag in entry.messages}


def test_every_message_is_declared_for_its_recipient(finished):
    *_, transcript = finished
    told = {"label_holder": set(), "feature_holder": set()}
    for _, recipient, message in transcript:
        told["label_holder" if recipient == "bank" else "feature_holder"].add(wire.tag_of(message))
    assert told == {role: declared(getattr(DISCLOSES, role)) for role in told}
    everything = told["label_holder"] | told["feature_holder"]
    assert declared(DISCLOSES.coordinator) == everything
    assert {str(kind.__struct_config__.tag) for kind in MESSAGES} == everything
    assert len(transcript) == 6


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_has_a_text(language):
    for entry in DISCLOSES.label_holder + DISCLOSES.feature_holder + DISCLOSES.coordinator:
        assert text(f"disclosures.collinearity.{entry.what}", language=language)


def test_no_planted_value_edge_field_name_woe_or_label_crosses(finished, world):
    bins, _, transcript = finished
    sent = b"".join(wire.encode(message) for *_, message in transcript)
    assert bins["bank"].model_id in sent  # the search can find what does cross
    forbidden = [field.encode() for field in world.names]
    for value in np.unique(world.values[np.isfinite(world.values) & (world.values != 0)]):
        forbidden += [np.array([value], order).tobytes() for order in ("<f8", ">f8")]
    for name in world.parties.all:
        for item in [*bins[name].binning.edges, *bins[name].binning.woe]:
            for number in item:
                if number:
                    forbidden += [np.array([number], order).tobytes() for order in ("<f8", ">f8")]
    labels = world.label[world.train][:64]
    forbidden += [labels.tobytes(), np.packbits(labels).tobytes(), labels.astype("<f8").tobytes()]
    assert [canary for canary in forbidden if canary in sent] == []


def test_only_fields_with_enough_iv_are_asked_about(finished, world):
    bins, _, transcript = finished
    for _, recipient, message in transcript:
        if isinstance(message, Begin):
            part = bins[recipient]
            of_number = dict(zip(part.numbers, part.binning.iv, strict=True))
            assert {number for number, iv in of_number.items() if iv >= OPTIONS.min_iv} == set(
                message.numbers
            )
            assert len(message.numbers) > 0
    assert any(iv < OPTIONS.min_iv for part in bins.values() for iv in part.binning.iv)


def test_the_sums_are_those_of_woe_and_nothing_more_is_in_the_ciphertexts(secret, finished, world):
    """Every ciphertext that comes back holds the declared sums, and zeros above them."""
    bins, _, transcript = finished
    rows = world.train
    layout = layout_of(secret.public.bits, OPTIONS.scale_bits, len(rows))
    own = [place for place, iv in enumerate(bins["bank"].binning.iv) if iv >= OPTIONS.min_iv]
    codes = bins["bank"].binning.transform(world.view("bank").values[rows])
    mine = [woe_integers(bins["bank"].binning.woe[place], OPTIONS)[codes[:, place]] for place in own]
    asked = {to: message.numbers for _, to, message in transcript if isinstance(message, Begin)}
    for sender, _, message in transcript:
        if not isinstance(message, Moments):
            continue
        part = bins[sender]
        theirs = part.binning.transform(world.view(sender).values[rows])
        expected = []
        for number in asked[sender]:
            place = part.numbers.index(number)
            woe = woe_integers(part.binning.woe[place], OPTIONS)[theirs[:, place]]
            expected += [int((woe * of_own).sum()) for of_own in mine]
        count = len(message.cross) // secret.public.ciphertext_bytes
        plaintexts = secret.decrypt(secret.public.load(message.cross, count))
        per = layout.slots // len(own) * len(own)
        found = []
        for plaintext in plaintexts:
            slots = layout.unpack([plaintext], layout.slots)
            assert not any(slots[per:])
            found += slots[:per]
        assert found[: len(expected)] == expected
        assert not any(found[len(expected) :])


def test_an_answer_cannot_be_recomputed_from_the_ciphertexts(secret, finished, world):
    bins, _, transcript = finished
    begin = next(message for _, to, message in transcript if to == "shop" and isinstance(message, Begin))
    answers = []
    for _ in range(2):
        partner = collinearity.FeatureHolder(world.parties, world.view("shop"), bins["shop"], OPTIONS, 512)
        (reply,) = partner.receive("bank", begin)
        answers.append(reply.message)
    width = secret.public.ciphertext_bytes
    first, second = (secret.public.load(item.cross, len(item.cross) // width) for item in answers)
    assert secret.decrypt(first) == secret.decrypt(second)
    assert not set(first) & set(second)


def test_a_partner_is_told_of_its_own_fields_alone(finished, world):
    bins, results, transcript = finished
    for _, recipient, message in transcript:
        if recipient != "bank":
            assert set(message.numbers) <= set(bins[recipient].numbers)
    kept = results["bank"].to_bytes()
    for name in world.parties.all[1:]:
        assert not any(field.encode() in kept for field in world.view(name).fields)
