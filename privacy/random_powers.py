"""Random masks for Paillier ciphertexts, and the modular arithmetic they share with half form.

A modulus m is Paillier's n for those who know the public key only, a prime factor of n for the key holder.
A mask is a random m-th power modulo m^2: it leaves the plaintext alone.

Sources.
    Brickell, Gordon, McCurley, Wilson, EUROCRYPT 1992: powers of a fixed base by table.
    Damgard, Jurik, Nielsen, Int. J. Inf. Security 9 (2010) 371-385: masks of half the length (`short_masks`).
    Impagliazzo, Levin, Luby, STOC 1989: the leftover hash lemma (`PowerTable.uniform`).
    Half form, value = a (1 + t m): see `privacy.paillier`.

Exponents come from `secrets`. Table look-ups and GMP's arithmetic are not constant-time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import gmpy2
import numpy as np
from gmpy2 import mpz

from privacy.errors import CiphertextInvalid

WINDOW_BITS: Final = 8
"""Digits of the power table: one random byte selects one entry. Larger windows lose to cache misses."""

WIDE_WINDOW_BITS: Final = 12
"""Digits where the exponent is short, so that the larger table is built soon: a third of the products fewer."""

TOGETHER: Final = 4096
"""Messages that are masked together: a row of the table is read from memory once for all. Longer ones bring nothing."""

TABLE_PAYS_FROM: Final = 128
WIDE_TABLE_PAYS_FROM: Final = 1024
"""Masks under one key from which building a power table is cheaper than plain exponentiation."""

BYTE_BITS: Final = 8

STATISTICAL_BITS: Final = 64
"""Masks that are called uniform are within statistical distance 2^-64 of it."""

INDEPENDENT_BASES: Final = STATISTICAL_BITS + 4
"""So many random elements fail to generate the group of masks with probability below 2^-64."""


def inverses(values: Sequence[mpz], modulus: mpz) -> list[mpz]:
    """Modular inverses of all values for the price of one and three products each.

    Montgomery's trick (Math. Comp. 48 (1987), section 10.3.1). Raises `CiphertextInvalid` for a non-unit.
    """
    prefixes = []
    running = mpz(1)
    for value in values:
        prefixes.append(running)
        running = running * value % modulus
    try:
        suffix = gmpy2.invert(running, modulus)
    except ZeroDivisionError:
        raise CiphertextInvalid("ciphertext_not_a_unit") from None
    results = []
    for value, prefix in zip(reversed(values), reversed(prefixes), strict=True):
        results.append(suffix * prefix % modulus)
        suffix = suffix * value % modulus
    results.reverse()
    return results


def split(values: Sequence[mpz], modulus: mpz) -> tuple[list[mpz], list[mpz]]:
    """Lists a, t in [0, modulus) with value = a (1 + t modulus) modulo modulus^2.

    Raises `CiphertextInvalid` for a value that is no unit.
    """
    quotients, halves = [], []
    for value in values:
        quotient, half = gmpy2.f_divmod(value, modulus)
        quotients.append(quotient)
        halves.append(half)
    pairs = zip(quotients, inverses(halves, modulus), strict=True)
    return halves, [quotient * inverse % modulus for quotient, inverse in pairs]


def join(a: mpz, t: mpz, modulus: mpz, modulus_squared: mpz) -> mpz:
    """a (1 + t modulus) mod modulus^2, with one half-size product instead of a full one."""
    return (a + modulus * (a % modulus * t % modulus)) % modulus_squared


def product(values: Iterable[mpz], modulus: mpz) -> mpz:
    """The product of all values modulo `modulus`; made for values of half its length.

    Two such factors are multiplied before they meet the rest: one division for two factors.
    """
    factors = iter(values)
    result = next(factors, mpz(1)) % modulus
    for factor in factors:
        other = next(factors, None)
        if other is None:
            return result * factor % modulus
        result = result * (factor * other) % modulus
    return result


class PowerTable:
    """Random products of powers of fixed bases modulo modulus^2, by table look-up in half form.

    A base fills `rows_per_base` rows: row j holds base^(256^j d) for every digit d, as a (half) and t. A mask
    costs one half-size product and one addition per row, and one random byte selects the digit. So every base
    gets an independent exponent, uniform in [0, 256^rows_per_base). Where the order of a single base is known
    (`order`), its exponent is uniform below that instead, exactly uniform in the group that it generates, and digits
    have `WIDE_WINDOW_BITS`.
    """

    def __init__(
        self, bases: Iterable[mpz], modulus: mpz, rows_per_base: int, order: int | None = None
    ) -> None:
        self._modulus, self._modulus_squared = modulus, modulus * modulus
        self._order = order
        width = 1 << (WINDOW_BITS if order is None else WIDE_WINDOW_BITS)
        entries = []
        for base in bases:
            step = base
            for _ in range(rows_per_base):
                power = mpz(1)
                for _ in range(width):
                    entries.append(power)
                    power = power * step % self._modulus_squared
                step = power
        halves, twists = split(entries, modulus)
        starts = range(0, len(entries), width)
        self._halves = [halves[at : at + width] for at in starts]
        self._twists = [twists[at : at + width] for at in starts]

    @classmethod
    def uniform(cls, modulus: mpz) -> PowerTable:
        """A table whose masks are nearly uniform in G, the modulus-th powers modulo modulus^2.

        The bases are independent and uniform in G, and the H random bits of a mask exceed log2 |G| by
        128 = 2 STATISTICAL_BITS. Two exponent vectors give the same product for a fraction 1 / |G| of all
        bases, unless their differences all share a factor with |G|. But for that exception the map is
        universal, and the leftover hash lemma puts a mask, given the table, within
        sqrt(|G| / 2^H) / 2 <= 2^-65 of uniform.
        The exception counts where the bases do not generate G; a prime k has at most k + 1 subgroups of
        index k in G (n has two prime factors), each holding B random bases with probability k^-B: together
        below 2^-64 from 68 bases on. (Moduli too short for so many are for tests.)
        """
        rows = rows_for(modulus.bit_length() + 2 * STATISTICAL_BITS, WINDOW_BITS)
        rows_per_base = max(1, rows // INDEPENDENT_BASES)
        bases = [random_power(modulus) for _ in range(-(-rows // rows_per_base))]
        return cls(bases, modulus, rows_per_base)

    def mask(self, messages: Sequence[mpz]) -> list[mpz]:
        """mask (1 + message modulus) mod modulus^2 for every message, a fresh mask each."""
        parts = [messages[at : at + TOGETHER] for at in range(0, len(messages), TOGETHER)]
        return [result for part in parts for result in self._mask(part)]

    def _mask(self, messages: Sequence[mpz]) -> list[mpz]:
        """All messages, two rows of the table after two: a row then stays in the processor's cache meanwhile."""
        modulus, modulus_squared = self._modulus, self._modulus_squared
        rows, digits = len(self._halves), self._digits(len(messages))
        a, t = [mpz(1)] * len(messages), list(messages)
        for row in range(0, rows - 1, 2):
            lower, upper = digits[row], digits[row + 1]
            factors = _read(self._halves[row], lower), _read(self._halves[row + 1], upper)
            # Two factors of half the length for one division.
            a = [x * (y * z) % modulus_squared for x, y, z in zip(a, *factors, strict=True)]
            terms = _read(self._twists[row], lower), _read(self._twists[row + 1], upper)
            t = [x + y + z for x, y, z in zip(t, *terms, strict=True)]
        if rows % 2:
            last = digits[-1]
            a = [x * y % modulus_squared for x, y in zip(a, _read(self._halves[-1], last), strict=True)]
            t = [x + y for x, y in zip(t, _read(self._twists[-1], last), strict=True)]
        return [join(x, y, modulus, modulus_squared) for x, y in zip(a, t, strict=True)]

    def _digits(self, count: int) -> Sequence[Sequence[int]]:
        """For every row of the table its digit of each of `count` fresh exponents."""
        rows, order = len(self._halves), self._order
        if order is None:
            digits = secrets.token_bytes(rows * count)
            return [digits[at : at + count] for at in range(0, rows * count, count)]
        width = -(-order.bit_length() // BYTE_BITS)
        return wide_digits(b"".join(random_below(order, width, count)), count)[:rows]


def random_below(bound: int, width: int, count: int) -> list[bytes]:
    """`count` independent numbers, exactly uniform in [0, bound), big-endian in the `width` bytes that `bound` needs.

    By rejection, as `secrets.randbelow` does it, but with one call of the operating system for many.
    """
    limit = bound.to_bytes(width, "big")
    highest = (1 << bound.bit_length()) - 1
    mask = highest.to_bytes(width, "big")[0]
    found: list[bytes] = []
    while len(found) < count:
        drawn = bytearray(secrets.token_bytes(2 * width * (count - len(found))))
        drawn[::width] = drawn[::width].translate(bytes(byte & mask for byte in range(256)))
        numbers = (bytes(drawn[at : at + width]) for at in range(0, len(drawn), width))
        found += [number for number in numbers if number < limit]
    return found[:count]


def wide_digits(numbers: bytes, count: int) -> list[list[int]]:
    """The digits of `WIDE_WINDOW_BITS` of `count` big-endian numbers of one width, the lowest of all of them first.

    Three bytes hold two digits.
    """
    given = np.frombuffer(numbers, np.uint8).reshape(count, -1)
    columns = np.pad(given.astype(np.uint16), ((0, 0), (-given.shape[1] % 3, 0)))
    first, second, third = columns[:, 0::3], columns[:, 1::3], columns[:, 2::3]
    digits = np.stack((first << 4 | second >> 4, (second & 15) << 8 | third), axis=2).reshape(count, -1)
    lowest_first: list[list[int]] = digits[:, ::-1].T.tolist()
    return lowest_first


def _read(row: list[mpz], digits: Iterable[int]) -> Iterator[mpz]:
    return map(row.__getitem__, digits)


def rows_for(exponent_bits: int, window_bits: int) -> int:
    """Table rows for an exponent of at least `exponent_bits` bits, `window_bits` each."""
    return -(-exponent_bits // window_bits)


def random_power(modulus: mpz) -> mpz:
    """x^modulus mod modulus^2 for a uniform unit x: exactly uniform in the group of these powers."""
    unit = secrets.randbelow(int(modulus) - 1) + 1
    return gmpy2.powmod(unit, modulus, modulus * modulus)


class Masks:
    """Uniform masks modulo modulus^2: by exponentiation at first, by table once demand is worth it."""

    def __init__(self, modulus: mpz) -> None:
        self._modulus = modulus
        self._table: PowerTable | None = None
        self._demand = 0
        self._pays_from = TABLE_PAYS_FROM

    def mask(self, messages: Sequence[mpz]) -> list[mpz]:
        """mask (1 + message modulus) mod modulus^2 for every message, a fresh mask each."""
        self._demand += len(messages)
        if self._table is None:
            if self._demand < self._pays_from:
                return self.mask_singly(messages)
            self._table = self._tabulate()
        return self._table.mask(messages)

    def mask_singly(self, messages: Sequence[mpz]) -> list[mpz]:
        """The same without a table."""
        modulus = self._modulus
        square = modulus * modulus
        return [self._draw() * (1 + modulus * (message % modulus)) % square for message in messages]

    def _draw(self) -> mpz:
        return random_power(self._modulus)

    def _tabulate(self) -> PowerTable:
        return PowerTable.uniform(self._modulus)


class FixedBaseMasks(Masks):
    """Powers (root^modulus)^s modulo modulus^2 of one root, drawn when it is first needed.

    s is uniform below `order` (of the root) where that is known, else in [0, 2^k) for the first multiple k of
    `WINDOW_BITS` from `exponent_bits` on.
    """

    def __init__(
        self, modulus: mpz, exponent_bits: int, root: Callable[[], mpz], order: int | None = None
    ) -> None:
        super().__init__(modulus)
        self._window_bits = WINDOW_BITS if order is None else WIDE_WINDOW_BITS
        self._rows = rows_for(exponent_bits, self._window_bits)
        self._root, self._order = root, order
        self._base: mpz | None = None
        if order is not None:
            self._pays_from = WIDE_TABLE_PAYS_FROM

    def _draw(self) -> mpz:
        bound = 1 << self._rows * self._window_bits if self._order is None else self._order
        return gmpy2.powmod(self._fixed_base(), secrets.randbelow(bound), self._modulus * self._modulus)

    def _tabulate(self) -> PowerTable:
        return PowerTable([self._fixed_base()], self._modulus, self._rows, self._order)

    def _fixed_base(self) -> mpz:
        if self._base is None:
            self._base = gmpy2.powmod(self._root(), self._modulus, self._modulus * self._modulus)
        return self._base


def short_masks(n: mpz) -> FixedBaseMasks:
    """DJN masks: (h^n)^s with h = -y^2 mod n for one random y, s of half the bits of n."""

    def root() -> mpz:
        y = secrets.randbelow(int(n) - 1) + 1
        return n - y * y % n

    return FixedBaseMasks(n, (n.bit_length() + 1) // 2, root)
