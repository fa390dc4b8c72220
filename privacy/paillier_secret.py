"""The secret side of Paillier encryption: keys, decryption, and the key owner's faster encryption.

Only the key holder's process imports this module; `server` and `federation` never do.

Sources.
    Paillier, EUROCRYPT 1999, section 7: decryption by the Chinese remainder theorem, modulo p^2 and q^2.
    Damgard, Jurik, Nielsen, Int. J. Inf. Security 9 (2010) 371-385: keys from Blum primes.

What the owner's encryption draws. Paillier's mask r^n mod n^2, r uniform in the units modulo n, is modulo
p^2 a uniform element of the group T_p of order p - 1, the p-th powers modulo p^2: x -> x^p maps the units
modulo p one-to-one onto T_p, and gcd(n, p - 1) = 1 makes the remaining exponent q a permutation of it. Its
value modulo q^2 is independent of that, by the Chinese remainder theorem.
  - `encrypt_exact` draws x uniform in the units modulo p and takes x^p, and the same for q: exactly
    Paillier's distribution.
  - `encrypt` multiplies tabulated powers of independent random elements of T_p, with 128 more random bits
    than p has (`PowerTable.uniform`): within statistical distance 2^-64 of Paillier's distribution, per value
    and prime. Neither short exponents nor the choice of a subgroup is assumed to be safe: a single base
    would miss part of T_p whenever it happens to be a k-th power for a prime k dividing p - 1.

What is not promised. GMP is not constant-time, and Python cannot reliably wipe a key from memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, NoReturn

import gmpy2
from gmpy2 import mpz

from privacy.errors import CiphertextInvalid, KeyMismatch, ProfileForbidden
from privacy.paillier import PublicKey
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.random_powers import Masks

PRIME_ROUNDS: Final = 40
"""GMP's `reps`: a Baillie-PSW test (no composite is known to pass it), then reps - 24 Miller-Rabin rounds."""

SMALLEST_TESTING_BITS: Final = 128
"""Below this even a test key makes no sense: plaintexts no longer hold a slot."""

ENCRYPTIONS_PER_PROCESS: Final = 10_000
DECRYPTIONS_PER_PROCESS: Final = 1_500
"""Fewest values per worker process for which starting it (about 3 s) pays at 2048 bits."""


