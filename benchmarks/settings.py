"""How large the tasks are: the full run, the quick one, and one that only shows that everything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Settings:
    """Sizes of all benchmarks.

    key_bits: of every Paillier modulus. repetitions: turns of each contestant, except of long tasks, which take one.
    values: plaintexts or ciphertexts per turn of ours; slow_values: of what takes milliseconds for each.
    rows: of the histogram; peer_rows: of HEU's, whose time is linear in them. terms: columns of X in X.[v];
    peer_terms: of a peer's. tree_rows: of the boosted tree. match_sizes: identifiers per party.
    ecdh_limit: the largest size at which `ecdh` is run. peer_match_limit: the largest at which peers match; above it
    their figures are carried over.
    """

    key_bits: int
    repetitions: int
    values: int
    slow_values: int
    rows: int
    peer_rows: int
    terms: int
    peer_terms: int
    tree_rows: int
    match_sizes: tuple[int, ...]
    ecdh_limit: int
    peer_match_limit: int


FULL: Final = Settings(
    key_bits=2048,
    repetitions=5,
    values=2_000,
    slow_values=50,
    rows=100_000,
    peer_rows=10_000,
    terms=20_000,
    peer_terms=200,
    tree_rows=100_000,
    match_sizes=(10_000, 100_000, 1_000_000),
    ecdh_limit=1_000_000,
    peer_match_limit=100_000,
)

QUICK: Final = Settings(
    key_bits=2048,
    repetitions=3,
    values=1_200,
    slow_values=10,
    rows=20_000,
    peer_rows=4_000,
    terms=5_000,
    peer_terms=40,
    tree_rows=10_000,
    match_sizes=(10_000, 100_000),
    ecdh_limit=10_000,
    peer_match_limit=10_000,
)


def parse_sizes(text: str) -> tuple[int, ...]:
    """Sizes as people write them: "10k,1M" is (10_000, 1_000_000). Raises `ValueError`."""
    factors = {"k": 1_000, "m": 1_000_000}
    sizes = []
    for word in text.split(","):
        digits, factor = word.strip(), 1
        if digits and digits[-1].lower() in factors:
            digits, factor = digits[:-1], factors[digits[-1].lower()]
        if not digits.isdecimal() or not int(digits):
            raise ValueError(f"not a size: {word!r}")
        sizes.append(int(digits) * factor)
    return tuple(sizes)


def size_name(size: int) -> str:
    """The inverse: 100_000 is "100k"."""
    for factor, letter in ((1_000_000, "M"), (1_000, "k")):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{letter}"
    return str(size)
