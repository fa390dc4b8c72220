"""Keys and commitments of many subjects are made block by block, with the same result."""

from __future__ import annotations

import numpy as np
import pytest

from clients.consents import store, subjects
from clients.consents.store import ConsentStore
from clients.vault import Vault


@pytest.fixture
def consents(tmp_path):
    return ConsentStore(Vault.create(tmp_path))


def test_blocks_do_not_change_what_is_committed_to(consents, monkeypatch):
    tokens = consents.tokens("phone/plain", np.array([f"120{place:08}" for place in range(10)], "S11"))
    monkeypatch.setattr(store, "BLOCK_ROWS", 4)
    monkeypatch.setattr(subjects, "_AT_ONCE", 3)
    in_blocks = consents.commitments(tokens, b"job")
    assert len(np.unique(in_blocks, axis=0)) == 10
    monkeypatch.undo()
    np.testing.assert_array_equal(consents.commitments(tokens, b"job"), in_blocks)


def test_every_block_of_new_subjects_is_a_transaction_of_its_own(consents, monkeypatch):
    sizes = []
    original = store.add_subjects

    def counted(connection, tokens):
        sizes.append(len(tokens))
        original(connection, tokens)

    monkeypatch.setattr(store, "BLOCK_ROWS", 4)
    monkeypatch.setattr(store, "add_subjects", counted)
    tokens = consents.tokens("phone/plain", np.array([f"120{place:08}" for place in range(10)], "S11"))
    consents.openings(tokens)
    consents.openings(tokens)
    assert sizes == [4, 4, 2]
