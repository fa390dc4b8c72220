"""A pool of random masks, made in the background while a party waits for others.

A mask is an encryption of 0, r^n mod n^2. Made beforehand it turns an encryption into one product:
c = (1 + nm) r^n mod n^2, for the key owner and for everybody else. A mask is used at most once and never leaves
the process whose pool it is in: two ciphertexts under one mask show the difference of their plaintexts.

How it works. `refill(count)` returns at once; a thread then makes masks until `count` are there, and ends. Large
refills are worked out by `Workers`, so that the thread only waits and the party's own work is not held up; where
processes would not pay (or only one is allowed) the thread works itself, in turn with the party's own. `encrypt`
never waits for it: it takes the masks that are there, ends the refill, and encrypts the rest as it would without
a pool.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from gmpy2 import mpz

from privacy.paillier import PublicKey
from privacy.parallel import ALONE, Workers

POOL_LIMIT: Final = 1 << 18
"""Most masks in a pool: about 150 MB at 2048 bits."""

MASKS_PER_CALL: Final = 256
"""Masks that a worker makes before it looks for other work: about 0.1 s at 2048 bits."""

CALLS_PER_ROUND: Final = 4
"""Calls that each worker gets at once: joblib spends some milliseconds on a round. `close` waits for a round."""

PUBLIC_PAYS_FROM: Final = 10_000
"""Fewest masks by the public key alone for which starting processes pays (about 3 s)."""

PUBLIC_PAYS_STARTED_FROM: Final = 1_000
"""And for which processes pay that have been started: each builds a table of its own, about 0.5 s."""


@dataclass(frozen=True, slots=True, repr=False)
class MaskSource:
    """Who makes the masks.

    encrypt: how to encrypt in this process, for what the pool lacks. work(*arguments, count): `count` masks, in
    any process. pays_from: fewest masks for which starting processes pays; pays_started_from: for which those pay
    that have been started.
    """

    key: PublicKey
    encrypt: Callable[[Sequence[int]], list[mpz]]
    work: Callable[..., list[mpz]]
    arguments: tuple[Any, ...]
    pays_from: int
    pays_started_from: int

    def __repr__(self) -> str:
        return f"MaskSource({self.key})"  # the arguments may be a secret key


class MaskPool:
    """Thread-safe. Close it, or use it as a context: no thread outlives that.

    failure: what ended the background work, if something did; encryption goes on without it.
    """

    def __init__(self, source: MaskSource, workers: Workers = ALONE) -> None:
        self.failure: Exception | None = None
        self._source, self._workers = source, workers
        self._masks: list[mpz] = []
        self._wanted = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._process = os.getpid()

    @property
    def key(self) -> PublicKey:
        """Whose masks these are."""
        return self._source.key

    def __len__(self) -> int:
        """Masks that are ready."""
        return len(self._masks) if self._is_ours else 0

    def __reduce__(self) -> NoReturn:
        raise TypeError("a mask pool is not pickled or copied: its masks must not be used twice")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _is_ours(self) -> bool:
        # A fork copies masks, and perhaps a lock that nobody will release: the child must use neither.
        return os.getpid() == self._process

    def refill(self, count: int) -> None:
        """Make masks in the background until `count` are ready (at most `POOL_LIMIT`), or until `encrypt`."""
        if not self._is_ours:
            return
        with self._lock:
            if self._closed or self.failure is not None:
                return
            self._wanted = min(count, POOL_LIMIT)
            if self._thread is None and len(self._masks) < self._wanted:
                self._thread = threading.Thread(target=self._fill, name="mask-pool", daemon=True)
                self._thread.start()

    def encrypt(self, plaintexts: Sequence[int]) -> list[mpz]:
        """Encrypt signed integers, one mask each, and directly those for which there is none.

        Raises `PackingOverflow` when some |m| > `max_plaintext`.
        """
        values = self._source.key.checked(plaintexts)
        masks = self._take(len(values))
        n, n_squared = self._source.key.n, self._source.key.n_squared
        ciphertexts = [(1 + n * m) * mask % n_squared for m, mask in zip(values, masks, strict=False)]
        if len(masks) < len(values):
            ciphertexts += self._source.encrypt([int(m) for m in values[len(masks) :]])
        return ciphertexts

    def close(self) -> None:
        """Forget all masks and wait until the thread has ended: about half a second at most at 2048 bits.

        Later calls of `encrypt` work without the pool.
        """
        if not self._is_ours:
            return
        with self._lock:
            self._closed, self._wanted = True, 0
            self._masks = []
            thread = self._thread
        if thread is not None:
            thread.join()

    def _take(self, count: int) -> list[mpz]:
        """Up to `count` masks, which leave the pool for good."""
        if not self._is_ours:
            return []
        with self._lock:
            self._wanted = 0
            start = max(0, len(self._masks) - count)
            taken = self._masks[start:]
            del self._masks[start:]
            return taken

    def _fill(self) -> None:
        """The thread: rounds of masks until enough are there or nobody wants them any more."""
        try:
            while self._round():
                pass
        except Exception as problem:  # whatever a worker, or the end of one, raises
            with self._lock:
                self.failure, self._thread = problem, None

    def _round(self) -> bool:
        """Make some masks; False when there is nothing left to do (a later refill needs a new thread)."""
        with self._lock:
            wanted = self._wanted
            missing = wanted - len(self._masks)
            if missing <= 0:
                self._thread = None
                return False
        source, started = self._source, self._workers.started
        pays = wanted >= (source.pays_started_from if started else source.pays_from)
        processes = self._workers.available if pays else 1
        if processes == 1:
            masks = self._source.encrypt([0] * min(missing, MASKS_PER_CALL))
        else:
            n_calls = min(processes * CALLS_PER_ROUND, -(-missing // MASKS_PER_CALL))
            calls = [(*self._source.arguments, MASKS_PER_CALL)] * n_calls
            masks = [mask for part in self._workers.map(self._source.work, calls) for mask in part]
        with self._lock:
            if not self._closed:
                self._masks += masks
        return True


def public_masks(key: PublicKey) -> MaskSource:
    """Masks for those who have the public key only."""
    return _public_source(key, key.encrypt, _masks_by)


def uniform_masks(key: PublicKey) -> MaskSource:
    """Masks for `PublicKey.rerandomize`."""
    return _public_source(key, key.encrypt_uniformly, _uniform_masks_by)


def _public_source(
    key: PublicKey, encrypt: Callable[[Sequence[int]], list[mpz]], work: Callable[..., list[mpz]]
) -> MaskSource:
    arguments = int(key.n), None if key.generator is None else int(key.generator)
    return MaskSource(key, encrypt, work, arguments, PUBLIC_PAYS_FROM, PUBLIC_PAYS_STARTED_FROM)


# One key per worker process, so that its table is built once per process and not once per call.
_worker_key = lru_cache(maxsize=2)(PublicKey)


def _masks_by(n: int, generator: int | None, count: int) -> list[mpz]:
    return _worker_key(n, generator).encrypt([0] * count)


def _uniform_masks_by(n: int, generator: int | None, count: int) -> list[mpz]:
    return _worker_key(n, generator).encrypt_uniformly([0] * count)
