"""The mask pool: right answers, each mask once, nothing blocks, nothing is left running."""

from __future__ import annotations

import copy
import os
import pickle
import threading
from collections.abc import Sequence

import psutil
import pytest
from background import pool_threads, wait_until
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy import mask_pool
from privacy.errors import PackingOverflow
from privacy.mask_pool import MASKS_PER_CALL, MaskPool, MaskSource, public_masks, uniform_masks
from privacy.paillier_secret import SecretKey
from privacy.parallel import Workers

words = st.integers(-(2**64), 2**64)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate(512, testing_only=True)


def filled(pool: MaskPool, count: int) -> MaskPool:
    pool.refill(count)
    wait_until(lambda: len(pool) >= count)
    return pool


def loky_processes() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "popen_loky" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("kind", ["owner", "alpha", "public"])
@given(values=st.lists(words, max_size=12), ready=st.integers(0, 8))
@settings(max_examples=15, deadline=None)
def test_what_the_pool_encrypts_is_decrypted(kind: str, values: list[int], ready: int) -> None:
    key = KEYS[kind]
    pool = MaskPool(public_masks(key.public)) if kind == "public" else key.mask_pool()
    with filled(pool, ready):
        ciphertexts = pool.encrypt(values)
        assert key.decrypt(ciphertexts) == values
        assert len(pool) == max(0, ready - len(values))
        assert len(set(ciphertexts)) == len(ciphertexts)


KEYS = {
    "owner": SecretKey.generate(512, testing_only=True),
    "alpha": SecretKey.generate(512, alpha=True, testing_only=True),
    "public": SecretKey.generate(512, testing_only=True),
}


class Counting:
    """A source that numbers its masks; `limit` of them, then it fails."""

    def __init__(self, key: SecretKey, limit: int = 10**9) -> None:
        self.made: list[mpz] = []
        self.direct = 0
        self.limit = limit
        self.key = key
        self.gate = threading.Event()
        self.gate.set()

    def source(self) -> MaskSource:
        return MaskSource(self.key.public, self.encrypt, _never, (), 10**9, 10**9)

    def encrypt(self, plaintexts: Sequence[int]) -> list[mpz]:
        if threading.current_thread().name != "mask-pool":
            self.direct += len(plaintexts)
            return self.key.encrypt(plaintexts)
        self.gate.wait(30)
        if len(self.made) >= self.limit:
            raise RuntimeError("a worker has ended")
        masks = self.key.encrypt(plaintexts)
        self.made += masks
        return masks


def _never(count: int) -> list[mpz]:
    raise AssertionError("no processes were asked for")


def test_each_mask_is_used_once_by_many_threads(key: SecretKey) -> None:
    counting = Counting(key)
    encrypted: list[list[mpz]] = []
    with MaskPool(counting.source()) as pool:
        filled(pool, 300)

        def work() -> None:
            for _ in range(20):
                encrypted.append(pool.encrypt([0] * 7))
                pool.refill(60)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [int(c) for ciphertexts in encrypted for c in ciphertexts]
        assert len(taken) == len(set(taken)) == 4 * 20 * 7
        from_pool = set(taken) & {int(mask) for mask in counting.made}
        # Encryptions of 0 show their mask: those of the pool, and as many others as were encrypted directly.
        assert len(from_pool) + counting.direct == len(taken)
        assert len(from_pool) >= 300


def test_encryption_does_not_wait_for_the_background(key: SecretKey) -> None:
    counting = Counting(key)
    counting.gate.clear()
    pool = MaskPool(counting.source())
    pool.refill(10)
    wait_until(lambda: bool(pool_threads()))
    assert key.decrypt(pool.encrypt([1, 2, 3])) == [1, 2, 3]
    assert counting.direct == 3
    counting.gate.set()
    pool.close()
    assert not pool_threads()


def test_a_refill_ends_with_the_next_encryption(key: SecretKey) -> None:
    counting = Counting(key)
    with MaskPool(counting.source()) as pool:
        filled(pool, 4)
        pool.encrypt([0])
        wait_until(lambda: not pool_threads())
        assert len(counting.made) == 4
        assert len(pool) == 3


