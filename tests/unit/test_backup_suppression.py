"""Tombstones: who was deleted stays away from new extracts and old consents, and may come back by an own word."""

import pickle
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from clients.backup.suppression import LONGEST_BACKUP_DAYS, Suppression
from clients.consents.importing import import_consents
from clients.consents.store import ConsentStore
from clients.consents.tables import Source
from clients.tables.specs import ConsentSpec, TableSpec
from clients.vault import Vault
from privacy.consent import Answer, Need, Statement
from privacy.identifiers import IdentifierKind

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
LABEL = "phone/plain"


def ids(*numbers):
    return np.array([f"1390000{number:04d}" for number in numbers], "S11")


def yes(notice="n1"):
    return Statement(purpose="marketing", granted=True, notice=notice)


@pytest.fixture
def vault(tmp_path):
    made = Vault.create(tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(vault):
    return ConsentStore(vault)


def suppress(store, tokens, at=NOW):
    return store.suppress(store.suppression.of(tokens), at)


def test_whoever_was_deleted_is_restricted(store):
    tokens = store.tokens(LABEL, ids(1, 2, 3, 2))
    suppress(store, tokens[1:2])
    assert store.restricted(tokens, LATER).tolist() == [False, True, False, True]


def test_a_tombstone_ends_with_the_longest_life_of_a_backup(store):
    tokens = store.tokens(LABEL, ids(1))
    suppress(store, tokens)
    end = NOW + timedelta(days=LONGEST_BACKUP_DAYS)
    assert store.restricted(tokens, end - timedelta(seconds=1)).all()
    assert not store.restricted(tokens, end).any()
    assert store.suppression.remove_expired(end - timedelta(seconds=1)) == 0
    assert store.suppression.remove_expired(end) == 1


def test_the_clock_tells_everybody_of_a_deletion(store):
    before = store.version
    tokens = store.tokens(LABEL, ids(1))
    assert suppress(store, tokens) == before + 1 == store.version
    assert store.changed_since(before) is None


def test_a_yes_that_is_given_here_lifts_it(store):
    tokens = store.tokens(LABEL, ids(1, 2))
    suppress(store, tokens)
    store.record(LABEL, ids(1), yes(), Source.API, LATER)
    assert store.restricted(tokens, LATER).tolist() == [False, True]
    store.record(LABEL, ids(2), Statement(purpose="marketing", granted=False), Source.API, LATER)
    assert store.restricted(tokens, LATER).tolist() == [False, True]


def test_deleting_again_gives_it_a_new_time(store):
    tokens = store.tokens(LABEL, ids(1))
    suppress(store, tokens)
    suppress(store, tokens, LATER)
    assert store.suppression.since(tokens, LATER).tolist() == [int(LATER.timestamp()) * 10**6]


@pytest.mark.parametrize(
    ("stated", "expected"), [("", Answer.NEVER), ("2026-04-30", Answer.NEVER), ("2026-05-03", Answer.YES)]
)
def test_an_import_brings_back_nobody_with_old_words(tmp_path, store, stated, expected):
    file = tmp_path / "consents.csv"
    file.write_text(f"phone,purpose,status,at\n13900000001,marketing,granted,{stated}\n")
    consents = ConsentSpec(path=str(file), id_column="phone", notice="n1", stated_column="at")
    spec = TableSpec(path="t.csv", id_column="phone", id_kind=IdentifierKind.PHONE, consents=consents)
    tokens = store.tokens(LABEL, ids(1))
    suppress(store, tokens)
    at = NOW + timedelta(days=3)
    import_consents(store, spec, at)
    assert store.answers(tokens, Need("marketing"), ("n1",), at).tolist() == [expected]
    assert store.known(tokens).all() == (expected is Answer.YES)
    assert store.restricted(tokens, at).all(), "only a word that is given here lifts a tombstone"


def test_a_tombstone_is_not_linked_to_the_consent_store(vault, store):
    tokens = store.tokens(LABEL, ids(1))
    stones = store.suppression.of(tokens)
    assert not (stones == tokens).any()
    assert (Suppression(vault).of(tokens) == stones).all(), "the same after a restart"
    shared = store.suppression.of_shared("00" * 16, np.zeros((1, 16), np.uint8))
    assert not (shared == store.suppression.of_shared("01" * 16, np.zeros((1, 16), np.uint8))).all()


def test_it_shows_no_key(store):
    assert repr(store.suppression) == "Suppression(...)"
    with pytest.raises(TypeError):
        pickle.dumps(store.suppression)


def test_a_million_rows_are_looked_up_within_a_second(store):
    """Of processor time, which others on this machine do not lengthen; measured: 0.3 s."""
    draws = np.random.default_rng(1)
    tokens = draws.integers(0, 2**63, (1_000_000, 2), np.uint64)
    suppress(store, tokens[:10_000])
    began = time.process_time()
    found = store.suppression.stand(tokens, LATER)
    assert time.process_time() - began < 1.0
    assert found[:10_000].all()
    assert int(found.sum()) == 10_000
