"""Named security profiles: every number a deployment may be asked about, with its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from privacy.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class Profile:
    """One set of parameters.

    key_bits: size of the Paillier modulus n. 2048 bit is 112-bit security, 3072 bit is 128-bit
        (NIST SP 800-57 part 1 rev. 5, table 2, by the difficulty of factoring n).
    k_min: smallest number of people behind any count, mean or histogram cell that leaves a party.
    distance_scale_bits: fraction bits of a fixed-point squared distance (k-means).
    gradient_scale_bits: fraction bits of a fixed-point gradient or Hessian (boosting).
    """

    name: str
    key_bits: int
    k_min: int = 50
    distance_scale_bits: int = 32
    gradient_scale_bits: int = 24


STANDARD: Final = Profile("standard", key_bits=2048)
HIGH: Final = Profile("high", key_bits=3072, k_min=100)
TESTING_ONLY: Final = Profile("TESTING_ONLY", key_bits=512, k_min=5)
"""Breakable in minutes: for tests alone. A node refuses it unless its own settings allow it."""

PROFILES: Final = {profile.name: profile for profile in (STANDARD, HIGH, TESTING_ONLY)}
MINIMUM_KEY_BITS: Final = 2048

TOKEN_BYTES: Final = 16
"""Matching tokens are 128 bits: at 10^8 identifiers a chance collision has probability below 2^-74."""


def profile_named(name: str) -> Profile:
    """The profile called `name`. Raises `ConfigInvalid` when there is none."""
    if name not in PROFILES:
        raise ConfigInvalid("profile_unknown", name=name, known=", ".join(sorted(PROFILES)))
    return PROFILES[name]
