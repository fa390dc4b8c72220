"""The coordinator holds no decryption key: looked for before it serves (PIPL 51; R-KEY-COLOCATED).

Finds a node's vault, and a Paillier secret key in the clear, in the coordinator's own home. What it does not promise:
a key elsewhere on the machine, or one that is encrypted, is not found; trust domains are kept apart by people. What
parties have sealed for each other or for themselves (`server.post`) is encrypted under keys that are not here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import gmpy2

from privacy.errors import Denied
from privacy.reasons import Finding, Reason

VAULT_FILES: Final = frozenset({"vault.key", "vault.sqlite"})
_NUMBERS: Final = (2, 5)
"""How many numbers a stored Paillier key says it has (plain, alpha-key)."""
_SMALLEST_PRIME_BITS: Final = 200
_LARGEST_KEY_BYTES: Final = 1 << 14


def refuse_keys(home: Path) -> None:
    """Raises `Denied` when the folder holds what can decrypt."""
    found = [file.name for file in sorted(home.rglob("*")) if file.is_file() and _is_key(file)]
    if found:
        raise Denied.of(Finding(Reason.KEY_COLOCATED, name) for name in found)


def _is_key(file: Path) -> bool:
    if file.name in VAULT_FILES:
        return True
    if file.stat().st_size > _LARGEST_KEY_BYTES:
        return False
    data = file.read_bytes()
    count = data[0] if data else 0
    if count not in _NUMBERS or (len(data) - 1) % count:
        return False
    width = (len(data) - 1) // count
    primes = [gmpy2.mpz.from_bytes(data[1 + at * width : 1 + (at + 1) * width], "big") for at in (0, 1)]
    return all(prime.bit_length() >= _SMALLEST_PRIME_BITS and gmpy2.is_prime(prime) for prime in primes)
