"""What our Paillier engine writes, `phe` reads, and the reverse: the other library is the oracle."""

from __future__ import annotations

import phe
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.paillier import PublicKey
from privacy.paillier_secret import SecretKey
from privacy.random_powers import TABLE_PAYS_FROM

KEY_BITS = 512
LARGEST = 2 ** (KEY_BITS - 2) - 2  # at most n // 2 - 1 for every n of KEY_BITS bits

plaintexts = st.lists(
    st.one_of(
        st.sampled_from([0, 1, -1, LARGEST, -LARGEST, 2**64, -(2**64)]),
        st.integers(-LARGEST, LARGEST),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def ours() -> SecretKey:
    return SecretKey.generate(KEY_BITS, testing_only=True)


@pytest.fixture(scope="module")
def foreign() -> phe.PaillierPrivateKey:
    """A key that phe made: its primes need not be Blum primes."""
    return phe.generate_paillier_keypair(n_length=KEY_BITS)[1]


def phe_decrypts(private: phe.PaillierPrivateKey, ciphertexts: list[mpz]) -> list[int]:
    n = private.public_key.n
    raw = [private.raw_decrypt(int(c)) for c in ciphertexts]
    return [m - n if m > n // 2 else m for m in raw]


@given(values=plaintexts)
@settings(max_examples=40, deadline=None)
def test_phe_decrypts_all_three_ways_of_encrypting(ours: SecretKey, values: list[int]) -> None:
    private = ours.to_phe()
    assert phe_decrypts(private, ours.encrypt(values)) == values
    assert phe_decrypts(private, ours.encrypt_exact(values)) == values
    assert phe_decrypts(private, ours.public.encrypt(values)) == values


@given(values=plaintexts)
@settings(max_examples=40, deadline=None)
def test_we_decrypt_what_phe_encrypts(foreign: phe.PaillierPrivateKey, values: list[int]) -> None:
    public = foreign.public_key
    encrypted = [mpz(public.raw_encrypt(m % public.n)) for m in values]
    assert SecretKey.from_phe(foreign).decrypt(encrypted) == values


@pytest.mark.parametrize("source", ["ours", "foreign"])
def test_long_lists_by_table_and_the_limits_of_the_range(source: str, request: pytest.FixtureRequest) -> None:
    made = request.getfixturevalue(source)
    key = made if isinstance(made, SecretKey) else SecretKey.from_phe(made)
    limit = key.public.max_plaintext
    assert limit == int(key.public.n) // 2 - 1
    values = [limit, -limit, limit - 1, 0, *range(-TABLE_PAYS_FROM, TABLE_PAYS_FROM)]
    private = key.to_phe()
    # A fresh public key has no table yet: the second call encrypts with the table of the first.
    public = PublicKey.from_phe(private.public_key)
    for encrypt in (key.encrypt, key.encrypt, public.encrypt, public.encrypt):
        ciphertexts = encrypt(values)
        assert phe_decrypts(private, ciphertexts) == values
        assert key.decrypt(ciphertexts) == values
    assert phe_decrypts(private, public.rerandomize(ciphertexts)) == values


def test_ciphertexts_mix_with_phe_encrypted_numbers(ours: SecretKey) -> None:
    private = ours.to_phe()
    from_us = phe.EncryptedNumber(private.public_key, int(ours.encrypt([41])[0]), 0)
    assert private.decrypt(from_us + private.public_key.encrypt(1)) == 42


def test_keys_travel_both_ways(ours: SecretKey, foreign: phe.PaillierPrivateKey) -> None:
    assert PublicKey.from_phe(ours.public.to_phe()) == ours.public
    assert SecretKey.from_phe(ours.to_phe()).public == ours.public
    assert SecretKey.from_phe(foreign).to_phe() == foreign
    assert int(PublicKey.from_phe(foreign.public_key).n) == foreign.public_key.n
