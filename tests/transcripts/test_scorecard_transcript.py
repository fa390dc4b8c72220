"""What crosses while a scorecard is trained: only what `DISCLOSES` declares, and nothing that decrypts to a score.

The tests hold all keys, so they read what each party could read, and what it could not.
"""

import numpy as np
import pytest
from scorecard_scene import KEY_BITS, WIDTHS, Scene, keys, over_the_wire

from federation import scorecard, wire
from federation.scorecard_fit import Block, ScorecardOptions, batch_rows, prevalence_log_odds
from federation.scorecard_layout import Layouts, integers_from_bytes
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
from federation.scoring import flags_of
from privacy.texts import LANGUAGES, text

OPTIONS = ScorecardOptions(degree=3, passes=2, batches=2)
STEPS, BATCH = OPTIONS.steps, 60
CLEAR = 20
"""A mask of b + 64 bits leaves less than b + 20 bits of a sum once in 2^44 times."""
WHOLE = KEY_BITS - 44
"""A mask uniform in Z_n is that close to 0 once in 2^42 times."""


@pytest.fixture(scope="module")
def scene():
    return Scene(seed=4, partners=2, n_rows=160)


@pytest.fixture(scope="module")
def transcript(scene):
    return scene.train_together(OPTIONS)[1]


@pytest.fixture(scope="module")
def layouts(scene):
    return Layouts.of(OPTIONS, len(scene.parties.all), len(scene.train))


