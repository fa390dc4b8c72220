"""The consent store: what holds, what has changed, who is forgotten, and that the file tells nothing about anybody."""

import pickle
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from clients.consents.rows import as_bytes
from clients.consents.store import ConsentStore
from clients.consents.tables import Source
from clients.vault import Vault
from privacy.consent import Answer, ConsentKind, Need, Statement
from privacy.errors import ConfigInvalid, DeadlinePassed

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LABEL = "phone/plain"
MARKETING = Need("marketing")
PROVIDE_B = Need("marketing", ConsentKind.SEPARATE, "provide", "shop")


def ids(*numbers):
    return np.array([f"1390000{number:04d}" for number in numbers], "S11")


def yes(purpose="marketing", notice="n1", **more):
    return Statement(purpose=purpose, granted=True, notice=notice, **more)


def no(purpose="marketing", **more):
    return Statement(purpose=purpose, granted=False, **more)


@pytest.fixture
def home(tmp_path):
    Vault.create(tmp_path).close()
    return tmp_path


@pytest.fixture
def store(home):
    vault = Vault(home)
    yield ConsentStore(vault)
    vault.close()


def answers(store, people, need=MARKETING, notices=("n1",), at=NOW):
    return [Answer(answer) for answer in store.answers(store.tokens(LABEL, people), need, notices, at)]


# --- what holds


def test_nobody_has_agreed_to_anything_at_first(store):
    assert answers(store, ids(1, 2)) == [Answer.NEVER] * 2
    assert store.version == 0
    assert store.people(NOW) == 0
    assert answers(store, ids()) == []


def test_every_answer(store):
    end = NOW + timedelta(days=1)
    store.record(LABEL, ids(1, 2, 3, 4), yes(), Source.CLI, NOW)
    store.record(LABEL, ids(2), no(), Source.API, NOW)
    store.record(LABEL, ids(3), yes(until=end), Source.CLI, NOW)
    store.record(LABEL, ids(4), yes(notice="n0"), Source.CLI, NOW)
    expected = [Answer.YES, Answer.WITHDRAWN, Answer.YES, Answer.STALE, Answer.NEVER]
    assert answers(store, ids(1, 2, 3, 4, 5)) == expected
    assert answers(store, ids(3), at=end - timedelta(microseconds=1)) == [Answer.YES]
    assert answers(store, ids(3), at=end) == [Answer.EXPIRED]
    assert answers(store, ids(4), notices=("n1", "n0")) == [Answer.YES]
    assert answers(store, ids(1, 2, 4), notices=()) == [Answer.STALE, Answer.WITHDRAWN, Answer.STALE]


def test_a_withdrawal_outweighs_an_end_and_a_notice(store):
    store.record(LABEL, ids(1), no(until=NOW - timedelta(days=1), notice="old"), Source.CLI, NOW)
    assert answers(store, ids(1)) == [Answer.WITHDRAWN]


def test_subjects_may_be_asked_for_in_any_order_and_twice(store):
    store.record(LABEL, ids(1, 3, 3), yes(), Source.CLI, NOW)
    asked = ids(3, 2, 1, 3, 2)
    assert answers(store, asked) == [Answer.YES, Answer.NEVER, Answer.YES, Answer.YES, Answer.NEVER]


def test_consents_are_separate_by_purpose_kind_scope_recipient_and_kind_of_identifier(store):
    """Scenario 9: a consent to provide data to one partner says nothing about another."""
    store.record(
        LABEL,
        ids(1),
        yes(kind=ConsentKind.SEPARATE, scope="provide", recipient="shop"),
        Source.CLI,
        NOW,
    )
    assert answers(store, ids(1), PROVIDE_B) == [Answer.YES]
    for other in (
        MARKETING,
        PROVIDE_B._replace(recipient="telecom"),
        PROVIDE_B._replace(scope="crossborder"),
        PROVIDE_B._replace(purpose="credit_risk"),
        Need("marketing", ConsentKind.SEPARATE, "sensitive:health"),
    ):
        assert answers(store, ids(1), other) == [Answer.NEVER]
    other_kind = store.tokens("card/plain", ids(1))
    assert store.answers(other_kind, PROVIDE_B, ("n1",), NOW).tolist() == [Answer.NEVER]


def test_a_changed_notice_makes_consents_stale_until_they_are_given_again(store):
    """Scenario 10."""
    store.record(LABEL, ids(1, 2), yes(), Source.CLI, NOW)
    assert answers(store, ids(1, 2), notices=("n2",)) == [Answer.STALE] * 2
    store.record(LABEL, ids(2), yes(notice="n2"), Source.CLI, NOW)
    assert answers(store, ids(1, 2), notices=("n2",)) == [Answer.STALE, Answer.YES]


def test_a_word_given_here_holds_at_once_even_on_a_clock_that_went_back(store):
    store.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    store.record(LABEL, ids(1), no(), Source.CLI, NOW - timedelta(hours=1))
    assert answers(store, ids(1)) == [Answer.WITHDRAWN]
    store.record(LABEL, ids(1), yes(), Source.API, NOW - timedelta(hours=1))
    assert answers(store, ids(1)) == [Answer.YES]


