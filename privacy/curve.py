"""Diffie-Hellman blinding of identifiers on Curve25519, for any number of parties.

H(x) is a point; party i multiplies points with its secret; the multiplications commute, so lists that have passed
through all parties hold the same point exactly where they hold the same identifier.
Sources. Private matching by commuting powers: Meadows 1986, "A More Efficient Cryptographic Matchmaking Protocol";
Huberman, Franklin, Hogg 1999, "Enhancing Privacy and Trust in Electronic Communities". Multiplication: X25519,
RFC 7748, section 5. Hash to the curve: RFC 9380, suite curve25519_XMD:SHA-512_ELL2_NU_ (sections 5.2, 5.3.1,
6.7.1 and 8.5). Tokens: SHA-256 cut to 128 bits.
Deviation. The cofactor is not cleared right after the map (RFC 9380, section 7): every X25519 scalar is a multiple
of 8, so the first multiplication does it, and a point that nobody has multiplied must not leave its party anyway.
What it promises. Against parties that follow the protocol: whoever lacks a key cannot tell points that carry it
from random ones (decisional Diffie-Hellman on Curve25519, SHA-512 as a random oracle, about 126 bits), so neither
the coordinator nor the coordinator with one party can enumerate identifiers that carry an honest party's key.
Taking a hash itself as u-coordinate would not do: half of all numbers lie on the curve's twist, no multiplication
changes sides, and so one bit of every identifier would pass through the blinding.
What "NU" costs. The map reaches about half of the curve; with the cofactor cleared, about 255 in 256 points of the
prime-order group, and not equally often. So H is no random oracle into the group: an *unblinded* point could be
told from a uniform one. The proof does not need more: its simulator answers hash queries with points of known
logarithm, to which it adds a random point of small order, inverts the map, and draws again when there is no
preimage (probability 1/2). All points that the map reaches have equally many preimages, so this is the distribution
of the hash, within 2^-128. The uniform variant (RO) costs a second map, a square root and a point addition per
identifier, for nothing here. Ristretto255 has neither twist nor cofactor, but its multiplication takes three times
as long as X25519 in libsodium, and it needs one more native dependency.
What it does not. Against a party that deviates: it can send points of identifiers that it does not have. The field
arithmetic of the map is not constant-time (it works on own identifiers, at home); libsodium's multiplication is.
Keys in Python memory are not wiped.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NoReturn

import gmpy2
import numpy as np
from gmpy2 import mpz
from nacl.bindings import crypto_scalarmult
from nacl.exceptions import CryptoError as SodiumError
from numpy.typing import NDArray

from privacy import joining
from privacy.errors import CryptoError, MessageInvalid
from privacy.identifiers import Identifiers
from privacy.joining import Tokens
from privacy.matching import kind_prefix
from privacy.parallel import ALONE, Workers
from privacy.parameters import TOKEN_BYTES

POINT_BYTES: Final = 32
"""A point is its Montgomery u-coordinate, little-endian (RFC 7748, section 5)."""
KEY_BYTES: Final = 32

_PRIME: Final = mpz(2) ** 255 - 19
_A: Final = mpz(486662)
"""Curve25519: v^2 = u^3 + A u^2 + u over GF(2^255 - 19) (RFC 7748, section 4.1)."""

_DOMAIN: Final = b"SILHOUETTE-ALIGN-V01-CS01-with-curve25519_XMD:SHA-512_ELL2_NU_"
"""Domain separation tag, named as RFC 9380, section 3.1 recommends."""
_FIELD_BYTES: Final = 48
"""L of the suite: 255 + 128 bits, so that the reduction modulo p is uniform to 2^-128 (RFC 9380, section 5)."""
_SHA512_BLOCK_BYTES: Final = 128
_TOKEN_DOMAIN: Final = b"silhouette curve token v1\x00"

_POINTS_PER_THREAD: Final = 256
_IDENTIFIERS_PER_PROCESS: Final = 8192


class BlindingKey:
    """A party's secret multiplier: 32 random bytes, clamped by X25519 to 2^254 + 8 * (251 random bits).

    Refuses to be pickled; its `repr` does not show the secret.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def __repr__(self) -> str:
        return "BlindingKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a blinding key is not pickled; seal to_bytes() instead")

    @classmethod
    def generate(cls) -> BlindingKey:
        """A fresh key from the operating system's random source."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_bytes(cls, data: bytes) -> BlindingKey:
        """Inverse of `to_bytes`. Raises `CryptoError` for another length."""
        if len(data) != KEY_BYTES:
            raise CryptoError("align_key_length", expected=KEY_BYTES)
        return cls(data)

    def to_bytes(self) -> bytes:
        """The secret: for sealed storage only."""
        return self._secret

    def blind(self, points: NDArray[np.uint8], *, party: str, workers: Workers = ALONE) -> NDArray[np.uint8]:
        """Every point of `party` times the secret, in order; 35 us each, 20 us with two threads.

        points: (n, 32). `workers.n_jobs` counts threads: libsodium works without the interpreter's lock, and a
        thread's secret stays in this process.

        Raises `MessageInvalid` as `check_points`, and for a point of small order, whose multiple is the same
        under every key.
        """
        check_points(points, party)
        raw = points.tobytes()
        threads = workers.worth(len(points), _POINTS_PER_THREAD)

        def multiply(part: int) -> bytes:
            rows = range(len(points) * part // threads, len(points) * (part + 1) // threads)
            return b"".join(
                [
                    crypto_scalarmult(self._secret, raw[row * POINT_BYTES : (row + 1) * POINT_BYTES])
                    for row in rows
                ]
            )

        try:
            if threads == 1:
                blinded = multiply(0)
            else:
                with ThreadPoolExecutor(threads) as pool:
                    blinded = b"".join(pool.map(multiply, range(threads)))
        except SodiumError:
            # libsodium refuses exactly the products that are zero (RFC 7748, section 6.1).
            raise MessageInvalid("align_point_invalid", party=party) from None
        return np.frombuffer(blinded, np.uint8).reshape(len(points), POINT_BYTES)


def check_points(points: NDArray[np.uint8], party: str) -> None:
    """Raises `MessageInvalid` unless all points of `party` are u-coordinates on the curve, below p; 2 us each.

    No point gives a key away: X25519 scalars are multiples of 8 and clear small orders, the twist's other factor
    is a 253-bit prime (RFC 7748, section 7; Bernstein 2006, "Curve25519: new Diffie-Hellman speed records",
    section 3). But a point on the twist stays there under every key, and a second spelling of a number (u + p, or the
    unused top bit) makes one point look like two: no honest party sends either, and what follows relies on that.
    """
    if points.ndim != 2 or points.shape[1] != POINT_BYTES or points.dtype != np.uint8:
        raise MessageInvalid("align_point_invalid", party=party)
    raw = points.tobytes()
    for start in range(0, len(raw), POINT_BYTES):
        u = mpz(int.from_bytes(raw[start : start + POINT_BYTES], "little"))
        if u >= _PRIME or gmpy2.jacobi(u * ((u + _A) * u + 1) % _PRIME, _PRIME) != 1:
            raise MessageInvalid("align_point_invalid", party=party)


def hash_to_curve(kind: str, identifiers: Identifiers, *, workers: Workers = ALONE) -> NDArray[np.uint8]:
    """(n, 32): the point of each normalised identifier of one `kind`, not yet blinded: it must stay at home.

    6 to 9 us each. `workers.n_jobs` counts processes here. Raises `ConfigInvalid` for an unusable kind.
    """
    prefix = kind_prefix(kind)
    jobs = workers.worth(len(identifiers), _IDENTIFIERS_PER_PROCESS)
    if jobs == 1:
        points = _hash_all(prefix, identifiers)
    else:
        chunks = np.array_split(identifiers, jobs)
        points = b"".join(workers.map(_hash_all, [(prefix, chunk) for chunk in chunks]))
    return np.frombuffer(points, np.uint8).reshape(len(identifiers), POINT_BYTES)


def point_tokens(points: NDArray[np.uint8]) -> Tokens:
    """(n, 2): the token of each point that carries all keys, in order: SHA-256(domain | point) cut to 128 bits."""
    start = hashlib.sha256(_TOKEN_DOMAIN).copy
    raw = points.tobytes()
    joined = bytearray()
    for row in range(0, len(raw), POINT_BYTES):
        state = start()
        state.update(raw[row : row + POINT_BYTES])
        joined += state.digest()[:TOKEN_BYTES]
    return joining.tokens_of(np.frombuffer(joined, np.uint8).reshape(-1, TOKEN_BYTES))


def _hash_all(prefix: bytes, identifiers: Identifiers) -> bytes:
    to_field = _field_hash(_DOMAIN)
    return b"".join(
        [
            _map_to_curve(to_field(prefix + one)).to_bytes(POINT_BYTES, "little")
            for one in identifiers.tolist()
        ]
    )


def _field_hash(domain: bytes) -> Callable[[bytes], mpz]:
    """`hash_to_field` of RFC 9380, section 5.2, for one element, with expand_message_xmd (5.3.1) over SHA-512.

    48 bytes are less than one SHA-512 value, so that the expansion is b_1 alone.
    """
    tag = domain + len(domain).to_bytes(1, "big")
    padded = hashlib.sha512(bytes(_SHA512_BLOCK_BYTES)).copy
    length_and_tag = _FIELD_BYTES.to_bytes(2, "big") + b"\x00" + tag
    one_and_tag = b"\x01" + tag

    def to_field(message: bytes) -> mpz:
        first = padded()
        first.update(message + length_and_tag)
        uniform = hashlib.sha512(first.digest() + one_and_tag).digest()[:_FIELD_BYTES]
        return mpz(int.from_bytes(uniform, "big")) % _PRIME

    return to_field


def _map_to_curve(element: mpz) -> int:
    """Elligator 2 for Curve25519 (RFC 9380, section 6.7.1, Z = 2): the u-coordinate of the element's point.

    Of x1 = -A / (1 + 2 r^2) and x2 = -x1 - A exactly one is on the curve. d = 1 + 2 r^2 is never 0, because -1/2
    is no square modulo p. Whether x1 is on the curve is asked without a division: g(x1) d^4 = -A d (A^2 (1 - d) + d^2).
    """
    d = (1 + 2 * element * element) % _PRIME
    first = -_A * gmpy2.invert(d, _PRIME) % _PRIME
    square = gmpy2.jacobi(-_A * d * (_A * _A * (1 - d) + d * d) % _PRIME, _PRIME) != -1
    return int(first if square else (-first - _A) % _PRIME)
