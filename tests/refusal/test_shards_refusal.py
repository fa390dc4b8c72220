"""What does not fit a training in shards is refused by its name: messages, what was kept, and shards too small."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from boosting_scene import OPTIONS
from shards_scene import DEAL_SEED, PLAIN, SHARDS, ShardScene, deliver, kept_of, train

from federation.binning import Binning
from federation.boosting_messages import Begin, CandidateSums, Finish, SplitSides
from federation.roles import MemoryStore
from federation.scoring import bits_of
from federation.shards_merge import merge_binnings, merge_feature_holder, merge_label_holder
from federation.shards_messages import Shards
from federation.shards_records import LabelShards, Section, TrainedRows, deal, trained_rows
from privacy.errors import CheckpointUnknown, ConfigInvalid, MessageInvalid, UnexpectedMessage
from privacy.paillier_secret import SecretKey
from privacy.texts import LANGUAGES

NOTHING = Shards(kept=(b"",) * SHARDS, rows=(b"",) * SHARDS)


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


@pytest.fixture(scope="module")
def scene():
    return ShardScene(31, partners=1, n_rows=200)


@pytest.fixture(scope="module")
def kept(scene, secret):
    roles = scene.sharded_roles(PLAIN, secret)
    train(roles)
    return kept_of(roles)


def refused(act, key, error):
    with pytest.raises(error) as caught:
        act()
    assert caught.value.key == key
    assert all(caught.value.render(language) for language in LANGUAGES)


def opened(scene, **changes):
    partner = scene.sharded_partner("shop", PLAIN, **changes)
    partner.receive("bank", NOTHING)
    return partner


def begin_of(scene, secret):
    return next(
        out.message
        for out in scene.sharded_holder(PLAIN, secret).start()
        if out.to == "shop" and isinstance(out.message, Begin)
    )


# --- messages to a partner


@pytest.mark.parametrize(
    "message",
    [
        Shards(kept=(), rows=()),
        Shards(kept=(b"",) * 4, rows=(b"",) * 4),
        Shards(kept=(b"",) * SHARDS, rows=()),
        Shards(kept=(b"",) * SHARDS, rows=(b"\x80", b"", b"")),
    ],
)
def test_what_does_not_fit_the_job(scene, message):
    partner = scene.sharded_partner("shop", PLAIN)
    refused(lambda: partner.receive("bank", message), "shards_begin", MessageInvalid)


def test_messages_out_of_turn(scene, secret):
    begin = begin_of(scene, secret)
    partner = scene.sharded_partner("shop", PLAIN)
    for sender, message in (("bank", begin), ("bank", Finish()), ("carrier", NOTHING)):
        refused(lambda s=sender, m=message: partner.receive(s, m), "unexpected_message", UnexpectedMessage)
    partner.receive("bank", NOTHING)
    for sender, message in (("bank", NOTHING), ("carrier", begin), ("bank", Finish())):
        refused(lambda s=sender, m=message: partner.receive(s, m), "unexpected_message", UnexpectedMessage)
    partner.receive("bank", begin)
    refused(lambda: partner.receive("bank", begin), "unexpected_message", UnexpectedMessage)


def test_nothing_comes_after_the_end(scene, secret):
    roles = scene.sharded_roles(PLAIN, secret)
    transcript = train(roles)
    for sender, to, message in (transcript[0], transcript[-1], *transcript[3:6]):
        refused(
            lambda s=sender, t=to, m=message: roles[t].receive(s, m), "unexpected_message", UnexpectedMessage
        )


def test_a_shard_that_begins_with_rows_of_another(scene, secret):
    """Else the label holder could have the same rows summed in every shard."""
    roles = scene.sharded_roles(PLAIN, secret)
    n_begun = []

    def second(message):
        n_begun.extend([message] if isinstance(message, Begin) else [])
        return len(n_begun) == 2

    deliver(roles, until=second)
    partner, (first, then) = roles["shop"], n_begun
    for rows in (first.train_rows, np.ones(len(scene.label), dtype=bool)):
        bits = rows if isinstance(rows, bytes) else bits_of(rows)
        other = msgspec.structs.replace(then, train_rows=bits)
        refused(lambda m=other: partner.receive("bank", m), "shards_overlap", MessageInvalid)
    short = msgspec.structs.replace(then, train_rows=then.train_rows[:-1])
    refused(lambda: partner.receive("bank", short), "boosting_bits_length", MessageInvalid)
    partner.receive("bank", then)


# --- what was kept


def naming(scene, kept, place=0):
    """L's word that it takes one shard over."""
    rows = np.zeros(len(scene.label), dtype=bool)
    rows[scene.train[deal(scene.keys, SHARDS, DEAL_SEED) == place]] = True
    numbers, bits = [b""] * SHARDS, [b""] * SHARDS
    numbers[place], bits[place] = kept["bank"].parts[place].model.model_id, bits_of(rows)
    return Shards(kept=tuple(numbers), rows=tuple(bits))


def test_shards_that_a_partner_has_not_kept(scene, kept):
    message = naming(scene, kept)
    other = msgspec.structs.replace(message, kept=(b"\x07" * 16, b"", b""))
    swapped = msgspec.structs.replace(message, kept=(kept["bank"].parts[1].model.model_id, b"", b""))
    for partner, said in (
        (scene.sharded_partner("shop", PLAIN), message),
        (scene.sharded_partner("shop", PLAIN, kept=kept["shop"]), other),
        (scene.sharded_partner("shop", PLAIN, kept=kept["shop"]), swapped),
    ):
        refused(lambda p=partner, m=said: p.receive("bank", m), "shards_not_kept", CheckpointUnknown)
    scene.sharded_partner("shop", PLAIN, kept=kept["shop"]).receive("bank", message)