@pytest.fixture(scope="module")
def clear(scene):
    """Per step of the plaintext twin: (rows, total scores, residuals, gradient by party)."""
    blocks = {
        name: Block(
            name, scene.codes[name][scene.train], scene.woe[name], OPTIONS, has_intercept=name == "bank"
        )
        for name in scene.parties.all
    }
    labels, polynomial = scene.label[scene.train].astype(np.int64), OPTIONS.polynomial
    blocks["bank"].set_intercept(prevalence_log_odds(labels))
    batches = batch_rows(scene.batch(OPTIONS), len(labels), 1, OPTIONS)
    steps = []
    for step in range(STEPS):
        rows = batches[step % OPTIONS.batches]
        scores = sum(block.scores(rows) for block in blocks.values())
        residuals = polynomial.residuals(scores, labels[rows])
        gradients = {name: block.gradient(rows, residuals) for name, block in blocks.items()}
        steps.append((rows, scores, residuals, gradients))
        for name, block in blocks.items():
            block.step(gradients[name], step // OPTIONS.batches == OPTIONS.passes - 1)
    return steps


def sent(transcript, kind, recipient=None, sender=None):
    found = [
        message
        for by, to, message in transcript
        if isinstance(message, kind) and recipient in {None, to} and sender in {None, by}
    ]
    assert found
    return found


def opened(data, owner, count):
    """The plaintexts that the owner of a key reads in `count` ciphertexts."""
    key = keys()[owner]
    return key.decrypt(key.public.load(data, count))


def opened_rows(data, layout):
    """What L reads per row of a batch."""
    plain = opened(data, "bank", layout.plaintexts(BATCH))
    return layout.unpack(plain, BATCH, keys()["bank"].public.n)


def masks_of(read, packed, owner):
    """What was added to packed numbers, modulo n: (in [0, n), and its distance from 0)."""
    n = int(keys()[owner].public.n)
    masks = [(value - plain) % n for value, plain in zip(read, packed, strict=True)]
    return masks, [min(mask, n - mask) for mask in masks]


def correlation(numbers, with_numbers):
    return abs(float(np.corrcoef(np.array(numbers, float), np.array(with_numbers, float))[0, 1]))


# What crosses, and how much of it.


def test_every_message_is_declared_for_its_recipient(transcript):
    told = {
        role: {tag for entry in getattr(scorecard.DISCLOSES, role) for tag in entry.messages}
        for role in ("label_holder", "feature_holder", "coordinator")
    }
    seen = {"label_holder": set(), "feature_holder": set()}
    for _, recipient, message in transcript:
        seen["label_holder" if recipient == "bank" else "feature_holder"].add(wire.tag_of(message))
    assert seen == {role: told[role] for role in seen}
    assert told["coordinator"] == told["label_holder"] | told["feature_holder"]
    assert {str(kind.__struct_config__.tag) for kind in scorecard.MESSAGES} == told["coordinator"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_disclosure_has_a_text(language):
    disclosures = scorecard.DISCLOSES
    for entry in disclosures.label_holder + disclosures.feature_holder + disclosures.coordinator:
        assert text(f"disclosures.{disclosures.protocol}.{entry.what}", language=language)


def test_fields_and_their_sizes_follow_from_public_numbers(transcript, layouts):
    """Nothing is longer, shorter or more than rows, columns, passes, batches and keys say."""
    width, plain = keys()["bank"].public.ciphertext_bytes, KEY_BITS // 8 + 1
    columns = {name: n + (name == "bank") for name, n in WIDTHS.items()}
    sums, residuals = layouts.mask_sums(KEY_BITS).slots, layouts.residuals(KEY_BITS)
    packs, places = sums.plaintexts(OPTIONS.passes), OPTIONS.batches * columns["bank"]
    for sender, recipient, message in transcript:
        asked = columns[recipient if isinstance(message, OpenedGradient) else sender]
        gradient = layouts.gradients(KEY_BITS).slots.plaintexts(asked)
        expected = {
            Begin: {"model": 16, "public_key": KEY_BITS // 8, "generator": 0, "train_rows": 20, "columns": 4},
            RowMasks: {"public_key": KEY_BITS // 8, "generator": 0, "ciphertexts": packs * 2 * BATCH * width},
            MaskSums: {"ciphertexts": places * packs * width},
            OpenedMaskSums: {"values": places * packs * plain},
            Coefficients: {"ciphertexts": OPTIONS.degree * BATCH * width},
            Residuals: {"ciphertexts": BATCH * width},
            MaskedResiduals: {"ciphertexts": residuals.plaintexts(BATCH) * width},
            MaskedGradient: {"ciphertexts": gradient * width},
            OpenedGradient: {"values": gradient * plain},
        }.get(type(message), {})
        found = {name: getattr(message, name) for name in message.__struct_fields__}
        assert found.pop("step", 0) in range(STEPS)
        assert len(found.pop("batch", [0] * 2 * BATCH)) == 2 * BATCH
        assert {name: v if isinstance(v, int) else len(v) for name, v in found.items()} == expected


def test_the_opening_names_rows_and_batches_and_no_more(transcript, scene):
    first, second = sent(transcript, Begin)
    assert wire.encode(first) == wire.encode(second)
    assert np.flatnonzero(flags_of(first.train_rows, 160, "bank")).tolist() == scene.train.tolist()
    assert first.batch.tolist() == scene.batch(OPTIONS).tolist()


def forbidden_bytes(scene, clear):
    for name in scene.parties.all:
        for value in np.unique(np.array(scene.woe[name]).ravel()):
            yield from (np.array([value], order).tobytes() for order in ("<f8", ">f8"))
        for column in scene.codes[name].T:
            yield from (rows[:32].tobytes() for rows in (column, column[scene.train]))
    for labels in (scene.label, scene.label[scene.train]):
        yield from (
            labels[:64].tobytes(),
            np.packbits(labels[:64]).tobytes(),
            labels[:8].astype("<f8").tobytes(),
        )
    for _, scores, residuals, gradients in clear:
        yield from (scores[:4].astype(f"<i{size}").tobytes() for size in (2, 4, 8))
        for number in [*residuals, *(value for of_party in gradients.values() for value in of_party)]:
            size = max(6, (abs(number).bit_length() + 8) // 8)
            yield from (int(number).to_bytes(size, order, signed=True) for order in ("little", "big"))


def test_no_planted_value_code_label_score_residual_or_gradient_crosses(transcript, scene, clear):
    everything = b"".join(wire.encode(message) for _, _, message in transcript)
    assert len(everything) > 50_000
    for canary in forbidden_bytes(scene, clear):
        assert len(canary) >= 6
        assert canary not in everything
    # The search can find what does cross.
    assert sent(transcript, Begin)[0].model in everything


# What L can decrypt.


def test_what_the_label_holder_decrypts_per_row_is_a_residual_under_a_mask_used_once(
    transcript, layouts, clear
):
    layout = layouts.residuals(KEY_BITS)
    packs = layouts.mask_sums(KEY_BITS).slots
    partner, (of_rows,) = keys()["carrier"], sent(transcript, RowMasks)
    n_packs = packs.plaintexts(OPTIONS.passes)
    plain = partner.decrypt(partner.public.load(of_rows.ciphertexts, n_packs * 2 * BATCH))
    masks = np.array(
        [packs.unpack(plain[row :: 2 * BATCH], OPTIONS.passes) for row in range(2 * BATCH)], dtype=object
    )
    assert len(set(masks.ravel().tolist())) == masks.size
    masked = np.zeros_like(masks)
    for message, (rows, _, residuals, _) in zip(
        sent(transcript, MaskedResiduals, "bank"), clear, strict=True
    ):
        number = message.step // OPTIONS.batches
        masked[rows, number] = opened_rows(message.ciphertexts, layout)
        assert (masked[rows, number] - masks[rows, number]).tolist() == residuals.tolist()
        assert max(abs(value) for value in residuals) < 1 << layouts.residual_bits
        # Far outside of what a residual can be; and so is the difference of what a row shows in two passes.
        assert min(masked[rows, number]) > 1 << (layouts.residual_bits + CLEAR)
    assert min(abs(np.diff(masked)).ravel()) > 1 << (layouts.residual_bits + CLEAR)
    # No residual, however negative, takes a bit from the row above.
    assert min(masks.ravel()) >= 1 << layouts.residual_bits
    assert max(masks.ravel()) < (1 << layout.slot_bits) - (1 << layouts.residual_bits)


def test_above_the_rows_of_every_plaintext_stands_a_number_used_once(transcript, layouts):
    """So that a residual larger than it should be is hidden as well, in the uppermost row too."""
    layout, n, above = layouts.residuals(KEY_BITS), keys()["bank"].public.n, []
    for message in sent(transcript, MaskedResiduals, "bank"):
        plain = opened(message.ciphertexts, "bank", layout.plaintexts(BATCH))
        rows = [min(layout.slots, BATCH - at) for at in range(0, BATCH, layout.slots)]
        above += [
            value % n >> (layout.slot_bits * of_rows) for value, of_rows in zip(plain, rows, strict=True)
        ]
    assert min(above) > 1 << CLEAR
    assert len(set(above)) == STEPS * layout.plaintexts(BATCH)


def test_masked_residuals_do_not_move_with_scores_labels_or_residuals(transcript, scene, layouts, clear):
    layout, labels = layouts.residuals(KEY_BITS), scene.label[scene.train]
    masked, of_rows, scores, residuals = [], [], [], []
    for message, step in zip(sent(transcript, MaskedResiduals, "bank"), clear, strict=True):
        masked += opened_rows(message.ciphertexts, layout)
        of_rows += labels[step[0]].tolist()
        scores += step[1].tolist()
        residuals += step[2].tolist()
    for private in (of_rows, scores, residuals):
        assert correlation(masked, private) < 0.4  # six standard deviations of chance for 240 rows
    # Without masks it would show.
    assert correlation(residuals, of_rows) > 0.8


@pytest.mark.parametrize("name", ["shop", "carrier"])
def test_a_partners_gradient_is_opened_under_fresh_masks(transcript, layouts, clear, name):
    layout, key = layouts.gradients(KEY_BITS), keys()["bank"].public
    width, packs, masks = WIDTHS[name], layout.slots.plaintexts(WIDTHS[name]), []
    for asked, answer, step in zip(
        sent(transcript, MaskedGradient, "bank", name),
        sent(transcript, OpenedGradient, name),
        clear,
        strict=True,
    ):
        read = opened(asked.ciphertexts, "bank", packs)
        assert integers_from_bytes(answer.values, packs, KEY_BITS, "bank") == read
        gradient = step[3][name]
        assert max(abs(value) for value in gradient) < 1 << layouts.gradient_bits
        drawn, sizes = masks_of(read, layout.slots.pack(gradient), "bank")
        assert layout.unmask(read, drawn, width, key.n, name) == gradient
        # Uniform in Z_n, not a little larger than a gradient: also a number that is too large is hidden.
        assert min(sizes) > 1 << WHOLE
        masks += drawn
    assert len(set(masks)) == STEPS * packs


def test_sums_of_masks_come_back_under_the_label_holders_own_masks(transcript, layouts, scene, clear):
    """F decrypts numbers that do not show L's columns: the sums under masks that are uniform in Z_n."""
    slots, places = layouts.mask_sums(KEY_BITS).slots, OPTIONS.batches * (WIDTHS["bank"] + 1)
    (asked,), (answer,) = sent(transcript, MaskSums), sent(transcript, OpenedMaskSums)
    (of_rows,) = sent(transcript, RowMasks)
    packs = slots.plaintexts(OPTIONS.passes)
    read = opened(asked.ciphertexts, "carrier", places * packs)
    assert integers_from_bytes(answer.values, places * packs, KEY_BITS, "carrier") == read
    row_masks = np.array(opened(of_rows.ciphertexts, "carrier", packs * 2 * BATCH), dtype=object)
    columns = Block(
        "bank", scene.codes["bank"][scene.train], scene.woe["bank"], OPTIONS, has_intercept=True
    ).columns.astype(object)
    sums = [
        int(columns[clear[batch][0], column] @ row_masks[pack * 2 * BATCH :][clear[batch][0]])
        for batch in range(OPTIONS.batches)
        for column in range(columns.shape[1])
        for pack in range(packs)
    ]
    drawn, sizes = masks_of(read, sums, "carrier")
    assert min(sizes) > 1 << WHOLE
    assert len(set(drawn)) == places * packs
    for place in range(places):
        of_place = slice(place * packs, (place + 1) * packs)
        n = keys()["carrier"].public.n
        # And the sums are in range: the masks were these, and not just any numbers.
        layout = layouts.mask_sums(KEY_BITS)
        assert (
            len(layout.unmask(read[of_place], drawn[of_place], OPTIONS.passes, n, "carrier"))
            == OPTIONS.passes
        )


# How ciphertexts were made does not show.


def ciphertexts(transcript):
    width = keys()["bank"].public.ciphertext_bytes
    return [
        data[at : at + width]
        for _, _, message in transcript
        if (data := getattr(message, "ciphertexts", b""))
        for at in range(0, len(data), width)
    ]


def test_the_same_training_twice_shares_no_ciphertext(transcript, scene):
    first, second = ciphertexts(transcript), ciphertexts(scene.train_together(OPTIONS)[1])
    assert len(first) == len(second) > 1000
    assert len(set(first + second)) == len(first + second)


class NothingHidden:
    """Encryptions of zero that hide nothing: what a partner must not use."""

    def zeros(self, key, count):
        return [key.n_squared * 0 + 1] * count


class Replay:
    """A partner that gets the same messages again: what L reads in what it makes of them."""

    def __init__(self, scene, transcript, name, **changes):
        role = scene.feature_holder(name, OPTIONS, **changes)
        own = keys()[name].public
        self.sent = []
        for sender, recipient, message in transcript:
            if recipient != name or getattr(message, "step", 0) > 0:
                continue
            if isinstance(message, OpenedGradient):
                break
            received = over_the_wire(message)
            if isinstance(message, MaskSums):  # made for other masks
                count = len(message.ciphertexts) // own.ciphertext_bytes
                received = MaskSums(ciphertexts=own.dump(own.encrypt([0] * count)))
            self.sent += [out.message for out in role.receive(sender, received)]

    def read(self, kind):
        (message,) = sent([("", "", found) for found in self.sent], kind)
        return read_as_holder("bank", message.ciphertexts)


def read_as_holder(owner, data):
    """(plaintexts, masks): c (1 - n m) mod n^2 is all the key holder sees in a ciphertext besides its plaintext."""
    key, public = keys()[owner], keys()[owner].public
    loaded = public.load(data, len(data) // public.ciphertext_bytes)
    plain, n, n_squared = key.decrypt(loaded), public.n, public.n_squared
    return plain, [c * (1 - n * m) % n_squared for c, m in zip(loaded, plain, strict=True)]


@pytest.mark.parametrize(
    ("name", "kinds"),
    [("shop", [Coefficients, MaskedGradient]), ("carrier", [Residuals, MaskedResiduals, MaskedGradient])],
)
def test_who_knows_all_inputs_cannot_make_a_partners_ciphertexts_again(scene, transcript, name, kinds):
    """Worst case: somebody who has L's key, the partner's input *and* its codes, weights and woe, and checks a guess.

    Without the re-randomisation the guess would be confirmed: a ciphertext made from known ones is a function of them.
    """
    real = Replay(scene, transcript, name)
    guess = Replay(scene, transcript, name, zeros=NothingHidden())
    again = Replay(scene, transcript, name, zeros=NothingHidden())
    for kind in kinds:
        plain, masks = real.read(kind)
        plain_of_guess, masks_of_guess = guess.read(kind)
        if kind in {Coefficients, Residuals}:
            assert plain == plain_of_guess
        assert not set(masks) & set(masks_of_guess)
        assert masks_of_guess == again.read(kind)[1]


def test_the_sums_of_masks_do_not_show_the_label_holders_columns_to_the_key_holder(scene, transcript):
    """The same sums of the same ciphertexts, twice: were they not re-randomised, F could check a guess of codes."""
    (masks,) = sent(transcript, RowMasks)
    first, second = (
        read_as_holder(
            "carrier", scene.label_holder(OPTIONS).receive("carrier", masks)[0].message.ciphertexts
        )[1]
        for _ in range(2)
    )
    assert len(first) == len(second) > 0
    assert not set(first) & set(second)


def test_equal_coefficients_have_different_encryptions(transcript):
    """At first all rows have one score at L, so there are two polynomials, one for each label."""
    first = sent(transcript, Coefficients, "shop")[0]
    key = keys()["bank"]
    loaded = key.public.load(first.ciphertexts, OPTIONS.degree * BATCH)
    assert len(set(key.decrypt(loaded))) <= 2 * OPTIONS.degree
    assert len(set(loaded)) == OPTIONS.degree * BATCH
