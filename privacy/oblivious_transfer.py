"""Oblivious transfer of random keys: the sender gets two keys per transfer, the chooser one of them.

Source. Chou and Orlandi 2015, "The Simplest Protocol for Oblivious Transfer" (LATINCRYPT), figure 1, on the
prime-order group of Ed25519. Key: SHA-256(domain | number | A | B | shared element), cut to 128 bits.
What it promises. Against parties that follow the protocol (computational Diffie-Hellman in that group, SHA-256 as
a random oracle): the sender does not learn a choice, whatever its computing power, because b G and A + b G are
both uniform; the chooser does not learn the other key.
What it does not. Against a party that deviates nothing is claimed (on the original proof of that case see Genc,
Iovino, Rial 2020, "The Simplest Protocol for Oblivious Transfer Revisited"). libsodium's group operations are
constant-time; the loop here branches on the chooser's bits, which shows in local timing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Final, NoReturn

from nacl.bindings import (
    crypto_core_ed25519_add,
    crypto_core_ed25519_scalar_reduce,
    crypto_core_ed25519_sub,
    crypto_scalarmult_ed25519_base_noclamp,
    crypto_scalarmult_ed25519_noclamp,
)
from nacl.exceptions import CryptoError as SodiumError

from privacy.errors import MessageInvalid

ELEMENT_BYTES: Final = 32
"""A group element: Ed25519's compressed form (RFC 8032, section 5.1.2)."""
KEY_BYTES: Final = 16
_WIDE_SCALAR_BYTES: Final = 64
"""Twice the group's 252 bits, so that the reduction is uniform to 2^-259."""
_DOMAIN: Final = b"silhouette oblivious transfer v1\x00"


class TransferSender:
    """Holds both keys of every transfer. public: its first message A, `ELEMENT_BYTES` long."""

    def __init__(self) -> None:
        self._secret = _random_scalar()
        self.public = crypto_scalarmult_ed25519_base_noclamp(self._secret)

    def __repr__(self) -> str:
        return "TransferSender(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a transfer's secret is not pickled")

    def keys(self, choices: bytes, count: int, party: str) -> list[tuple[bytes, bytes]]:
        """Both keys of each of `count` transfers, from the second message of `party`.

        Raises `MessageInvalid` for a wrong length or for bytes that are no element of the prime-order group.
        """
        check_length(choices, count * ELEMENT_BYTES, party)
        pairs = []
        try:
            own = crypto_scalarmult_ed25519_noclamp(self._secret, self.public)
            for number in range(count):
                chosen = choices[number * ELEMENT_BYTES : (number + 1) * ELEMENT_BYTES]
                # a (B - A) = a B - a A: a subtraction instead of a second multiplication.
                shared = crypto_scalarmult_ed25519_noclamp(self._secret, chosen)
                other = crypto_core_ed25519_sub(shared, own)
                pairs.append(
                    (
                        _key(number, self.public, chosen, shared),
                        _key(number, self.public, chosen, other),
                    )
                )
        except SodiumError:
            raise MessageInvalid("oprf_group_element", party=party) from None
        return pairs


def choose(public: bytes, choices: Sequence[bool], party: str) -> tuple[bytes, list[bytes]]:
    """The chooser's message and its key of every transfer.

    public: the first message, from `party`. Raises `MessageInvalid` for a wrong length or no group element.
    """
    check_length(public, ELEMENT_BYTES, party)
    elements, keys = [], []
    try:
        for number, choice in enumerate(choices):
            scalar = _random_scalar()
            element = crypto_scalarmult_ed25519_base_noclamp(scalar)
            if choice:
                element = crypto_core_ed25519_add(public, element)
            elements.append(element)
            shared = crypto_scalarmult_ed25519_noclamp(scalar, public)
            keys.append(_key(number, public, element, shared))
    except SodiumError:
        raise MessageInvalid("oprf_group_element", party=party) from None
    return b"".join(elements), keys


def check_length(data: bytes, expected: int, party: str) -> None:
    """Raises `MessageInvalid` unless `party` sent `expected` bytes."""
    if len(data) != expected:
        raise MessageInvalid("oprf_message_length", party=party, expected=expected, received=len(data))


def _random_scalar() -> bytes:
    return crypto_core_ed25519_scalar_reduce(secrets.token_bytes(_WIDE_SCALAR_BYTES))


def _key(number: int, public: bytes, chosen: bytes, shared: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + number.to_bytes(4, "big") + public + chosen + shared).digest()[:KEY_BYTES]
