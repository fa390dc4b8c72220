"""What a benchmark is: a named piece of work that ends in rows, and what several of them share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

from gmpy2 import mpz

from benchmarks.measure import Contestant, measure, nothing
from benchmarks.peers import HEU_NAMES, Heu, if_installed
from benchmarks.results import MICROSECONDS_UNIT, Row
from benchmarks.settings import Settings
from privacy.mask_pool import MaskPool
from privacy.paillier import PublicKey
from privacy.paillier_secret import SecretKey
from privacy.parameters import MINIMUM_KEY_BITS
from privacy.random_powers import TABLE_PAYS_FROM

SEED: Final = 7
OU_NOTE: Final = (
    "OU is not like for like: HEU gives it a 110-bit nonce at 2048 bit, and an overflow reveals the key"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work. group: what `--only` selects; name: what the progress bar shows."""

    group: str
    name: str
    run: Callable[[Settings], list[Row]]


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of a table: which contestant against which peer, and the ratio that must be reached."""

    name: str
    ours: str
    peer: str
    must_reach: float | None = None
    notes: tuple[str, ...] = ()


def rows_of(claims: Iterable[Claim], times: Mapping[str, float], unit: str = MICROSECONDS_UNIT) -> list[Row]:
    """The rows of the claims, from the times of the contestants. A peer without a time is not installed."""
    return [
        Row(
            name=claim.name,
            unit=unit,
            ours=times[claim.ours],
            peer=times.get(claim.peer),
            peer_name=claim.peer,
            must_reach=claim.must_reach,
            notes=claim.notes,
        )
        for claim in claims
    ]


class WrongResult(Exception):
    """An implementation, named, computed something else than the rest: its time would mean nothing."""


def itself(result: Any) -> Any:
    return result


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do a task.

    run: what is timed; read: what turns its result into numbers, untimed (decryption, mostly); expected: these
    numbers; operations: what one turn counts; prepare: see `Contestant`.
    """

    run: Callable[[], Any]
    expected: Sequence[int]
    operations: int
    read: Callable[[Any], Sequence[int]] = itself
    prepare: Callable[[], object] = nothing


def race(ways: Mapping[str, Way], repetitions: int) -> dict[str, float]:
    """Time all ways and check the answer of each: microseconds per operation, by name. Raises `WrongResult`."""
    answers: dict[str, Any] = {}

    def run(name: str, way: Way) -> Any:
        return answers.setdefault(name, way.run())

    contestants = [
        Contestant(name, partial(run, name, way), way.operations, way.prepare) for name, way in ways.items()
    ]
    times = measure(contestants, repetitions)
    for name, way in ways.items():
        if list(way.read(answers.pop(name))) != list(way.expected):
            raise WrongResult(name)
    return times


@lru_cache(maxsize=4)
def key_of(key_bits: int, *, alpha: bool = False) -> SecretKey:
    """One key of each kind and size for the whole run. Keys below the minimum are for the benchmarks' own tests."""
    return SecretKey.generate(key_bits, alpha=alpha, testing_only=key_bits < MINIMUM_KEY_BITS)


def partner_of(owner: SecretKey) -> PublicKey:
    """The partner's key object, with its table of masks: it is built once per key, not per tree."""
    sent = owner.public
    partner = PublicKey.from_bytes(
        sent.to_bytes(), sent.bits, sent.generator_bytes(), alpha_keys=owner.is_alpha
    )
    partner.rerandomize([mpz(1)] * TABLE_PAYS_FROM)
    return partner


def quick_ciphertexts(key: PublicKey, values: Sequence[int]) -> list[mpz]:
    """Encryptions to compute with: valid, and as long as any, but their masks are powers of one. For timing alone."""
    step = key.rerandomize([mpz(1)])[0]
    mask, found = step, []
    for value in values:
        found.append(mask * (1 + key.n * value) % key.n_squared)
        mask = mask * step % key.n_squared
    return found


@lru_cache(maxsize=1)
def heu_peers(key_bits: int) -> tuple[Heu, ...]:
    """HEU under each of its schemas; none where it is not installed."""
    found = [if_installed(partial(Heu, schema, key_bits)) for schema in HEU_NAMES]
    return tuple(peer for peer in found if peer is not None)


def fill(pool: MaskPool, count: int) -> None:
    """Wait until the pool holds `count` masks. Its thread's CPU time is this process's."""
    pool.refill(count)
    while len(pool) < count:
        if pool.failure is not None:
            raise pool.failure
        time.sleep(0.01)