def test_memory_is_bounded(key: SecretKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_pool, "POOL_LIMIT", 40)
    counting = Counting(key)
    with MaskPool(counting.source()) as pool:
        pool.refill(10**12)
        wait_until(lambda: not pool_threads())
        assert len(pool) == len(counting.made) == 40


def test_a_failure_in_the_background_is_kept_and_stops_nobody(key: SecretKey) -> None:
    counting = Counting(key, limit=MASKS_PER_CALL)
    with MaskPool(counting.source()) as pool:
        pool.refill(3 * MASKS_PER_CALL)
        wait_until(lambda: pool.failure is not None)
        assert str(pool.failure) == "a worker has ended"
        values = list(range(MASKS_PER_CALL + 5))
        assert key.decrypt(pool.encrypt(values)) == values
        pool.refill(100)
        assert not pool_threads()


def test_a_closed_pool_encrypts_directly_and_makes_nothing(key: SecretKey) -> None:
    counting = Counting(key)
    with filled(MaskPool(counting.source()), 5) as pool:
        pass
    pool.refill(10)
    assert len(pool) == 0
    assert key.decrypt(pool.encrypt([7])) == [7]
    assert counting.direct == 1
    assert not pool_threads()
    pool.close()


def test_plaintexts_out_of_range_cost_no_mask(key: SecretKey) -> None:
    with filled(key.mask_pool(), 3) as pool:
        with pytest.raises(PackingOverflow):
            pool.encrypt([0, key.public.max_plaintext + 1])
        assert len(pool) == 3


def test_masks_are_not_copied(key: SecretKey) -> None:
    with key.mask_pool() as pool:
        for copier in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="not pickled"):
                copier(pool)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_gets_no_masks_and_no_lock(key: SecretKey) -> None:
    counting = Counting(key)
    with filled(MaskPool(counting.source()), 4) as pool:
        reading, writing = os.pipe()
        with pool._lock:  # as another thread of the parent may hold it
            child = os.fork()
            if child == 0:
                try:
                    pool.refill(10)
                    own = int(pool.encrypt([0])[0])
                    told = len(pool) == 0 and own not in {int(mask) for mask in counting.made}
                    pool.close()
                    os.write(writing, b"1" if told else b"0")
                finally:
                    os._exit(0)
        os.close(writing)
        assert os.read(reading, 1) == b"1"
        os.close(reading)
        os.waitpid(child, 0)
        assert len(pool) == 4


def test_worker_processes_fill_it_and_end_with_it(key: SecretKey) -> None:
    workers = Workers(n_jobs=2)
    source = key.mask_pool(workers)._source
    count = 5 * MASKS_PER_CALL
    with MaskPool(
        MaskSource(key.public, key.encrypt, source.work, source.arguments, 10, 10), workers
    ) as pool:
        pool.refill(count)
        # This process uses the same workers meanwhile, as a label holder that decrypts does.
        ciphertexts = key.encrypt(list(range(40)))
        assert workers.map(_decrypted, [(key.to_bytes(), ciphertexts)] * 4) == [list(range(40))] * 4
        wait_until(lambda: len(pool) >= count)
        assert pool.failure is None
        assert loky_processes()
        values = list(range(count))
        assert key.decrypt(pool.encrypt(values)) == values
    assert not pool_threads()
    workers.release()
    wait_until(lambda: not loky_processes())


def _decrypted(key: bytes, ciphertexts: list[mpz]) -> list[int]:
    return SecretKey.from_bytes(key).decrypt(ciphertexts)


def test_masks_for_rerandomising_hide_and_keep_the_plaintext(key: SecretKey) -> None:
    public = key.public
    with MaskPool(uniform_masks(public)) as pool:
        assert pool.key == public
        filled(pool, 3)
        zeros = pool.encrypt([0] * 5)  # three from the pool, two made now
    assert len(set(zeros)) == 5
    assert key.decrypt(zeros) == [0] * 5
    ciphertexts = key.encrypt([1, -2, 3, 0, 5])
    again = public.rerandomize(ciphertexts, zeros)
    assert key.decrypt(again) == [1, -2, 3, 0, 5]
    assert not set(again) & set(ciphertexts)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        public.rerandomize(ciphertexts, zeros[:4])
