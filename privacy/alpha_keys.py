"""Alpha-keys: Paillier keys whose random masks live in a small subgroup. Here is what everybody may know.

Source. Ma, Han, Lei, "Optimized Paillier's cryptosystem with fast encryption and decryption", ACSAC 2021,
106-118. The primes are p = 2 alpha_p k_p + 1 and q = 2 alpha_q k_q + 1 with primes alpha_p, alpha_q of
`alpha_bits` and odd k_p, k_q. The key holder publishes the *generator* h = -y^(2 k_p k_q) mod n, y random, of
order 2 alpha_p alpha_q. A mask is (h^n)^s. (The papers publish h_s = h^n mod n^2. We send h, half as long, and
everybody computes h_s: it is an n-th power then, whatever was sent, and a mask cannot move a plaintext.)

What it gives. The key holder, who knows the order, tabulates exponents of `alpha_bits` modulo each prime and
decrypts with the exponents 2 alpha_p and 2 alpha_q. It is an ordinary Paillier key: everybody may encrypt as
usual; what was not masked by powers of h is only slower to decrypt.

What it assumes, beyond Paillier's assumption. This is why it must be asked for.
  - Random powers of h cannot be told from random elements of Jacobi symbol 1 by those who cannot factor n. This is
    the paper's setting; subgroup assumptions of the kind go back to Groth, TCC 2005.
  - That p - 1 and q - 1 have such factors, and h, do not help to factor n. The best known attack collides powers
    of h modulo a prime, in about 2^(alpha_bits / 2) products (Coron, Joux, Mandal, Naccache, Tibouchi,
    PKC 2011): `alpha_bits` is twice the strength of the key size.
  - Against the *key holder*, `PublicKey.rerandomize` hides how a ciphertext was made only if the key holder
    followed the protocol: it made h as above, and all ciphertexts that went into the result were masked by powers
    of h. Exponents of `exponent_bits` then leave the result within 2^-64 of uniform among the encryptions masked
    in that way, and a curious holder who followed the protocol learns the plaintext alone. Of a ciphertext that
    was masked otherwise (by `phe`, say), it learns the coset of its randomness modulo the group of h, which says
    something only to whoever knows the randomness of its parts.

What a key holder who breaks the protocol can do. It may send an h of small order, so that masks take few values;
an h with known logarithms (p - 1 and q - 1 smooth beyond the check), so that a mask can be solved for; or a good
h, and mark its own ciphertexts with elements outside the group, which masks by h leave in place: it then reads
from a sum which rows are in it. `checked_generator` refuses what can be seen: a non-unit, the wrong Jacobi
symbol, orders modulo either prime that are 4096-power-smooth (those of 1 and -1 are). The rest cannot be seen: to
decide who is in the group is what is assumed to be hard. Uniform masks ask only for an n of two primes, so
a partner takes an h only in a job that names alpha-keys, which it has approved.
"""

from __future__ import annotations

from functools import cache
from math import lcm
from typing import Final

import gmpy2
from gmpy2 import mpz

from privacy.errors import KeyMismatch
from privacy.random_powers import STATISTICAL_BITS, FixedBaseMasks

ALPHA_BITS: Final = ((2048, 224), (3072, 256), (7680, 384), (15360, 512))
"""(bits of n up to which, bits of alpha_p and alpha_q): twice the security strength of that n, so that collisions
in the subgroup cost as much as factoring n (NIST SP 800-57 part 1 rev. 5, table 2)."""

SMOOTH_BOUND: Final = 4096
"""Orders all of whose prime powers lie below are refused. Larger bounds cost more and stop nobody who knows them."""


def alpha_bits(key_bits: int) -> int:
    """Bits of alpha_p and of alpha_q; at most half of a prime's, which only keys for tests come near.

    Raises `KeyMismatch` for keys beyond the table.
    """
    for limit, bits in ALPHA_BITS:
        if key_bits <= limit:
            return min(bits, key_bits // 4)
    raise KeyMismatch("paillier_generator_invalid")


def exponent_bits(key_bits: int) -> int:
    """Bits of exponents s for which h^s is within 2^-64 of uniform in the group of h.

    The group's order N = 2 alpha_p alpha_q is below 2^(2 alpha_bits + 1); for s uniform below M the distance is
    at most N / (4 M).
    """
    return 2 * alpha_bits(key_bits) + 1 + STATISTICAL_BITS - 2


def published_masks(generator: mpz, n: mpz) -> FixedBaseMasks:
    """Masks for those who know n and the generator."""
    return FixedBaseMasks(n, exponent_bits(n.bit_length()), lambda: generator)


def checked_generator(data: bytes, n: mpz) -> mpz:
    """The generator h as a peer sent it: big-endian, without leading zeros.

    Raises `KeyMismatch` unless 1 < h < n - 1, h and n have no common factor, the Jacobi symbol (h / n) is 1,
    n = 1 mod 4 as for two Blum primes, and h has an order that is not 4096-power-smooth modulo *every* prime
    factor of n. What this does not show is said above.
    """
    h = mpz(int.from_bytes(data, "big"))
    is_canonical = bool(data) and data[0] != 0 and h < n
    if not is_canonical or n % 4 != 1 or gmpy2.jacobi(h, n) != 1:  # 0 for a common factor
        raise KeyMismatch("paillier_generator_invalid")
    if gmpy2.gcd(gmpy2.powmod(h, _smooth_exponent(), n) - 1, n) != 1:
        raise KeyMismatch("paillier_generator_invalid")
    return h


@cache
def _smooth_exponent() -> int:
    """A multiple of every order that is refused."""
    return lcm(*range(1, SMOOTH_BOUND + 1))