def test_a_word_with_a_scope_that_its_kind_has_not_is_refused_and_nothing_stored(store):
    with pytest.raises(ConfigInvalid) as caught:
        store.record(LABEL, ids(1), [yes(), yes(scope="provide", recipient="shop")], Source.CLI, NOW)
    assert caught.value.key == "consent_scope"
    assert store.version == 0


def test_many_subjects_are_streamed(store):
    """More than the store looks up one by one: the same answers."""
    people = ids(*range(5_000))
    store.record(LABEL, people[::2], yes(), Source.CLI, NOW)
    store.record(LABEL, people[::10], no(), Source.CLI, NOW)
    found = np.array(answers(store, people))
    assert (found[::10] == Answer.WITHDRAWN).all()
    assert (found[2::10] == Answer.YES).all()
    assert (found[1::2] == Answer.NEVER).all()
    assert store.people(NOW) == 2_000
    assert len(np.unique(store.commitments(store.tokens(LABEL, people), b"c"), axis=0)) == 5_000


# --- restrictions


def test_restrictions_hold_from_a_moment_until_they_are_lifted(store):
    tokens = store.tokens(LABEL, ids(1, 2, 3))
    store.restrict(tokens[:2], "statutory", "AML 34", NOW)
    store.restrict(tokens[1:2], "request", "PIPL 47", NOW)
    assert store.restricted(tokens, NOW).tolist() == [True, True, False]
    assert store.restricted(tokens, NOW - timedelta(seconds=1)).tolist() == [False] * 3
    store.lift(tokens, NOW + timedelta(days=1), "statutory")
    later = NOW + timedelta(days=2)
    assert store.restricted(tokens, later).tolist() == [False, True, False]
    assert store.restricted(tokens, NOW).tolist() == [True, True, False]
    store.lift(tokens, NOW + timedelta(days=1))
    assert not store.restricted(tokens, later).any()
    store.restrict(tokens[:1], "statutory", "AML 34", later)
    assert store.restricted(tokens, later).tolist() == [True, False, False]


# --- what has changed


def test_the_version_grows_with_every_change_and_with_nothing_else(store):
    tokens = store.tokens(LABEL, ids(1, 2, 3))
    seen = [store.version]
    for step in (
        lambda: store.record(LABEL, ids(1), yes(), Source.CLI, NOW),
        lambda: store.record(LABEL, ids(1), yes(), Source.CLI, NOW),
        lambda: store.restrict(tokens[1:2], "request", "PIPL 47", NOW),
        lambda: store.lift(tokens[1:2], NOW),
        lambda: store.forget(tokens[2:]),
    ):
        assert step() == store.version
        seen.append(store.version)
    assert seen == sorted(set(seen))
    store.srefs(tokens, "p", 1)
    answers(store, ids(1, 2))
    assert store.version == seen[-1]


def test_changed_since_names_whom_a_change_concerns(store):
    everybody = store.tokens(LABEL, ids(1, 2, 3))
    start = store.version
    first = store.record(LABEL, ids(2, 1), yes(), Source.CLI, NOW)
    store.restrict(everybody[2:], "request", "PIPL 47", NOW)
    assert {tuple(token) for token in store.changed_since(start)} == {tuple(token) for token in everybody}
    assert store.changed_since(first).tolist() == everybody[2:].tolist()
    assert store.changed_since(store.version).shape == (0, 2)


def test_after_somebody_was_forgotten_everybody_is_to_be_asked_about(store):
    start = store.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    store.forget(store.tokens(LABEL, ids(1)))
    assert store.changed_since(start) is None
    assert store.changed_since(store.version).shape == (0, 2)


def test_another_store_on_the_same_vault_sees_everything(home, store):
    other = ConsentStore(Vault(home))
    store.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    assert other.version == store.version
    assert answers(other, ids(1)) == [Answer.YES]
    other.record(LABEL, ids(1), no(), Source.CLI, NOW)
    assert answers(store, ids(1)) == [Answer.WITHDRAWN]


# --- forgetting


def traces(home, tokens):
    """How many of the tokens any file of the home holds."""
    stored = b"".join(file.read_bytes() for file in home.iterdir())
    return sum(token in stored for token in as_bytes(tokens))


def test_nothing_of_a_forgotten_subject_stays_in_the_file(home, store):
    people = ids(*range(3_000))
    tokens = store.tokens(LABEL, people)
    for purpose in ("a", "b", "c"):
        store.record(LABEL, people, yes(purpose), Source.CLI, NOW)
    store.record(LABEL, people[::3], no("b"), Source.CLI, NOW)
    store.restrict(tokens[:50], "request", "PIPL 47", NOW)
    gone, stays = tokens[::7], np.delete(tokens, np.s_[::7], axis=0)
    assert traces(home, gone) == len(gone), "the test looks at the right files"
    before = store.commitments(gone, b"context")
    store.forget(gone)
    assert traces(home, gone) == 0
    assert traces(home, stays) == len(stays)
    assert store.people(NOW) == len(stays)
    assert set(store.answers(gone, Need("a"), ("n1",), NOW)) == {Answer.NEVER}
    assert not store.restricted(gone, NOW).any()
    # The subject's own key is gone with its salt: whoever comes back is somebody else to every log.
    assert not (store.commitments(gone, b"context") == before).all(axis=1).any()


