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
An alpha-key (`SecretKey.generate(alpha=True)`, `privacy.alpha_keys`) draws exactly uniform powers of its generator
h instead: exponents below alpha_p and alpha_q, tabulated, and a sign. It decrypts with the exponents 2 alpha_p and
2 alpha_q, and falls back to p - 1 and q - 1 for what was not masked by powers of h: both give the same answer.

What is not promised. GMP is not constant-time, and Python cannot reliably wipe a key from memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final, NoReturn

import gmpy2
from gmpy2 import mpz

from privacy.alpha_keys import alpha_bits
from privacy.errors import CiphertextInvalid, KeyMismatch, ProfileForbidden
from privacy.mask_pool import MaskPool, MaskSource
from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.random_powers import TABLE_PAYS_FROM, WIDE_TABLE_PAYS_FROM, FixedBaseMasks, Masks

PRIME_ROUNDS: Final = 40
"""GMP's `reps`: a Baillie-PSW test (no composite is known to pass it), then reps - 24 Miller-Rabin rounds."""

SMALLEST_TESTING_BITS: Final = 128
"""Below this even a test key makes no sense: plaintexts no longer hold a slot."""

ENCRYPTIONS_PER_PROCESS: Final = 10_000
DECRYPTIONS_PER_PROCESS: Final = 1_500
"""Fewest values per worker process for which starting it (about 3 s) pays at 2048 bits."""
ENCRYPTIONS_PER_STARTED: Final = 500
DECRYPTIONS_PER_STARTED: Final = 60
"""Fewest for a process that is there already and has its tables: some 0.15 s of work, against sending it there."""

ALPHA_SPEED: Final = 4
"""So many times more values of an alpha-key, which is faster by about this factor."""

PLAIN_NUMBERS: Final = 2
ALPHA_NUMBERS: Final = 6
"""Numbers in a stored key, and in a stored alpha-key."""


