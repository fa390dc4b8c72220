"""Laws of the Paillier engine: arithmetic against Python integers, randomness against counting."""

from __future__ import annotations

import copy
import pickle
from collections import Counter

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.roles import Decryptor
from privacy.fixed_point import SlotLayout
from privacy.paillier import PublicKey, from_half_form, product_of_halves, shift_pack, to_half_form
from privacy.paillier_secret import SecretKey
from privacy.random_powers import TABLE_PAYS_FROM, PowerTable, inverses, random_power

words = st.integers(-(2**64), 2**64)
pairs = st.lists(st.tuples(words, words), max_size=6)
quick = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate(512, testing_only=True)


@given(values=pairs)
@quick
def test_arithmetic_equals_that_of_integers(key: SecretKey, values: list[tuple[int, int]]) -> None:
    public = key.public
    left, right = [a for a, _ in values], [b for _, b in values]
    encrypted_left, encrypted_right = key.encrypt(left), public.encrypt(right)
    assert key.decrypt(public.add(encrypted_left, encrypted_right)) == [a + b for a, b in values]
    assert key.decrypt(public.subtract(encrypted_left, encrypted_right)) == [a - b for a, b in values]
    assert key.decrypt(public.add_plain(encrypted_left, right)) == [a + b for a, b in values]
    assert key.decrypt(public.scale(encrypted_left, right)) == [a * b for a, b in values]
    assert key.decrypt([public.sum(encrypted_left)]) == [sum(left)]
    assert key.decrypt(public.rerandomize(encrypted_left)) == left