def test_shards_whose_rows_or_fields_are_others_here(scene, kept):
    message = naming(scene, kept)
    less = bytearray(message.rows[0])
    place = next(index for index, byte in enumerate(less) if byte)
    less[place] &= less[place] - 1
    fewer = msgspec.structs.replace(message, rows=(bytes(less), b"", b""))
    moved = scene.file_rows["shop"] + 1
    for changes, said in (
        ({}, fewer),
        ({"row_keys": moved}, message),
        ({"categorical": ("shop_0",)}, message),
    ):
        partner = scene.sharded_partner("shop", PLAIN, kept=kept["shop"], **changes)
        refused(lambda p=partner, m=said: p.receive("bank", m), "shards_rows_changed", CheckpointUnknown)


def test_two_shards_that_are_taken_over_with_the_same_rows(scene, kept):
    one, two = naming(scene, kept, 0), naming(scene, kept, 1)
    both = Shards(kept=(one.kept[0], two.kept[1], b""), rows=(one.rows[0], one.rows[0], b""))
    partner = scene.sharded_partner("shop", PLAIN, kept=kept["shop"])
    refused(lambda: partner.receive("bank", both), "shards_overlap", MessageInvalid)
    overlong = msgspec.structs.replace(one, rows=(one.rows[0] + b"\x00", b"", b""))
    partner = scene.sharded_partner("shop", PLAIN, kept=kept["shop"])
    refused(lambda: partner.receive("bank", overlong), "boosting_bits_length", MessageInvalid)


# --- answers to the label holder


def test_answers_of_another_shard_or_out_of_turn(scene, secret):
    roles = scene.sharded_roles(PLAIN, secret)
    transcript = train(roles)
    answers = [message for _, _, message in transcript if isinstance(message, CandidateSums | SplitSides)]
    holder = scene.sharded_holder(PLAIN, secret)
    refused(lambda: holder.receive("shop", answers[0]), "unexpected_message", UnexpectedMessage)
    holder.start()
    for sender, message in (("carrier", answers[0]), ("shop", answers[1]), ("shop", answers[-1])):
        refused(lambda s=sender, m=message: holder.receive(s, m), "unexpected_message", UnexpectedMessage)


def test_a_partner_that_uses_a_number_in_two_shards(kept):
    parts = [part.model for part in kept["bank"].parts]
    refused(lambda: merge_label_holder([parts[0], parts[0]]), "shards_do_not_fit", ConfigInvalid)
    of_partner = [part.model for part in kept["shop"].parts]
    refused(lambda: merge_feature_holder([of_partner[0], of_partner[0]]), "shards_do_not_fit", ConfigInvalid)


def test_parts_of_other_parties_or_fields(kept):
    parts = [part.model for part in kept["bank"].parts]
    other = msgspec.structs.replace(parts[1], owners=("bank", "carrier"))
    refused(lambda: merge_label_holder([parts[0], other]), "shards_do_not_fit", ConfigInvalid)
    one = Binning(("x",), ((1.0,),))
    for two in (Binning(("y",), ((1.0,),)), Binning(("x",), ((),), {0: (1.0,)})):
        refused(lambda t=two: merge_binnings([one, t]), "shards_do_not_fit", ConfigInvalid)


# --- settings


@pytest.mark.parametrize("number", [0, 21])
def test_numbers_of_shards(scene, secret, number):
    act = lambda: scene.sharded_holder(PLAIN, secret, shards=number, seeds=(1,) * number)  # noqa: E731
    refused(act, "shards_number", ConfigInvalid)


def test_another_number_of_shards_than_was_kept(scene, secret, kept):
    fewer = LabelShards(kept["bank"].parts[:2])
    refused(lambda: scene.sharded_holder(PLAIN, secret, kept=fewer), "shards_number", ConfigInvalid)


def test_shards_too_small_to_split(scene, secret):
    options = replace(OPTIONS, min_child_rows=40)
    refused(lambda: scene.sharded_holder(options, secret), "shards_few_rows", ConfigInvalid)
    with pytest.raises(ConfigInvalid):
        scene.sharded_twin(options)


def test_a_shard_with_labels_of_one_kind(scene, secret):
    other = scene.taken(np.arange(len(scene.label)), np.isin(np.arange(len(scene.label)), scene.train))
    other.label[other.train[deal(other.keys, SHARDS, DEAL_SEED) == 1]] = 0
    refused(lambda: other.sharded_holder(PLAIN, secret), "shards_one_class", ConfigInvalid)


def test_keys_and_rows_that_do_not_fit(scene, secret):
    for changes in ({"row_keys": np.zeros(len(scene.train))}, {"row_keys": scene.keys[1:]}):
        act = lambda c=changes: scene.sharded_holder(PLAIN, secret, **c)  # noqa: E731
        refused(act, "training_rows", ConfigInvalid)


def test_a_record_that_cannot_be_read_is_as_good_as_none():
    store, now = MemoryStore(), TrainedRows(b"m" * 16, b"d" * 32, 5)
    section = Section(store, 3)
    section.put("trained_rows", b"\x93of another version")
    assert trained_rows(section, now, None) == now
    later = msgspec.structs.replace(now, digest=b"e" * 32)
    assert trained_rows(section, later, None) == now, (
        "the model is the same: it has seen the rows of its beginning"
    )
    other = msgspec.structs.replace(later, model_id=b"n" * 16)
    assert trained_rows(section, other, None) == other
    assert section.names("") == ["trained_rows"]
    section.clear()
    assert not store.records
