"""Scorecard training refuses messages of the wrong size, unknown keys, and numbers that cannot be right."""

import secrets

import numpy as np
import pytest
from scorecard_delivery import changed, refused, run_until
from scorecard_scene import KEY_BITS, Scene, keys

from federation import wire
from federation.scorecard_fit import ScorecardOptions
from federation.scorecard_layout import Layouts, integers_from_bytes, integers_to_bytes
from federation.scorecard_messages import (
    Begin,
    Coefficients,
    MaskedGradient,
    MaskedResiduals,
    MaskSums,
    OpenedGradient,
    OpenedMaskSums,
    Residuals,
    RowMasks,
)
from privacy.errors import (
    CiphertextInvalid,
    ConfigInvalid,
    KeyMismatch,
    MessageInvalid,
    PackingOverflow,
)
from privacy.paillier_secret import SecretKey

OPTIONS = ScorecardOptions(degree=3, passes=2, batches=2)
BATCH = 42
N_TRAIN = 2 * BATCH
SCENE = Scene(seed=9, partners=2, n_rows=112)
LAYOUTS = Layouts.of(OPTIONS, 3, N_TRAIN)
ENCRYPTED = [RowMasks, MaskSums, Coefficients, Residuals, MaskedResiduals, MaskedGradient]


@pytest.fixture
def roles():
    return SCENE.roles(OPTIONS)


@pytest.fixture(scope="module")
def earlier():
    """The transcript of an earlier training with the same keys."""
    return SCENE.train_together(OPTIONS)[1]


# Sizes and ciphertexts.