def test_stale_copies_in_moved_pages_are_found_and_cleared(home, store):
    """SQLite leaves copies of moved rows behind that `secure_delete` does not know of."""
    rng = np.random.default_rng(3)
    people = np.array([f"139{number:08d}" for number in range(20_000)], "S11")
    for _ in range(15):
        part = rng.choice(people, rng.integers(1, 3_000), replace=False)
        store.record(LABEL, part, yes(str(rng.choice(["a", "b"]))), Source.CLI, NOW)
    gone = store.tokens(LABEL, rng.choice(people, 1_500, replace=False))
    store.forget(gone)
    assert traces(home, gone) == 0


def test_forgetting_says_so_when_the_log_cannot_be_cleared(home, store, monkeypatch):
    store.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    monkeypatch.setattr("clients.vault.BUSY_SECONDS", 0.1)
    hasty, reader = ConsentStore(Vault(home)), Vault(home)
    with reader.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT count(*) FROM consent_words").all()
        store.record(LABEL, ids(2), yes(), Source.CLI, NOW)
        with pytest.raises(DeadlinePassed) as caught:
            hasty.forget(store.tokens(LABEL, ids(1)))
    assert caught.value.key == "consent_store_busy"
    assert answers(store, ids(1)) == [Answer.NEVER]
    hasty.forget(store.tokens(LABEL, ids(1)))
    assert traces(home, store.tokens(LABEL, ids(1))) == 0


# --- what others may hold of a subject


def test_srefs_are_stable_within_a_project_and_unlinkable_across(store):
    tokens = store.tokens(LABEL, ids(1, 2, 1))
    first = store.srefs(tokens, "p", 1)
    assert first[0] == first[2] != first[1]
    assert store.srefs(tokens, "p", 1) == first
    assert all(len(sref) == 64 and int(sref, 16) for sref in first)
    others = store.srefs(tokens, "q", 1) + store.srefs(tokens, "p", 2) + store.srefs(tokens, "p\0", 1)
    assert not set(first) & set(others)


def test_commitments_bind_subject_and_context(store):
    tokens = store.tokens(LABEL, ids(1, 2, 1))
    made = store.commitments(tokens, b"round 1")
    assert made.shape == (3, 32)
    assert made[0].tolist() == made[2].tolist() != made[1].tolist()
    assert store.commitments(tokens, b"round 1").tolist() == made.tolist()
    assert not (store.commitments(tokens, b"round 2") == made).all(axis=1).any()
    keys = store.openings(tokens)
    assert keys.shape == (3, 16)
    assert keys[0].tolist() == keys[2].tolist() != keys[1].tolist()


def test_the_file_alone_leads_to_nobody(home, store, tmp_path_factory):
    """Without vault.key a phone number cannot be looked for, and two parties' files have nothing in common."""
    store.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    stored = b"".join(file.read_bytes() for file in home.iterdir() if file.name != "vault.key")
    assert b"13900000001" not in stored
    elsewhere = tmp_path_factory.mktemp("other")
    Vault.create(elsewhere).close()
    other = ConsentStore(Vault(elsewhere))
    assert other.tokens(LABEL, ids(1)).tolist() != store.tokens(LABEL, ids(1)).tolist()
    other.record(LABEL, ids(1), yes(), Source.CLI, NOW)
    assert other.srefs(other.tokens(LABEL, ids(1)), "p", 1) != store.srefs(
        store.tokens(LABEL, ids(1)), "p", 1
    )


def test_secrets_are_not_pickled_or_shown(store):
    with pytest.raises(TypeError):
        pickle.dumps(store._secrets)
    assert repr(store._secrets) == "SubjectSecrets(...)"


# --- counting people


def test_people_are_counted_once_and_only_while_a_yes_holds(store):
    """Scenario 34."""
    store.record(LABEL, ids(1, 2, 3, 4), [yes("a"), yes("b")], Source.CLI, NOW)
    store.record(LABEL, ids(2), [no("a"), no("b")], Source.CLI, NOW)
    store.record(LABEL, ids(3), [no("a"), yes("b", until=NOW)], Source.CLI, NOW)
    assert store.people(NOW) == 2
    assert store.people(NOW - timedelta(seconds=1)) == 3
    assert store.people(NOW, Need("a")) == 2
    assert store.people(NOW, Need("a"), ("n2",)) == 0
    assert store.people(NOW, Need("c")) == 0
    assert store.known(store.tokens(LABEL, ids(1, 2, 9))).tolist() == [True, True, False]
    store.forget(store.tokens(LABEL, ids(1)))
    assert store.people(NOW) == 1
    assert store.known(store.tokens(LABEL, ids(1, 2))).tolist() == [False, True]