class SecretKey:
    """A Paillier key pair. Satisfies `federation.roles.Decryptor`.

    public: the `PublicKey`. Refuses to be pickled; `to_bytes` is for sealed storage alone.
    """

    def __init__(self, p: int, q: int) -> None:
        p, q = mpz(p), mpz(q)
        n = p * q
        if p == q or gmpy2.gcd(n, (p - 1) * (q - 1)) != 1 or not (_is_prime(p) and _is_prime(q)):
            raise KeyMismatch("paillier_secret_invalid")
        self.public = PublicKey(n)
        self._parts = _PrimePart(p, q), _PrimePart(q, p)
        self._q_squared = q * q
        self._p_inverse = gmpy2.invert(p, q)
        self._p_squared_inverse = gmpy2.invert(p * p, q * q)

    def __repr__(self) -> str:
        return f"SecretKey({self.public.bits} bits, public {self.public.digest[:12]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled; seal to_bytes() instead")

    @classmethod
    def generate(cls, key_bits: int, *, testing_only: bool = False) -> SecretKey:
        """A fresh key of exactly `key_bits` bits (even) from Blum primes, p = q = 3 mod 4, gcd(p-1, q-1) = 2.

        Raises `ProfileForbidden` below `MINIMUM_KEY_BITS`, unless `testing_only`.
        """
        minimum = SMALLEST_TESTING_BITS if testing_only else MINIMUM_KEY_BITS
        if key_bits < minimum or key_bits % 2:
            raise ProfileForbidden("paillier_key_bits", bits=key_bits, minimum=minimum)
        while True:
            p, q = _blum_prime(key_bits // 2), _blum_prime(key_bits // 2)
            n, order = p * q, (p - 1) * (q - 1)
            if n.bit_length() == key_bits and gmpy2.gcd(p - 1, q - 1) == 2 and gmpy2.gcd(n, order) == 1:
                return cls(p, q)

    @classmethod
    def from_phe(cls, phe_private_key: Any) -> SecretKey:
        """The same key as a `phe.PaillierPrivateKey` (any size; its primes need not be Blum primes)."""
        return cls(phe_private_key.p, phe_private_key.q)

    def to_phe(self) -> Any:
        """The same key as a `phe.PaillierPrivateKey`."""
        from phe import PaillierPrivateKey

        p, q = (int(part.prime) for part in self._parts)
        return PaillierPrivateKey(self.public.to_phe(), p, q)

    def to_bytes(self) -> bytes:
        """p then q, big-endian, equally long. In the clear: seal it before it is stored."""
        width = max((part.prime.bit_length() + 7) // 8 for part in self._parts)
        return b"".join(part.prime.to_bytes(width, "big") for part in self._parts)

    @classmethod
    def from_bytes(cls, data: bytes) -> SecretKey:
        """Read `to_bytes` back. Raises `KeyMismatch` when that is not two fitting primes."""
        half, odd = divmod(len(data), 2)
        if odd or not data:
            raise KeyMismatch("paillier_secret_invalid")
        return cls(int.from_bytes(data[:half], "big"), int.from_bytes(data[half:], "big"))

    def encrypt(self, plaintexts: Sequence[int], n_jobs: int = 1) -> list[mpz]:
        """Encrypt signed integers modulo p^2 and q^2, many by table (see above for what is drawn).

        n_jobs: worker processes for long lists (joblib, loky); each holds the key until joblib ends it.
        Raises `PackingOverflow` when some |m| > `public.max_plaintext`.
        """
        values = self.public.checked(plaintexts)
        jobs = min(n_jobs, len(values) // ENCRYPTIONS_PER_PROCESS)
        if jobs > 1:
            return self._in_processes(_encrypt_in_worker, values, jobs)
        modulo_p, modulo_q = (part.mask(values) for part in self._parts)
        return self._recombine(modulo_p, modulo_q)

    def encrypt_exact(self, plaintexts: Sequence[int]) -> list[mpz]:
        """Encrypt with masks distributed exactly as Paillier's r^n, without a table (two exponentiations)."""
        values = self.public.checked(plaintexts)
        modulo_p, modulo_q = (part.mask_exact(values) for part in self._parts)
        return self._recombine(modulo_p, modulo_q)

    def decrypt(self, ciphertexts: Sequence[mpz], n_jobs: int = 1) -> list[int]:
        """Signed plaintexts in (-n/2, n/2].

        n_jobs: as in `encrypt`. Raises `CiphertextInvalid` unless 0 < c < n^2 and gcd(c, n) = 1.
        """
        jobs = min(n_jobs, len(ciphertexts) // DECRYPTIONS_PER_PROCESS)
        if jobs > 1:
            return self._in_processes(_decrypt_in_worker, ciphertexts, jobs)
        n, n_squared = self.public.n, self.public.n_squared
        if not all(0 < c < n_squared for c in ciphertexts):
            raise CiphertextInvalid("ciphertext_range")
        half = n >> 1
        first, second = self._parts
        p, q, p_inverse = first.prime, second.prime, self._p_inverse
        plaintexts = []
        for m_p, m_q in zip(first.decrypt(ciphertexts), second.decrypt(ciphertexts), strict=True):
            m = m_p + p * ((m_q - m_p) * p_inverse % q)
            plaintexts.append(int(m - n if m > half else m))
        return plaintexts

    def _recombine(self, modulo_p: Sequence[mpz], modulo_q: Sequence[mpz]) -> list[mpz]:
        p_squared, q_squared, inverse = self._parts[0].square, self._q_squared, self._p_squared_inverse
        pairs = zip(modulo_p, modulo_q, strict=True)
        return [x + p_squared * ((y - x) * inverse % q_squared) for x, y in pairs]

    def _in_processes(self, work: Callable[..., list[Any]], values: Sequence[Any], jobs: int) -> list[Any]:
        from joblib import Parallel, delayed

        p, q = (int(part.prime) for part in self._parts)
        size = -(-len(values) // jobs)
        chunks = [values[at : at + size] for at in range(0, len(values), size)]
        # Worker processes, not threads: gmpy2 holds the interpreter lock during its products.
        results = Parallel(n_jobs=jobs, backend="loky")(delayed(work)(p, q, chunk) for chunk in chunks)
        return [value for chunk in results for value in chunk]


class _PrimePart:
    """All that happens modulo the square of one prime; `other` is the other prime."""

    def __init__(self, prime: mpz, other: mpz) -> None:
        self.prime, self.square = prime, prime * prime
        self._other = other
        # L((1 + n)^(p-1) mod p^2)^-1 mod p with L(x) = (x - 1) / p: Paillier 1999, section 7.
        self._slope_inverse = gmpy2.invert(other * (prime - 1) % prime, prime)
        self._masks = Masks(prime)

    def mask(self, messages: Sequence[mpz]) -> list[mpz]:
        # 1 + nm = 1 + p (qm) modulo p^2.
        return self._masks.mask([self._other * m for m in messages])

    def mask_exact(self, messages: Sequence[mpz]) -> list[mpz]:
        return self._masks.mask_singly([self._other * m for m in messages])

    def decrypt(self, ciphertexts: Sequence[mpz]) -> list[mpz]:
        p, square, slope_inverse = self.prime, self.square, self._slope_inverse
        exponent = p - 1
        plaintexts = []
        for c in ciphertexts:
            quotient, remainder = gmpy2.f_divmod(gmpy2.powmod(c, exponent, square) - 1, p)
            if remainder:
                # Fermat: c^(p-1) = 1 mod p for every unit. A multiple of p must not become an answer.
                raise CiphertextInvalid("ciphertext_not_a_unit")
            plaintexts.append(quotient * slope_inverse % p)
        return plaintexts


def _is_prime(candidate: mpz) -> bool:
    return bool(gmpy2.is_prime(candidate, PRIME_ROUNDS))


def _blum_prime(bits: int) -> mpz:
    """A random prime = 3 mod 4 with its two highest bits set, so that products of two have full length."""
    while True:
        candidate = mpz(secrets.randbits(bits)) | (mpz(3) << (bits - 2)) | 3
        if _is_prime(candidate):
            return candidate


# One key per worker process, so that its tables are built once per process and not once per call.
_worker_key = lru_cache(maxsize=2)(SecretKey)


def _encrypt_in_worker(p: int, q: int, values: list[mpz]) -> list[mpz]:
    return _worker_key(p, q).encrypt(values)


def _decrypt_in_worker(p: int, q: int, ciphertexts: list[mpz]) -> list[int]:
    return _worker_key(p, q).decrypt(ciphertexts)
