"""Every malformed key, ciphertext and plaintext is refused, with a text that shows no value."""

from __future__ import annotations

from collections.abc import Callable

import gmpy2
import pytest
from gmpy2 import mpz

from privacy.errors import CiphertextInvalid, KeyMismatch, PackingOverflow, ProfileForbidden, SilhouetteError
from privacy.paillier import MAXIMUM_KEY_BITS, PublicKey, to_half_form
from privacy.paillier_secret import SecretKey
from privacy.texts import LANGUAGES


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate(512, testing_only=True)


TAMPERED: dict[str, Callable[[int, int], int]] = {
    "zero": lambda p, q: 0,
    "n": lambda p, q: p * q,
    "n squared": lambda p, q: (p * q) ** 2,
    "n squared plus one": lambda p, q: (p * q) ** 2 + 1,
    "p": lambda p, q: p,
    "multiple of p": lambda p, q: p * (q - 1),
    "p squared": lambda p, q: p * p,
    "multiple of q": lambda p, q: q * 12_345,
    "all ones": lambda p, q: 2 ** (8 * ((((p * q) ** 2).bit_length() + 7) // 8)) - 1,
}


def tampered(key: SecretKey, name: str) -> mpz:
    private = key.to_phe()
    return mpz(TAMPERED[name](private.p, private.q))


@pytest.mark.parametrize("name", TAMPERED)
@pytest.mark.parametrize("position", [0, 2, 3])
def test_one_bad_number_spoils_the_load(key: SecretKey, name: str, position: int) -> None:
    ciphertexts = key.encrypt([1, 2, 3])
    ciphertexts.insert(position, tampered(key, name))
    with pytest.raises(CiphertextInvalid):
        key.public.load(key.public.dump(ciphertexts), 4)


@pytest.mark.parametrize("name", TAMPERED)
def test_decryption_never_answers_a_bad_number(key: SecretKey, name: str) -> None:
    for bad in (tampered(key, name), -key.encrypt([1])[0]):
        with pytest.raises(CiphertextInvalid):
            key.decrypt([*key.encrypt([1]), bad])


def test_two_bad_numbers_do_not_hide_each_other(key: SecretKey) -> None:
    private = key.to_phe()
    with pytest.raises(CiphertextInvalid):
        key.public.load(key.public.dump([mpz(private.p), mpz(private.q)]), 2)


@pytest.mark.parametrize("change", [-1, 1, -128, 128])
def test_wrong_lengths_are_refused(key: SecretKey, change: int) -> None:
    data = key.public.dump(key.encrypt([1, 2, 3])) + bytes(128)
    with pytest.raises(CiphertextInvalid):
        key.public.load(data[: 3 * key.public.ciphertext_bytes + change], 3)


@pytest.mark.parametrize("count", [-1, 0, 2, 4])
def test_wrong_counts_are_refused(key: SecretKey, count: int) -> None:
    with pytest.raises(CiphertextInvalid):
        key.public.load(key.public.dump(key.encrypt([1, 2, 3])), count)


def test_operations_that_invert_refuse_non_units(key: SecretKey) -> None:
    public, good, bad = key.public, key.encrypt([1]), [tampered(key, "p")]
    with pytest.raises(CiphertextInvalid):
        public.subtract(good, bad)
    with pytest.raises(CiphertextInvalid):
        public.scale(bad, [-1])
    with pytest.raises(CiphertextInvalid):
        to_half_form(bad, public)


@pytest.mark.parametrize("sign", [1, -1])
def test_plaintexts_beyond_the_range_are_refused(key: SecretKey, sign: int) -> None:
    public = key.public
    beyond = sign * (public.max_plaintext + 1)
    for encrypt in (public.encrypt, key.encrypt, key.encrypt_exact):
        with pytest.raises(PackingOverflow):
            encrypt([0, beyond])
    one = key.encrypt([1])
    with pytest.raises(PackingOverflow):
        public.add_plain(one, [beyond])
    with pytest.raises(PackingOverflow):
        public.scale(one, [beyond])


def test_floats_are_not_cut_to_integers(key: SecretKey) -> None:
    with pytest.raises(TypeError):
        key.public.encrypt([1.5])  # type: ignore[list-item]


def public_keys() -> dict[str, bytes]:
    n = int(SecretKey.generate(512, testing_only=True).public.n)
    return {
        "empty": b"",
        "zero": bytes(64),
        "even": (n - 1).to_bytes(64, "big"),
        "prime": int(gmpy2.next_prime(n)).to_bytes(64, "big"),
        "leading zero": n.to_bytes(65, "big"),
        "huge": b"\xff" * (MAXIMUM_KEY_BITS // 8 + 1),
    }


@pytest.mark.parametrize("name", public_keys())
def test_bad_public_keys_are_refused(name: str) -> None:
    with pytest.raises(KeyMismatch):
        PublicKey.from_bytes(public_keys()[name], minimum_bits=512)


def test_short_public_keys_are_refused(key: SecretKey) -> None:
    data = key.public.to_bytes()
    assert PublicKey.from_bytes(data, minimum_bits=512) == key.public
    with pytest.raises(KeyMismatch):
        PublicKey.from_bytes(data, minimum_bits=513)


@pytest.mark.parametrize("n", [0, -15, 16])
def test_numbers_that_are_no_modulus_are_refused(n: int) -> None:
    with pytest.raises(KeyMismatch):
        PublicKey(n)


def test_damaged_secret_keys_are_refused(key: SecretKey) -> None:
    data = key.to_bytes()
    half = len(data) // 2
    composite = data[:-1] + bytes([data[-1] ^ 1])
    for damaged in (b"", data[:-1], data[:half] * 2, composite, bytes(len(data)), b"\x03\x07"):
        with pytest.raises(KeyMismatch):
            SecretKey.from_bytes(damaged)


@pytest.mark.parametrize(("bits", "testing_only"), [(2046, False), (512, False), (2049, False), (126, True)])
def test_weak_or_odd_key_sizes_are_refused(bits: int, testing_only: bool) -> None:
    with pytest.raises(ProfileForbidden):
        SecretKey.generate(bits, testing_only=testing_only)


def test_refusals_explain_themselves_without_showing_numbers(key: SecretKey) -> None:
    public = key.public
    bad = tampered(key, "p")
    attempts: list[Callable[[], object]] = [
        lambda: public.load(public.dump([bad]), 1),
        lambda: public.load(public.dump([mpz(0)]), 1),
        lambda: public.load(b"123", 1),
        lambda: public.encrypt([public.max_plaintext + 1]),
        lambda: PublicKey.from_bytes(public.to_bytes(), 2048),
        lambda: PublicKey.from_bytes(b"", 2048),
        lambda: SecretKey.from_bytes(b"123"),
        lambda: SecretKey.generate(1024),
    ]
    for attempt in attempts:
        with pytest.raises(SilhouetteError) as caught:
            attempt()
        for language in LANGUAGES:
            shown = caught.value.render(language)
            assert str(bad) not in shown
            assert str(public.max_plaintext + 1) not in shown