class SecretKey:
    """A Paillier key pair. Satisfies `federation.roles.Decryptor`.

    public: the `PublicKey`. is_alpha: whether it is an alpha-key. Refuses to be pickled; `to_bytes` is for sealed
    storage, and for worker processes of this party.
    """

    def __init__(self, p: int, q: int, subgroup: Subgroup | None = None) -> None:
        """subgroup: of an alpha-key. Raises `KeyMismatch` when the numbers do not fit each other."""
        p, q = mpz(p), mpz(q)
        n = p * q
        if p == q or gmpy2.gcd(n, (p - 1) * (q - 1)) != 1 or not (_is_prime(p) and _is_prime(q)):
            raise KeyMismatch("paillier_secret_invalid")
        self._subgroup = subgroup
        if subgroup is None:
            self.public = PublicKey(n)
            self._parts = _PrimePart(p, q), _PrimePart(q, p)
        else:
            self.public = PublicKey(n, int(subgroup.generator))
            # -h has the odd order alpha_p alpha_q; the sign is drawn once for both primes.
            root = n - subgroup.generator
            self._parts = (
                _PrimePart(p, q, subgroup.alpha_p, root % p),
                _PrimePart(q, p, subgroup.alpha_q, root % q),
            )
        self._q_squared = q * q
        self._p_inverse = gmpy2.invert(p, q)
        self._p_squared_inverse = gmpy2.invert(p * p, q * q)

    @property
    def is_alpha(self) -> bool:
        return self._subgroup is not None

    def __repr__(self) -> str:
        return f"SecretKey({self.public.bits} bits, public {self.public.digest[:12]})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled; seal to_bytes() instead")

    @classmethod
    def generate(cls, key_bits: int, *, alpha: bool = False, testing_only: bool = False) -> SecretKey:
        """A fresh key of exactly `key_bits` bits (even) from Blum primes, p = q = 3 mod 4, gcd(p-1, q-1) = 2.

        alpha: make an alpha-key: faster for its holder and for partners, under more assumptions
        (`privacy.alpha_keys`). Raises `ProfileForbidden` below `MINIMUM_KEY_BITS`, unless `testing_only`.
        """
        minimum = SMALLEST_TESTING_BITS if testing_only else MINIMUM_KEY_BITS
        if key_bits < minimum or key_bits % 2:
            raise ProfileForbidden("paillier_key_bits", bits=key_bits, minimum=minimum)
        while True:
            if alpha:
                (p, alpha_p), (q, alpha_q) = (_alpha_prime(key_bits) for _ in range(2))
            else:
                (p, alpha_p), (q, alpha_q) = ((_blum_prime(key_bits // 2), mpz(1)) for _ in range(2))
            n, order = p * q, (p - 1) * (q - 1)
            if n.bit_length() != key_bits or gmpy2.gcd(p - 1, q - 1) != 2 or gmpy2.gcd(n, order) != 1:
                continue
            return cls(p, q, Subgroup.generate(p, q, alpha_p, alpha_q) if alpha else None)

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
        """How many numbers follow (one byte), then these, big-endian, equally long: p and q; of an alpha-key also
        alpha_p, alpha_q and the generator modulo p and q. In the clear: seal it before it is stored.
        """
        numbers = [part.prime for part in self._parts]
        subgroup = self._subgroup
        if subgroup is not None:
            numbers += [
                subgroup.alpha_p,
                subgroup.alpha_q,
                *(subgroup.generator % prime for prime in numbers),
            ]
        width = max((number.bit_length() + 7) // 8 for number in numbers)
        return bytes([len(numbers)]) + b"".join(number.to_bytes(width, "big") for number in numbers)

    @classmethod
    def from_bytes(cls, data: bytes) -> SecretKey:
        """Read `to_bytes` back. Raises `KeyMismatch` when these are no fitting numbers."""
        count = data[0] if data else 0
        if count not in (PLAIN_NUMBERS, ALPHA_NUMBERS) or len(data) < 1 + count or (len(data) - 1) % count:
            raise KeyMismatch("paillier_secret_invalid")
        width = (len(data) - 1) // count
        starts = range(1, len(data), width)
        p, q, *rest = (mpz.from_bytes(data[at : at + width], "big") for at in starts)
        return cls(p, q, Subgroup.checked(p, q, *rest) if rest else None)

    def encrypt(self, plaintexts: Sequence[int], workers: Workers = ALONE) -> list[mpz]:
        """Encrypt signed integers modulo p^2 and q^2, many by table (see above for what is drawn).

        workers: for long lists; each process holds the key until joblib ends it (`Workers.release`).
        Raises `PackingOverflow` when some |m| > `public.max_plaintext`.
        """
        values = self.public.checked(plaintexts)
        jobs = workers.worth(
            len(values),
            self._per_process(ENCRYPTIONS_PER_PROCESS),
            self._per_process(ENCRYPTIONS_PER_STARTED),
        )
        if jobs > 1:
            return workers.spread(_encrypt_in_worker, (self.to_bytes(),), values, jobs)
        modulo_p, modulo_q = (part.mask(values) for part in self._parts)
        return self._recombine(modulo_p, modulo_q)

    def encrypt_exact(self, plaintexts: Sequence[int]) -> list[mpz]:
        """Encrypt with masks distributed exactly as Paillier's r^n, without a table (two exponentiations).

        Of an alpha-key: exactly uniform among the powers of its generator.
        """
        values = self.public.checked(plaintexts)
        modulo_p, modulo_q = (part.mask_exact(values) for part in self._parts)
        return self._recombine(modulo_p, modulo_q)

    def decrypt(self, ciphertexts: Sequence[mpz], workers: Workers = ALONE) -> list[int]:
        """Signed plaintexts in (-n/2, n/2].

        workers: as in `encrypt`. Raises `CiphertextInvalid` unless 0 < c < n^2 and gcd(c, n) = 1.
        """
        jobs = workers.worth(
            len(ciphertexts),
            self._per_process(DECRYPTIONS_PER_PROCESS),
            self._per_process(DECRYPTIONS_PER_STARTED),
        )
        if jobs > 1:
            return workers.spread(_decrypt_in_worker, (self.to_bytes(),), ciphertexts, jobs)
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

    def mask_pool(self, workers: Workers = ALONE) -> MaskPool:
        """An empty pool of masks as `encrypt` draws them, and `encrypt` for what it lacks."""
        encrypt = partial(self.encrypt, workers=workers)
        pays, pays_started = map(self._per_process, (ENCRYPTIONS_PER_PROCESS, 2 * ENCRYPTIONS_PER_STARTED))
        source = MaskSource(self.public, encrypt, _masks_in_worker, (self.to_bytes(),), pays, pays_started)
        return MaskPool(source, workers)

    def start(self, workers: Workers) -> None:
        """Have the workers' processes started, with this key and its table; returns when they are. For long jobs."""
        pays_from = WIDE_TABLE_PAYS_FROM if self.is_alpha else TABLE_PAYS_FROM
        workers.map(_masks_in_worker, [(self.to_bytes(), pays_from)] * workers.available)

    def _per_process(self, least: int) -> int:
        return least * ALPHA_SPEED if self.is_alpha else least

    def _recombine(self, modulo_p: Sequence[mpz], modulo_q: Sequence[mpz]) -> list[mpz]:
        p_squared, q_squared, inverse = self._parts[0].square, self._q_squared, self._p_squared_inverse
        pairs = zip(modulo_p, modulo_q, strict=True)
        results = [x + p_squared * ((y - x) * inverse % q_squared) for x, y in pairs]
        if not self.is_alpha:
            return results
        n_squared, signs = self.public.n_squared, secrets.token_bytes(len(results))
        # (-1)^n = -1: half of all powers of h are powers of -h times -1.
        return [n_squared - c if sign & 1 else c for c, sign in zip(results, signs, strict=True)]


@dataclass(frozen=True, slots=True, repr=False)
class Subgroup:
    """What makes an alpha-key: prime factors of p - 1 and q - 1, and the published generator modulo n."""

    alpha_p: mpz
    alpha_q: mpz
    generator: mpz

    def __repr__(self) -> str:
        return "Subgroup(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret key is not pickled; seal SecretKey.to_bytes() instead")

    @classmethod
    def generate(cls, p: mpz, q: mpz, alpha_p: mpz, alpha_q: mpz) -> Subgroup:
        """h = -y^(2 k_p k_q) mod n for random y, until its order is 2 alpha_p alpha_q (at once, in practice)."""
        n = p * q
        exponent = (p - 1) // alpha_p * ((q - 1) // alpha_q) // 2
        while True:
            root = gmpy2.powmod(secrets.randbelow(int(n) - 1) + 1, exponent, n)
            if root % p > 1 and root % q > 1:
                return cls(alpha_p, alpha_q, n - root)

    @classmethod
    def checked(cls, p: mpz, q: mpz, alpha_p: mpz, alpha_q: mpz, h_p: mpz, h_q: mpz) -> Subgroup:
        """From stored numbers; h_p, h_q: the generator modulo p and q. Raises `KeyMismatch` when they do not fit."""
        for prime, alpha, h in ((p, alpha_p, h_p), (q, alpha_q, h_q)):
            fits = 1 < alpha < prime and 0 < h < prime - 1 and (prime - 1) % alpha == 0 and _is_prime(alpha)
            if not fits or gmpy2.powmod(prime - h, alpha, prime) != 1:
                raise KeyMismatch("paillier_secret_invalid")
        if gmpy2.gcd(p, q) != 1:
            raise KeyMismatch("paillier_secret_invalid")
        return cls(alpha_p, alpha_q, h_p + p * ((h_q - h_p) * gmpy2.invert(p, q) % q))


class _PrimePart:
    """All that happens modulo the square of one prime; `other` is the other prime.

    alpha, root: of an alpha-key, the prime order of masks and an element of that order modulo `prime`.
    """

    def __init__(self, prime: mpz, other: mpz, alpha: mpz | None = None, root: mpz | None = None) -> None:
        self.prime, self.square = prime, prime * prime
        self._other = other
        if alpha is None or root is None:
            self._masks = Masks(prime)
            self._exponent, self._cofactor = prime - 1, mpz(1)
        else:
            self._masks = FixedBaseMasks(prime, alpha.bit_length(), lambda: root, int(alpha))
            self._exponent, self._cofactor = 2 * alpha, (prime - 1) // (2 * alpha)
        self._slope_inverse = self._slope_inverse_for(self._exponent)
        self._full_slope_inverse = self._slope_inverse_for(prime - 1)

    def _slope_inverse_for(self, exponent: mpz) -> mpz:
        # L((1 + n)^exponent mod p^2)^-1 mod p with L(x) = (x - 1) / p: Paillier 1999, section 7.
        return gmpy2.invert(self._other * exponent % self.prime, self.prime)

    def mask(self, messages: Sequence[mpz]) -> list[mpz]:
        # 1 + nm = 1 + p (qm) modulo p^2.
        return self._masks.mask([self._other * m for m in messages])

    def mask_exact(self, messages: Sequence[mpz]) -> list[mpz]:
        return self._masks.mask_singly([self._other * m for m in messages])

    def decrypt(self, ciphertexts: Sequence[mpz]) -> list[mpz]:
        p, square, exponent = self.prime, self.square, self._exponent
        plaintexts = []
        for c in ciphertexts:
            slope_inverse = self._slope_inverse
            power = gmpy2.powmod(c, exponent, square)
            quotient, remainder = gmpy2.f_divmod(power - 1, p)
            if remainder:
                # Not masked in the subgroup of an alpha-key: go on from there to the exponent p - 1.
                slope_inverse = self._full_slope_inverse
                power = gmpy2.powmod(power, self._cofactor, square)
                quotient, remainder = gmpy2.f_divmod(power - 1, p)
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


def _alpha_prime(key_bits: int) -> tuple[mpz, mpz]:
    """A random prime p = 2 alpha k + 1 of half of `key_bits`, k odd, its two highest bits set; and alpha."""
    bits, width = key_bits // 2, alpha_bits(key_bits)
    while True:
        alpha = mpz(secrets.randbits(width)) | (mpz(1) << (width - 1)) | 1
        if _is_prime(alpha):
            break
    lowest, above = (mpz(3) << (bits - 2)) // (2 * alpha) + 1, (mpz(1) << bits) // (2 * alpha)
    while True:
        k = lowest + secrets.randbelow(int(above - lowest))
        candidate = 2 * alpha * k + 1
        # An odd k makes p = 3 mod 4; alpha^2 must not divide p - 1, or one of order alpha^2 would be too many.
        if k & 1 and k % alpha and _is_prime(candidate):
            return candidate, alpha


# One key per worker process, so that its tables are built once per process and not once per call.
_worker_key = lru_cache(maxsize=2)(SecretKey.from_bytes)


def _encrypt_in_worker(key: bytes, values: list[mpz]) -> list[mpz]:
    return _worker_key(key).encrypt(values)


def _decrypt_in_worker(key: bytes, ciphertexts: list[mpz]) -> list[int]:
    return _worker_key(key).decrypt(ciphertexts)


def _masks_in_worker(key: bytes, count: int) -> list[mpz]:
    return _worker_key(key).encrypt([0] * count)