@pytest.mark.parametrize("kind", ENCRYPTED, ids=lambda kind: kind.__name__)
def test_ciphertexts_of_the_wrong_number_size_or_ring_are_refused(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    owner = keys()["carrier" if kind in {RowMasks, MaskSums} else "bank"].public
    width, good = owner.ciphertext_bytes, message.ciphertexts
    wrong = [
        good[:-1],
        good + b"\x00",
        bytes(width) + good[width:],
        b"\xff" * width + good[width:],
        owner.dump([owner.n]) + good[width:],
        owner.dump([owner.n_squared - owner.n]) + good[width:],
    ]
    if kind is not MaskedGradient:  # its number may vary
        wrong += [good + good[:width], good[:-width], b""]
    for ciphertexts in wrong:
        refused(
            (CiphertextInvalid, MessageInvalid),
            roles[recipient],
            sender,
            changed(message, ciphertexts=ciphertexts),
        )
    roles[recipient].receive(sender, message)


def test_no_more_sums_are_opened_than_a_batch_may_give(roles):
    sender, recipient, message = run_until(roles, MaskedGradient)
    key = keys()["bank"].public
    most = LAYOUTS.gradients(KEY_BITS).slots.plaintexts(BATCH // 10)
    for count in (most + 1, BATCH):
        asked = changed(message, ciphertexts=key.dump(key.encrypt([0] * count)))
        refused(MessageInvalid, roles[recipient], sender, asked, "scorecard_gradient_size")
    (opened, *_) = roles[recipient].receive(
        sender, changed(message, ciphertexts=key.dump(key.encrypt([5] * most)))
    )
    assert isinstance(opened.message, OpenedGradient)


def test_no_more_sums_are_opened_than_a_partner_has_columns():
    scene, batch = Scene(seed=9, partners=2, n_rows=200), 75
    roles = scene.roles(OPTIONS) | {
        "bank": scene.label_holder(OPTIONS, partner_columns={"shop": 2, "carrier": 3})
    }
    sender, recipient, message = run_until(roles, MaskedGradient)
    key = keys()["bank"].public
    slots = Layouts.of(OPTIONS, 3, len(scene.train)).gradients(KEY_BITS).slots
    most = slots.plaintexts({"shop": 2, "carrier": 3}[sender])
    assert most < slots.plaintexts(batch // 10)
    asked = changed(message, ciphertexts=key.dump(key.encrypt([0] * (most + 1))))
    refused(MessageInvalid, roles[recipient], sender, asked, "scorecard_gradient_size")
    roles[recipient].receive(sender, message)


@pytest.mark.parametrize("kind", [OpenedMaskSums, OpenedGradient], ids=lambda kind: kind.__name__)
def test_opened_values_of_another_length_are_refused(roles, kind):
    sender, recipient, message = run_until(roles, kind)
    for values in (b"", message.values[:-1], message.values + b"\x00", message.values * 2):
        wrong = changed(message, values=values)
        refused(MessageInvalid, roles[recipient], sender, wrong, "scorecard_values_length")
    roles[recipient].receive(sender, message)


# Numbers that cannot be right.


@pytest.mark.parametrize("kind", [OpenedMaskSums, OpenedGradient], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_that_no_rows_can_have_are_refused(roles, kind, sign):
    sender, recipient, message = run_until(roles, kind)
    width = KEY_BITS // 8 + 1
    values = integers_from_bytes(message.values, len(message.values) // width, KEY_BITS, sender)
    bits = LAYOUTS.gradient_bits + (64 if kind is OpenedMaskSums else 0)
    for place in (0, len(values) - 1):
        for added, error in ((2 << bits, MessageInvalid), (1 << (KEY_BITS - 2), PackingOverflow)):
            tampered = [*values[:place], values[place] + sign * added, *values[place + 1 :]]
            wrong = changed(message, values=integers_to_bytes(tampered, KEY_BITS))
            key = "scorecard_values_range" if error is MessageInvalid else "slot_overflow"
            refused(error, roles[recipient], sender, wrong, key)
    roles[recipient].receive(sender, message)


@pytest.mark.parametrize("sign", [1, -1])
def test_residuals_that_no_rows_can_have_are_refused(roles, sign):
    sender, recipient, message = run_until(roles, MaskedResiduals)
    key, width = keys()["bank"].public, keys()["bank"].public.ciphertext_bytes
    first, layout = key.load(message.ciphertexts[:width], 1), LAYOUTS.residuals(KEY_BITS)
    for row in range(layout.slots):
        added = 1 << (LAYOUTS.gradient_bits + layout.slot_bits * row)
        tampered = key.dump(key.add_plain(first, [sign * added])) + message.ciphertexts[width:]
        wrong = changed(message, ciphertexts=tampered)
        refused(MessageInvalid, roles[recipient], sender, wrong, "scorecard_values_range")
    roles[recipient].receive(sender, message)


def test_plaintexts_of_random_numbers_in_place_of_residuals_are_refused(roles):
    sender, recipient, message = run_until(roles, MaskedResiduals)
    key = keys()["bank"].public
    count = LAYOUTS.residuals(KEY_BITS).plaintexts(BATCH)
    numbers = [secrets.randbelow(int(key.n) // 2) for _ in range(count)]
    wrong = changed(message, ciphertexts=key.dump(key.encrypt(numbers)))
    refused(MessageInvalid, roles[recipient], sender, wrong, "scorecard_values_range")
    roles[recipient].receive(sender, message)


def test_a_number_in_a_slot_without_a_sum_is_refused(roles):
    """The partner with two columns has room for more in its plaintext: nothing may stand there."""
    sender, recipient, message = run_until(roles, OpenedGradient, "shop")
    slots = LAYOUTS.gradients(KEY_BITS).slots
    assert slots.slots > 2
    (value,) = integers_from_bytes(message.values, 1, KEY_BITS, sender)
    for slot in range(2, slots.slots):
        tampered = [value + (1 << (slots.slot_bits * slot))]
        wrong = changed(message, values=integers_to_bytes(tampered, KEY_BITS))
        refused(MessageInvalid, roles[recipient], sender, wrong, "scorecard_values_range")
    roles[recipient].receive(sender, message)


@pytest.mark.parametrize(
    "kind", [OpenedMaskSums, MaskedResiduals, OpenedGradient], ids=lambda kind: kind.__name__
)
def test_an_answer_from_an_earlier_training_with_the_same_keys_is_refused(roles, earlier, kind):
    """Masks are new every time, so what was opened under others is far out of range."""
    sender, recipient, message = run_until(roles, kind)
    old = next(m for by, to, m in earlier if isinstance(m, kind) and (by, to) == (sender, recipient))
    assert wire.encode(old) != wire.encode(message)
    refused((MessageInvalid, PackingOverflow), roles[recipient], sender, old)


def test_sums_encrypted_under_another_partys_key_are_found_out(roles):
    """They decrypt to a number all over the plaintext's range."""
    sender, recipient, message = run_until(roles, MaskSums)
    other, width = keys()["grid"].public, keys()["grid"].public.ciphertext_bytes
    own = keys()["carrier"].public
    foreign = [c % own.n_squared for c in other.encrypt([0] * (len(message.ciphertexts) // width))]
    (answer,) = roles[recipient].receive(sender, MaskSums(ciphertexts=own.dump(foreign)))
    refused((MessageInvalid, PackingOverflow), roles[sender], recipient, answer.message)


# Keys and the opening.


@pytest.mark.parametrize(
    ("fields", "error", "key"),
    [
        ({"model": b"short"}, MessageInvalid, "training_begin"),
        ({"columns": 0}, MessageInvalid, "training_begin"),
        ({"columns": -1}, MessageInvalid, "training_begin"),
        ({"columns": BATCH // 10 + 1}, ConfigInvalid, "scorecard_batch_small"),
        ({"train_rows": b"\xff"}, MessageInvalid, "boosting_bits_length"),
        ({"train_rows": bytes(14)}, MessageInvalid, "training_begin"),
        ({"batch": np.zeros(N_TRAIN, "<i8")}, MessageInvalid, "training_begin"),
        ({"batch": np.zeros(N_TRAIN - 1, "|u1")}, ConfigInvalid, "scorecard_batches"),
        ({"batch": np.zeros((N_TRAIN, 1), "|u1")}, MessageInvalid, "training_begin"),
        ({"batch": np.zeros((), "|u1")}, MessageInvalid, "training_begin"),
        ({"batch": np.full(N_TRAIN, OPTIONS.batches, "|u1")}, ConfigInvalid, "scorecard_batches"),
        ({"batch": np.ones(N_TRAIN, "|u1")}, ConfigInvalid, "scorecard_batch_small"),
        ({"public_key": b"\x0f" * 16}, KeyMismatch, "paillier_key_short"),
        ({"public_key": b""}, KeyMismatch, "paillier_key_invalid"),
        ({"generator": b"\x05"}, KeyMismatch, "paillier_generator_unasked"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("recipient", ["shop", "carrier"])
def test_an_invalid_opening_is_refused(roles, fields, error, key, recipient):
    sender, _, message = run_until(roles, Begin, recipient)
    refused(error, roles[recipient], sender, changed(message, **fields), key)
    assert not roles[recipient].has_begun
    roles[recipient].receive(sender, message)


def test_a_partners_key_must_be_its_own_long_enough_and_of_the_kind_agreed_on(roles):
    sender, recipient, message = run_until(roles, RowMasks)
    bank, short = keys()["bank"].public, SecretKey.generate(256, testing_only=True).public
    for fields, error, key in (
        ({"public_key": bank.to_bytes()}, MessageInvalid, "scorecard_key_reused"),
        ({"public_key": short.to_bytes()}, KeyMismatch, "paillier_key_short"),
        ({"generator": b"\x05"}, KeyMismatch, "paillier_generator_unasked"),
        ({"public_key": b""}, KeyMismatch, "paillier_key_invalid"),
    ):
        refused(error, roles[recipient], sender, changed(message, **fields), key)
    roles[recipient].receive(sender, message)


def test_keys_in_which_no_masked_sum_fits_are_refused():
    tiny = SecretKey.generate(128, testing_only=True)
    with pytest.raises(PackingOverflow):
        SCENE.label_holder(
            OPTIONS, decryptor=tiny, public_key=SecretKey.generate(128, testing_only=True).public
        )
    _, _, begin = run_until(SCENE.roles(OPTIONS), Begin)
    partner = SCENE.feature_holder("carrier", OPTIONS, own_key=lambda: (tiny, tiny.public))
    refused(PackingOverflow, partner, "bank", begin)
    holder = SCENE.label_holder(OPTIONS, minimum_key_bits=128)
    holder.start()
    masks = RowMasks(public_key=tiny.public.to_bytes(), ciphertexts=b"")
    refused(PackingOverflow, holder, "carrier", masks)
