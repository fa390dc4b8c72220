"""Boosting with a partner that works in two processes sends the same sums, and gives the same model."""

import random

import numpy as np
import pytest

from federation import boosting, encrypted_column, group_by, pair_layout, wire
from federation.boosting import BoostingOptions
from federation.boosting_messages import CandidateSums
from federation.roles import Parties, Rehearsal, View
from privacy.paillier_secret import SecretKey
from privacy.parallel import ALONE, Workers

OPTIONS = BoostingOptions(trees=2, depth=3, bins=8, node_bins=8, min_child_rows=8, k_min=5)
PARTIES = Parties("bank", ("shop",))


def train(secret, workers):
    """(L's trees, the partner's splits, the decrypted sums that crossed)."""
    rng = np.random.default_rng(3)
    values = np.round(rng.normal(size=(200, 5)), 1)
    values[:, 4] = values[:, 3]
    label = (values[:, 2] + values[:, 0] + rng.normal(size=200) > 0).astype(np.int8)
    bank, shop = View(("a", "b"), values[:, :2]), View(("c", "d", "e"), values[:, 2:])
    roles = {
        "bank": boosting.LabelHolder(
            PARTIES, bank, label, np.arange(200), OPTIONS, decryptor=secret, public_key=secret.public
        ),
        "shop": boosting.FeatureHolder(PARTIES, shop, OPTIONS, 512, random.Random(5), workers=workers),
    }
    rehearsal = Rehearsal(roles, lambda message: wire.decode(wire.encode(message)))
    models = rehearsal.run()
    sums = [
        secret.decrypt(secret.public.load(sent.sums, len(sent.sums) // secret.public.ciphertext_bytes))
        for sent in (entry[-1] for entry in rehearsal.transcript)
        if isinstance(sent, CandidateSums)
    ]
    return models["bank"].trees, models["shop"].splits, sums


@pytest.fixture(scope="module")
def secret():
    return SecretKey.generate(512, testing_only=True)


def test_two_processes_train_the_same_model(secret, monkeypatch):
    expected = train(secret, ALONE)
    monkeypatch.setattr(group_by, "PRODUCTS_PER_PROCESS", 1)
    monkeypatch.setattr(encrypted_column, "ROWS_PER_PROCESS", 50)
    monkeypatch.setattr(pair_layout, "PACKED_PER_PROCESS", 1)
    shared, in_order = [], Workers.map
    monkeypatch.setattr(
        Workers, "map", lambda self, work, calls: shared.append(work) or in_order(self, work, calls)
    )
    assert train(secret, Workers(n_jobs=2)) == expected
    assert {work.__name__ for work in shared} == {"_load_packed", "_sum_packed", "shift_pack"}
    assert expected[1]
    assert len(expected[2]) >= 2
