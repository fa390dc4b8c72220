"""What our Paillier engine writes, `phe` reads, and the reverse: the other library is the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import phe
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.fixed_point import SlotLayout
from privacy.mask_pool import MaskPool
from privacy.paillier import PublicKey, from_half_form, product_of_halves, shift_pack, to_half_form
from privacy.paillier_secret import SecretKey
from privacy.random_powers import WIDE_TABLE_PAYS_FROM
from privacy.weighted_sums import weighted_sums

KEY_BITS = 512
LARGEST = 2 ** (KEY_BITS - 2) - 2  # at most n // 2 - 1 for every n of KEY_BITS bits
SLOTS = SlotLayout(slot_bits=80, slots=6)
SLOT_LIMIT = 2**79 - 1

OURS = {
    "ordinary": SecretKey.generate(KEY_BITS, testing_only=True),
    "alpha": SecretKey.generate(KEY_BITS, alpha=True, testing_only=True),
    # A key that phe made: its primes need not be Blum primes.
    "foreign": SecretKey.from_phe(phe.generate_paillier_keypair(n_length=KEY_BITS)[1]),
}

edges = st.sampled_from([0, 1, -1, 2, -2, LARGEST, -LARGEST, 2**64, -(2**64), SLOT_LIMIT, -SLOT_LIMIT])
plaintexts = st.lists(st.one_of(edges, st.integers(-LARGEST, LARGEST)), max_size=6)
words = st.lists(st.one_of(st.sampled_from([0, 1, -1, 2**64, -(2**64)]), st.integers(-(2**64), 2**64)))
few = settings(max_examples=25, deadline=None)


@pytest.fixture(params=OURS)
def key(request: pytest.FixtureRequest) -> SecretKey:
    return OURS[request.param]


@pytest.fixture(params=OURS, scope="module")
def pool(request: pytest.FixtureRequest) -> Iterator[tuple[SecretKey, MaskPool]]:
    made = OURS[request.param].mask_pool()
    yield OURS[request.param], made
    made.close()


def phe_reads(key: SecretKey, ciphertexts: list[mpz]) -> list[int]:
    """phe's own decryption, by its own copy of the key; its n - m stands for our -m."""
    private = key.to_phe()
    n = private.public_key.n
    raw = [private.raw_decrypt(int(c)) for c in ciphertexts]
    assert all(type(m) is int and 0 <= m < n for m in raw)
    return [m - n if m > n // 2 else m for m in raw]


def phe_writes(key: SecretKey, values: list[int]) -> list[mpz]:
    public = key.to_phe().public_key
    return [mpz(public.raw_encrypt(m % public.n)) for m in values]


WAYS: dict[str, Callable[[SecretKey, list[int]], list[mpz]]] = {
    "owner": lambda key, values: key.encrypt(values),
    "exact": lambda key, values: key.encrypt_exact(values),
    "public": lambda key, values: key.public.encrypt(values),
    "without the generator": lambda key, values: PublicKey(key.public.n).encrypt(values),
    "rerandomized": lambda key, values: key.public.rerandomize(key.encrypt(values)),
    "rerandomized without the generator": lambda key, values: PublicKey(key.public.n).rerandomize(
        key.encrypt(values)
    ),
    "from the wire": lambda key, values: key.public.load(key.public.dump(key.encrypt(values)), len(values)),
    "half form": lambda key, values: [
        from_half_form(a, t, key.public)
        for a, t in zip(*to_half_form(key.encrypt(values), key.public), strict=True)
    ],
    "written by phe, rerandomized by us": lambda key, values: key.public.rerandomize(phe_writes(key, values)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", OURS)
@given(values=plaintexts)
@few
def test_phe_and_we_read_every_way_of_writing(kind: str, way: str, values: list[int]) -> None:
    key = OURS[kind]
    ciphertexts = WAYS[way](key, values)
    assert phe_reads(key, ciphertexts) == values
    assert key.decrypt(ciphertexts) == values


@given(values=plaintexts, ready=st.integers(0, 6))
@few
def test_phe_reads_what_the_pool_writes(
    pool: tuple[SecretKey, MaskPool], values: list[int], ready: int
) -> None:
    key, masks = pool
    masks.refill(ready)
    assert phe_reads(key, masks.encrypt(values)) == values


@pytest.mark.parametrize("kind", OURS)
@given(values=plaintexts)
@few
def test_we_read_what_phe_writes(kind: str, values: list[int]) -> None:
    assert OURS[kind].decrypt(phe_writes(OURS[kind], values)) == values


@pytest.mark.parametrize("writes", [phe_writes, WAYS["owner"]], ids=["phe", "we"])
def test_the_whole_ring_as_phe_sees_it(key: SecretKey, writes: Callable[..., list[mpz]]) -> None:
    """phe's plaintexts are 0 .. n - 1; ours end at n // 2 - 1 on both sides of 0."""
    n, limit = int(key.public.n), key.public.max_plaintext
    assert limit == n // 2 - 1
    raw = [0, 1, limit, n - limit, n - 2, n - 1]
    signed = [0, 1, limit, -limit, -2, -1]
    ciphertexts = writes(key, signed)
    assert [key.to_phe().raw_decrypt(int(c)) for c in ciphertexts] == raw
    assert key.decrypt(ciphertexts) == signed
    # The middle of the ring, which we do not write, is read as documented: (-n/2, n/2].
    assert key.decrypt(phe_writes(key, [n // 2, n // 2 + 1])) == [n // 2, n // 2 + 1 - n]


@pytest.mark.parametrize("kind", OURS)
@given(values=words, data=st.data())
@few
def test_phe_reads_what_we_compute(kind: str, values: list[int], data: st.DataObject) -> None:
    key = OURS[kind]
    public = key.public
    written = [WAYS["owner"], phe_writes][data.draw(st.integers(0, 1))](key, values)
    weights = np.array(
        data.draw(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=len(values), max_size=len(values))),
        dtype=np.int64,
    ).reshape(1, len(values))
    factors = weights[0].tolist()
    halves = to_half_form(written, public)
    assert phe_reads(key, [public.sum(written)]) == [sum(values)]
    product = from_half_form(product_of_halves(halves[0], public), mpz(sum(halves[1])), public)
    assert phe_reads(key, [product]) == [sum(values)]
    weighted = sum(x * v for x, v in zip(factors, values, strict=True))
    assert phe_reads(key, public.rerandomize(weighted_sums(weights, *halves, public))) == [weighted]
    assert phe_reads(key, public.scale(written, factors)) == [
        x * v for x, v in zip(factors, values, strict=True)
    ]
    assert phe_reads(key, public.add(written, written)) == [2 * v for v in values]
    assert phe_reads(key, public.subtract(written, written)) == [0] * len(values)
    assert phe_reads(key, public.add_plain(written, factors)) == [
        v + x for x, v in zip(factors, values, strict=True)
    ]


@pytest.mark.parametrize("kind", OURS)
@given(
    values=st.lists(
        st.one_of(st.sampled_from([0, 1, -1, SLOT_LIMIT, -SLOT_LIMIT]), st.integers(-SLOT_LIMIT, SLOT_LIMIT)),
        max_size=14,
    )
)
@few
def test_phe_reads_packed_sums_up_to_the_slots_limits(kind: str, values: list[int]) -> None:
    key = OURS[kind]
    packed = shift_pack(key.encrypt(values), SLOTS.slot_bits, SLOTS.slots, key.public)
    read = phe_reads(key, key.public.rerandomize(packed))
    assert read == SLOTS.pack(values)
    assert SLOTS.unpack(read, len(values)) == values


def test_long_lists_by_table_and_the_limits_of_the_range(key: SecretKey) -> None:
    limit = key.public.max_plaintext
    values = [limit, -limit, limit - 1, 0, *range(-WIDE_TABLE_PAYS_FROM // 2, WIDE_TABLE_PAYS_FROM // 2)]
    # Fresh keys have no tables yet: the second call encrypts with the table of the first.
    fresh = SecretKey.from_bytes(key.to_bytes())
    for encrypt in (fresh.encrypt, fresh.encrypt, fresh.public.encrypt, fresh.public.encrypt):
        ciphertexts = encrypt(values)
        assert phe_reads(key, ciphertexts) == values
        assert key.decrypt(ciphertexts) == values
    assert phe_reads(key, fresh.public.rerandomize(ciphertexts)) == values


def test_ciphertexts_mix_with_phe_encrypted_numbers(key: SecretKey) -> None:
    private = key.to_phe()
    from_us = phe.EncryptedNumber(private.public_key, int(key.encrypt([41])[0]), 0)
    assert private.decrypt(from_us + private.public_key.encrypt(1)) == 42


def test_keys_travel_both_ways(key: SecretKey) -> None:
    private = key.to_phe()
    assert PublicKey.from_phe(private.public_key) == key.public
    again = SecretKey.from_phe(private)
    assert again.public == key.public
    assert again.to_phe() == private
    # An alpha-key is an ordinary key to phe; what phe hands back is one.
    assert not again.is_alpha
    assert again.decrypt(key.encrypt([-7])) == [-7]
    assert key.decrypt(again.encrypt([-7])) == [-7]
