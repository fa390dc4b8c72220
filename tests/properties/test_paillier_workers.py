"""The same call gives the same result in this process, in worker processes, and on a cluster."""

from __future__ import annotations

from collections.abc import Iterator

import distributed
import numpy as np
import pytest
from gmpy2 import mpz

import privacy.paillier_secret
import privacy.weighted_sums
from privacy.errors import CiphertextInvalid, ConfigInvalid
from privacy.paillier import to_half_form
from privacy.paillier_secret import SecretKey
from privacy.parallel import ALONE, Workers
from privacy.texts import LANGUAGES
from privacy.weighted_sums import weighted_sums

KEYS = [SecretKey.generate(512, alpha=alpha, testing_only=True) for alpha in (False, True)]


@pytest.fixture(autouse=True)
def low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy.paillier_secret, "ENCRYPTIONS_PER_PROCESS", 2)
    monkeypatch.setattr(privacy.paillier_secret, "ENCRYPTIONS_PER_STARTED", 2)
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_PROCESS", 2)
    monkeypatch.setattr(privacy.paillier_secret, "DECRYPTIONS_PER_STARTED", 2)
    monkeypatch.setattr(privacy.weighted_sums, "TERMS_PER_PROCESS", 20)


@pytest.fixture
def dask_cluster() -> Iterator[distributed.Client]:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["loky", "dask"])
def workers(request: pytest.FixtureRequest) -> Iterator[Workers]:
    if request.param == "dask":
        request.getfixturevalue("dask_cluster")
    chosen = Workers(n_jobs=2, backend=request.param)
    yield chosen
    chosen.release()


VALUES = list(range(-40, 41))
WEIGHTS = np.arange(-81, 81).reshape(2, 81) * 1_001


def the_call(key: SecretKey, column: list[mpz], workers: Workers) -> tuple[list[int], list[mpz]]:
    """Encrypt and decrypt, and sum given ciphertexts, with one setting: what does not depend on chance."""
    ciphertexts = key.encrypt(VALUES, workers)
    assert len(set(ciphertexts)) == len(VALUES)
    sums = weighted_sums(WEIGHTS, *to_half_form(column, key.public), key.public, workers)
    return key.decrypt(ciphertexts, workers), sums


@pytest.mark.timeout(60)
def test_the_same_call_gives_the_same_result_anywhere(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [key.encrypt(VALUES) for key in KEYS]
    expected = [the_call(key, column, ALONE) for key, column in zip(KEYS, columns, strict=True)]
    for key, (decrypted, sums) in zip(KEYS, expected, strict=True):
        assert decrypted == VALUES
        assert key.decrypt(sums) == (WEIGHTS @ np.array(VALUES)).tolist()
    # The parts of this process stay out of it.
    monkeypatch.delattr(privacy.paillier_secret._PrimePart, "decrypt")
    monkeypatch.delattr(privacy.paillier_secret._PrimePart, "mask")
    monkeypatch.delattr(privacy.weighted_sums, "_signed_powers")
    assert [the_call(key, column, workers) for key, column in zip(KEYS, columns, strict=True)] == expected
    # A refusal arrives as what it is.
    with pytest.raises(CiphertextInvalid):
        KEYS[0].decrypt([*columns[0], mpz(0)], workers)


def test_a_process_is_started_only_for_enough_work() -> None:
    assert Workers(8).worth(99, 50) == 1
    assert Workers(8).worth(100, 50) == 2
    assert Workers(2).worth(10**6, 50) == 2
    assert ALONE.worth(10**6, 1) == 1
    assert Workers(0).available >= 1


@pytest.mark.parametrize(
    ("n_jobs", "backend"), [(2, "abacus"), (0, "abacus"), (2, "dask"), (0, "dask"), (-1, "loky")]
)
def test_an_unusable_setting_is_refused_with_its_name(n_jobs: int, backend: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        Workers(n_jobs, backend).map(abs, [(1,)])
    for language in LANGUAGES:
        assert backend in caught.value.render(language)


def test_parts_are_joined_in_order() -> None:
    assert Workers(1).spread(_shifted, (10,), range(7), 3) == [10, 11, 12, 13, 14, 15, 16]
    assert Workers(1).spread(_shifted, (10,), range(2), 5) == [10, 11]


def _shifted(by: int, items: list[int]) -> list[int]:
    return [item + by for item in items]