def test_sums_wrap_at_half_the_modulus(key: SecretKey) -> None:
    public, n = key.public, int(key.public.n)
    largest = public.encrypt([public.max_plaintext])
    assert key.decrypt(public.add_plain(largest, [1])) == [n // 2]
    assert key.decrypt(public.add_plain(largest, [2])) == [n // 2 + 1 - n]


def test_lists_of_different_length_are_refused(key: SecretKey) -> None:
    two, one = key.encrypt([1, 2]), key.encrypt([1])
    for operation in (key.public.add, key.public.subtract):
        with pytest.raises(ValueError, match="zip"):
            operation(two, one)
    with pytest.raises(ValueError, match="zip"):
        key.public.scale(two, [1])


@given(values=st.lists(words, max_size=8))
@quick
def test_half_form_is_another_writing_of_the_same_number(key: SecretKey, values: list[int]) -> None:
    public = key.public
    ciphertexts = key.encrypt(values)
    a, t = to_half_form(ciphertexts, public)
    assert all(0 <= number < public.n for number in (*a, *t))
    assert [from_half_form(x, y, public) for x, y in zip(a, t, strict=True)] == ciphertexts
    total = from_half_form(product_of_halves(a, public), sum(t), public)
    assert total == public.sum(ciphertexts)
    assert key.decrypt([total]) == [sum(values)]


@given(data=st.data(), slots=st.integers(1, 6))
@quick
def test_shift_pack_equals_packing_in_the_clear(key: SecretKey, data: st.DataObject, slots: int) -> None:
    layout = SlotLayout(slot_bits=80, slots=slots)
    values = data.draw(st.lists(st.integers(-(2**79) + 1, 2**79 - 1), max_size=10))
    packed = key.decrypt(shift_pack(key.encrypt(values), layout.slot_bits, slots, key.public))
    assert packed == layout.pack(values)
    assert layout.unpack(packed, len(values)) == values


def test_dump_and_load_are_inverse_and_of_fixed_width(key: SecretKey) -> None:
    public = key.public
    ciphertexts = [*key.encrypt([0, 5, -7]), mpz(1)]  # 1 is the shortest ciphertext
    data = public.dump(ciphertexts)
    assert len(data) == 4 * public.ciphertext_bytes
    assert data[-public.ciphertext_bytes :] == bytes(public.ciphertext_bytes - 1) + b"\x01"
    assert public.load(data, 4) == ciphertexts
    assert public.load(b"", 0) == []


@given(values=st.lists(st.integers(1, 10**6), max_size=8))
def test_batched_inverses_equal_single_ones(values: list[int]) -> None:
    modulus = mpz(1_000_003)  # a prime
    assert inverses([mpz(v) for v in values], modulus) == [gmpy2.invert(v, modulus) for v in values]


@pytest.mark.parametrize("count", [20, 2 * TABLE_PAYS_FROM])
def test_equal_values_give_different_ciphertexts(key: SecretKey, count: int) -> None:
    zeros = [0] * count
    public = PublicKey(key.public.n)
    ways = [key.encrypt(zeros), key.encrypt_exact(zeros), public.encrypt(zeros), public.encrypt(zeros)]
    ways += [public.rerandomize(ways[0]), public.rerandomize(ways[0])]
    assert len({int(c) for ciphertexts in ways for c in ciphertexts}) == len(ways) * count


def quadratic_classes(key: SecretKey, ciphertexts: list[mpz]) -> Counter[tuple[int, int]]:
    """How often a mask is a square or not modulo each prime, as only the key holder can tell."""
    private = key.to_phe()
    return Counter((gmpy2.legendre(c, private.p), gmpy2.legendre(c, private.q)) for c in ciphertexts)


@pytest.mark.parametrize("count", [TABLE_PAYS_FROM - 1, 400])
def test_rerandomized_masks_fill_every_class_that_the_key_holder_can_see(key: SecretKey, count: int) -> None:
    fixed = key.encrypt([3])[0]
    fresh = PublicKey(key.public.n).rerandomize([fixed] * count)
    classes = quadratic_classes(key, fresh)
    # Four classes of probability 1/4; each bound is more than five standard deviations away.
    assert len(classes) == 4
    assert all(abs(seen - count / 4) < 5.2 * (count * 3 / 16) ** 0.5 for seen in classes.values())
    # The contrast that the module's docstring explains: DJN masks have Jacobi symbol 1.
    short = quadratic_classes(key, key.public.encrypt([3] * count))
    assert all(p == q for p, q in short)


def test_table_masks_are_uniform_in_a_small_group() -> None:
    modulus = mpz(23)
    table = PowerTable([random_power(modulus) for _ in range(60)], modulus, 1)
    group = {int(gmpy2.powmod(x, 23, 23**2)) for x in range(1, 23)}
    draws = 4_400
    seen = Counter(int(c) for c in table.mask([mpz(0)] * draws))
    assert set(seen) == group
    chi_squared = sum((seen[g] - draws / 22) ** 2 / (draws / 22) for g in group)
    assert chi_squared < 80  # 21 degrees of freedom: exceeded by chance once in 10^8


def test_generated_keys_are_what_they_promise() -> None:
    for bits in (128, 130, 512):
        private = SecretKey.generate(bits, testing_only=True).to_phe()
        p, q = private.p, private.q
        assert (p * q).bit_length() == bits
        assert p % 4 == q % 4 == 3
        assert gmpy2.is_prime(p)
        assert gmpy2.is_prime(q)
        assert gmpy2.gcd(p - 1, q - 1) == 2


def test_keys_survive_storage_and_secrets_do_not_show(key: SecretKey) -> None:
    public = PublicKey.from_bytes(key.public.to_bytes(), minimum_bits=512)
    assert public == key.public == pickle.loads(pickle.dumps(key.public))  # noqa: S301
    assert hash(public) == hash(key.public)
    assert public.digest == key.public.digest
    assert public != SecretKey.generate(512, testing_only=True).public
    again = SecretKey.from_bytes(key.to_bytes())
    decryptor: Decryptor = again
    assert decryptor.decrypt(key.encrypt([-3])) == [-3]
    private = key.to_phe()
    shown = repr(key) + str(key) + repr(public)
    assert str(private.p) not in shown
    assert str(private.q) not in shown
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            copier(key)
