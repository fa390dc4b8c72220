"""The public side of Paillier encryption on gmpy2, over the keys of `phe`.

Ciphertexts are plain `mpz` in (0, n^2), in the ring of `phe`'s raw ciphertexts with generator g = n + 1:
what one library encrypts the other decrypts. Plaintexts are signed integers, |m| <= n // 2 - 1; a negative
m stands for n - |m|. There are no floats and no exponents here (see `privacy.fixed_point`).

Sources.
    Paillier, EUROCRYPT 1999, scheme 1: c = (1 + mn) r^n mod n^2.
    Damgard, Jurik, Nielsen, "A generalization of Paillier's public-key system with applications to
    electronic voting", Int. J. Inf. Security 9 (2010) 371-385 ("DJN" below): r^n is replaced by (h^n)^s,
    h = -y^2 mod n for a random y, s of half the bits of n.

Two kinds of random masks (`privacy.random_powers`), for two kinds of curious people.
    `encrypt` hides a message from everyone without the secret key, with DJN's mask: half the work. In the
    paper the key holder publishes h; here every encryptor draws its own y, from the same distribution. The
    proof (under Paillier's assumption) wants n to be a product of Blum primes. The keys of
    `privacy.paillier_secret` are; for a foreign key it is a heuristic.
    `rerandomize` hides how a ciphertext was made from the *key holder*, who can strip a mask down to its r
    and compare it with the r of its own ciphertexts. (h^n)^s will not do: h has Jacobi symbol 1 and may miss
    other small subgroups, so that products of different rows could be told apart. Here masks are uniform
    n-th powers, within a statistical distance of 2^-64, under no assumption but that n is what a Paillier modulus
    should be: of two primes, gcd(n, phi(n)) = 1. A key holder that makes n of many chosen factors is not stopped.
With the published generator of an alpha-key both use powers of that instead: cheaper, and the key holder's fast
decryption stays possible, under more assumptions (`privacy.alpha_keys` says which, on whom).

Half form. Every ciphertext is c = a (1 + tn) mod n^2 with a = c mod n and t in [0, n): another writing of
the same number that needs no secret. A product of ciphertexts multiplies the a, which are half as long, and
*adds* the t: c_1 ... c_k = (a_1 ... a_k mod n^2) (1 + (t_1 + ... + t_k) n) mod n^2.

What is not promised. GMP is not constant-time. `add`, `sum`, `scale`, `add_plain`, `subtract`, `shift_pack`
are deterministic: call `rerandomize` on every result of theirs that leaves a party.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from operator import index
from typing import Any, Final

import gmpy2
from gmpy2 import mpz

from privacy.alpha_keys import checked_generator, published_masks
from privacy.errors import CiphertextInvalid, KeyMismatch, PackingOverflow
from privacy.random_powers import Masks, inverses, join, product, short_masks, split

SMALLEST_FACTOR: Final = 1 << 20
"""Moduli with a smaller prime factor are refused: it costs one gcd to find, and no key in use has one."""

MAXIMUM_KEY_BITS: Final = 16_384
"""Larger moduli are refused on receipt: a peer could otherwise stall us with one message."""


class PublicKey:
    """A Paillier public key (n, g = n + 1). Cheap to build, to compare, to hash and to pickle.

    n: odd modulus; n_squared: n^2; bits: length of n in bits; digest: SHA-256 of n (big-endian), in hex;
    ciphertext_bytes: fixed width of one dumped ciphertext; max_plaintext: largest |m| that can be encrypted.
    generator: of an alpha-key's masks, or None. It is not checked here and no part of the key's identity: the
    same n reads the same ciphertexts.
    """

    def __init__(self, n: int, generator: int | None = None) -> None:
        self.n: mpz = mpz(n)
        if self.n <= 0 or not self.n & 1:
            raise KeyMismatch("paillier_key_invalid")
        self.n_squared: mpz = self.n * self.n
        self.bits: int = self.n.bit_length()
        self.ciphertext_bytes: int = (self.n_squared.bit_length() + 7) // 8
        self.max_plaintext: int = int(self.n // 2 - 1)
        self.digest: str = hashlib.sha256(self.to_bytes()).hexdigest()
        self.generator: mpz | None = None if generator is None else mpz(generator)
        # Masks against everybody without the secret key, and against its holder.
        self._masks: Masks = short_masks(self.n)
        self._holder_masks: Masks = Masks(self.n)
        if self.generator is not None:
            self._masks = self._holder_masks = published_masks(self.generator, self.n)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and bool(self.n == other.n)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"PublicKey({self.bits} bits, {self.digest[:12]})"

    def __reduce__(self) -> tuple[type[PublicKey], tuple[int, int | None]]:
        # Tables of random powers stay in the process that drew them.
        return PublicKey, (int(self.n), None if self.generator is None else int(self.generator))

    def to_bytes(self) -> bytes:
        """n, big-endian, without leading zeros."""
        return _big_endian(self.n)

    def generator_bytes(self) -> bytes:
        """The published generator, written like n; empty without one."""
        return b"" if self.generator is None else _big_endian(self.generator)

    @classmethod
    def from_bytes(
        cls, data: bytes, minimum_bits: int, generator: bytes = b"", *, alpha_keys: bool = False
    ) -> PublicKey:
        """Read a key from a peer. generator: of an alpha-key, else empty; alpha_keys: whether the job names them.

        Raises `KeyMismatch` when n is prime, has a factor below `SMALLEST_FACTOR`, is not in canonical form, shorter
        than `minimum_bits` or longer than `MAXIMUM_KEY_BITS`, and when there is a generator without `alpha_keys`,
        or one that fails `alpha_keys.checked_generator`. That n has exactly two factors cannot be seen without
        them. Under a bad n no message is safe that would not be under a good one, for its maker can decrypt both;
        but `rerandomize` no longer hides from it how a ciphertext was made.
        """
        if generator and not alpha_keys:
            raise KeyMismatch("paillier_generator_unasked")
        if len(data) * 8 > MAXIMUM_KEY_BITS or not data or data[0] == 0:
            raise KeyMismatch("paillier_key_invalid")
        n = mpz(int.from_bytes(data, "big"))
        if n.bit_length() < minimum_bits:
            raise KeyMismatch("paillier_key_short", bits=n.bit_length(), minimum=minimum_bits)
        if gmpy2.gcd(n, _small_primes()) != 1 or gmpy2.is_prime(n, 5):
            raise KeyMismatch("paillier_key_invalid")
        return cls(n, checked_generator(generator, n) if generator else None)

    @classmethod
    def from_phe(cls, phe_public_key: Any) -> PublicKey:
        """The same key as a `phe.PaillierPublicKey`."""
        return cls(phe_public_key.n)

    def to_phe(self) -> Any:
        """The same key as a `phe.PaillierPublicKey`."""
        from phe import PaillierPublicKey

        return PaillierPublicKey(int(self.n))

    def encrypt(self, plaintexts: Sequence[int]) -> list[mpz]:
        """Encrypt signed integers, fresh DJN randomness each (with a generator: its powers).

        Raises `PackingOverflow` when some |m| > `max_plaintext`.
        """
        return self._masks.mask(self.checked(plaintexts))

    def encrypt_uniformly(self, plaintexts: Sequence[int]) -> list[mpz]:
        """`encrypt`, with masks that hide from the key holder too how a ciphertext was made. Raises as `encrypt`."""
        return self._holder_masks.mask(self.checked(plaintexts))

    def rerandomize(self, ciphertexts: Sequence[mpz], zeros: Sequence[mpz] | None = None) -> list[mpz]:
        """Multiply each ciphertext by a fresh uniform encryption of zero.

        zeros: those encryptions, one each, made by `encrypt_uniformly` and used for nothing else (default: made now).

        The result is distributed as Paillier's own fresh encryption of the same plaintext, within 2^-64, for
        the key holder too. With a generator the mask is a power of that: what the key holder cannot tell then
        rests on its having followed the protocol (`privacy.alpha_keys`).
        """
        n_squared = self.n_squared
        if zeros is None:
            zeros = self.encrypt_uniformly([0] * len(ciphertexts))
        return [c * zero % n_squared for c, zero in zip(ciphertexts, zeros, strict=True)]

    def checked(self, plaintexts: Iterable[int]) -> list[mpz]:
        """The plaintexts as `mpz`. Raises `PackingOverflow` when one is out of range."""
        limit = self.max_plaintext
        values = [mpz(index(m)) for m in plaintexts]
        if values and (max(values) > limit or min(values) < -limit):
            raise PackingOverflow("plaintext_range", bits=self.bits)
        return values

    def add(self, left: Sequence[mpz], right: Sequence[mpz]) -> list[mpz]:
        """Element-wise sums of two equally long lists; not re-randomised."""
        n_squared = self.n_squared
        return [a * b % n_squared for a, b in zip(left, right, strict=True)]

    def add_plain(self, ciphertexts: Sequence[mpz], plaintexts: Sequence[int]) -> list[mpz]:
        """Add a signed integer to each ciphertext; not re-randomised. Raises as `encrypt`."""
        n, n_squared = self.n, self.n_squared
        pairs = zip(ciphertexts, self.checked(plaintexts), strict=True)
        return [c * (1 + n * m) % n_squared for c, m in pairs]

    def scale(self, ciphertexts: Sequence[mpz], factors: Sequence[int]) -> list[mpz]:
        """Multiply each plaintext by a signed integer; not re-randomised (a factor of 0 gives the number 1).

        Raises `PackingOverflow` when a factor is out of range, `CiphertextInvalid` when a ciphertext that a
        negative factor has to invert is no unit modulo n.
        """
        n_squared = self.n_squared
        pairs = list(zip(ciphertexts, self.checked(factors), strict=True))
        try:
            return [gmpy2.powmod(c, k, n_squared) for c, k in pairs]
        except (ValueError, ZeroDivisionError):  # gmpy2 2.3 and 2.2: base not invertible
            raise CiphertextInvalid("ciphertext_not_a_unit") from None

    def sum(self, ciphertexts: Iterable[mpz]) -> mpz:
        """One ciphertext of the sum; not re-randomised. An empty sum is the number 1, an encryption of 0."""
        n_squared = self.n_squared
        product = mpz(1)
        for c in ciphertexts:
            product = product * c % n_squared
        return product

    def subtract(self, left: Sequence[mpz], right: Sequence[mpz]) -> list[mpz]:
        """Element-wise differences; not re-randomised.

        Raises `CiphertextInvalid` when a ciphertext in `right` is no unit modulo n.
        """
        return self.add(left, inverses(right, self.n_squared))

    def dump(self, ciphertexts: Iterable[mpz]) -> bytes:
        """The ciphertexts one after the other, each big-endian in `ciphertext_bytes` bytes."""
        width = self.ciphertext_bytes
        return b"".join([c.to_bytes(width, "big") for c in ciphertexts])

    def load(self, data: bytes, count: int) -> list[mpz]:
        """Read `count` ciphertexts from a peer.

        Raises `CiphertextInvalid` unless the length fits, and 0 < c < n^2 and gcd(c, n) = 1 for every c: a
        multiple of a prime factor would turn its decryption into an oracle for that factor.
        """
        values, n, product = self._read(data, count), self.n, mpz(1)
        for c in values:
            product = product * c % n
        if gmpy2.gcd(product, n) != 1:
            raise CiphertextInvalid("ciphertext_not_a_unit")
        return values

    def load_halves(self, data: bytes, count: int) -> tuple[list[mpz], list[mpz]]:
        """`load`, in half form: the inverses that it takes find non-units by themselves. Raises as `load`."""
        return split(self._read(data, count), self.n)

    def _read(self, data: bytes, count: int) -> list[mpz]:
        """Numbers between 0 and n^2."""
        width = self.ciphertext_bytes
        if count < 0 or len(data) != count * width:
            raise CiphertextInvalid("ciphertext_length", expected=count * width, received=len(data))
        values = [mpz.from_bytes(data[at : at + width], "big") for at in range(0, len(data), width)]
        n_squared = self.n_squared
        if not all(0 < c < n_squared for c in values):
            raise CiphertextInvalid("ciphertext_range")
        return values


def _big_endian(number: mpz) -> bytes:
    return bytes(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def to_half_form(ciphertexts: Sequence[mpz], key: PublicKey) -> tuple[list[mpz], list[mpz]]:
    """Split each ciphertext c = a (1 + tn) mod n^2 into a and t.

    Returns two lists as long as `ciphertexts`, both of numbers in [0, n).
    Raises `CiphertextInvalid` when a ciphertext is no unit modulo n.
    """
    return split(ciphertexts, key.n)


def from_half_form(a: mpz, t: mpz, key: PublicKey) -> mpz:
    """The ciphertext a (1 + tn) mod n^2.

    a: a half, or a `product_of_halves`; t: its t, or the plain sum of the t of all factors (any size).
    """
    return join(a, t, key.n, key.n_squared)


def product_of_halves(a_values: Sequence[mpz], key: PublicKey) -> mpz:
    """The product of half-size factors modulo n^2 (of none: 1); pairs with the sum of their t."""
    return product(a_values, key.n_squared)


def shift_pack(ciphertexts: Sequence[mpz], slot_bits: int, slots: int, key: PublicKey) -> list[mpz]:
    """Pack groups of `slots` ciphertexts into one each: m_0 + m_1 2^slot_bits + m_2 2^(2 slot_bits) + ...

    The first ciphertext of a group lands in the lowest bits; the last group may be shorter. Costs `slot_bits`
    modular squarings per ciphertext (Horner). The caller vouches that signed plaintexts fit their slots and a
    group fits the key (`fixed_point.SlotLayout`), and must `rerandomize` the result before it leaves.
    """
    n_squared = key.n_squared
    shift = mpz(1) << slot_bits
    packed = []
    for start in range(0, len(ciphertexts), slots):
        group = ciphertexts[start : start + slots]
        total = group[-1]
        for c in reversed(group[:-1]):
            total = gmpy2.powmod(total, shift, n_squared) * c % n_squared
        packed.append(total)
    return packed


@cache
def _small_primes() -> mpz:
    """The product of all primes below `SMALLEST_FACTOR`."""
    return gmpy2.primorial(SMALLEST_FACTOR)
