"""The job's keys at work on the cores that this party gives to it."""

from __future__ import annotations

import contextlib
import threading

from gmpy2 import mpz

from privacy.mask_pool import MaskPool, uniform_masks
from privacy.paillier import PublicKey
from privacy.paillier_secret import SecretKey
from privacy.parallel import Workers


class ParallelDecryptor:
    """The secret key as a role sees it, on the cores that this party gives to a job.

    Masks for the next list to encrypt are made while the role waits for others. Close it: no thread, and no process
    of this machine that remembers the key, stays.
    """

    def __init__(self, key: SecretKey, workers: Workers) -> None:
        self._key, self._workers = key, workers
        self._pool = key.mask_pool(workers)
        self._lists = 0
        self.decrypted = 0
        """Ciphertexts opened so far, for the log."""
        self._starting: threading.Thread | None = None

    def start_workers(self) -> ParallelDecryptor:
        """Let the other cores get ready in the background, where there are any. Returns itself."""
        if self._workers.available > 1:
            self._starting = threading.Thread(target=self._start_workers, name="start-workers")
            self._starting.start()
        return self

    def _start_workers(self) -> None:
        # A failure shows again, and is reported, when the first long list needs them.
        with contextlib.suppress(Exception):
            self._key.start(self._workers)

    def expect(self, lists: int) -> ParallelDecryptor:
        """Prepare for so many lists to encrypt, each about as long as the one before. Returns itself."""
        self._lists = lists
        return self

    def encrypt(self, plaintexts: list[int]) -> list[mpz]:
        ciphertexts = self._pool.encrypt(plaintexts)
        self._lists -= 1
        if self._lists > 0:
            self._pool.refill(len(plaintexts))
        return ciphertexts

    def decrypt(self, ciphertexts: list[mpz]) -> list[int]:
        self.decrypted += len(ciphertexts)
        return self._key.decrypt(ciphertexts, self._workers)

    def close(self) -> None:
        self._pool.close()
        if self._starting is not None:
            self._starting.join()
        self._workers.release()


class PooledZeros:
    """Encryptions of zero under a partner's key, made while this party waits (`federation.roles.ZeroSource`)."""

    def __init__(self) -> None:
        self._pool: MaskPool | None = None

    def zeros(self, key: PublicKey, count: int) -> list[mpz]:
        if self._pool is None:
            self._pool = MaskPool(uniform_masks(key))
        if self._pool.key != key:
            return key.encrypt_uniformly([0] * count)
        zeros = self._pool.encrypt([0] * count)
        self._pool.refill(2 * count)  # the next level of a tree has up to twice as many nodes
        return zeros

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()
