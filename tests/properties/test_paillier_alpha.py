"""Alpha-keys: their form, where their masks live, and that the fast way of decrypting equals the slow one."""

from __future__ import annotations

from collections import Counter

import gmpy2
import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.alpha_keys import ALPHA_BITS, alpha_bits, checked_generator, exponent_bits
from privacy.paillier import PublicKey
from privacy.paillier_secret import SecretKey
from privacy.parameters import PROFILES
from privacy.random_powers import (
    TABLE_PAYS_FROM,
    WIDE_TABLE_PAYS_FROM,
    FixedBaseMasks,
    random_below,
    wide_digits,
)

quick = settings(max_examples=25, deadline=None)
words = st.integers(-(2**64), 2**64)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate(512, alpha=True, testing_only=True)


def numbers_of(key: SecretKey) -> list[mpz]:
    """p, q, alpha_p, alpha_q, and the generator modulo p and q, as they are stored."""
    data = key.to_bytes()
    width = (len(data) - 1) // 6
    return [mpz.from_bytes(data[at : at + width], "big") for at in range(1, len(data), width)]


def group_of_masks(key: SecretKey, ciphertexts: list[mpz]) -> Counter[tuple[int, int]]:
    """For each ciphertext, c^alpha modulo p and q: (1, 1) or (-1, -1) for powers of the generator."""
    p, q, alpha_p, alpha_q, *_ = numbers_of(key)

    def sign(c: mpz, alpha: mpz, prime: mpz) -> int:
        power = gmpy2.powmod(c, alpha, prime)
        return {1: 1, int(prime) - 1: -1}.get(int(power), 0)

    return Counter((sign(c, alpha_p, p), sign(c, alpha_q, q)) for c in ciphertexts)


@pytest.mark.parametrize("bits", [128, 130, 512])
def test_the_primes_are_of_the_papers_form(bits: int) -> None:
    key = SecretKey.generate(bits, alpha=True, testing_only=True)
    p, q, alpha_p, alpha_q, h_p, h_q = numbers_of(key)
    assert key.is_alpha
    assert (p * q).bit_length() == bits
    assert p % 4 == q % 4 == 3
    assert gmpy2.gcd(p - 1, q - 1) == 2
    for prime, alpha, h in ((p, alpha_p, h_p), (q, alpha_q, h_q)):
        assert gmpy2.is_prime(alpha)
        assert alpha.bit_length() == alpha_bits(bits) == bits // 4
        assert (prime - 1) % (2 * alpha) == 0
        assert (prime - 1) // (2 * alpha) % alpha
        # The generator has the order 2 alpha, with -1 in its group.
        assert gmpy2.powmod(h, alpha, prime) == prime - 1
        assert h != prime - 1
    assert checked_generator(key.public.generator_bytes(), key.public.n) == key.public.generator


def test_subgroups_are_twice_as_long_as_the_strength_of_their_key() -> None:
    assert [alpha_bits(profile.key_bits) for profile in PROFILES.values() if profile.key_bits >= 2048] == [
        224,
        256,
    ]
    assert [bits for bits, _ in ALPHA_BITS] == sorted(bits for bits, _ in ALPHA_BITS)
    assert exponent_bits(2048) >= 2 * 224 + 1 + 62


@given(values=st.lists(words, max_size=6))
@quick
def test_all_ways_of_masking_decrypt_to_the_same(key: SecretKey, values: list[int]) -> None:
    inside = key.encrypt(values)
    outside = PublicKey(key.public.n).encrypt(values)
    plain = SecretKey(*numbers_of(key)[:2])
    assert not plain.is_alpha
    for ciphertexts in (inside, outside, key.encrypt_exact(values), key.public.encrypt(values)):
        assert key.decrypt(ciphertexts) == plain.decrypt(ciphertexts) == values
    mixed = key.public.add(inside, outside)
    assert key.decrypt(key.public.rerandomize(mixed)) == [2 * m for m in values]


def test_answers_do_not_depend_on_the_prime_that_leaves_the_subgroup(key: SecretKey) -> None:
    """A mask may be a power of the generator modulo one prime only."""
    p, q, *_ = numbers_of(key)
    inside = key.encrypt([5])[0]
    outside = PublicKey(key.public.n).encrypt([5])[0]
    step = p**2 * gmpy2.invert(p**2, q**2)
    for one, other in ((inside, outside), (outside, inside)):
        joined = (one + step * (other - one)) % key.public.n_squared
        assert key.decrypt([joined]) == [5]


