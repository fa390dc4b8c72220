"""Every malformed key, ciphertext and plaintext is refused, with a text that shows no value."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz

import privacy.paillier_secret
from privacy.alpha_keys import ALPHA_BITS, alpha_bits, checked_generator
from privacy.errors import CiphertextInvalid, KeyMismatch, PackingOverflow, ProfileForbidden, SilhouetteError
from privacy.paillier import MAXIMUM_KEY_BITS, PublicKey, to_half_form
from privacy.paillier_secret import SecretKey
from privacy.parallel import Workers
from privacy.texts import LANGUAGES
from privacy.weighted_sums import weighted_sums


@pytest.fixture(scope="module", params=["ordinary", "alpha"])
def key(request: pytest.FixtureRequest) -> SecretKey:
    return SecretKey.generate(512, alpha=request.param == "alpha", testing_only=True)


@pytest.fixture(scope="module")
def alpha_key() -> SecretKey:
    return SecretKey.generate(512, alpha=True, testing_only=True)


TAMPERED: dict[str, Callable[[int, int], int]] = {
    "zero": lambda p, q: 0,
    "n": lambda p, q: p * q,
    "n squared": lambda p, q: (p * q) ** 2,
    "n squared plus one": lambda p, q: (p * q) ** 2 + 1,
    "p": lambda p, q: p,
    "multiple of p": lambda p, q: p * (q - 1),
    "p squared": lambda p, q: p * p,
    "multiple of q": lambda p, q: q * 12_345,
    "multiple of p squared": lambda p, q: p * p * (q - 1),
    "multiple of n": lambda p, q: p * q * 12_345,
    "oversize": lambda p, q: (p * q) ** 2 + 2**40 + 1,
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
    for load in (key.public.load, key.public.load_halves):
        with pytest.raises(CiphertextInvalid):
            load(key.public.dump(ciphertexts), 4)


@pytest.mark.parametrize("name", TAMPERED)
def test_decryption_never_answers_a_bad_number(key: SecretKey, name: str) -> None:
    for bad in (tampered(key, name), -key.encrypt([1])[0], key.encrypt([1])[0] + key.public.n_squared):
        for place in (0, 1):
            ciphertexts = key.encrypt([1])
            ciphertexts.insert(place, bad)
            with pytest.raises(CiphertextInvalid):
                key.decrypt(ciphertexts)


def test_worker_processes_refuse_a_bad_number_too(key: SecretKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_PROCESS", 1)
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_STARTED", 1)
    monkeypatch.setattr(privacy.paillier_secret, "ALPHA_SPEED", 1)
    for bad in (mpz(0), tampered(key, "multiple of p"), key.public.n_squared):
        with pytest.raises(CiphertextInvalid):
            key.decrypt([*key.encrypt([1, 2, 3]), bad], Workers(2))
    Workers(2).release()


def test_weighted_sums_refuse_non_units(key: SecretKey) -> None:
    with pytest.raises(CiphertextInvalid):
        weighted_sums(np.array([[1, -1]]), [mpz(5), mpz(key.to_phe().p)], [mpz(0), mpz(0)], key.public)


def test_two_bad_numbers_do_not_hide_each_other(key: SecretKey) -> None:
    private = key.to_phe()
    for load in (key.public.load, key.public.load_halves):
        with pytest.raises(CiphertextInvalid):
            load(key.public.dump([mpz(private.p), mpz(private.q)]), 2)


@pytest.mark.parametrize("change", [-1, 1, -128, 128])
def test_wrong_lengths_are_refused(key: SecretKey, change: int) -> None:
    data = key.public.dump(key.encrypt([1, 2, 3])) + bytes(128)
    for load in (key.public.load, key.public.load_halves):
        with pytest.raises(CiphertextInvalid):
            load(data[: 3 * key.public.ciphertext_bytes + change], 3)


@pytest.mark.parametrize("count", [-1, 0, 2, 4])
def test_wrong_counts_are_refused(key: SecretKey, count: int) -> None:
    for load in (key.public.load, key.public.load_halves):
        with pytest.raises(CiphertextInvalid):
            load(key.public.dump(key.encrypt([1, 2, 3])), count)


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
    for encrypt in (public.encrypt, key.encrypt, key.encrypt_exact, key.mask_pool().encrypt):
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
    shifted = [bytes([count]) + data[1:] for count in (0, 1, 3, 8, 255)]
    for damaged in (
        b"",
        b"\x02",
        data[:-1],
        data[:half] * 2,
        composite,
        bytes(len(data)),
        b"\x03\x07",
        *shifted,
    ):
        with pytest.raises(KeyMismatch):
            SecretKey.from_bytes(damaged)


@pytest.mark.parametrize("place", range(6))
def test_an_alpha_key_with_one_wrong_number_is_refused(alpha_key: SecretKey, place: int) -> None:
    data = alpha_key.to_bytes()
    width = (len(data) - 1) // 6
    numbers = [int.from_bytes(data[at : at + width], "big") for at in range(1, len(data), width)]
    p, q, alpha_p, alpha_q, h_p, h_q = numbers
    wrong = {
        0: [q, p + 2, alpha_p, 0],
        1: [p, q + 2, alpha_q, 0],
        2: [0, 1, 2, alpha_q, (p - 1) // 2, 2 * alpha_p, p],
        3: [0, 1, 2, alpha_p, (q - 1) // 2, 2 * alpha_q, q],
        # 0, 1, -1, an element of order 2 alpha that is no power of the generator's sign, another prime's.
        4: [0, 1, p - 1, p - h_p, h_q, p, p + h_p],
        5: [0, 1, q - 1, q - h_q, h_p, q, q + h_q],
    }
    for number in wrong[place]:
        changed = [*numbers[:place], number, *numbers[place + 1 :]]
        with pytest.raises(KeyMismatch):
            SecretKey.from_bytes(b"\x06" + b"".join(one.to_bytes(width + 1, "big") for one in changed))


def bad_generators(key: SecretKey) -> dict[str, bytes]:
    """Numbers that must not pass for a generator; the key holder's knowledge helps to make them."""
    private = key.to_phe()
    p, q, n = private.p, private.q, private.p * private.q
    h = int(key.public.generator or 0)
    inverse = int(gmpy2.invert(p, q))

    def joined(modulo_p: int, modulo_q: int) -> int:
        return modulo_p + p * ((modulo_q - modulo_p) * inverse % q)

    non_residue = next(x for x in range(2, 100) if gmpy2.jacobi(x, n) == -1)
    numbers = {
        "one": 1,
        "minus one": n - 1,
        "one modulo p": joined(1, h % q),
        "minus one modulo q": joined(h % p, q - 1),
        "another root of one": joined(1, q - 1),
        "wrong Jacobi symbol": non_residue,
        "multiple of p": p * 3,
        "n": n,
        "more than n": n + h,
    }
    return {
        "zero": b"\x00",
        "leading zero": b"\x00" + key.public.generator_bytes(),
        "huge": b"\xff" * 4096,
    } | {name: number.to_bytes((number.bit_length() + 7) // 8, "big") for name, number in numbers.items()}


@pytest.mark.parametrize("name", bad_generators(SecretKey.generate(128, alpha=True, testing_only=True)))
def test_bad_generators_are_refused(alpha_key: SecretKey, name: str) -> None:
    public = alpha_key.public
    with pytest.raises(KeyMismatch) as caught:
        PublicKey.from_bytes(public.to_bytes(), 512, bad_generators(alpha_key)[name], alpha_keys=True)
    assert caught.value.key == "paillier_generator_invalid"


def test_elements_of_small_smooth_order_are_refused() -> None:
    """Modulo one prime the order divides 2^2 * 3 * ... although the Jacobi symbol is right."""
    smooth = 2 * 3 * 5 * 7 * 11 * 13
    p = next(k * smooth + 1 for k in range(10**30 + 1, 10**31, 2) if gmpy2.is_prime(k * smooth + 1))
    q = int(gmpy2.next_prime(10**40))
    while q % 4 != 3:
        q = int(gmpy2.next_prime(q))
    n = mpz(p * q)
    assert n % 4 == 1
    root = next(
        g for x in range(2, 200) if (g := int(gmpy2.powmod(x, 2 * (p - 1) // smooth, p))) not in (1, p - 1)
    )
    other = 4  # a square, of large order modulo q
    h = root + p * ((other - root) * int(gmpy2.invert(p, q)) % q)
    assert gmpy2.jacobi(h, n) == 1
    with pytest.raises(KeyMismatch):
        checked_generator(h.to_bytes(64, "big").lstrip(b"\x00"), n)
    # With large order modulo both primes the same number of the same form passes.
    assert checked_generator(b"\x04", n) == 4


def test_a_generator_is_refused_unless_the_job_names_it(alpha_key: SecretKey) -> None:
    public = alpha_key.public
    with pytest.raises(KeyMismatch) as caught:
        PublicKey.from_bytes(public.to_bytes(), 512, public.generator_bytes())
    assert caught.value.key == "paillier_generator_unasked"
    assert PublicKey.from_bytes(public.to_bytes(), 512, alpha_keys=True).generator is None


def test_a_modulus_that_is_not_of_blum_primes_takes_no_generator() -> None:
    p, q = 2**89 - 1, 2**61 + 2**31 + 1
    while not (gmpy2.is_prime(q) and q % 4 == 1):
        q += 2
    with pytest.raises(KeyMismatch):
        checked_generator(b"\x04", mpz(p * q))


def test_there_is_no_subgroup_for_keys_beyond_the_table() -> None:
    with pytest.raises(KeyMismatch):
        alpha_bits(ALPHA_BITS[-1][0] + 1)


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
        lambda: PublicKey.from_bytes(public.to_bytes(), 512, b"\x01", alpha_keys=True),
        lambda: PublicKey.from_bytes(public.to_bytes(), 512, b"\x01"),
    ]
    for attempt in attempts:
        with pytest.raises(SilhouetteError) as caught:
            attempt()
        for language in LANGUAGES:
            shown = caught.value.render(language)
            assert str(bad) not in shown
            assert str(public.max_plaintext + 1) not in shown


def test_a_modulus_with_a_small_factor_is_refused() -> None:
    large = SecretKey.generate(512, testing_only=True).public.n
    for factor in (3, 65_537, 1_048_573):  # the last one is the largest prime below 2^20
        data = int(large * factor).to_bytes(80, "big").lstrip(b"\x00")
        with pytest.raises(KeyMismatch):
            PublicKey.from_bytes(data, 512)
    beyond = int(large * 1_048_583).to_bytes(80, "big").lstrip(b"\x00")
    assert PublicKey.from_bytes(beyond, 512).n == large * 1_048_583


def test_what_holds_a_secret_does_not_show_or_pickle_it() -> None:
    key = SecretKey.generate(512, alpha=True, testing_only=True)
    numbers = [str(int(number)) for number in (key.to_phe().p, key.to_phe().q, key._subgroup.alpha_p)]
    pool = key.mask_pool()
    shown = " ".join(map(repr, (key, key._subgroup, pool, pool._source)))
    assert not any(number in shown for number in numbers)
    assert key.to_bytes().hex() not in shown
    assert repr(key.to_bytes())[2:-1] not in shown
    for secret in (key, key._subgroup, pool):
        with pytest.raises(TypeError):
            pickle.dumps(secret)
