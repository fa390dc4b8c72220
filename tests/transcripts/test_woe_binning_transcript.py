"""What crosses between the parties in federated binning: only what `DISCLOSES` declares."""

import random
from collections import Counter

import numpy as np
import pytest
from woe_scene import OPTIONS, World

from federation import wire, woe_binning
from federation.woe_messages import DISCLOSES, MESSAGES, Begin, CellSums, FinalBins
from privacy.fixed_point import SlotLayout
from privacy.paillier_secret import SecretKey
from privacy.texts import LANGUAGES, text

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
    return world.bin_together(secret)


def declared(entries):
    return {tag for entry in entries for tag in entry.messages}


def test_every_message_is_declared_for_its_recipient(finished):
    _, transcript = finished
    told = {"label_holder": set(), "feature_holder": set()}
    for _, recipient, message in transcript:
        told["label_holder" if recipient == "bank" else "feature_holder"].add(wire.tag_of(message))
    assert told == {role: declared(getattr(DISCLOSES, role)) for role in told}
    everything = told["label_holder"] | told["feature_holder"]
    assert declared(DISCLOSES.coordinator) == everything
    assert {str(kind.__struct_config__.tag) for kind in MESSAGES} == everything
    assert len(transcript) == 6  # one exchange, two partners


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_has_a_text(language):
    for entry in DISCLOSES.label_holder + DISCLOSES.feature_holder + DISCLOSES.coordinator:
        assert text(f"disclosures.woe_binning.{entry.what}", language=language)


def test_no_planted_value_edge_field_name_or_label_crosses(finished, world):
    results, transcript = finished
    sent = b"".join(wire.encode(message) for *_, message in transcript)
    assert results["bank"].model_id in sent  # the search can find what does cross
    forbidden = [field.encode() for field in world.names]
    for value in np.unique(world.values[np.isfinite(world.values) & (world.values != 0)]):
        forbidden += [np.array([value], order).tobytes() for order in ("<f8", ">f8")]
    for name in world.parties.all[1:]:
        for edge in [edge for edges in results[name].binning.edges for edge in edges if edge]:
            forbidden += [np.array([edge], order).tobytes() for order in ("<f8", ">f8")]
    labels = world.label[world.train][:64]
    forbidden += [labels.tobytes(), np.packbits(labels).tobytes(), labels.astype("<f8").tobytes()]
    assert [canary for canary in forbidden if canary in sent] == []


def test_the_label_holder_keeps_no_name_and_no_edge_of_a_partner(finished, world):
    results, _ = finished
    kept = results["bank"].to_bytes()
    for name in world.parties.all[1:]:
        assert not any(field.encode() in kept for field in world.view(name).fields)
        edges = [edge for edges in results[name].binning.edges for edge in edges if edge]
        assert edges
        assert not any(np.array([edge], ">f8").tobytes() in kept for edge in edges)


def test_every_cell_has_k_min_rows_and_the_sums_are_those_of_its_rows(secret, finished, world):
    _, transcript = finished
    bad = world.label[world.train] == 1
    layout = SlotLayout.for_sums(secret.public.bits, len(bad).bit_length(), 1)
    for _, _, message in transcript:
        if isinstance(message, CellSums):
            assert message.rows.min() >= OPTIONS.k_min
            count = len(message.rows)
            ciphertexts = secret.public.load(message.sums, layout.plaintexts(count))
            sums = layout.unpack(secret.decrypt(ciphertexts), count)
            cells = message.ordered.astype(int) + message.loose
            assert sum(sums) == len(cells) * bad.sum()


def cells_of(world, secret, randomness=None):
    """What the shop sends, and the bank's opening."""
    roles = world.binning_roles(secret, randomness=randomness)
    begin = roles["bank"].start()[0].message
    (reply,) = roles["shop"].receive("bank", begin)
    return begin, reply.message


def test_fields_numbers_and_directions_are_drawn_anew(secret, world):
    found = [cells_of(world, secret)[1] for _ in range(12)]
    assert len({number for message in found for number in message.numbers}) == 12 * 4
    rows = {tuple(message.rows.tolist()) for message in found}
    assert len(rows) > 6
    assert len({tuple(sorted(order)) for order in rows}) == 1
    # One field's ordinary cells come from both ends.
    lonely = World(11, partners=1)
    lonely.values = np.delete(lonely.values, [4, 5, 6], axis=1)
    lonely.starts = np.array([0, 3, 4])
    directions = Counter(tuple(cells_of(lonely, secret)[1].rows[:3].tolist()) for _ in range(24))
    assert len(directions) == 2


def test_a_declared_trend_does_not_tell_the_direction(secret):
    """The carrier's field is declared ascending: it is sent as ascending or descending, as it is shown."""
    world = World(2, partners=2)
    trends = set()
    for _ in range(24):
        roles = world.binning_roles(secret)
        begin = roles["bank"].start()[1].message
        (reply,) = roles["carrier"].receive("bank", begin)
        trends.add(frozenset(reply.message.trends.tolist()))
    assert trends == {frozenset({0, 1}), frozenset({0, 2})}


def test_an_answer_cannot_be_recomputed_from_the_labels(secret, world):
    """Same ciphertexts, same order, same sums: only the fresh randomness of the answer differs."""
    roles = world.binning_roles(secret)
    begin = roles["bank"].start()[0].message
    answers = []
    for _ in range(2):
        partner = woe_binning.FeatureHolder(world.parties, world.view("shop"), OPTIONS, 512, random.Random(1))
        (reply,) = partner.receive("bank", begin)
        answers.append(reply.message)
    width = secret.public.ciphertext_bytes
    first, second = (secret.public.load(item.sums, len(item.sums) // width) for item in answers)
    assert secret.decrypt(first) == secret.decrypt(second)
    assert not set(first) & set(second)


def test_labels_are_encrypted_row_by_row(secret, finished, world):
    _, transcript = finished
    begin = next(message for *_, message in transcript if isinstance(message, Begin))
    ciphertexts = secret.public.load(begin.labels, len(world.train))
    assert len(set(ciphertexts)) == len(ciphertexts)
    assert secret.decrypt(ciphertexts) == world.label[world.train].tolist()


def test_a_partner_is_told_of_its_own_fields_alone(finished):
    results, transcript = finished
    for _, recipient, message in transcript:
        if isinstance(message, FinalBins):
            assert set(message.numbers) == set(results[recipient].numbers)