@pytest.mark.parametrize("count", [TABLE_PAYS_FROM - 1, WIDE_TABLE_PAYS_FROM])
def test_masks_are_powers_of_the_generator_of_both_signs(key: SecretKey, count: int) -> None:
    public = PublicKey(key.public.n, int(key.public.generator or 0))
    fresh = SecretKey.from_bytes(key.to_bytes())
    from_phe = PublicKey(key.public.n)
    ways = {
        "owner": fresh.encrypt([3] * count),
        "exact": fresh.encrypt_exact([3] * 60),
        "public": public.encrypt([3] * count),
        "rerandomized": public.rerandomize(fresh.encrypt([3]) * count),
    }
    for way, ciphertexts in ways.items():
        assert len(set(ciphertexts)) == len(ciphertexts), way
        signs = group_of_masks(key, ciphertexts)
        assert set(signs) == {(1, 1), (-1, -1)}, way
        # More than five standard deviations away from one half.
        assert abs(signs[1, 1] - len(ciphertexts) / 2) < 2.6 * len(ciphertexts) ** 0.5, way
    assert (0, 0) in group_of_masks(key, from_phe.encrypt([3] * 60))


def test_masks_of_a_small_group_are_uniform() -> None:
    """The table draws an exponent below the order, whatever that is: all elements come equally often."""
    prime, alpha = mpz(2 * 11 * 3 + 1), 11
    root = gmpy2.powmod(2, 6, prime)
    masks = FixedBaseMasks(prime, 4, lambda: root, alpha)
    draws = 4_400
    seen = Counter(int(c) for c in masks.mask([mpz(0)] * draws))
    group = {int(gmpy2.powmod(root, prime * e, prime**2)) for e in range(alpha)}
    assert set(seen) == group
    assert len(group) == alpha
    chi_squared = sum((seen[g] - draws / alpha) ** 2 / (draws / alpha) for g in group)
    assert chi_squared < 58  # 10 degrees of freedom: exceeded by chance about once in 10^8


def test_what_rerandomize_does_not_hide_with_a_generator(key: SecretKey) -> None:
    """As documented: the coset of the randomness modulo the generator's group stays as it was."""
    p, _, alpha_p, *_ = numbers_of(key)
    marked = PublicKey(key.public.n).encrypt([1])
    seen = [gmpy2.powmod(c, 2 * alpha_p, p) for c in (*marked, *(key.public.rerandomize(marked * 3)))]
    assert len(set(seen)) == 1
    assert seen[0] != 1
    uniform = PublicKey(key.public.n).rerandomize(marked * 3)
    assert len({int(gmpy2.powmod(c, 2 * alpha_p, p)) for c in (*marked, *uniform)}) == 4


def test_storage_keeps_the_alpha(key: SecretKey) -> None:
    again = SecretKey.from_bytes(key.to_bytes())
    assert again.is_alpha
    assert again.to_bytes() == key.to_bytes()
    assert again.public.generator == key.public.generator
    assert again.decrypt(key.encrypt([-3])) == [-3]
    ordinary = SecretKey.generate(512, testing_only=True)
    assert not SecretKey.from_bytes(ordinary.to_bytes()).is_alpha
    assert ordinary.public.generator is None
    assert ordinary.public.generator_bytes() == b""


def test_the_public_key_travels_with_its_generator(key: SecretKey) -> None:
    public = key.public
    received = PublicKey.from_bytes(public.to_bytes(), 512, public.generator_bytes(), alpha_keys=True)
    assert received == public
    assert received.generator == public.generator
    secrets = numbers_of(key)[:4]
    shown = repr(key) + repr(public) + str(int(public.n)) + str(int(received.generator or 0))
    assert not any(str(int(secret)) in shown for secret in secrets)


@pytest.mark.parametrize("bound", [1, 2, 5, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 70_000])
def test_exponents_are_drawn_below_the_order_and_reach_all_of_it(bound):
    width = (bound.bit_length() + 7) // 8
    drawn = [int.from_bytes(number, "big") for number in random_below(bound, width, 4000)]
    assert len(drawn) == 4000
    assert max(drawn) < bound
    assert len(set(drawn)) >= 0.9 * min(bound, 1000)
    # The mean of 4,000 uniform numbers is within six standard deviations of the middle.
    assert abs(np.mean(drawn) - (bound - 1) / 2) <= 6 * bound / np.sqrt(12 * 4000)


@given(numbers=st.lists(st.integers(0, 2**72 - 1), min_size=1, max_size=5), width=st.integers(9, 12))
def test_wide_digits_are_the_numbers(numbers: list[int], width: int) -> None:
    digits = wide_digits(b"".join(number.to_bytes(width, "big") for number in numbers), len(numbers))
    assert all(0 <= digit < 4096 for row in digits for digit in row)
    back = [sum(digit << 12 * place for place, digit in enumerate(row)) for row in zip(*digits, strict=True)]
    assert back == numbers
