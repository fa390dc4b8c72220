"""Oblivious transfer: the chooser has the chosen key and not the other; what is malformed is refused."""

import pickle

import pytest
from nacl.bindings import crypto_core_ed25519_is_valid_point

from privacy.errors import MessageInvalid
from privacy.oblivious_transfer import ELEMENT_BYTES, KEY_BYTES, TransferSender, choose
from privacy.texts import LANGUAGES

CHOICES = [False, True, True, False, True]
IDENTITY = b"\x01" + bytes(31)
OF_ORDER_TWO = (2**255 - 20).to_bytes(32, "little")
OFF_CURVE = b"\x02" + bytes(31)


def transferred(choices=CHOICES):
    sender = TransferSender()
    message, chosen = choose(sender.public, choices, "shop")
    return sender, message, chosen, sender.keys(message, len(choices), "bank")


def test_the_chooser_gets_the_chosen_keys_only():
    _, _, chosen, pairs = transferred()
    assert chosen == [pair[choice] for pair, choice in zip(pairs, CHOICES, strict=True)]
    everything = [key for pair in pairs for key in pair]
    assert len(set(everything)) == 2 * len(CHOICES)
    assert {len(key) for key in everything} == {KEY_BYTES}


def test_messages_are_group_elements_and_fresh_every_time():
    sender, message, _, _ = transferred()
    elements = [message[at : at + ELEMENT_BYTES] for at in range(0, len(message), ELEMENT_BYTES)]
    assert all(crypto_core_ed25519_is_valid_point(element) for element in [sender.public, *elements])
    again, _ = choose(sender.public, CHOICES, "shop")
    assert not set(elements) & {again[at : at + ELEMENT_BYTES] for at in range(0, len(again), ELEMENT_BYTES)}
    assert TransferSender().public != sender.public


def test_the_number_of_a_transfer_is_part_of_its_key():
    sender, message, chosen, _ = transferred()
    twice = message[:ELEMENT_BYTES] * 2
    first, second = sender.keys(twice, 2, "bank")
    assert first[0] == chosen[0]
    assert not {*first} & {*second}


@pytest.mark.parametrize("length", [0, 31, 33, 5 * 32 - 1, 6 * 32])
def test_wrong_lengths_are_refused(length):
    sender = TransferSender()
    for call in (
        lambda: sender.keys(bytes(length), len(CHOICES), "bank"),
        lambda: choose(bytes(length), CHOICES, "bank"),
    ):
        refused(call, "oprf_message_length")


@pytest.mark.parametrize("element", [bytes(32), IDENTITY, OF_ORDER_TWO, OFF_CURVE, b"\xff" * 32])
def test_what_is_no_element_of_the_group_is_refused(element):
    sender, message, _, _ = transferred()
    refused(
        lambda: sender.keys(message[:-ELEMENT_BYTES] + element, len(CHOICES), "bank"), "oprf_group_element"
    )
    for choices in ([True], [False]):
        refused(lambda choices=choices: choose(element, choices, "bank"), "oprf_group_element")


def refused(call, key):
    with pytest.raises(MessageInvalid) as caught:
        call()
    assert caught.value.key == key
    assert all("bank" in caught.value.render(language) for language in LANGUAGES)


def test_the_secret_is_neither_shown_nor_pickled():
    sender = TransferSender()
    assert repr(sender) == "TransferSender(...)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(sender)
