"""Scorecard training under alpha-keys, and in two processes, gives the weights of the plaintext fit."""

import pytest
from scorecard_scene import KEY_BITS, Scene, over_the_wire

from federation import encrypted_column, group_by, scorecard_ciphers
from federation.roles import Rehearsal
from federation.scorecard_fit import ScorecardOptions
from privacy.paillier_secret import SecretKey
from privacy.parallel import ALONE, Workers

OPTIONS = ScorecardOptions(degree=3, passes=1, batches=2)


@pytest.fixture(scope="module")
def scene():
    return Scene(seed=12, partners=2, n_rows=112)


@pytest.fixture(scope="module")
def alpha():
    return {name: SecretKey.generate(KEY_BITS, alpha=True, testing_only=True) for name in ("bank", "carrier")}


def train(scene, workers, alpha=None):
    holder = {"workers": workers}
    last = {"workers": workers}
    if alpha:
        secret = alpha["bank"]
        holder |= {"alpha_keys": True, "decryptor": secret, "public_key": secret.public}
        last |= {"own_key": lambda: (alpha["carrier"], alpha["carrier"].public)}
    roles = {
        "bank": scene.label_holder(OPTIONS, **holder),
        "shop": scene.feature_holder("shop", OPTIONS, alpha_keys=bool(alpha), workers=workers),
        "carrier": scene.feature_holder("carrier", OPTIONS, alpha_keys=bool(alpha), **last),
    }
    return Rehearsal(roles, over_the_wire).run()


def check(scene, results):
    for name, expected in zip(scene.parties.all, scene.train_in_the_clear(OPTIONS), strict=True):
        assert results[name].weights == pytest.approx(expected.weights, abs=1e-9)


def test_alpha_keys_train_the_same_weights(scene, alpha):
    check(scene, train(scene, ALONE, alpha))


def test_two_processes_train_the_same_weights(scene, alpha, monkeypatch):
    monkeypatch.setattr(group_by, "PRODUCTS_PER_PROCESS", 1)
    monkeypatch.setattr(encrypted_column, "ROWS_PER_PROCESS", 20)
    monkeypatch.setattr(scorecard_ciphers, "ROWS_PER_PROCESS", 10)
    monkeypatch.setattr(scorecard_ciphers, "PACKED_PER_PROCESS", 1)
    shared, in_order = [], Workers.map
    monkeypatch.setattr(
        Workers, "map", lambda self, work, calls: shared.append(work) or in_order(self, work, calls)
    )
    check(scene, train(scene, Workers(n_jobs=2), alpha))
    assert {work.__name__ for work in shared} == {
        "_load_packed", "_sum_packed", "_shift", "_evaluate", "shift_pack",
    }  # fmt: skip
