"""The label holder's key in a session: masks for the next list are ready in time, and everything ends with it."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from background import pool_threads, wait_until
from gate_scene import admit, home_of, job_for

import privacy.mask_pool
import privacy.paillier_secret
from clients.context import PAILLIER_RECORD, StageContext, forget_keys
from clients.cores import ParallelDecryptor, PooledZeros
from clients.gate.gate import Gate
from clients.home import NodeHome
from clients.tables import TableSpec
from federation.roles import Decryptor
from privacy.errors import CohortTooSmall
from privacy.identifiers import IdentifierKind
from privacy.paillier_secret import SecretKey
from privacy.parallel import ALONE, Workers


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return SecretKey.generate(512, testing_only=True)


def test_masks_wait_for_every_list_but_the_first_and_none_after_the_last(key: SecretKey) -> None:
    keeper = ParallelDecryptor(key, ALONE).expect(3)
    decryptor: Decryptor = keeper
    pool = keeper._pool
    ready = []
    for values in ([1, -2, 3, 0], [4, 5], [6, 7, 8]):
        ready.append(len(pool))
        assert decryptor.decrypt(decryptor.encrypt(values)) == values
        wait_until(lambda: not pool_threads())
    # As many as the list before had; what the second list left counts.
    assert ready == [0, 4, 2]
    assert len(pool) == 0
    keeper.close()


def test_without_expectations_nothing_works_in_the_background(key: SecretKey) -> None:
    keeper = ParallelDecryptor(key, ALONE)
    assert keeper.decrypt(keeper.encrypt([1, 2])) == [1, 2]
    assert not pool_threads()
    assert len(keeper._pool) == 0
    keeper.close()


def test_worker_processes_give_the_same(key: SecretKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy.paillier_secret, "ENCRYPTIONS_PER_PROCESS", 4)
    monkeypatch.setattr(privacy.paillier_secret, "ENCRYPTIONS_PER_STARTED", 4)
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_PROCESS", 4)
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_STARTED", 4)
    monkeypatch.setattr(privacy.mask_pool, "MASKS_PER_CALL", 3)
    keeper = ParallelDecryptor(key, Workers(2)).expect(2)
    values = list(range(-10, 10))
    for _ in range(2):
        assert keeper.decrypt(keeper.encrypt(values)) == values
    keeper.close()
    assert keeper._pool.failure is None
    assert not pool_threads()


@pytest.mark.parametrize("alpha_keys", [False, True])
def test_the_job_says_which_kind_of_key_and_the_session_ends_it(tmp_path: Path, alpha_keys: bool) -> None:
    table = TableSpec(
        path=str(tmp_path / "none.csv"), id_column="phone", id_kind=IdentifierKind.PHONE, fields=()
    )
    home = home_of(tmp_path / "bank", table)
    home.write_settings(msgspec.structs.replace(home.settings, n_jobs=1))
    home = NodeHome.open(home.folder)
    job = job_for("bank", (), alpha_keys=alpha_keys)
    admit(home, job)
    context = StageContext(home, job, "0" * 32, Gate(home, job, "0" * 32))
    context.close()  # before there is anything to close
    for few in (0, context.k_min - 1):
        context.kept.match(np.arange(few), np.zeros((few, 0), np.uint8))
        with pytest.raises(
            CohortTooSmall
        ) as caught:  # nothing is opened about so few people, and no key is made
            _ = context.decryptor
        assert caught.value.key == "key_cohort_small"
    assert not home.vault.names("job/")
    context.kept.match(np.arange(context.k_min), np.zeros((context.k_min, 0), np.uint8))
    assert context.decrypted == 0
    decryptor = context.decryptor.expect(2)
    assert context.decryptor is decryptor
    assert context.key.is_alpha is alpha_keys
    assert (context.key.public.generator is not None) is alpha_keys
    stored = [name for name in home.vault.names("job/") if name.endswith(PAILLIER_RECORD)]
    assert SecretKey.from_bytes(home.vault.get(stored[0]) or b"").is_alpha is alpha_keys
    assert context.workers == Workers(1)
    ciphertexts = decryptor.encrypt([1, 2, 3])
    wait_until(lambda: len(decryptor._pool) == 3)
    assert decryptor.decrypt(ciphertexts) == [1, 2, 3]
    assert context.decrypted == 3
    context.close()
    assert len(decryptor._pool) == 0
    assert not pool_threads()
    forget_keys(home)
    assert not [name for name in home.vault.names("job/") if name.endswith(PAILLIER_RECORD)]
    home.vault.close()


def test_zeros_from_the_pool_are_fresh_zeros_and_the_pool_ends(key: SecretKey) -> None:
    zeros = PooledZeros()
    found = [zero for _ in range(3) for zero in zeros.zeros(key.public, 7)]
    assert len(set(found)) == 21
    assert key.decrypt(found) == [0] * 21
    other = SecretKey.generate(512, testing_only=True)
    assert other.decrypt(zeros.zeros(other.public, 2)) == [0, 0]
    zeros.close()
    assert not pool_threads()
    PooledZeros().close()


def test_processes_get_ready_in_the_background_and_end(key: SecretKey) -> None:
    workers = Workers(2)
    decryptor = ParallelDecryptor(key, workers)
    assert decryptor.start_workers() is decryptor
    wait_until(lambda: workers.started)
    assert decryptor.decrypt(decryptor.encrypt([1, -2, 3])) == [1, -2, 3]
    decryptor.close()
    assert not workers.started
    assert not [thread for thread in threading.enumerate() if thread.name == "start-workers"]
    alone = ParallelDecryptor(key, ALONE).start_workers()
    assert alone.decrypt(alone.encrypt([4])) == [4]
    alone.close()
